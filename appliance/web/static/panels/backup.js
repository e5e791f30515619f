// A copy of everything that Luna keeps, to take away.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { t } from "../texts.js";

export const backupCard = () => h("section", { class: "card" },
  h("h2", {}, t("page.backup")), h("p", { class: "soft" }, t("page.backup_what")),
  h("a", { class: "button", href: "/api/v1/backup", download: "" }, icon("download"), h("span", {}, t("page.backup_download"))));
