// Beside the conversation: is Luna well, what comes next, how fast was the last answer.

import { get } from "../api.js";
import { fill, h, later, setText, show } from "../dom.js";
import { icon } from "../icons.js";
import { seconds, t } from "../texts.js";
import { findingLine, findings, workerNames } from "./findings.js";
import { reminderLine } from "./reminders.js";

const NEXT = 3;
const STEPS = [
  ["stt_ms", "page.speech_recognition"], ["first_token_ms", "page.first_token"],
  ["playback_ms", "page.first_audio"], ["total_ms", "page.total"],
];

export function mountGlance(root, stream, signal, mayChange) {
  const well = h("p", { class: "well" });
  const problems = h("ul", { class: "findings" });
  const reminders = h("ul", { class: "lines" });
  const none = h("p", { class: "empty" }, t("page.no_reminders"));
  const timings = h("dl", { class: "figures" });
  const lastCard = card("page.last_turn", "#activity", timings);
  root.append(
    card("page.health", "#health", well, problems),
    card("page.next_reminders", "#reminders", none, reminders),
    lastCard);

  stream.on(["vitals", "workers", "microphone", "speaker"], (view) => {
    const found = findings(view);
    const soon = workerNames(view).some((name) => view.workers[name]?.status === "starting");
    show(well, found.length === 0);
    well.dataset.level = soon ? "soon" : "ok";
    setText(well, t(soon ? "page.getting_ready" : "page.all_well"));
    fill(problems, found, ({ name }) => name, findingLine);
  }, signal);

  stream.on("last_turn", ({ exchange: turn }) => {
    const known = STEPS.filter(([key]) => turn.timings?.[key] > 0);
    show(lastCard, known.length > 0);
    fill(timings, known.map(([key, name]) => ({ name, value: seconds(turn.timings[key]) })), ({ name }) => name,
      ({ name, value }) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, value)));
  }, signal);

  const load = later(async () => {
    if (signal.aborted) return;
    const found = await get("reminders").catch(() => null);
    if (!found) return;
    const next = found.reminders.slice(0, NEXT);
    show(none, next.length === 0);
    fill(reminders, next, (row) => String(row.id), (row) => reminderLine(row, mayChange));
  });
  for (const type of ["snapshot", "reminder_changed", "reminder_due", "reminder_missed"]) {
    stream.on(`event:${type}`, load, signal);
  }
  load();
}

function card(title, link, ...content) {
  return h("section", { class: "card", "aria-label": t(title) },
    h("h2", {}, h("a", { href: link }, t(title), icon("back"))), ...content);
}
