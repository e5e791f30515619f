// An answer as paragraphs and blocks of code, made while it arrives.

import { h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./texts.js";

const FENCE = /(?:^|\n)?[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]{0,30})[ \t]*\n/g;
const COPIED_MS = 1600;

/** Return prose and code apart: `{ code, language, text }`, in order. */
export function pieces(answer) {
  const found = [];
  const add = (code, language, text) => { if (text.trim() || code) found.push({ code, language, text }); };
  let at = 0;
  FENCE.lastIndex = 0;
  for (let open = FENCE.exec(answer); open; open = FENCE.exec(answer)) {
    add(false, "", answer.slice(at, open.index).trim());
    const start = FENCE.lastIndex;
    const fence = open[1];
    const end = new RegExp(`(^|\\n)[ \\t]*\\${fence[0]}{${fence.length},}[ \\t]*(?=\\n|$)`).exec(answer.slice(start));
    const stop = end ? start + end.index : answer.length;
    add(true, open[2], answer.slice(start, stop));
    at = end ? stop + end[0].length : answer.length;
    FENCE.lastIndex = at;
  }
  add(false, "", answer.slice(at).trim());
  return found;
}

/** Show `answer` in `container`; what is there already stays. */
export function showAnswer(container, answer) {
  const parts = pieces(answer);
  parts.forEach((part, index) => {
    const kind = part.code ? `code ${part.language}` : "prose";
    let child = container.children[index];
    if (child?.dataset.kind !== kind) {
      const made = part.code ? codeBlock(part.language) : h("p");
      made.dataset.kind = kind;
      if (child) child.replaceWith(made);
      else container.append(made);
      child = made;
    }
    setText(part.code ? child.querySelector("code") : child, part.text);
  });
  while (container.children.length > parts.length) container.lastElementChild.remove();
}

function codeBlock(language) {
  const code = h("code");
  const words = h("span", {}, t("page.copy"));
  const button = h("button", { type: "button", class: "quiet", onclick: async () => {
    words.textContent = t((await copy(code.textContent)) ? "page.copied" : "page.not_copied");
    setTimeout(() => { words.textContent = t("page.copy"); }, COPIED_MS);
  } }, icon("copy"), words);
  return h("figure", { class: "code" },
    h("figcaption", {}, h("span", {}, language || t("page.code")), button),
    h("pre", { tabindex: "0", "aria-label": language || t("page.code") }, code));
}

/** Put a text on the clipboard; return whether that worked. Outside a secure context the old way. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { class: "unseen", value: text, "aria-hidden": "true" });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
