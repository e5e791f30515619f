// What is not well, in the server's own verdicts; the page has no limits of its own.

import { h } from "../dom.js";
import { knows, number, t } from "../texts.js";

const WORKERS = ["audio", "listen", "stt", "llm", "tts"];

/** Return all workers, those of Luna's own first. */
export const workerNames = (view) =>
  [...new Set([...WORKERS, ...Object.keys(view.workers ?? {})])];

/**
 * Return what is not well, the worst first: `name`, `level` (`warning` or `critical`), `text`. A
 * worker that fails is known before the next measurement, from its own event.
 */
export function findings(view) {
  const measured = (view.vitals?.findings ?? []).map(({ name, level, text_key: key, values }) => ({
    name, level, text: knows(key) ? t(key, shown(values)) : name,
  }));
  if (measured.some(({ name }) => name === "workers_down")) return measured;
  const failed = workerNames(view).filter((name) => view.workers[name]?.status === "failed").map((name) => ({
    name: `worker ${name}`, level: "critical", text: `${t(`worker.${name}`)}: ${t("status.failed")}`,
  }));
  return [...failed, ...measured];
}

function shown(values = {}) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) =>
    [name, typeof value === "number" ? number(value, 1) : value]));
}

/** Return the line of a finding; its level is said to those who see no colours. */
export const findingLine = ({ level, text }) =>
  h("li", { "data-level": level }, h("span", { class: "unseen" }, `${t(level === "critical" ? "page.critical" : "page.warning")}: `), h("span", {}, text));
