// What Luna is doing now, and the ways to ask her something.

import { ask as askLuna, get, post, Refused, upload } from "../api.js";
import { showAnswer } from "../answer.js";
import { announce, h, later, setText, show, toast } from "../dom.js";
import { icon } from "../icons.js";
import { Talk } from "../talk/talk.js";
import { number, seconds, t } from "../texts.js";
import { mountGlance } from "./glance.js";

const ICONS = {
  starting: "spark", idle: "moon", listening: "mic", thinking: "spark", speaking: "wave",
  muted: "mic_off", error: "alert", updating: "update",
};
const BUSY = new Set(["listening", "thinking", "speaking"]);
const TAP_MS = 350; // a shorter press stays down until the next one: for hands that cannot hold
const RECALLED = 20; // turns among which the last question is looked for
const IMAGE_SIDE = 1280;
const REASONS = { first: "page.why_first", next: "page.why_next", hedge: "page.why_hedge", continues: "page.why_continues" };
const SKIPPED = {
  policy: "page.skipped_policy", offline: "page.skipped_offline", cooldown: "page.skipped_cooldown",
  misconfigured: "page.skipped_misconfigured", unsupported: "page.skipped_unsupported",
  quota: "page.skipped_quota", uncounted: "page.skipped_uncounted", no_credit: "page.skipped_no_credit",
  deadline: "page.skipped_deadline", error: "page.skipped_error",
};

export function mount(root, { stream, signal, who }) {
  const may = (scope) => who.scopes.includes(scope);
  const orb = h("div", { class: "orb", "aria-hidden": "true" });
  const state = h("p", { class: "state" });
  const detail = h("p", { class: "detail" });
  const exchange = mountExchange(stream, signal);
  const controls = mountControls(stream, signal);
  const talk = mountTalk(stream, signal, orb);
  const composer = mountComposer(stream, signal, talk);
  const aside = h("div", { class: "glance" });

  root.append(
    h("h1", { class: "unseen" }, t("page.now")),
    h("div", { class: "stage" },
      h("div", { class: "hero" }, orb, h("div", { class: "hero-words" }, state, detail), may("talk") && controls),
      exchange.element,
      may("talk") && composer),
    aside);
  mountGlance(aside, stream, signal, may("talk"));

  stream.on(["state", "muted"], (view) => {
    if (orb.dataset.icon !== view.state) {
      orb.dataset.icon = view.state;
      orb.replaceChildren(icon(ICONS[view.state] ?? "moon"));
    }
    setText(state, t(`state.${view.state}`));
    setText(detail, view.mute_switch ? t("panel.mute_switch") : view.detail || hint(view.state, talk));
  }, signal);
  return { hidden: () => talk.release() };
}

function hint(state, talk) {
  if (state !== "idle") return "";
  return t(talk.hindrance ? "page.hint_box" : matchMedia("(hover: none)").matches ? "page.hint_touch" : "page.hint_talk");
}

// --- the last question and answer ---

function mountExchange(stream, signal) {
  const question = h("p", { class: "question" });
  const answer = h("div", { class: "answer" });
  const going = h("p", { class: "going" });
  const error = h("p", { class: "problem", role: "alert" });
  const source = h("p", { class: "source" });
  const why = h("details", { class: "why" }, h("summary", {}, t("page.why")), h("p"));
  const empty = h("p", { class: "empty" }, t("page.nothing_yet"));
  const element = h("article", { class: "exchange", "aria-label": t("page.exchange") },
    empty, question, answer, going, error, h("div", { class: "origin" }, source, why));
  let said = 0;

  stream.on(["last_turn", "state"], (view) => {
    const turn = view.exchange;
    const asked = Boolean(turn.question || turn.answer || turn.error || (turn.turn_id && !turn.outcome));
    show(empty, !asked && !turn.outcome);
    show(question, Boolean(turn.question));
    setText(question, turn.question ?? "");
    showAnswer(answer, turn.answer ?? "");
    show(answer, Boolean(turn.answer));
    const waits = asked && !turn.outcome && !turn.answer && !turn.error;
    show(going, waits || Boolean(turn.outcome && turn.outcome !== "answered" && !turn.error));
    going.dataset.busy = waits ? "yes" : "no";
    setText(going, waits ? turn.status || t(`state.${BUSY.has(view.state) ? view.state : "thinking"}`)
      : turn.outcome ? t(`outcome.${turn.outcome}`) : "");
    show(error, Boolean(turn.error));
    setText(error, turn.error ?? "");
    setText(source, origin(turn));
    const reasons = whyChosen(turn);
    show(why, Boolean(reasons));
    setText(why.lastElementChild, reasons);
    if (turn.outcome && turn.turn_id !== said) announce(said ? turn.answer || turn.error || "" : "");
    if (turn.outcome) said = turn.turn_id;
  }, signal);
  const recall = async () => {
    if (stream.view?.exchange.turn_id) return;
    const { turns } = await get(`turns?limit=${RECALLED}`).catch(() => ({ turns: [] }));
    const last = turns.find((turn) => turn.source !== "say");
    if (last) stream.recall(last);
  };
  stream.on("event:snapshot", recall, signal);
  if (stream.view) recall();
  return { element };
}

const OWN = { local: "page.by_local", luna: "page.by_luna", cache: "page.by_cache", documents: "page.by_documents" };

function origin(turn) {
  if (!turn.provider) return "";
  const by = OWN[turn.provider] ? t(OWN[turn.provider]) : t("page.by_provider", { provider: turn.provider });
  const ms = turn.timings?.playback_ms || turn.timings?.first_audio_ms || turn.timings?.first_token_ms;
  return [by, turn.model, ms ? t("page.began_after", { time: seconds(ms) }) : ""].filter(Boolean).join(" · ");
}

function whyChosen(turn) {
  const skipped = Object.entries(turn.skipped ?? {}).map(([name, reason]) =>
    t("page.skipped", { provider: OWN[name] ? t(OWN[name]) : name, reason: t(SKIPPED[reason] ?? reason) }));
  return [turn.reason && REASONS[turn.reason] ? t(REASONS[turn.reason]) : "", ...skipped].filter(Boolean).join(" ");
}

// --- stop, mute, volume ---

function mountControls(stream, signal) {
  const order = (path, body) => post(`control/${path}`, body).catch((error) => toast(error.message, "bad"));
  const mute = h("button", { type: "button", class: "round", "aria-pressed": "false", "aria-label": t("page.mute"),
    title: t("page.mute"), onclick: () => order(stream.view.muted ? "unmute" : "mute") }, icon("mic_off"));
  const level = h("output", { class: "level" });
  const slider = h("input", { type: "range", min: "0", max: "100", step: "5", "aria-label": t("page.volume") });
  const send = later(() => order("volume", { percent: Number(slider.value) }));
  slider.addEventListener("input", () => {
    setText(level, `${number(Number(slider.value))} %`);
    send();
  });
  stream.on(["muted", "state"], (view) => {
    mute.setAttribute("aria-pressed", String(Boolean(view.muted || view.mute_switch)));
    mute.disabled = Boolean(view.mute_switch);
  }, signal);
  stream.on("volume", (view) => {
    if (slider.matches(":active")) return;
    slider.value = view.volume;
    setText(level, `${number(view.volume)} %`);
  }, signal);
  return h("div", { class: "controls" }, mute,
    h("span", { class: "volume" }, icon("volume"), slider, level));
}

// --- talk ---

function mountTalk(stream, signal, orb) {
  const talk = new Talk();
  talk.addEventListener("level", ({ detail }) => orb.style.setProperty("--level", detail.toFixed(2)));
  signal.addEventListener("abort", () => talk.stop());
  return talk;
}

function talkButton(talk, stream, signal, refuse) {
  const words = h("span", {}, t("page.talk"));
  const button = h("button", { type: "button", class: "talk", "aria-pressed": "false", title: t("page.talk_how") },
    icon("mic"), words);
  let pressedAt = 0;
  let latched = false;

  const press = () => {
    refuse("");
    if (latched) return;
    pressedAt = performance.now();
    talk.press();
  };
  const letGo = (mayLatch) => {
    if (!latched && mayLatch && talk.recording && performance.now() - pressedAt < TAP_MS) {
      latched = true;
      setText(words, t("page.talk_send"));
      return;
    }
    latched = false;
    talk.release();
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  }, { signal });
  button.addEventListener("pointerup", () => letGo(true), { signal });
  button.addEventListener("pointercancel", () => letGo(false), { signal });
  button.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });

  const key = (event) => event.code === "Space" || (event.code === "Enter" && document.activeElement === button);
  const elsewhere = () => document.activeElement?.closest("input, textarea, select, summary, a, button, [contenteditable], pre") ?? null;
  window.addEventListener("keydown", (event) => {
    if (!key(event) || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const other = elsewhere();
    if ((other && other !== button) || button.closest("[hidden]")) return;
    event.preventDefault(); // the space bar would scroll
    if (!event.repeat) press();
  }, { signal });
  window.addEventListener("keyup", (event) => {
    if (!key(event) || !talk.recording && !latched) return;
    event.preventDefault();
    letGo(document.activeElement === button);
  }, { signal });
  window.addEventListener("blur", () => { if (talk.recording && !latched) letGo(false); }, { signal });

  talk.addEventListener("recording", ({ detail }) => {
    button.setAttribute("aria-pressed", String(detail));
    if (!detail) latched = false;
    setText(words, t(detail ? "page.talk_listening" : "page.talk"));
  });
  talk.addEventListener("refused", ({ detail }) => refuse(detail));
  return button;
}

// --- write ---

function mountComposer(stream, signal, talk) {
  const note = h("p", { class: "problem", role: "alert", hidden: true });
  const refuse = (text) => { setText(note, text); show(note, Boolean(text)); };
  const field = h("textarea", { rows: "1", maxlength: "4000", placeholder: t("page.ask_placeholder"), "aria-label": t("page.ask") });
  const picture = mountPicture(refuse);
  const stop = h("button", { type: "button", class: "stop", onclick: () => {
    if (!talk.stop()) post("control/stop").catch((error) => refuse(error.message));
  } }, icon("stop"), h("span", {}, t("page.stop")));
  const ask = async () => {
    const text = field.value.trim();
    if (!text && !picture.id()) return;
    refuse("");
    field.value = "";
    grow();
    const image = picture.id();
    try {
      await askLuna({ text: text || t("page.about_picture"), ...(image ? { image } : {}) });
      picture.clear();
    } catch (error) {
      field.value ||= text;
      refuse(error.message);
    }
  };
  const grow = () => {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, 160)}px`;
  };
  field.addEventListener("input", grow);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  const send = h("button", { type: "submit", class: "round", "aria-label": t("page.send"), title: t("page.send") }, icon("send"));
  const form = h("form", { class: "composer", onsubmit: (event) => { event.preventDefault(); ask(); } },
    note, picture.preview,
    h("div", { class: "row" }, picture.button, field, send),
    h("div", { class: "row" }, talkButton(talk, stream, signal, refuse), stop));
  form.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("drop"); });
  form.addEventListener("dragleave", () => form.classList.remove("drop"));
  form.addEventListener("drop", (event) => {
    form.classList.remove("drop");
    const [dropped] = event.dataTransfer.files;
    if (!dropped) return; // a text goes where it falls
    event.preventDefault();
    picture.take(dropped);
  });
  stream.on("state", (view) => { stop.disabled = !BUSY.has(view.state); }, signal);
  return form;
}

// --- a picture to ask about ---

function mountPicture(refuse) {
  let image = "";
  const canvas = h("canvas", { role: "img", "aria-label": t("page.picture") });
  const clear = () => { image = ""; show(preview, false); };
  const preview = h("div", { class: "picture", hidden: true }, canvas,
    h("button", { type: "button", class: "quiet", "aria-label": t("page.picture_remove"), onclick: clear }, icon("cross")));
  const file = h("input", { type: "file", accept: "image/jpeg,image/png,image/webp", hidden: true });
  const button = h("button", { type: "button", class: "round quiet", "aria-label": t("page.picture_add"),
    title: t("page.picture_add"), onclick: () => file.click() }, icon("image"));
  const take = async (chosen) => {
    refuse("");
    try {
      const found = await upload("images", await smaller(chosen, canvas));
      image = found.image;
      show(preview, true);
    } catch (error) {
      clear();
      refuse(error instanceof Refused ? error.message : t("page.picture_bad"));
    }
  };
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    file.value = "";
    if (chosen) take(chosen);
  });
  return { button: [button, file], preview, take, clear, id: () => image };
}

/** Draw a picture file and return it as a JPEG no larger than a model looks at. */
async function smaller(file, canvas) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, IMAGE_SIDE / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.9); });
}
