// How long the last turns took: a chart for the eye, a table for everybody.

import { get } from "../api.js";
import { h, later, show, toast } from "../dom.js";
import { moment, number, seconds, t } from "../texts.js";

const TURNS = 50;
const SERIES = [
  ["stt_ms", "page.speech_recognition", "--series-1"], ["first_token_ms", "page.first_token", "--series-2"],
  ["playback_ms", "page.first_audio", "--series-3"], ["total_ms", "page.total", "--series-4"],
];
const HEIGHT = 240;

let library = null;

function chartLibrary() {
  library ??= new Promise((resolve, reject) => {
    document.head.append(
      h("link", { rel: "stylesheet", href: "/static/vendor/uplot.css" }),
      h("script", { src: "/static/vendor/uplot.js", onload: () => resolve(window.uPlot), onerror: reject }));
  });
  return library;
}

export function mountLatency(root, { stream, signal }) {
  const place = h("div", { class: "chart", "aria-hidden": "true" });
  const legend = h("ul", { class: "legend", "aria-hidden": "true" },
    SERIES.map(([, name], index) => h("li", { class: `series-${index + 1}` }, t(name))));
  const body = h("tbody");
  const table = h("table", {}, h("caption", { class: "unseen" }, t("page.latency")),
    h("thead", {}, h("tr", {}, [t("page.time"), ...SERIES.map(([, name]) => t(name)), t("page.answered_by")]
      .map((name) => h("th", { scope: "col" }, name)))), body);
  const details = h("details", { class: "behind" }, h("summary", {}, t("page.as_table")), h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": t("page.latency") }, table));
  const empty = h("p", { class: "empty" }, t("page.no_turns"));
  root.append(h("section", { class: "card" }, h("h2", {}, t("page.latency")), empty, legend, place, details));
  let chart = null;
  let visible = false;

  const load = async () => {
    let turns;
    try {
      turns = (await get(`turns?limit=${TURNS}`)).turns.filter((turn) => turn.timings?.total_ms > 0);
    } catch (error) {
      toast(error.message, "bad");
      return;
    }
    for (const part of [legend, place, details]) show(part, turns.length > 0);
    show(empty, turns.length === 0);
    body.replaceChildren(...turns.map(row));
    if (turns.length > 0) await draw([...turns].reverse());
  };

  const draw = async (turns) => {
    const UPlot = await chartLibrary();
    if (signal.aborted || !visible) return;
    const data = [turns.map((_, index) => index + 1),
      ...SERIES.map(([key]) => turns.map((turn) => (turn.timings[key] > 0 ? turn.timings[key] / 1000 : null)))];
    chart?.destroy();
    chart = new UPlot(options(place.clientWidth, turns), data, place);
  };

  const redraw = later(() => { if (visible) load(); });
  stream.on("event:turn_ended", redraw, signal);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const watcher = new ResizeObserver(() => {
    if (chart && place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: HEIGHT });
  });
  watcher.observe(place);
  signal.addEventListener("abort", () => { watcher.disconnect(); chart?.destroy(); });
  return {
    shown: () => { visible = true; load(); },
    hidden: () => { visible = false; },
  };
}

function row(turn) {
  const when = new Date(typeof turn.at === "number" ? turn.at * 1000 : turn.at);
  return h("tr", { "data-level": turn.level },
    h("td", {}, moment(when)),
    SERIES.map(([key]) => h("td", { class: "figure" }, turn.timings[key] > 0 ? seconds(turn.timings[key]) : "–")),
    h("td", {}, turn.model || turn.provider || "–"));
}

function options(width, turns) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width, height: HEIGHT, legend: { show: false }, cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false, range: [0.5, Math.max(turns.length, 2) + 0.5] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, incrs: [1, 2, 5, 10, 20], values: (_, marks) => marks.map((mark) => number(mark)) },
      { ...axis, size: 44, values: (_, marks) => marks.map((mark) => `${number(mark, 1)} s`) },
    ],
    series: [{}, ...SERIES.map(([, name, shade]) => ({
      label: t(name), stroke: colour(shade), width: 2, spanGaps: true, points: { show: true, size: 6, fill: colour(shade) },
    }))],
  };
}
