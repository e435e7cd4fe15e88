import { get, id } from "../api.js";
import { facts, field, h, json, show, table } from "../dom.js";
import { clock, has, moment, number, t } from "../words.js";

const FILTERS = ["type", "user_id", "item_id"];

export async function open(context) {
  if (context.parts[0] === "rejected") return rejected(context);
  return context.parts[0] ? one(context) : list(context);
}

const tabs = (current) => h("div", { class: "row-actions" },
  h("a", { class: "button", href: "#/events", "aria-current": current === "live" ? "page" : null }, t("events.live")),
  h("a", { class: "button", href: "#/events/rejected", "aria-current": current === "rejected" ? "page" : null }, t("events.rejected")));

async function list({ body, every, actions, query, guarded }) {
  let paused = false;
  const inputs = Object.fromEntries(FILTERS.map((name) => [name, h("input", { autocomplete: "off", spellcheck: "false", value: query.get(name) ?? "", maxlength: "128" })]));
  const types = h("datalist", { id: "types" });
  inputs.type.setAttribute("list", "types");
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = t(paused ? "events.go_on" : "events.pause");
  } }, t("events.pause"));
  const rows = h("div", {});
  const form = h("form", { class: "form", role: "search", onsubmit: (event) => { event.preventDefault(); guarded(refresh); } },
    FILTERS.map((name) => field(t(`filter.${name}`), inputs[name], `filter-${name}`)), h("button", { type: "submit" }, t("filter")), pause, types);
  show(actions, tabs("live"));
  show(body, form, rows);

  async function refresh() {
    const parameters = new URLSearchParams(FILTERS.map((name) => [name, inputs[name].value.trim()]).filter(([, value]) => value));
    const answer = await get(`/v1/events/recent?${parameters}`);
    show(types, Object.keys(answer.types).map((type) => h("option", { value: type })));
    show(rows, table(t("events.newest", { read: number(answer.read) }), [
      [t("time"), (row) => h("a", { href: `#/events/${id(row.token)}`, id: `e-${row.token}` }, clock(row.logged_at))],
      [t("type"), (row) => (row.type ? h("span", { class: "tag" }, row.type) : h("span", { class: "tag bad" }, t("events.undecodable")))],
      [t("user"), (row) => row.user && h("a", { href: `#/users/${id(row.user)}`, id: `u-${row.token}` }, row.user), "wide"],
      [t("item"), (row) => row.item_id ?? row.query ?? row.fault, "wide"],
      [t("position"), (row) => row.token],
    ], answer.events, t("none.events")));
  }
  await every(2, async () => { if (!paused) await refresh(); });
}

async function one({ body, parts, actions }) {
  const event = await get(`/v1/events/recent/${id(parts[0])}`);
  show(actions, h("a", { class: "button", href: "#/events" }, t("back")));
  const hop = ({ name, ms }) => h("li", {}, t(`hop.${name}`), h("strong", {}, ms === null ? t("unknown") : `${number(ms, 1)} ms`));
  show(body,
    h("ol", { class: "hops", "aria-label": t("hops") }, event.hops.map(hop)),
    h("p", { class: "hint" }, t("hops.note")),
    h("div", { class: "split" },
      h("section", { class: "panel" }, h("h2", {}, t("events.place")), facts([
        [t("position"), event.token], [t("events.logged"), moment(event.logged_at)], [t("events.subject"), event.subject], [t("events.fault"), event.fault]])),
      h("section", { class: "panel" }, h("h2", {}, t("events.effects")), event.effects.map((effect) => h("div", {},
        h("h3", {}, t(`signal.${effect.signal}`), " ", h("span", { class: effect.applied ? "tag" : "tag bad" }, t(effect.applied ? "applied" : "waiting"))),
        effect.entries.map((entry) => facts(Object.entries(entry).map(([name, value]) => [name, name === "at" ? moment(value) : String(value)])))))),
      h("section", { class: "wide" }, table(t("events.answers"), [
        [t("answer"), (row) => row.recommendation_id, "wide"],
        [t("route"), (row) => row.route],
        [t("after"), (row) => `${number(row.after_ms, 1)} ms`, "number"],
        [t("because"), (row) => (row.named ? t("events.named") : row.because.join(", ")), "wide"],
      ], event.answers, t("none.entered"))),
      h("section", { class: "panel" }, h("h2", {}, t("events.raw")), h("pre", { tabindex: "0" }, event.raw)),
      event.event && h("section", { class: "panel" }, h("h2", {}, t("events.validated")), json(event.event))));
}

async function rejected({ body, every, actions }) {
  show(actions, tabs("rejected"));
  await every(3, async () => {
    const answer = await get("/v1/events/rejected");
    show(body, h("p", { class: "hint" }, t("rejected.note")), table(t("events.rejected"), [
      [t("time"), (row) => clock(row.at)],
      [t("rejected.reason"), (row) => h("span", { class: "tag bad" }, row.code)],
      [t("rejected.field"), (row) => row.field],
      [t("rejected.detail"), (row) => row.detail, "wide"],
      [t("events.raw"), (row) => h("code", {}, row.value), "wide"],
    ], answer.rejected, t("none.rejected")));
  });
}
