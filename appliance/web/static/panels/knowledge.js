// The owner's documents, from which Luna answers.

import { get, remove, upload } from "../api.js";
import { fill, h, show, toast } from "../dom.js";
import { icon } from "../icons.js";
import { size, t } from "../texts.js";

const TYPES = ".txt,.md,.html,.htm,.pdf";
const MEGABYTES = 20; // a larger one is refused before it is sent

export function mount(root, { who }) {
  const mayChange = who.scopes.includes("admin");
  const list = h("ul", { class: "lines card" });
  const empty = h("p", { class: "empty card" }, t("page.no_documents"));
  const busy = h("p", { class: "soft", role: "status" });
  const file = h("input", { type: "file", accept: TYPES, multiple: true, hidden: true });
  const button = h("button", { type: "button", onclick: () => file.click() }, icon("upload"), h("span", {}, t("page.add_document")));
  root.append(h("div", { class: "head" }, h("h1", {}, t("page.knowledge")), mayChange ? [button, file] : ""),
    h("p", { class: "soft" }, t("page.knowledge_what")), busy, empty, list);
  if (mayChange) {
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("drop"); });
    root.addEventListener("dragleave", () => root.classList.remove("drop"));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("drop");
      add([...event.dataTransfer.files]);
    });
  }
  file.addEventListener("change", () => {
    const files = [...file.files];
    file.value = "";
    add(files);
  });

  async function add(files) {
    button.disabled = true;
    for (const one of files) {
      busy.textContent = t("page.reading", { name: one.name });
      try {
        if (one.size > MEGABYTES * 1e6) throw new Error(t("refusal.document_large", { megabytes: MEGABYTES }));
        await upload("knowledge", one, { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(one.name) });
      } catch (error) {
        toast(`${one.name}: ${error.message}`, "bad");
      }
    }
    busy.textContent = "";
    button.disabled = false;
    load();
  }

  async function load() {
    try {
      const { documents } = await get("knowledge");
      show(empty, documents.length === 0);
      show(list, documents.length > 0);
      fill(list, documents, (row) => String(row.id), line);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  const line = (row) => h("li", { "data-document": row.id },
    h("span", { class: "badge" }, icon("book")),
    h("div", { class: "line-words" }, h("span", { class: "line-title" }, row.name),
      h("span", { class: "soft" }, [row.format, size(row.bytes), t("page.passages", { count: row.chunks }), row.language].filter(Boolean).join(" · "))),
    mayChange && h("div", { class: "line-tools" }, h("button", {
      type: "button", class: "quiet", "aria-label": `${t("page.delete")}: ${row.name}`, title: t("page.delete"),
      onclick: async () => {
        if (!window.confirm(t("page.delete_document", { name: row.name }))) return;
        try {
          await remove(`knowledge/${row.id}`);
        } catch (error) {
          toast(error.message, "bad");
        }
        load();
      },
    }, icon("trash"))));
  return { shown: load };
}
