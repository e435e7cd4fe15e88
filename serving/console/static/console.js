// The shell: language, colours, navigation, and one page at a time by the address after "#".

import { may, signIn } from "./api.js";
import { h, show } from "./dom.js";
import { load, t } from "./words.js";
import * as access from "./pages/access.js";
import * as catalogue from "./pages/catalogue.js";
import * as definitions from "./pages/definitions.js";
import * as events from "./pages/events.js";
import * as letters from "./pages/letters.js";
import * as models from "./pages/models.js";
import * as overview from "./pages/overview.js";
import * as users from "./pages/users.js";

// Placements get their place between the catalogue and the models.
const PAGES = { overview, events, letters, users, catalogue, models, access, definitions };
const NEEDS = { overview: "metrics:read", events: "users:read", letters: "admin", users: "users:read", catalogue: "recommendations:read", models: "metrics:read", access: "admin" };

const main = document.getElementById("main");
const byId = (name) => document.getElementById(name);
let leave = [];

const stored = (name, otherwise) => {
  try { return localStorage.getItem(`freshet-${name}`) ?? otherwise; } catch { return otherwise; }
};
const keep = (name, value) => {
  try { localStorage.setItem(`freshet-${name}`, value); } catch { /* a browser that keeps nothing forgets the choice */ }
};

const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const chosen = stored("theme", "auto");
  document.documentElement.dataset.theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
  document.dispatchEvent(new Event("freshet-theme"));
}

export function say(text) {
  byId("said").textContent = "";
  requestAnimationFrame(() => { byId("said").textContent = text; });
}

const address = () => {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: PAGES[name] ? name : "overview", parts: rest.map(decodeURIComponent), query: new URLSearchParams(query) };
};

function navigation(current) {
  const links = Object.keys(NEEDS).filter((name) => may(NEEDS[name])).map((name) =>
    h("li", {}, h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, t(`nav.${name}`))));
  show(byId("nav"), h("ul", {}, links));
}

async function open() {
  leave.forEach((stop) => stop());
  leave = [];
  const { name, parts, query } = address();
  navigation(name);
  document.title = `${t(`nav.${name}`)} – Freshet`;
  const heading = h("h1", { tabindex: "-1" }, t(`nav.${name}`));
  const body = h("div", {});
  show(main, h("div", { class: "head" }, heading, h("div", { id: "actions" })), body);
  const context = {
    body, parts, query, say, actions: byId("actions"),
    // Runs now, and again after each pause, until the page is left. A failure is shown, and it goes on.
    async every(seconds, work) {
      let timer = 0;
      let ended = false;
      leave.push(() => { ended = true; clearTimeout(timer); });
      const step = async () => {
        if (!document.hidden) await guarded(body, work);
        if (!ended && body.isConnected) timer = setTimeout(step, seconds * 1000);
      };
      await step();
    },
    guarded: (work) => guarded(body, work),
  };
  await guarded(body, () => PAGES[name].open(context));
  return heading;
}

// A failure is one sentence above the page; it goes away with the next success.
async function guarded(body, work) {
  try {
    await work();
    main.querySelector(".fault")?.remove();
    return true;
  } catch (error) {
    const fault = main.querySelector(".fault") ?? h("p", { class: "fault", role: "alert" });
    fault.textContent = error.status === 403 ? t("forbidden") : error.message;
    if (!fault.isConnected) body.before(fault);
    return false;
  }
}

function words() {
  byId("skip").textContent = t("skip");
  byId("language-label").textContent = t("language");
  byId("theme-label").textContent = t("theme");
  byId("nav").setAttribute("aria-label", t("console"));
  for (const option of byId("theme").options) option.textContent = t(`theme.${option.value}`);
}

async function begin() {
  paint();
  dark.addEventListener("change", paint);
  await load(stored("language", navigator.language.slice(0, 2)));
  const account = await signIn();
  if (account) {
    byId("account").hidden = false;
    byId("account").textContent = `${account.name} (${account.role})`;
  }
  byId("language").value = document.documentElement.lang;
  byId("theme").value = stored("theme", "auto");
  byId("theme").addEventListener("change", (event) => { keep("theme", event.target.value); paint(); });
  byId("language").addEventListener("change", async (event) => {
    keep("language", event.target.value);
    await load(event.target.value);
    words();
    await open();
  });
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  words();
  addEventListener("hashchange", async () => (await open()).focus());
  await open();
}

begin();
