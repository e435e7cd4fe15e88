import { get } from "../api.js";
import { chart } from "../chart.js";
import { h, show, table } from "../dom.js";
import { duration, has, number, percent, t } from "../words.js";

const RANGES = [900, 3600, 86400, 604800];
const rate = (value) => `${number(value, value < 10 ? 1 : 0)}/s`;
const FORMATS = {
  events_per_second: (v) => (v === null || v === undefined ? "–" : rate(v)),
  answers_per_second: (v) => (v === null || v === undefined ? "–" : rate(v)),
  rejected_per_second: (v) => (v === null || v === undefined ? "–" : rate(v)),
  degraded_share: (v) => percent(v),
  lag: (v) => number(v),
};
const formatOf = (name) => FORMATS[name] ?? duration;
const NUMBERS = ["events_per_second", "rejected_per_second", "freshness_p50", "freshness_p99", "lag", "model_age", "answers_per_second", "answer_time_p99", "degraded_share"];
const CHARTS = [
  ["events_per_second"], ["answers_per_second"], ["freshness_p50", "freshness_p99"],
  ["answer_time_p50", "answer_time_p99"], ["lag"], ["degraded_share"],
];

const definition = (name) => h("a", { href: `#/definitions/${name}` }, t(`figure.${name}`));

export async function open({ body, every, actions }) {
  let seconds = 900;
  const values = Object.fromEntries([...NUMBERS, "active_visitors"].map((name) => [name, h("span", { class: "value", "data-figure": name }, "–")]));
  const numbers = h("div", { class: "numbers" }, Object.entries(values).map(([name, value]) => h("div", { class: "number" }, value, definition(name))));
  const outcomes = h("div", { class: "split" });
  const charts = CHARTS.map((names) => ({
    names, ...chart(names.map((name) => t(`figure.${name}`)).join(", "), names.map((name) => t(`figure.${name}`)), formatOf(names[0])),
  }));
  const buttons = RANGES.map((range) => h("button", { type: "button", onclick: () => { seconds = range; press(); refresh(); } }, t(`range.${range}`)));
  const press = () => buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(RANGES[index] === seconds)));
  press();
  show(actions, h("div", { class: "choices", role: "group", "aria-label": t("range") }, buttons));
  show(body, numbers, h("div", { class: "panels" }, charts.map(({ names, figure }) =>
    h("section", { class: "panel" }, h("h2", {}, definition(names.length > 1 ? names[0].replace("_p50", "") : names[0])), figure))), outcomes);

  async function refresh() {
    const figures = await get(`/v1/figures?seconds=${seconds}`);
    for (const { names, draw } of charts) draw([figures.times, ...names.map((name) => figures.series[name])]);
    for (const name of NUMBERS) values[name].textContent = figures.unmeasured.includes(name) ? t("elsewhere") : formatOf(name)(figures.newest[name]);
  }

  async function count() {
    const answer = await get("/v1/figures/outcomes");
    values.active_visitors.textContent = number(answer.active_visitors);
    const columns = [
      [t("name"), (row) => (has(`source.${row.name}`) ? t(`source.${row.name}`) : row.name)],
      [t("shown"), (row) => number(row.shown), "number"],
      [t("clicked"), (row) => number(row.clicked), "number"],
      [t("ctr"), (row) => percent(row.ctr), "number"],
      [t("converted"), (row) => number(row.converted), "number"],
      [t("conversion"), (row) => percent(row.conversion, 2), "number"],
    ];
    show(outcomes,
      h("section", {}, table(t("outcomes.routes"), columns, answer.routes, t("none.answers"))),
      h("section", {}, table(t("outcomes.sources"), columns, answer.sources, t("none.answers"))),
      h("p", { class: "hint wide" }, t("outcomes.note", { answers: number(answer.answers), events: number(answer.events) }), " ", definition("ctr"), ", ", definition("conversion")));
  }
  await every(5, refresh);
  await every(10, count);
}
