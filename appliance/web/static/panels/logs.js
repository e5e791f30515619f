// The log, live.

import { get } from "../api.js";
import { h, later, show, toast } from "../dom.js";
import { t } from "../texts.js";

const LEVELS = [["info", "page.level_all"], ["warning", "page.level_warning"], ["error", "page.level_error"]];
const SHOWN = 500;

export function mount(root, { signal }) {
  const level = h("select", { "aria-label": t("page.level") }, LEVELS.map(([value, name]) => h("option", { value }, t(name))));
  const words = h("input", { type: "search", maxlength: "200", placeholder: t("page.filter"), "aria-label": t("page.filter") });
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) begin();
    else end();
  } }, t("page.pause"));
  const lines = h("ol", { class: "log card", tabindex: "0", "aria-label": t("page.logs") });
  const empty = h("p", { class: "empty card", hidden: true }, t("page.nothing_found"));
  root.append(h("h1", {}, t("page.logs")), h("div", { class: "row filters" }, level, words, pause), empty, lines);
  let source = null;
  let newest = 0;

  const asked = () => `level=${level.value}&contains=${encodeURIComponent(words.value.trim())}`;
  const atEnd = () => lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;

  function add(rows) {
    const follow = atEnd();
    const fresh = rows.filter((row) => row.n > newest);
    if (fresh.length === 0) return;
    newest = fresh.at(-1).n;
    lines.append(...fresh.map(line));
    while (lines.children.length > SHOWN) lines.firstElementChild.remove();
    if (follow) lines.scrollTop = lines.scrollHeight;
  }

  async function begin() {
    end();
    newest = 0;
    try {
      source = new EventSource(`/api/v1/logs/stream?${asked()}`);
      source.addEventListener("line", ({ data }) => { add([JSON.parse(data)]); show(empty, false); show(lines, true); });
      // After a loss of contact, or a restart that counts from one again: all of it anew.
      source.onerror = () => { if (source?.readyState === EventSource.CONNECTING) newest = 0; lines.replaceChildren(); };
      source.onopen = async () => {
        const found = await get(`logs?limit=${SHOWN}&${asked()}`).catch((error) => toast(error.message, "bad"));
        if (!found) return;
        newest = 0;
        lines.replaceChildren();
        add(found.lines);
        show(empty, found.lines.length === 0);
        show(lines, found.lines.length > 0);
        lines.scrollTop = lines.scrollHeight;
      };
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  function end() {
    source?.close();
    source = null;
  }
  const again = later(() => { if (source) begin(); }, 250);
  level.addEventListener("change", again);
  words.addEventListener("input", again);
  signal.addEventListener("abort", end);
  return { shown: () => { if (pause.getAttribute("aria-pressed") !== "true") begin(); }, hidden: end };
}

const line = (row) => h("li", { "data-level": row.level },
  h("time", { datetime: row.time }, row.time.slice(11, 19)),
  h("span", { class: "log-level" }, row.level),
  row.worker && h("span", { class: "log-worker" }, row.worker),
  h("span", { class: "log-text" }, row.text));
