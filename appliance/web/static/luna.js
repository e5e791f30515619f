// Shows the event stream. Text from the stream is only ever set as textContent.

const ICONS = {
  starting: "☾", idle: "☾", listening: "◉", thinking: "…", speaking: "♪",
  muted: "⊘", error: "!", updating: "↻",
};
const PARTS = ["audio", "listen", "stt", "llm", "tts"];
const byId = (id) => document.getElementById(id);

let language = localStorage.getItem("language")
  || (navigator.language.toLowerCase().startsWith("pt") ? "pt" : "en");
let texts = {};
let view = null;

const text = (key, values = {}) =>
  (texts[key] ?? "").replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

async function useLanguage(wanted) {
  const answer = await fetch(`/locales/${wanted}.json`);
  texts = await answer.json();
  language = wanted;
  localStorage.setItem("language", wanted);
  document.documentElement.lang = wanted;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
  render();
}

function render() {
  if (!view) return;
  document.body.dataset.state = view.state;
  byId("icon").textContent = ICONS[view.state] ?? "☾";
  byId("state").textContent = text(`state.${view.state}`);
  byId("detail").textContent = view.mute_switch ? text("panel.mute_switch") : view.detail ?? "";
  const turn = view.last_turn ?? {};
  const asked = Boolean(turn.question || turn.answer || turn.outcome);
  byId("question").textContent = turn.question || (asked ? "—" : text("page.nothing_yet"));
  byId("answer").textContent = turn.answer || turn.error || (asked ? "" : text("page.how_to_ask"));
  byId("outcome").textContent = outcome(turn);
  byId("parts").replaceChildren(...PARTS.map(workerItem), deviceItem("microphone"), deviceItem("speaker"));
}

function outcome(turn) {
  if (turn.outcome && turn.outcome !== "answered") return text(`outcome.${turn.outcome}`);
  const ms = turn.timings?.first_audio_ms;
  return ms ? text("page.first_audio", { ms: Math.round(ms) }) : "";
}

function item(name, what, well) {
  const line = document.createElement("li");
  line.dataset.well = well;
  for (const [kind, content] of [["dot", ""], ["name", name], ["what", what]]) {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = content;
    line.append(span);
  }
  return line;
}

function workerItem(name) {
  const worker = (view.workers ?? {})[name] ?? { status: "stopped", restarts: 0 };
  const restarts = worker.restarts ? `, ${text("page.restarts", { count: worker.restarts })}` : "";
  const well = { ready: "yes", failed: "no" }[worker.status] ?? "soon";
  return item(text(`worker.${name}`), text(`status.${worker.status}`) + restarts, well);
}

function deviceItem(name) {
  const device = view[name] ?? {};
  const status = device.status ?? "closed";
  const well = ["open", "closed"].includes(status) ? "yes" : "no";
  return item(text(`page.${name}`), [text(`status.${status}`), device.device].filter(Boolean).join(" · "), well);
}

// The same rules as `apply` in appliance/bus.py.
function apply(event) {
  const turn = view.last_turn ?? {};
  const present = turn.turn_id === event.turn_id;
  switch (event.type) {
    case "state_changed": Object.assign(view, { state: event.state, detail: event.detail }); break;
    case "mute_switched": view.mute_switch = event.muted; break;
    case "worker_changed": view.workers[event.worker] = event; break;
    case "microphone_changed": view.microphone = event; break;
    case "speaker_changed": view.speaker = event; break;
    case "turn_started": view.last_turn = { turn_id: event.turn_id }; break;
    case "heard": if (present) turn.question = event.text; break;
    case "content": if (present) turn.answer = (turn.answer ?? "") + event.text; break;
    case "error": if (present) turn.error = event.text; break;
    case "turn_ended": if (present) Object.assign(turn, { outcome: event.outcome, timings: event.timings }); break;
  }
}

function connect() {
  const source = new EventSource("/events");
  source.addEventListener("snapshot", (message) => {
    view = JSON.parse(message.data);
    byId("lost").hidden = true;
    render();
  });
  for (const type of ["state_changed", "mute_switched", "worker_changed", "microphone_changed", "speaker_changed",
    "turn_started", "heard", "content", "error", "turn_ended"]) {
    source.addEventListener(type, (message) => {
      // A lost connection raises an "error" of its own, without data.
      if (!message.data || !view) return;
      apply(JSON.parse(message.data));
      render();
    });
  }
  source.onerror = () => {
    byId("lost").hidden = false;
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(connect, 2000);
    }
  };
}

byId("language").addEventListener("click", () => useLanguage(language === "en" ? "pt" : "en"));
await useLanguage(language);
connect();
