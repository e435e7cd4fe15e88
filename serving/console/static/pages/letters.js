import { call, get, id } from "../api.js";
import { facts, field, h, show, table } from "../dom.js";
import { moment, t } from "../words.js";

export const open = (context) => (context.parts[0] ? one(context) : list(context));

async function list({ body, every, actions, query }) {
  const resolved = query.get("resolved") === "true";
  show(actions, h("div", { class: "row-actions" },
    h("a", { class: "button", href: "#/letters", "aria-current": resolved ? null : "page" }, t("letters.waiting")),
    h("a", { class: "button", href: "#/letters?resolved=true", "aria-current": resolved ? "page" : null }, t("letters.all"))));
  await every(5, async () => {
    const answer = await get(`/v1/dead-letters?resolved=${resolved}`);
    show(body, answer.more ? h("p", { class: "note" }, t("letters.more")) : null, table(t("nav.letters"), [
      [t("position"), (row) => h("a", { href: `#/letters/${id(row.token)}`, id: `l-${row.token}` }, row.token)],
      [t("time"), (row) => moment(row.at)],
      [t("letters.record"), (row) => `${row.topic} ${row.record}`],
      [t("rejected.reason"), (row) => row.reason, "wide"],
      [t("letters.state"), (row) => (row.replayed_to ? h("span", { class: "tag" }, row.replayed_to) : h("span", { class: "tag bad" }, t("letters.open")))],
    ], answer.letters, t("none.letters")));
  });
}

async function one({ body, parts, actions, say, guarded }) {
  const letter = await get(`/v1/dead-letters/${id(parts[0])}`);
  show(actions, h("a", { class: "button", href: "#/letters" }, t("back")));
  const text = h("textarea", { spellcheck: "false" });
  text.value = letter.text;
  const send = h("button", { type: "submit", class: "main", disabled: Boolean(letter.replayed_to) }, t("letters.replay"));
  const replay = async (event) => {
    event.preventDefault();
    send.disabled = true;
    const mended = text.value === letter.text ? {} : { mended: text.value };
    const done = await guarded(async () => {
      const answer = await call("POST", `/v1/dead-letters/${id(parts[0])}/replay`, mended);
      const sentence = t("letters.done", { topic: answer.topic, position: answer.offset });
      show(result, h("p", { class: "note" }, sentence));
      say(sentence);
    });
    send.disabled = done;
  };
  const result = h("div", {});
  show(body, h("div", { class: "stack" },
    h("section", { class: "panel" }, facts([
      [t("letters.record"), `${letter.topic} ${letter.record}`], [t("time"), moment(letter.at)], [t("letters.by"), letter.refused_by],
      [t("rejected.reason"), letter.reason], [t("letters.replayed"), letter.replayed_to], [t("letters.cut"), letter.cut_from]])),
    h("form", { class: "stack", onsubmit: replay }, field(t("letters.bytes"), text, "mended"), h("p", { class: "hint" }, t("letters.note")), h("div", {}, send)), result));
}
