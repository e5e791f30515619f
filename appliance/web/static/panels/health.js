// How Luna's parts and the box are.

import { post } from "../api.js";
import { fill, h, setText, show, toast } from "../dom.js";
import { icon } from "../icons.js";
import { duration, knows, number, size, t } from "../texts.js";
import { findingLine, findings, workerNames } from "./findings.js";

const STATUS_LEVEL = { ready: "ok", starting: "soon", failed: "critical", stopped: "soon" };
const DEVICE_LEVEL = { open: "ok", closed: "ok", muted: "warning" };
const MEGABYTE = 1e6;
const RESTARTABLE = ["audio", "listen", "stt", "llm", "tts"];

export function mount(root, { stream, signal, who }) {
  const problems = h("ul", { class: "findings card", "aria-label": t("page.findings") });
  const well = h("p", { class: "well card", "data-level": "ok" }, t("page.all_well"));
  const workers = h("ul", { class: "tiles" });
  const machine = h("dl", { class: "tiles" });
  const devices = h("dl", { class: "tiles" });
  const rings = h("dl", { class: "tiles" });
  const about = h("p", { class: "soft" });
  root.append(
    h("h1", {}, t("page.health")), well, problems,
    h("h2", {}, t("page.workers")), workers,
    h("h2", {}, t("page.machine")), machine,
    h("h2", {}, t("page.sound")), devices, rings,
    about);

  stream.on(["vitals", "workers", "microphone", "speaker"], (view) => {
    const found = findings(view);
    show(well, found.length === 0);
    show(problems, found.length > 0);
    fill(problems, found, ({ name }) => name, findingLine);
  }, signal);

  stream.on(["workers", "vitals"], (view) => {
    const rows = workerNames(view).map((name) => ({
      name, ...(view.workers[name] ?? { status: "stopped" }), mb: view.vitals?.workers_mb?.[name] ?? 0,
    }));
    const main = view.vitals?.workers_mb?.main;
    if (main) rows.push({ name: "main", status: "ready", mb: main });
    fill(workers, rows, ({ name }) => name, (row) => workerTile(row, who.scopes.includes("admin")));
  }, signal);

  stream.on(["vitals"], ({ vitals, ...view }) => {
    fill(machine, machineRows(vitals ?? {}), ({ key }) => key, tile);
    fill(rings, ringRows(vitals ?? {}), ({ key }) => key, tile);
    const parts = [`Luna ${vitals?.version || view.version || ""}`,
      vitals?.slot ? t("page.slot", { slot: vitals.slot.toUpperCase() }) : "",
      t("page.awake", { time: duration(view.uptime_s ?? 0) })];
    setText(about, parts.filter(Boolean).join(" · "));
  }, signal);

  stream.on(["microphone", "speaker"], (view) => {
    const rows = [["microphone", "page.microphone"], ["speaker", "page.speaker"]].map(([name, label]) => {
      const { status = "missing", device = "" } = view[name] ?? {};
      return { key: name, label: t(label), value: t(`status.${status}`), note: device, level: DEVICE_LEVEL[status] ?? "critical" };
    });
    fill(devices, rows, ({ key }) => key, tile);
  }, signal);
}

function workerTile({ name, status, detail, restarts = 0, mb }, mayRestart) {
  const facts = [restarts ? t("page.restarts", { count: restarts }) : "", mb ? size(mb * MEGABYTE) : ""];
  const title = name === "main" ? t("page.main") : knows(`worker.${name}`) ? t(`worker.${name}`) : name;
  const restart = mayRestart && RESTARTABLE.includes(name) && h("button", {
    type: "button", class: "quiet", "aria-label": `${t("page.restart")}: ${title}`, title: t("page.restart"),
    onclick: () => post("control/restart", { worker: name }).then(
      () => toast(t("page.restarting", { name: title })), (error) => toast(error.message, "bad")),
  }, icon("update"));
  return h("li", { class: "tile", "data-level": STATUS_LEVEL[status] ?? "soon", "data-worker": name },
    h("div", { class: "tile-head" }, h("span", { class: "tile-label" }, title), restart),
    h("strong", {}, t(`status.${status}`)),
    h("span", { class: "soft" }, facts.filter(Boolean).join(" · ")),
    detail && h("span", { class: "soft small" }, detail));
}

function tile({ key, label, value, note, level }) {
  return h("div", { class: "tile", "data-level": level ?? "ok", "data-figure": key },
    h("dt", { class: "tile-label" }, label),
    h("dd", {}, h("strong", {}, value), note && h("span", { class: "soft small" }, note)));
}

function machineRows({ machine = {}, measured = {} }) {
  const level = (name) => measured[name]?.level ?? "ok";
  const rows = [];
  const add = (key, label, value, note, judged) => rows.push({ key, label: t(label), value, note, level: judged });
  if (machine.temperature_c != null) {
    add("temperature", "page.temperature", `${number(machine.temperature_c, 1)} °C`, "", level("temperature_c"));
  }
  if (machine.throttled != null) {
    const causes = machine.throttled.map((name) => t(`throttled.${name}`)).join(", ");
    add("throttled", "page.throttling", t(causes ? "page.yes" : "page.no"), causes, level("throttled"));
  }
  if (machine.memory_mb) {
    add("memory", "page.memory", t("page.free", { size: size((machine.memory_free_mb ?? 0) * MEGABYTE) }),
      t("page.of", { size: size(machine.memory_mb * MEGABYTE) }), level("memory_free_percent"));
  }
  for (const [name, free] of Object.entries(machine.disks_free_mb ?? {})) {
    add(`disk ${name}`, name === "models" ? "page.disk_models" : "page.disk", t("page.free", { size: size(free * MEGABYTE) }),
      t("page.of", { size: size((machine.disks_mb?.[name] ?? 0) * MEGABYTE) }), level("disk_free_mb"));
  }
  if (machine.load !== undefined) {
    add("load", "page.load", `${number(machine.load * 100)} %`, "", level("cpu_wait_percent"));
  }
  if (machine.network !== undefined) {
    add("network", "page.network", t(machine.network ? "page.network_up" : "page.network_down"), "", level("network_down"));
  }
  if (measured.clock_doubted) {
    add("clock", "page.clock", t(measured.clock_doubted.value ? "page.clock_doubted" : "page.clock_set"), "", level("clock_doubted"));
  }
  return rows;
}

// The counters that tell of lost sound come first; the rest is for those who look closely.
const RINGS = [
  ["capture_overruns", "capture_drops"], ["playback_underruns", "playback_gaps"], ["device_overflows", ""],
  ["capture_queue", "capture_queue"], ["playback_queue", ""], ["capture_retries", ""], ["playback_retries", ""],
  ["playback_corrupt", ""], ["capture_blocks", ""],
];

function ringRows({ rings = {}, measured = {} }) {
  return RINGS.filter(([name]) => name in rings).map(([name, judged]) => ({
    key: name, label: t(`ring.${name}`), value: number(rings[name]), level: measured[judged]?.level ?? "ok",
  }));
}
