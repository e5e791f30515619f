// Luna's words in the reader's language, from the same catalogues as her voice.

const LANGUAGES = ["en", "pt"];
let texts = {};
export let language = "en";

function stored() {
  try { return localStorage.getItem("language"); } catch { return null; }
}

/** Load the language that was chosen here before, or else the browser's. */
export async function loadTexts(wanted) {
  const browser = navigator.language.toLowerCase().startsWith("pt") ? "pt" : "en";
  const chosen = [wanted, stored(), browser].find((name) => LANGUAGES.includes(name));
  const answer = await fetch(`/locales/${chosen}.json`);
  texts = await answer.json();
  language = chosen;
  if (wanted) {
    try { localStorage.setItem("language", chosen); } catch { /* it is asked again next time */ }
  }
  document.documentElement.lang = chosen === "pt" ? "pt-BR" : "en";
}

/** Return the text of `key`, its placeholders filled; the key itself where there is none. */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Return whether the catalogue has `key`. */
export const knows = (key) => key in texts;

/** Fill every element below `root` that names its text. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
  }
}

// --- numbers and times ---

const locale = () => (language === "pt" ? "pt-BR" : navigator.languages.find((name) => name.startsWith("en")) ?? "en");

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

export const dollars = (value) =>
  new Intl.NumberFormat(locale(), { style: "currency", currency: "USD", maximumFractionDigits: 4 }).format(value);

export const seconds = (ms) => `${new Intl.NumberFormat(locale(), { minimumFractionDigits: 1, maximumFractionDigits: ms < 1000 ? 2 : 1 }).format(ms / 1000)} s`;

export function size(bytes) {
  if (bytes >= 1e9) return `${number(bytes / 1e9, 1)} GB`;
  return bytes >= 1e6 ? `${number(bytes / 1e6, 1)} MB` : `${number(bytes / 1e3, 1)} kB`;
}

/** Return a time as people say it: the hour alone if it is today. `when` is a Date. */
export function moment(when) {
  const today = new Date().toDateString() === when.toDateString();
  const form = today ? { hour: "2-digit", minute: "2-digit" }
    : { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(locale(), form).format(when);
}

export const day = (iso) =>
  new Intl.DateTimeFormat(locale(), { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${iso}T00:00:00Z`));

/** Return a length of time in its two largest units. */
export function duration(total) {
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let rest = Math.round(total);
  const found = [];
  for (const [unit, length] of parts) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count || (found.length === 0 && unit === "s")) found.push(`${count} ${unit}`);
    if (found.length === 2) break;
  }
  return found.join(" ");
}
