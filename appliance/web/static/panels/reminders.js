// Reminders, timers and alarms: what comes, later, done, new.

import { get, post } from "../api.js";
import { fill, h, later, setText, show, toast } from "../dom.js";
import { icon } from "../icons.js";
import { language, moment, t } from "../texts.js";

const KIND_ICON = { reminder: "bell", timer: "later", alarm: "sun" };
const KINDS = { reminder: "page.kind_reminder", timer: "page.kind_timer", alarm: "page.kind_alarm" };

/** Return the line of one reminder; with buttons where the reader may change it. */
export function reminderLine(row, mayChange) {
  const name = row.text || t(KINDS[row.kind] ?? KINDS.reminder);
  const when = row.due && !row.rule ? moment(new Date(row.due)) : row.when;
  const act = (action, label, picture) => h("button", {
    type: "button", class: "quiet", "aria-label": `${t(label)}: ${name}`, title: t(label), "data-action": action,
    onclick: ({ currentTarget }) => {
      currentTarget.disabled = true;
      post(`reminders/${row.id}/${action}`, { language }).then(
        (answer) => toast(answer.text),
        (error) => { currentTarget.disabled = false; toast(error.message, "bad"); });
    },
  }, icon(picture));
  return h("li", { "data-state": row.state, "data-reminder": row.id },
    h("span", { class: "badge" }, icon(KIND_ICON[row.kind] ?? "bell")),
    h("div", { class: "line-words" },
      h("span", { class: "line-title" }, name),
      h("span", { class: "soft" }, [when, stateWords(row)].filter(Boolean).join(" · "))),
    mayChange && h("div", { class: "line-tools" },
      act("snooze", "page.snooze", "later"), act("done", "page.done", "check"), act("cancel", "page.cancel", "trash")));
}

function stateWords(row) {
  if (row.waits_for_clock) return t("page.waits_for_clock");
  if (row.missed) return t("page.missed");
  if (row.announced) return t(row.state === "snoozed" ? "page.snoozed" : "page.ringing");
  return "";
}

export function mount(root, { stream, signal, who }) {
  const mayChange = who.scopes.includes("talk");
  const note = h("p", { class: "problem", role: "alert", hidden: true });
  const field = h("input", { type: "text", name: "text", maxlength: "1000", required: true, autocomplete: "off",
    placeholder: t("page.reminder_example"), "aria-label": t("page.reminder_new") });
  const form = h("form", { class: "card inline", onsubmit: async (event) => {
    event.preventDefault();
    show(note, false);
    try {
      const answer = await post("reminders", { text: field.value, language });
      field.value = "";
      toast(answer.text);
    } catch (error) {
      setText(note, error.message);
      show(note, true);
      field.focus();
    }
  } }, field, h("button", { type: "submit" }, icon("plus"), h("span", {}, t("page.add"))), note);
  const list = h("ul", { class: "lines card" });
  const empty = h("p", { class: "empty card" }, t("page.no_reminders_yet"));
  root.append(h("h1", {}, t("page.reminders")), mayChange && form || "", empty, list);

  const load = later(async () => {
    if (signal.aborted) return;
    try {
      const { reminders } = await get("reminders");
      show(empty, reminders.length === 0);
      show(list, reminders.length > 0);
      fill(list, reminders, (row) => String(row.id), (row) => reminderLine(row, mayChange));
    } catch (error) {
      toast(error.message, "bad");
    }
  }, 50);
  for (const type of ["snapshot", "reminder_changed", "reminder_due", "reminder_missed", "clock_changed"]) {
    stream.on(`event:${type}`, load, signal);
  }
  return { shown: load };
}
