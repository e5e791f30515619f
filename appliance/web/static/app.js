// The page: lets in, connects the stream, and shows one section at a time.

import { onLoggedOut, post, Refused, session } from "./api.js";
import { announce, h, later, setText, show, toast } from "./dom.js";
import { icon } from "./icons.js";
import { Stream } from "./stream.js";
import { language, loadTexts, t, translate } from "./texts.js";

const SECTIONS = [
  ["now", "moon", "page.now"],
  ["reminders", "bell", "page.reminders"],
  ["history", "talk", "page.history"],
  ["health", "pulse", "page.health"],
  ["activity", "chart", "page.activity"],
  ["knowledge", "book", "page.knowledge"],
  ["settings", "sliders", "page.settings"],
  ["logs", "lines", "page.logs"],
  ["access", "key", "page.access"],
];
const AT_HAND = 4; // so many sections have a place of their own at the foot of a phone
const AGAIN_MS = 3000;
const LOST_MS = 1500; // a shorter loss of contact is not worth alarming anybody
const byId = (id) => document.getElementById(id);

const stream = new Stream(stillLetIn);
let who = null;
let mounted = new Map(); // section -> { root, panel, ending }
let ending = new AbortController(); // ends everything that listens when all is built anew

// --- letting in ---

const inside = () => Boolean(who) && who.kind !== "none";

async function stillLetIn() {
  try {
    who = await session();
  } catch {
    return true; // no contact: try again
  }
  if (!inside()) showDoor();
  return inside();
}

async function showDoor() {
  stream.close();
  unmount();
  show(byId("frame"), false);
  show(byId("lost"), false);
  const { mount } = await import("./panels/door.js");
  show(byId("door"), true);
  mount(byId("door"), { who, tools: tools(), enter: start });
}

async function start() {
  who = await session();
  if (!inside()) return showDoor();
  byId("door").replaceChildren();
  show(byId("door"), false);
  show(byId("frame"), true);
  build();
  if (!stream.connected) stream.open();
  return undefined;
}

// --- sections ---

function unmount() {
  ending.abort();
  ending = new AbortController();
  for (const { ending: end } of mounted.values()) end.abort();
  mounted = new Map();
  byId("main").replaceChildren();
}

function build() {
  unmount();
  translate(document);
  const links = SECTIONS.map(([name, picture, key]) =>
    h("a", { href: `#${name}`, "data-section": name }, icon(picture), h("span", {}, t(key))));
  const more = h("button", { type: "button", class: "more", "aria-expanded": "false", onclick: () => unfold() },
    icon("dots"), h("span", {}, t("page.more")));
  links.slice(AT_HAND).forEach((link) => link.classList.add("folded"));
  byId("nav").replaceChildren(...links, more);
  byId("rail-tools").replaceChildren(...tools());
  window.addEventListener("hashchange", open, { signal: ending.signal });
  stream.on("state", showState, ending.signal);
  open();
}

function unfold(open = byId("nav").dataset.open !== "yes") {
  byId("nav").dataset.open = open ? "yes" : "no";
  byId("nav").querySelector(".more").setAttribute("aria-expanded", String(open));
}

async function open() {
  const asked = location.hash.slice(1);
  const name = SECTIONS.some(([known]) => known === asked) ? asked : "now";
  unfold(false);
  for (const link of byId("nav").querySelectorAll("a")) {
    if (link.dataset.section === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const [, , title] = SECTIONS.find(([known]) => known === name);
  document.title = name === "now" ? "Luna" : `${t(title)} · Luna`;
  for (const [other, { root, panel }] of mounted) {
    if (other === name || root.hidden) continue;
    root.hidden = true;
    panel.hidden?.();
  }
  if (!mounted.has(name)) {
    const root = h("section", { class: `section ${name}`, "aria-label": t(title) });
    const place = { root, panel: {}, ending: new AbortController() };
    mounted.set(name, place);
    byId("main").append(root);
    const { mount } = await import(`./panels/${name}.js`);
    if (place.ending.signal.aborted) return undefined;
    place.panel = mount(root, { stream, who, signal: place.ending.signal, logOut }) ?? {};
  }
  const { root, panel } = mounted.get(name);
  if (location.hash.slice(1) !== asked) return undefined;
  root.hidden = false;
  window.scrollTo(0, 0);
  panel.shown?.();
  return undefined;
}

// --- language, colours, state ---

function tools() {
  const dark = () => document.documentElement.dataset.theme === "dark";
  const theme = h("button", { type: "button", class: "quiet", "aria-label": t("page.theme"), title: t("page.theme"),
    onclick: () => {
      const next = dark() ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("theme", next); } catch { /* it holds until the page is loaded again */ }
      theme.replaceChildren(icon(dark() ? "sun" : "moon"));
    } }, icon(dark() ? "sun" : "moon"));
  const other = language === "en" ? "pt" : "en";
  const speech = h("button", { type: "button", class: "quiet", lang: other === "pt" ? "pt-BR" : "en",
    "data-language": other, onclick: () => useLanguage(other) }, t("page.language"));
  return [speech, theme];
}

async function useLanguage(wanted) {
  await loadTexts(wanted);
  translate(document);
  if (inside()) build();
  else showDoor();
}

function showState(view) {
  document.body.dataset.state = view.state;
  const words = t(`state.${view.state}`);
  if (byId("brand-state").textContent === words) return;
  setText(byId("brand-state"), words);
  announce(words);
}

const lost = later(() => {
  setText(byId("lost"), t("page.lost_contact"));
  show(byId("lost"), !stream.connected && inside());
}, LOST_MS);

async function logOut() {
  await post("logout").catch((error) => toast(error.message, "bad"));
  location.reload();
}

async function begin() {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(byId("lost"), error.message);
    show(byId("lost"), true);
    setTimeout(begin, AGAIN_MS);
  }
}

await loadTexts();
translate(document);
onLoggedOut(stillLetIn);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the section
  byId("main").focus();
});
stream.on("connected", () => {
  if (stream.connected) show(byId("lost"), false);
  else lost();
});
await begin();
