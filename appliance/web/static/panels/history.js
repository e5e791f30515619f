// Conversations that were kept: read, search, go on, delete.

import { showAnswer } from "../answer.js";
import { get, post, remove } from "../api.js";
import { h, later, show, toast } from "../dom.js";
import { icon } from "../icons.js";
import { moment, t } from "../texts.js";

const NEWEST = 100;
const time = (seconds) => moment(new Date(seconds * 1000));

export function mount(root, { stream, signal, who }) {
  const mayChange = who.scopes.includes("talk");
  const field = h("input", { type: "search", maxlength: "200", placeholder: t("page.search_history"), "aria-label": t("page.search_history") });
  const list = h("ul", { class: "lines card" });
  const empty = h("p", { class: "empty card" });
  const reader = h("div", { class: "reader" });
  const fresh = mayChange && h("button", { type: "button", onclick: async () => {
    try {
      await post("conversations/new");
      toast(t("page.conversation_new"));
      load();
    } catch (error) {
      toast(error.message, "bad");
    }
  } }, icon("plus"), h("span", {}, t("page.new_conversation")));
  root.append(h("div", { class: "head" }, h("h1", {}, t("page.history")), fresh || ""),
    h("div", { class: "search" }, icon("search"), field),
    h("div", { class: "two" }, h("div", {}, empty, list), reader));
  let visible = false;

  async function load() {
    const words = field.value.trim();
    try {
      const found = await get(words ? `conversations?search=${encodeURIComponent(words)}` : `conversations?limit=${NEWEST}`);
      const rows = words ? (found.found ?? []).map(hit) : (found.conversations ?? []).map(conversation);
      empty.textContent = t(words ? "page.nothing_found" : "page.no_history");
      show(empty, rows.length === 0);
      show(list, rows.length > 0);
      list.replaceChildren(...rows);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  const line = (number, title, note) => h("li", { "data-conversation": number },
    h("button", { type: "button", class: "line-button", onclick: () => read(number) },
      h("span", { class: "line-title" }, title || t("page.untitled")), h("span", { class: "soft" }, note)));
  const conversation = (row) => line(row.id, row.title,
    [time(row.updated), t("page.messages", { count: row.messages }), row.current ? t("page.current") : ""].filter(Boolean).join(" · "));
  const hit = (row) => line(row.conversation, row.snippet, [time(row.at), t(row.role === "user" ? "page.you" : "page.luna")].join(" · "));

  async function read(number) {
    try {
      const { messages } = await get(`conversations/${number}`);
      reader.replaceChildren(conversationView(number, messages));
      for (const button of list.querySelectorAll(".line-button")) {
        const chosen = button.parentElement.dataset.conversation === String(number);
        button.setAttribute("aria-current", String(chosen));
      }
      reader.scrollIntoView({ block: "nearest" });
      reader.querySelector("h2").focus();
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  function conversationView(number, messages) {
    const tools = mayChange && h("div", { class: "line-tools" },
      h("button", { type: "button", onclick: async () => {
        try {
          await post(`conversations/${number}/open`);
          toast(t("page.conversation_goes_on"));
          load();
        } catch (error) {
          toast(error.message, "bad");
        }
      } }, t("page.go_on")),
      h("button", { type: "button", class: "quiet bad", onclick: async () => {
        if (!window.confirm(t("page.delete_conversation"))) return;
        try {
          await remove(`conversations/${number}`);
          reader.replaceChildren();
          load();
        } catch (error) {
          toast(error.message, "bad");
        }
      } }, icon("trash"), h("span", {}, t("page.delete"))));
    return h("article", { class: "card" },
      h("div", { class: "head" }, h("h2", { tabindex: "-1" }, time(messages[0]?.at ?? 0)), tools || ""),
      messages.map((message) => {
        const content = h("div", { class: "answer" });
        showAnswer(content, message.content);
        return h("div", { class: `message ${message.role === "user" ? "mine" : "hers"}` },
          h("span", { class: "soft small" }, t(message.role === "user" ? "page.you" : "page.luna")), content);
      }));
  }

  const soon = later(() => { if (visible) load(); }, 300);
  field.addEventListener("input", soon);
  stream.on("event:turn_ended", later(() => { if (visible) load(); }, 1500), signal);
  return { shown: () => { visible = true; load(); }, hidden: () => { visible = false; } };
}
