import { get, id } from "../api.js";
import { facts, field, h, json, show, table } from "../dom.js";
import { has, moment, number, percent, t } from "../words.js";

const source = (name) => (has(`source.${name}`) ? t(`source.${name}`) : name);

export async function open({ body, parts, guarded }) {
  const box = h("input", { autocomplete: "off", spellcheck: "false", maxlength: "128", required: true, value: parts[0] ?? "" });
  const form = h("form", { class: "form", role: "search", onsubmit: (event) => {
    event.preventDefault();
    location.hash = `#/users/${id(box.value.trim())}`;
  } }, field(t("users.id"), box, "user-id"), h("button", { type: "submit", class: "main" }, t("users.open")));
  const content = h("div", {});
  show(body, form, content);
  if (!parts[0]) return show(content, h("p", { class: "hint" }, t("users.note")));
  await guarded(async () => {
    const user = parts[0];
    const [signals, list, view] = await Promise.all([
      get(`/v1/users/${id(user)}/signals`), get(`/v1/users/${id(user)}/recommendations?count=20`), get(`/v1/users/${id(user)}`).catch(() => null)]);
    const session = signals.session;
    const why = (row) => row.reasons.map((reason) =>
      `${source(reason.source)} ${percent(reason.share, 0)}${reason.item_id ? ` (${reason.item_id})` : ""}`).join(", ");
    show(content,
      h("div", { class: "split" },
        h("section", { class: "panel" }, h("h2", {}, t("users.known")), facts([
          [t("users.offset"), signals.signals_offset], [t("users.visits"), number(signals.visits)], [t("users.seen"), number(signals.seen)],
          [t("users.links"), signals.links.join(", ")], [t("users.session"), session && `${moment(session.began_at)}, ${number(session.events)}`],
          [t("users.counters"), Object.entries(signals.counters).map(([name, count]) => `${name} ${number(count)}`).join(", ")],
          [t("users.degraded"), [...signals.degraded, ...list.degraded].join(", ")]])),
        view && Object.keys(view.attributes).length ? h("section", { class: "panel" }, h("h2", {}, t("users.attributes")), json(view.attributes)) : null),
      table(t("users.list"), [
        [t("users.item"), (row) => row.item_id],
        [t("users.title"), (row) => row.item?.title, "wide"],
        [t("users.score"), (row) => number(row.score, 3), "number"],
        [t("users.why"), why, "wide"],
      ], list.items, t("none.answers")),
      table(t("users.signals"), [
        [t("time"), (row) => moment(row.at)],
        [t("type"), (row) => h("span", { class: "tag" }, row.type)],
        [t("item"), (row) => row.item_id ?? row.query, "wide"],
        [t("users.value"), (row) => (row.value === undefined ? "" : number(row.value, 2)), "number"],
        [t("users.place"), (row) => number(row.offset), "number"],
      ], [...signals.recent, ...signals.searches].sort((a, b) => b.at - a.at), t("none.signals")),
      table(t("users.answers"), [
        [t("answer"), (row) => row.recommendation_id, "wide"],
        [t("time"), (row) => moment(row.generated_at)],
        [t("route"), (row) => row.route],
        [t("users.items"), (row) => number(row.items), "number"],
        [t("models.version"), (row) => row.model_version, "wide"],
        [t("users.degraded"), (row) => row.degraded.join(", ")],
      ], signals.answers, t("none.answers")));
  });
}
