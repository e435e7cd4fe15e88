import { call, get, id } from "../api.js";
import { field, h, show, table } from "../dom.js";
import { moment, t } from "../words.js";

const SCOPES = ["events:write", "recommendations:read", "catalogue:write", "users:read", "users:write", "metrics:read", "admin"];
const ROLES = ["viewer", "editor", "admin"];
const when = (seconds) => (seconds === null || seconds === undefined ? "–" : moment(seconds));

export async function open({ body, every, say, guarded }) {
  const [made, keys, accounts, audit] = [h("div", {}), h("div", {}), h("div", {}), h("div", {})];
  const scope = h("select", {}, SCOPES.map((name) => h("option", { value: name }, name)));
  const name = h("input", { maxlength: "64", autocomplete: "off" });
  const origin = h("input", { maxlength: "200", placeholder: "https://shop.example", autocomplete: "off" });
  const showText = (answer) => {
    show(made, h("div", { class: "note" }, h("p", {}, t("keys.once")), h("code", { id: "key-text" }, answer.key)));
    say(t("keys.once"));
  };
  const then = (work) => guarded(async () => { await work(); await readAll(); });
  const form = h("form", { class: "form", onsubmit: (event) => {
    event.preventDefault();
    then(async () => showText(await call("POST", "/v1/keys", {
      scopes: [scope.value], name: name.value.trim(), origins: origin.value.trim() ? [origin.value.trim()] : [] })));
  } }, field(t("keys.scope"), scope, "key-scope"), field(t("name"), name, "key-name"), field(t("keys.origin"), origin, "key-origin"),
  h("button", { type: "submit", class: "main" }, t("keys.create")));
  show(body, h("section", {}, h("h2", {}, t("keys")), h("p", { class: "hint" }, t("keys.note")), form, made, keys), accounts, audit);

  const keyButtons = (row) => (row.is_live ? h("div", { class: "row-actions" },
    h("button", { type: "button", id: `r-${row.id}`, "aria-label": `${t("keys.rotate")} ${row.id}`,
      onclick: () => then(async () => showText(await call("POST", `/v1/keys/${id(row.id)}/rotate`))) }, t("keys.rotate")),
    h("button", { type: "button", class: "danger", id: `d-${row.id}`, "aria-label": `${t("keys.revoke")} ${row.id}`,
      onclick: () => then(() => call("DELETE", `/v1/keys/${id(row.id)}`)) }, t("keys.revoke"))) : null);
  const accountButtons = (row) => {
    const change = (value) => then(() => call("PATCH", `/v1/accounts/${id(row.name)}`, value));
    const role = h("select", { id: `role-${row.name}`, "aria-label": `${t("accounts.role")} ${row.name}`, onchange: (event) => change({ role: event.target.value }) },
      ROLES.map((each) => h("option", { value: each, selected: each === row.role }, each)));
    return h("div", { class: "row-actions" }, role,
      h("button", { type: "button", id: `on-${row.name}`, "aria-label": `${t(row.is_enabled ? "accounts.disable" : "accounts.enable")} ${row.name}`,
        onclick: () => change({ enabled: !row.is_enabled }) }, t(row.is_enabled ? "accounts.disable" : "accounts.enable")),
      h("button", { type: "button", id: `out-${row.name}`, "aria-label": `${t("accounts.sign_out")} ${row.name}`,
        onclick: () => change({ sign_out: true }) }, t("accounts.sign_out")));
  };
  async function readAll() {
    const [ofKeys, ofAccounts, ofAudit] = await Promise.all([get("/v1/keys"), get("/v1/accounts"), get("/v1/audit?limit=50")]);
    show(keys, table(t("keys"), [
      [t("items.id"), (row) => row.id], [t("name"), (row) => row.name], [t("keys.scope"), (row) => row.scopes.join(", ")],
      [t("keys.origin"), (row) => row.origins.join(", "), "wide"], [t("keys.used"), (row) => when(row.last_used_at)],
      [t("letters.state"), (row) => h("span", { class: row.is_live ? "tag" : "tag bad" }, t(row.is_live ? "keys.live" : "keys.ended"))],
      [t("models.change"), keyButtons],
    ], ofKeys.keys, t("none.keys")));
    show(accounts, table(t("accounts"), [
      [t("name"), (row) => row.name], [t("accounts.email"), (row) => row.email], [t("models.made"), (row) => when(row.created_at)],
      [t("letters.state"), (row) => h("span", { class: row.is_enabled ? "tag" : "tag bad" }, t(row.is_enabled ? "accounts.on" : "accounts.off"))],
      [t("models.change"), accountButtons],
    ], ofAccounts.accounts, t("none.accounts")));
    show(audit, table(t("audit"), [
      [t("time"), (row) => when(row.at)], [t("audit.who"), (row) => `${row.actor_kind} ${row.actor}`], [t("audit.did"), (row) => row.action, "wide"],
      [t("audit.to"), (row) => row.target, "wide"], [t("audit.after"), (row) => (row.after === null ? "" : JSON.stringify(row.after).slice(0, 200)), "wide"], [t("audit.from"), (row) => row.address],
    ], ofAudit.records, t("none.audit")));
  }
  await every(10, readAll);
}
