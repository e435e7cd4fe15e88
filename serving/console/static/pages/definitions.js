import { h, show } from "../dom.js";
import { t } from "../words.js";

const NAMES = ["events_per_second", "rejected_per_second", "freshness", "freshness_p50", "freshness_p99", "lag", "model_age",
  "answers_per_second", "answer_time", "answer_time_p50", "answer_time_p99", "degraded_share", "active_visitors", "ctr", "conversion"];

export function open({ body, parts }) {
  show(body, h("dl", { class: "definitions" }, NAMES.flatMap((name) => [
    h("dt", { id: `d-${name}`, tabindex: "-1" }, t(`figure.${name}`)), h("dd", {}, t(`definition.${name}`)),
  ])));
  const wanted = document.getElementById(`d-${parts[0] ?? ""}`);
  if (wanted) requestAnimationFrame(() => { wanted.scrollIntoView(); wanted.focus(); });
}
