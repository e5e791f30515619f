// The settings that are safe to change here; which they are, and their limits, Luna says.

import { get, patch, put } from "../api.js";
import { h, setText, show, toast } from "../dom.js";
import { knows, t } from "../texts.js";
import { backupCard } from "./backup.js";

const OPEN = new Set(["general", "listen"]);
const ORDER = ["general", "listen", "tts", "audio", "reminders", "panel", "routing", "providers"];

export function mount(root, { who }) {
  const mayChange = who.scopes.includes("admin");
  const place = h("div", { class: "settings" });
  const persona = h("div");
  const waiting = h("p", { class: "card notice", role: "status", hidden: true });
  root.append(h("h1", {}, t("page.settings")), waiting, place, persona, mayChange ? backupCard() : "");

  async function load() {
    try {
      const [{ settings }, words] = await Promise.all([get("config"), get("persona")]);
      draw(settings);
      persona.replaceChildren(personaForm(words, mayChange));
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  function draw(settings) {
    const groups = new Map();
    for (const row of settings) groups.set(groupOf(row), [...(groups.get(groupOf(row)) ?? []), row]);
    const opened = new Set([...place.querySelectorAll("details[open]")].map((part) => part.dataset.group));
    const sorted = [...groups].sort(([one], [other]) => rank(one) - rank(other));
    place.replaceChildren(...sorted.map(([group, rows]) => {
      const fields = h("fieldset", { disabled: !mayChange }, h("legend", { class: "unseen" }, titleOf(group)), rows.map((row) => field(row, save)));
      return h("details", { class: "card", "data-group": group, open: OPEN.has(group) || opened.has(group) }, h("summary", {}, titleOf(group)), fields);
    }));
    const pending = settings.filter((row) => row.pending).map((row) => labelOf(row.key));
    show(waiting, pending.length > 0);
    setText(waiting, t("page.settings_wait", { names: pending.join(", ") }));
  }

  async function save(key, value, note) {
    try {
      const changed = await patch("config", { [key]: value });
      setText(note, t(changed.restart ? "page.saved_restart" : "page.saved"));
      note.dataset.bad = "no";
      const row = changed.settings.find((one) => one.key === key);
      const pending = changed.settings.filter((one) => one.pending).map((one) => labelOf(one.key));
      show(waiting, pending.length > 0);
      setText(waiting, t("page.settings_wait", { names: pending.join(", ") }));
      return row;
    } catch (error) {
      setText(note, error.message);
      note.dataset.bad = "yes";
      return null;
    }
  }
  return { shown: load };
}

const groupOf = ({ key }) => (key.startsWith("providers.") ? key.split(".").slice(0, 2).join(".") : key.split(".")[0]);

const rank = (group) => (ORDER.indexOf(group.split(".")[0]) + ORDER.length + 1) % (ORDER.length + 1);

function titleOf(group) {
  const [section, provider] = group.split(".");
  if (provider) return t("setting_group.providers", { name: provider });
  return knows(`setting_group.${section}`) ? t(`setting_group.${section}`) : section;
}

function labelOf(key) {
  const parts = key.split(".");
  if (parts[0] === "thresholds") return t(`check.${parts[1]}`);
  const general = parts[0] === "providers" ? `setting.providers.${parts.slice(2).join(".")}` : `setting.${key}`;
  return knows(general) ? t(general) : parts.at(-1).replaceAll("_", " ");
}

function field(row, save) {
  const id = `set-${row.key.replaceAll(".", "-")}`;
  const note = h("span", { class: "saved soft small", role: "status", id: `${id}-note` });
  const made = (INPUTS[row.type === "list" && row.choices ? "choices" : row.type] ?? INPUTS.text)(row, id);
  const several = made.tagName === "DIV";
  if (several) made.setAttribute("aria-labelledby", `${id}-label`);
  else made.setAttribute("aria-describedby", `${id}-note ${id}-hint`);
  made.addEventListener("change", async ({ target }) => {
    if (!target.checkValidity()) {
      note.dataset.bad = "yes";
      note.textContent = target.validity.rangeUnderflow || target.validity.rangeOverflow
        ? t("refusal.setting_range", { minimum: row.minimum, maximum: row.maximum })
        : t(target.validity.valueMissing ? "refusal.setting_empty" : "refusal.setting_kind");
      return;
    }
    const kept = await save(row.key, readValue(row, made), note);
    if (kept) writeValue(kept, made);
  });
  const label = several ? h("span", { id: `${id}-label` }, labelOf(row.key)) : h("label", { for: id }, labelOf(row.key));
  return h("div", { class: `field ${row.type}`, "data-setting": row.key },
    label, made, h("span", { class: "soft small", id: `${id}-hint` }, hintOf(row)), note);
}

function hintOf(row) {
  const parts = [];
  if (row.type === "list" && !row.choices) parts.push(t("page.comma_list"));
  if (row.type === "pair") parts.push(t("page.warning_critical"));
  if (row.minimum != null && row.maximum != null) parts.push(`${row.minimum} – ${row.maximum}`);
  if (row.restart) parts.push(t("page.needs_restart"));
  return parts.join(" · ");
}

const step = (row) => (row.type === "int" ? "1" : "any");
const INPUTS = {
  bool: (row, id) => h("input", { id, type: "checkbox", role: "switch", checked: Boolean(row.value) }),
  choice: (row, id) => h("select", { id }, [...(row.optional ? [""] : []), ...row.choices].map((choice) =>
    h("option", { value: choice, selected: choice === (row.value ?? "") }, choiceName(choice)))),
  time: (row, id) => h("input", { id, type: "time", value: row.value ?? "" }),
  int: (row, id) => h("input", { id, type: "number", step: step(row), min: row.minimum, max: row.maximum, value: row.value ?? "",
    placeholder: row.default ?? "", required: !row.optional }),
  float: (row, id) => INPUTS.int(row, id),
  list: (row, id) => h("input", { id, type: "text", maxlength: "1000", value: (row.value ?? []).join(", ") }),
  choices: (row, id) => h("div", { id, role: "group", class: "choices" }, row.choices.map((choice) => h("label", {},
    h("input", { type: "checkbox", value: choice, checked: (row.value ?? []).includes(choice) }), choiceName(choice)))),
  pair: (row, id) => h("div", { id, role: "group", class: "pair" }, [0, 1].map((index) => h("input", { type: "number", step: "any",
    min: row.minimum, max: row.maximum, required: true, value: row.value[index], "aria-label": t(index ? "page.critical" : "page.warning") }))),
  text: (row, id) => h("input", { id, type: "text", maxlength: "1000", value: row.value ?? "", placeholder: row.default ?? "" }),
};

const choiceName = (choice) => (choice === "" ? t("page.default") : knows(`choice.${choice}`) ? t(`choice.${choice}`) : choice);

function readValue(row, input) {
  switch (row.type) {
    case "bool": return input.checked;
    case "pair": return [...input.children].map((one) => Number(one.value));
    case "int": case "float": return input.value === "" ? null : Number(input.value);
    case "list":
      if (row.choices) return [...input.querySelectorAll(":checked")].map((one) => one.value);
      return input.value.split(",").map((word) => word.trim()).filter(Boolean);
    default: return input.value === "" && row.optional ? null : input.value;
  }
}

function writeValue(row, input) {
  if (row.type === "pair") row.value.forEach((value, index) => { input.children[index].value = value; });
  else if (row.type === "list" && row.choices) input.querySelectorAll("input").forEach((one) => { one.checked = row.value.includes(one.value); });
  else if (row.type === "bool") input.checked = Boolean(row.value);
  else input.value = row.type === "list" ? (row.value ?? []).join(", ") : (row.value ?? "");
}

function personaForm(words, mayChange) {
  const fields = [["en", "page.persona_en"], ["pt", "page.persona_pt"]].map(([name, label]) => {
    const area = h("textarea", { id: `persona-${name}`, rows: "3", maxlength: "4096", value: words[name] ?? "" });
    return [name, area, h("div", { class: "field text" }, h("label", { for: `persona-${name}` }, t(label)), area)];
  });
  return h("form", { class: "card persona", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await put("persona", Object.fromEntries(fields.map(([name, area]) => [name, area.value])));
      toast(t("page.saved"));
    } catch (error) {
      toast(error.message, "bad");
    }
  } }, h("h2", {}, t("page.persona")), h("p", { class: "soft" }, t("page.persona_what")),
  fields.map(([, , element]) => element), mayChange && h("button", { type: "submit" }, t("page.save")));
}
