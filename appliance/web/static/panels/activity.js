// How fast Luna answered, what providers used, and the report of the day.

import { h } from "../dom.js";
import { t } from "../texts.js";
import { mountLatency } from "./latency.js";
import { mountReport } from "./report.js";
import { mountUsage } from "./usage.js";

export function mount(root, page) {
  const parts = [mountLatency, mountUsage, mountReport].map((mountPart) => {
    const place = h("div");
    root.append(place);
    return mountPart(place, page);
  });
  root.prepend(h("h1", {}, t("page.activity")));
  return { shown: () => parts.forEach((part) => part.shown()), hidden: () => parts.forEach((part) => part.hidden?.()) };
}
