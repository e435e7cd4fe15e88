import { call, get, may } from "../api.js";
import { h, show, table } from "../dom.js";
import { moment, number, t } from "../words.js";

const time = (text) => moment(Date.parse(text) / 1000);
const MEASURED = ["HR@10", "NDCG@10", "coverage@10"];

export async function open({ body, every, actions, say, guarded }) {
  const versions = h("div", {});
  const runs = h("div", {});
  const log = h("div", {});
  const change = (method, path, value, sentence) => guarded(async () => {
    const answer = await call(method, path, value);
    say(t(sentence, { version: answer.active ?? "" }));
    await Promise.all([readVersions(), readRuns()]);
  });
  if (may("admin")) {
    show(actions, h("div", { class: "row-actions" },
      h("button", { type: "button", class: "main", id: "train", onclick: () => change("POST", "/v1/trainings", undefined, "models.started") }, t("models.train")),
      h("button", { type: "button", id: "rollback", onclick: () => change("POST", "/v1/models/rollback", undefined, "models.active_now") }, t("models.rollback"))));
  }
  show(body, versions, runs, log);

  async function readVersions() {
    const answer = await get("/v1/models");
    const measured = MEASURED.filter((name) => answer.versions.some((version) => name in version.metrics));
    const state = (version) => (version.version === answer.active ? h("span", { class: "tag" }, t("models.active"))
      : version.version === answer.challenger ? h("span", { class: "tag" }, t("models.held")) : null);
    const promote = (version) => (may("admin") && version.version !== answer.active
      ? h("button", { type: "button", id: `p-${version.version}`, "aria-label": `${t("models.promote")} ${version.version}`,
        onclick: () => change("PUT", "/v1/models/active", { version: version.version }, "models.active_now") }, t("models.promote")) : null);
    show(versions, table(t("models.versions"), [
      [t("models.version"), (row) => row.version],
      [t("models.made"), (row) => time(row.created_at)],
      [t("models.algorithm"), (row) => `${row.algorithm} (${row.engine})`],
      [t("models.interactions"), (row) => number(row.window.interactions), "number"],
      ...measured.map((name) => [name, (row) => compared(row, name), "number"]),
      [t("letters.state"), (row) => state(row)],
      [t("models.change"), (row) => promote(row)],
    ], answer.versions, t("none.models")));
  }

  // A metric beside that of popularity, which the gate compares with.
  function compared(row, name) {
    const popular = row.metrics[`popularity ${name}`];
    return row.metrics[name] === undefined ? "–" : number(row.metrics[name], 4) + (popular === undefined ? "" : ` (${number(popular, 4)})`);
  }

  async function readRuns() {
    const answer = await get("/v1/jobs");
    const progress = (row) => (row.outcome !== "running" ? row.message
      : h("span", {}, `${row.step} `, row.total ? h("progress", { value: row.done, max: row.total, "aria-label": row.step }) : null));
    show(runs, table(t("models.jobs"), [
      [t("models.job"), (row) => row.job],
      [t("models.began"), (row) => time(row.started_at)],
      [t("rejected.reason"), (row) => row.reason, "wide"],
      [t("letters.state"), (row) => h("span", { class: ["failed", "refused", "lost"].includes(row.outcome) ? "tag bad" : "tag" }, t(`outcome.${row.outcome}`))],
      [t("models.progress"), progress, "wide"],
    ], answer.runs, t("none.jobs")));
    if (!may("admin")) return;
    const { text } = await get("/v1/jobs/train/log");
    show(log, text ? h("section", { class: "panel" }, h("h2", {}, t("models.log")), h("pre", { tabindex: "0" }, text)) : null);
  }
  await every(5, readVersions);
  await every(2, readRuns);
}
