// What each provider used today against its limits, and day by day.

import { get } from "../api.js";
import { h, later, show, toast } from "../dom.js";
import { day, dollars, number, t } from "../texts.js";

const DAYS = 30;
const MEASURES = [["tokens", "page.tokens"], ["requests", "page.requests"], ["cost", "page.cost"]];
const NEARLY = 80; // percent from which Luna warns
const amount = (measure, value) => (measure === "cost" ? dollars(value) : number(value));

export function mountUsage(root, { stream, signal }) {
  const today = h("div", { class: "meters" });
  const bars = h("div", { class: "days", "aria-hidden": "true" });
  const body = h("tbody");
  const empty = h("p", { class: "empty" }, t("page.no_usage"));
  const details = h("details", { class: "behind" }, h("summary", {}, t("page.as_table")),
    h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": t("page.usage_days") }, h("table", {}, h("caption", { class: "unseen" }, t("page.usage_days")),
      h("thead", {}, h("tr", {}, [t("page.day"), t("page.provider"), ...MEASURES.map(([, name]) => t(name))]
        .map((name) => h("th", { scope: "col" }, name)))), body)));
  const past = h("h3", {}, t("page.usage_days"));
  root.append(h("section", { class: "card" }, h("h2", {}, t("page.usage_today")), empty, today, past, bars, details));
  let visible = false;

  const load = async () => {
    let found;
    try {
      found = await get(`quota?days=${DAYS}`);
    } catch (error) {
      toast(error.message, "bad");
      return;
    }
    show(empty, found.today.length === 0);
    today.replaceChildren(...found.today.map(provider));
    const used = found.days.filter((row) => row.requests > 0);
    for (const part of [past, bars, details]) show(part, used.length > 0);
    body.replaceChildren(...used.map(tableRow));
    bars.replaceChildren(...dayBars(used, found.day));
  };
  stream.on(["event:provider_used", "event:quota_warning"], later(() => { if (visible) load(); }, 1000), signal);
  return { shown: () => { visible = true; load(); }, hidden: () => { visible = false; } };
}

function provider({ provider: name, used, limit }) {
  const meters = MEASURES.filter(([measure]) => limit[measure] != null || used[measure] > 0).map(([measure, label]) => {
    const allowed = limit[measure];
    const words = allowed == null ? amount(measure, used[measure])
      : t("page.used_of", { used: amount(measure, used[measure]), limit: amount(measure, allowed) });
    const percent = allowed ? (100 * used[measure]) / allowed : allowed === 0 ? 100 : 0;
    const bar = allowed != null && h("progress", { max: "100", value: Math.min(percent, 100), "aria-label": `${name}: ${t(label)}`,
      "data-level": percent >= 100 ? "critical" : percent >= NEARLY ? "warning" : "ok" });
    return h("div", { class: "meter" }, h("span", { class: "soft" }, t(label)), h("span", { class: "figure" }, words), bar);
  });
  return h("div", { class: "provider" }, h("h3", {}, name), meters);
}

const tableRow = (row) => h("tr", {}, h("td", {}, day(row.day)), h("td", {}, row.provider),
  h("td", { class: "figure" }, (row.estimated_requests ? "~ " : "") + number(row.tokens_in + row.tokens_out)),
  h("td", { class: "figure" }, number(row.requests)), h("td", { class: "figure" }, dollars(row.cost)));

function dayBars(rows, last) {
  const totals = new Map();
  for (const row of rows) totals.set(row.day, (totals.get(row.day) ?? 0) + row.tokens_in + row.tokens_out);
  const most = Math.max(1, ...totals.values());
  return Array.from({ length: DAYS }, (_, index) => {
    const date = new Date(`${last}T00:00:00Z`);
    date.setUTCDate(date.getUTCDate() - (DAYS - 1 - index));
    const iso = date.toISOString().slice(0, 10);
    const tokens = totals.get(iso) ?? 0;
    const bar = h("span", { title: `${day(iso)}: ${number(tokens)} ${t("page.tokens")}` });
    bar.style.setProperty("--share", String(tokens / most));
    return bar;
  });
}
