// The catalogue of texts, and numbers and times as people of a language write them.

let texts = {};
let language = "en";

export async function load(wanted) {
  const all = await (await fetch(new URL("./texts.json", import.meta.url))).json();
  language = all[wanted] ? wanted : "en";
  texts = all[language];
  document.documentElement.lang = language;
}

export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const has = (key) => key in texts;
export const number = (value, digits = 0) =>
  value === null || value === undefined ? "–" : new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
export const percent = (value, digits = 1) =>
  value === null || value === undefined ? "–" : new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(value);
export const moment = (seconds) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(seconds * 1000));
export const clock = (seconds) => new Intl.DateTimeFormat(language, { timeStyle: "medium" }).format(new Date(seconds * 1000));

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${number(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 120) return `${number(seconds, 1)} s`;
  if (seconds < 7200) return `${number(seconds / 60)} min`;
  if (seconds < 172800) return `${number(seconds / 3600, 1)} h`;
  return `${number(seconds / 86400, 1)} d`;
}
