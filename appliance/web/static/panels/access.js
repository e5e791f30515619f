// Who may use this page: devices, another device, programs, the password.

import { get, post, remove } from "../api.js";
import { copy } from "../answer.js";
import { h, setText, show, toast } from "../dom.js";
import { icon } from "../icons.js";
import { moment, t } from "../texts.js";

const SCOPES = [["read", "page.scope_read"], ["talk", "page.scope_talk"], ["admin", "page.scope_admin"]];

export function mount(root, { who, logOut }) {
  root.append(h("h1", {}, t("page.access")));
  if (!who.scopes.includes("admin")) {
    root.append(h("p", { class: "empty card" }, t("page.no_right")));
    return {};
  }
  const parts = [devices(logOut), programs(), password()];
  root.append(...parts.map(({ element }) => element));
  return { shown: () => parts.forEach(({ load }) => load?.()) };
}

const attempt = (work) => work().catch((error) => toast(error.message, "bad"));

function devices(logOut) {
  const list = h("ul", { class: "lines" });
  const code = h("output", { class: "big-code", hidden: true });
  const others = h("button", { type: "button", class: "quiet bad", onclick: () => attempt(async () => {
    if (!window.confirm(t("page.log_out_others_sure"))) return;
    await remove("sessions");
    load();
  }) }, t("page.log_out_others"));
  const another = h("button", { type: "button", onclick: () => attempt(async () => {
    const found = await post("pairing");
    code.replaceChildren(h("strong", {}, found.code), h("span", { class: "soft" }, t("page.pairing_open", { minutes: Math.round(found.seconds / 60) })));
    show(code, true);
  }) }, icon("phone"), h("span", {}, t("page.pair_another")));

  const load = () => attempt(async () => {
    const { sessions } = await get("sessions");
    show(others, sessions.length > 1);
    list.replaceChildren(...sessions.map((row) => h("li", { "data-session": row.id },
      h("span", { class: "badge" }, icon("phone")),
      h("div", { class: "line-words" }, h("span", { class: "line-title" }, row.name),
        h("span", { class: "soft" }, row.own ? t("page.this_device") : t("page.last_seen", { when: moment(new Date(row.seen)) }))),
      h("div", { class: "line-tools" }, row.own
        ? h("button", { type: "button", class: "quiet", onclick: logOut }, t("page.log_out"))
        : h("button", { type: "button", class: "quiet bad", "aria-label": `${t("page.revoke")}: ${row.name}`,
          onclick: () => attempt(async () => { await remove(`sessions/${row.id}`); load(); }) }, t("page.revoke"))))));
  });
  const element = h("section", { class: "card" }, h("div", { class: "head" }, h("h2", {}, t("page.devices")), another), code, list, others);
  return { element, load };
}

function programs() {
  const list = h("ul", { class: "lines" });
  const empty = h("p", { class: "empty" }, t("page.no_tokens"));
  const name = h("input", { type: "text", id: "token-name", maxlength: "60", required: true });
  const scope = h("select", { id: "token-scope" }, SCOPES.map(([value, label]) => h("option", { value }, t(label))));
  const made = h("div", { class: "made", role: "status", hidden: true });

  const load = () => attempt(async () => {
    const { tokens } = await get("tokens");
    show(empty, tokens.length === 0);
    list.replaceChildren(...tokens.map((row) => h("li", {},
      h("span", { class: "badge" }, icon("key")),
      h("div", { class: "line-words" }, h("span", { class: "line-title" }, row.name),
        h("span", { class: "soft" }, [t((SCOPES.find(([value]) => value === row.scope) ?? SCOPES[0])[1]), moment(new Date(row.created))].join(" · "))),
      h("div", { class: "line-tools" }, h("button", { type: "button", class: "quiet bad", "aria-label": `${t("page.revoke")}: ${row.name}`,
        onclick: () => attempt(async () => { await remove(`tokens/${row.id}`); load(); }) }, t("page.revoke"))))));
  });
  const form = h("form", { class: "row fields", onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      const { token } = await post("tokens", { name: name.value, scope: scope.value });
      name.value = "";
      made.replaceChildren(h("p", {}, t("page.token_once")), h("code", {}, token),
        h("button", { type: "button", class: "quiet", onclick: async () => { if (await copy(token)) toast(t("page.copied")); } }, icon("copy"), h("span", {}, t("page.copy"))));
      show(made, true);
      load();
    });
  } }, h("div", { class: "field" }, h("label", { for: "token-name" }, t("page.token_name")), name),
  h("div", { class: "field" }, h("label", { for: "token-scope" }, t("page.token_scope")), scope),
  h("button", { type: "submit" }, icon("plus"), h("span", {}, t("page.add"))));
  return { element: h("section", { class: "card" }, h("h2", {}, t("page.tokens_title")), h("p", { class: "soft" }, t("page.tokens_what")), empty, list, made, form), load };
}

function password() {
  const current = h("input", { type: "password", id: "password-current", autocomplete: "current-password", maxlength: "256" });
  const fresh = h("input", { type: "password", id: "password-new", autocomplete: "new-password", minlength: "10", maxlength: "256", required: true });
  const note = h("p", { class: "problem", role: "alert", hidden: true });
  const form = h("form", { class: "row fields", onsubmit: async (event) => {
    event.preventDefault();
    show(note, false);
    try {
      await post("password", { password: fresh.value, current: current.value });
      fresh.value = current.value = "";
      toast(t("page.password_set"));
    } catch (error) {
      setText(note, error.message);
      show(note, true);
    }
  } }, h("div", { class: "field" }, h("label", { for: "password-current" }, t("page.password_current")), current),
  h("div", { class: "field" }, h("label", { for: "password-new" }, t("page.password_new")), fresh),
  h("button", { type: "submit" }, t("page.save")));
  return { element: h("section", { class: "card" }, h("h2", {}, t("page.password")), h("p", { class: "soft" }, t("page.password_what")), note, form) };
}
