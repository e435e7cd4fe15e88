import { call, get, id, may } from "../api.js";
import { field, h, show, table } from "../dom.js";
import { number, t } from "../words.js";

const PATCH = "application/merge-patch+json";
const PAGE = 50;
const READ_ONLY = ["item_id", "version", "first_at", "hidden"];

export const open = (context) => (context.parts[0] ? one(context) : list(context));

async function list({ body, actions, query, guarded }) {
  const box = h("input", { type: "search", maxlength: "512", value: query.get("query") ?? "" });
  const cursors = [""];
  const rows = h("div", {});
  const earlier = h("button", { type: "button", onclick: () => { cursors.splice(-2); refresh(); } }, t("page.back"));
  const later = h("button", { type: "button", onclick: () => refresh() }, t("page.next"));
  if (may("catalogue:write")) show(actions, h("a", { class: "button", href: "#/catalogue/ /new" }, t("items.new")));
  show(body, h("form", { class: "form", role: "search", onsubmit: (event) => { event.preventDefault(); cursors.splice(0, cursors.length, ""); refresh(); } },
    field(t("items.search"), box, "query"), h("button", { type: "submit" }, t("filter"))), rows,
    h("nav", { class: "row-actions", "aria-label": t("pages") }, earlier, later));
  const refresh = () => guarded(async () => {
    const parameters = new URLSearchParams({ limit: PAGE });
    if (box.value.trim()) parameters.set("query", box.value.trim());
    if (cursors.at(-1)) parameters.set("cursor", cursors.at(-1));
    const answer = await get(`/v1/items?${parameters}`);
    cursors.push(answer.next_cursor);
    later.disabled = !answer.next_cursor;
    earlier.disabled = cursors.length < 3;
    show(rows, table(t("nav.catalogue"), [
      [t("items.id"), (row) => h("a", { href: `#/catalogue/${id(row.item_id)}` }, row.item_id)],
      [t("users.title"), (row) => row.title, "wide"],
      [t("items.categories"), (row) => (row.categories ?? []).join(", "), "wide"],
      [t("items.price"), (row) => (row.price === undefined ? "" : number(row.price, 2)), "number"],
    ], answer.items, t("none.items")));
  });
  await refresh();
}

async function one({ body, parts, actions, say, guarded }) {
  const isNew = parts[1] === "new";
  const item = isNew ? { title: "", description: "", categories: [], tags: [], price: null } : await get(`/v1/items/${id(parts[0])}`);
  const editable = Object.fromEntries(Object.entries(item).filter(([name]) => !READ_ONLY.includes(name)));
  const name = h("input", { required: true, maxlength: "128", value: isNew ? "" : item.item_id, readOnly: !isNew });
  const text = h("textarea", { spellcheck: "false", rows: "18" });
  text.value = JSON.stringify(editable, null, 2);
  const done = (sentence) => { const said = t(sentence, { item: name.value }); show(result, h("p", { class: "note" }, said)); say(said); };
  const result = h("div", {});
  const address = () => `/v1/items/${id(name.value.trim())}`;
  const save = (event) => { event.preventDefault(); return guarded(async () => {
    const fields = JSON.parse(text.value);
    for (const [field, value] of Object.entries(fields)) if (value === null) delete fields[field];
    await call("PUT", address(), { ...fields, hidden: item.hidden ?? false });
    done("items.saved");
  }); };
  const hide = h("button", { type: "button", id: "hide", onclick: () => guarded(async () => {
    await call("PATCH", address(), { hidden: !item.hidden }, PATCH);
    item.hidden = !item.hidden;
    hide.textContent = t(item.hidden ? "items.unhide" : "items.hide");
    done(item.hidden ? "items.hidden" : "items.shown");
  }) }, t(item.hidden ? "items.unhide" : "items.hide"));
  const sure = h("dialog", { "aria-labelledby": "sure-title" }, h("h2", { id: "sure-title" }, t("items.sure", { item: item.item_id ?? "" })),
    h("div", { class: "row-actions" }, h("button", { type: "button", class: "danger", id: "delete-yes", onclick: () => guarded(async () => {
      sure.close();
      await call("DELETE", address());
      done("items.deleted");
    }) }, t("items.delete")), h("button", { type: "button", onclick: () => sure.close() }, t("cancel"))));
  show(actions, h("a", { class: "button", href: "#/catalogue" }, t("back")));
  const buttons = may("catalogue:write") ? h("div", { class: "row-actions" }, h("button", { type: "submit", class: "main" }, t("save")),
    isNew ? null : hide, isNew ? null : h("button", { type: "button", class: "danger", id: "delete", onclick: () => sure.showModal() }, t("items.delete"))) : null;
  show(body, h("form", { class: "stack", onsubmit: save }, field(t("items.id"), name, "item-id"), field(t("items.fields"), text, "fields"), buttons), result, sure);
}
