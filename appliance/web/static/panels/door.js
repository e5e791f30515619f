// The door: for who is not known yet.

import { post, Refused } from "../api.js";
import { h, setText, show } from "../dom.js";
import { t } from "../texts.js";

export function mount(root, { who, tools, enter }) {
  const note = h("p", { class: "problem", role: "alert", hidden: true });
  const name = h("input", { type: "text", id: "door-name", maxlength: "60", autocomplete: "off", value: deviceName() });
  const code = h("input", { type: "text", id: "door-code", class: "code-input", inputmode: "numeric", autocomplete: "one-time-code",
    maxlength: "12", required: true, placeholder: "000000" });
  const password = h("input", { type: "password", id: "door-password", autocomplete: "current-password", maxlength: "256", required: true });

  const tried = (path, values, words) => async (event) => {
    event.preventDefault();
    const button = event.target.querySelector("button");
    show(note, false);
    button.disabled = true;
    try {
      await post(path, { ...values(), name: name.value });
      await enter();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const known = error.status === 429 ? t("page.too_many_tries", { seconds: error.wait }) : words[error.status];
      setText(note, known ?? error.message);
      show(note, true);
      event.target.querySelector("input").select();
    }
    button.disabled = false;
  };
  const pair = h("form", { class: "card", onsubmit: tried("pair", () => ({ code: code.value }),
    { 403: t("page.wrong_code"), 409: t("page.no_pairing") }) },
    h("h2", {}, t("page.pair_title")),
    h("ol", { class: "how" }, h("li", {}, t("page.pair_step_spoken")), h("li", {}, t("page.pair_step_typed"))),
    h("div", { class: "field" }, h("label", { for: "door-code" }, t("page.pair_code")), code),
    h("div", { class: "field" }, h("label", { for: "door-name" }, t("page.device_name")), name),
    h("button", { type: "submit" }, t("page.pair")));
  const logIn = h("form", { class: "card", onsubmit: tried("login", () => ({ password: password.value }),
    { 403: t("page.wrong_password") }) },
    h("h2", {}, t("page.password_title")),
    h("div", { class: "field" }, h("label", { for: "door-password" }, t("page.password")), password),
    h("button", { type: "submit" }, t("page.log_in")));
  const forms = who?.needs === "password" ? [logIn, pair] : [pair];
  root.replaceChildren(
    h("div", { class: "door-head" }, h("span", { class: "orb", "aria-hidden": "true" }),
      h("h1", {}, "Luna"), h("p", { class: "soft" }, t("page.door")), h("div", { class: "rail-tools" }, tools)),
    note, ...forms);
  forms[0].querySelector("input").focus();
}

function deviceName() {
  const agent = navigator.userAgent;
  const system = ["iPhone", "iPad", "Android", "Windows", "Mac", "CrOS", "Linux"].find((word) => agent.includes(word)) ?? "";
  const browser = ["Firefox", "Edg", "Chrome", "Safari"].find((word) => agent.includes(word)) ?? "";
  return [browser === "Edg" ? "Edge" : browser, system].filter(Boolean).join(" · ");
}
