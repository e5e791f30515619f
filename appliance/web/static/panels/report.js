// The last report of the day.

import { get } from "../api.js";
import { h, setText, show } from "../dom.js";
import { moment, t } from "../texts.js";

export function mountReport(root, { stream, signal }) {
  const text = h("p", { class: "report" });
  const when = h("p", { class: "soft" });
  const empty = h("p", { class: "empty" }, t("page.no_report"));
  root.append(h("section", { class: "card" }, h("h2", {}, t("page.report")), empty, when, text));
  const load = async () => {
    const found = await get("report").catch(() => ({}));
    show(empty, !found.text);
    setText(text, found.text ?? "");
    setText(when, found.at ? moment(new Date(found.at)) : "");
  };
  stream.on("event:job_finished", load, signal);
  return { shown: load };
}
