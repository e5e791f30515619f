// The event stream: what Luna is and does, kept up to date, and told to those who show it.

const SILENCE_MS = 40000; // Luna says something every 15 s; after so long the cable is out
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const TYPES = [
  "state_changed", "mute_requested", "mute_switched", "volume_requested", "worker_changed",
  "microphone_changed", "speaker_changed", "vitals", "turn_started", "heard", "status", "agent_switch",
  "tool_call", "content", "complete", "error", "turn_ended", "provider_chosen", "provider_used",
  "quota_warning", "network_changed", "clock_changed", "panel_changed", "reminder_due", "reminder_changed",
  "reminder_missed", "job_finished", "capture_dropped",
];

/**
 * Keeps `view`, a snapshot with every event since applied to it; and in its `exchange` the last turn
 * in which somebody asked something.
 */
export class Stream {
  view = null;
  connected = false;
  #source = null;
  #failures = 0;
  #timer = 0;
  #silence = 0;
  #listeners = new Map();
  #changed = new Set();
  #closedByServer;

  /** `closedByServer` is asked, when the stream is refused, whether to try again. */
  constructor(closedByServer) {
    this.#closedByServer = closedByServer;
    window.addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#retryNow(); });
  }

  /**
   * Call `listener` when one of `topics` changed: a part of the view, at most once a frame, or
   * `event:TYPE` with each such event. Once at the beginning, too, if there is a view.
   */
  on(topics, listener, signal) {
    const wanted = [].concat(topics);
    for (const topic of wanted) {
      if (!this.#listeners.has(topic)) this.#listeners.set(topic, new Set());
      this.#listeners.get(topic).add(listener);
      signal?.addEventListener("abort", () => this.#listeners.get(topic).delete(listener));
    }
    if (this.view && wanted.some((topic) => !topic.startsWith("event:"))) listener(this.view);
  }

  open() {
    this.close();
    this.#source = new EventSource("/events");
    this.#source.addEventListener("open", () => this.#contact(true));
    this.#source.addEventListener("snapshot", (message) => this.#begin(JSON.parse(message.data)));
    for (const type of TYPES) {
      this.#source.addEventListener(type, (message) => {
        // A lost connection raises an "error" of its own, without data.
        if (message.data && this.view) this.#take(JSON.parse(message.data));
      });
    }
    this.#source.addEventListener("heartbeat", () => this.#heard());
    this.#source.onerror = ({ data }) => {
      if (data !== undefined) return; // Luna's own event of this name
      this.#contact(false);
      if (this.#source?.readyState === EventSource.CLOSED) this.#again();
    };
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#source = null;
  }

  // A connection that is cut without a word looks to the browser as if nothing happened.
  #heard() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#contact(false);
      this.#again();
    }, SILENCE_MS);
  }

  async #again() {
    this.close();
    if (!(await this.#closedByServer())) return;
    const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
    this.#timer = setTimeout(() => this.open(), wait);
  }

  #retryNow() {
    if (this.#timer && !this.#source) this.open();
  }

  #contact(connected) {
    if (connected) this.#failures = 0;
    if (connected === this.connected) return;
    this.connected = connected;
    this.#emit("connected");
  }

  #begin(snapshot) {
    // Another version of Luna has another page.
    if (this.view && this.view.version !== snapshot.version) location.reload();
    this.view = { workers: {}, last_turn: {}, ...snapshot, exchange: this.view?.exchange ?? {} };
    this.#keep();
    for (const topic of this.#listeners.keys()) if (!topic.startsWith("event:")) this.#emit(topic);
    this.#tell("event:snapshot", snapshot);
  }

  #take(event) {
    const topics = apply(this.view, event);
    this.#keep();
    for (const topic of topics) this.#emit(topic);
    this.#tell(`event:${event.type}`, event);
  }

  // What Luna says by herself (a reminder, a code) does not hide the last question and answer.
  #keep() {
    if (this.view.last_turn.turn_id && this.view.last_turn.source !== "say") this.view.exchange = this.view.last_turn;
  }

  /** Show this turn as the last question and answer, where none is known. */
  recall(turn) {
    if (!this.view || this.view.exchange.turn_id) return;
    this.view.exchange = turn;
    this.#emit("last_turn");
  }

  #tell(topic, value) {
    for (const listener of this.#listeners.get(topic) ?? []) listener(value);
  }

  #emit(topic) {
    if (this.#changed.size === 0) requestAnimationFrame(() => this.#flush());
    this.#changed.add(topic);
  }

  #flush() {
    const listeners = new Set([...this.#changed].flatMap((topic) => [...(this.#listeners.get(topic) ?? [])]));
    this.#changed.clear();
    for (const listener of listeners) listener(this.view);
  }
}

/**
 * Change `view` by `event`; return which of its parts changed. The rules are those of `apply` in
 * appliance/bus.py; only the page also keeps what goes on in a turn.
 */
function apply(view, event) {
  const { type, at, ...fields } = event;
  const turn = view.last_turn;
  const present = turn.turn_id === event.turn_id;
  switch (type) {
    case "state_changed":
      Object.assign(view, { state: event.state, detail: event.detail, turn_id: event.turn_id });
      return ["state"];
    case "mute_requested": view.muted = event.muted; return ["muted"];
    case "mute_switched": view.mute_switch = event.muted; return ["muted"];
    case "volume_requested": view.volume = event.percent; return ["volume"];
    case "microphone_changed": view.microphone = fields; return ["microphone"];
    case "speaker_changed": view.speaker = fields; return ["speaker"];
    case "worker_changed": view.workers[event.worker] = fields; return ["workers"];
    case "vitals": view.vitals = fields; return ["vitals"];
    case "turn_started":
      view.last_turn = { turn_id: event.turn_id, source: event.source };
      return ["last_turn"];
    case "turn_ended": {
      const told = Object.fromEntries(Object.entries(fields).filter(([, value]) => Boolean(value)));
      view.last_turn = present ? { ...turn, ...told } : fields;
      return ["last_turn"];
    }
    default:
  }
  if (!present) return [];
  switch (type) {
    case "heard": Object.assign(turn, { question: event.text, language: event.language }); break;
    case "content": turn.answer = (turn.answer ?? "") + event.text; break;
    case "error": turn.error = event.text; break;
    case "status": turn.status = event.text; break;
    case "tool_call": turn.tool = event.name; break;
    case "agent_switch": Object.assign(turn, { role: event.role, provider: event.provider, model: event.model }); break;
    case "provider_chosen":
      Object.assign(turn, { provider: event.provider, model: event.model, reason: event.reason, skipped: event.skipped });
      break;
    default: return [];
  }
  return ["last_turn"];
}
