// The page's behaviour: events go to the collector, then the shelves are fetched with after=TOKEN and swapped in.
"use strict";
(() => {
  const { user, events } = document.body.dataset;
  const motionless = matchMedia("(prefers-reduced-motion: reduce)");
  const dialog = document.getElementById("item");
  const happened = document.getElementById("happened");
  const shelves = document.getElementById("shelves");
  const session = visitId();
  let newest = 0;

  document.documentElement.classList.add("js");
  if (new URLSearchParams(location.search).get("user") !== user) keepShopperInAddress();
  document.addEventListener("click", onClick);
  // The drawn cover stands in for an image that cannot be loaded; such an error does not bubble.
  document.addEventListener("error", (failure) => withoutImage(failure.target), true);
  document.querySelectorAll("img.image").forEach((image) => image.complete && !image.naturalWidth && withoutImage(image));
  document.querySelector("form.search").addEventListener("submit", onSearch);
  dialog.addEventListener("close", () => dialog.replaceChildren());
  const opened = document.querySelector("#item-page .item");
  if (opened) act("Opened", opened.dataset.title, [about("view", opened)], performance.now());

  function withoutImage(element) {
    if (element.matches?.("img.image")) element.remove();
  }

  function onClick(click) {
    const target = click.target;
    const button = target.closest("button[data-do]");
    const link = target.closest("a[data-open]");
    const who = document.querySelector(".who");
    if (!target.closest(".who")) who.open = false;
    if (button) return press(button, click.timeStamp);
    if (target.closest(".close") || target === dialog) return dialog.close();
    const plain = !(click.metaKey || click.ctrlKey || click.shiftKey || click.altKey || click.button);
    if (link && plain) {
      click.preventDefault();
      open(link, click.timeStamp);
    }
  }

  function press(button, began) {
    const card = button.closest("[data-item]");
    const { title, item } = card.dataset;
    if (button.dataset.do === "dismiss") {
      hide(item);
      return act("Not interested in", title, [about("dismiss", card)], began, { undo: true, failed: refresh });
    }
    const liked = button.getAttribute("aria-pressed") === "true";
    mark(item, !liked);
    const event = about(liked ? "unlike" : "like", card);
    return act(liked ? "No longer likes" : "Liked", title, [event], began, { undo: !liked, failed: () => mark(item, liked) });
  }

  async function open(link, began) {
    const card = link.closest("[data-item]");
    const told = act("Opened", card.dataset.title, [about("click", card), about("view", card)], began);
    const address = new URL(link.href);
    address.searchParams.set("fragment", "1");
    try {
      const response = await fetch(address);
      if (!response.ok) throw new Error(String(response.status));
      show(await response.text());
    } catch {
      location.href = link.href;
    }
    await told;
  }

  function show(html) {
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.textContent = "×";
    close.setAttribute("aria-label", "Close");
    const body = document.createElement("div");
    body.className = "dialog-body";
    body.append(fragment(html));
    dialog.replaceChildren(close, body);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelector("h2").focus();
  }

  function onSearch(submit) {
    const query = new FormData(submit.target).get("q").trim();
    if (!shelves) return;
    submit.preventDefault();
    const address = new URL(location.href);
    if (query) address.searchParams.set("q", query); else address.searchParams.delete("q");
    history.pushState(null, "", address);
    if (!query) return void refresh();
    act("Searched for", query, [stamped("search", { query })], submit.timeStamp, { toTop: true });
  }
  addEventListener("popstate", () => location.reload());

  // Sends events, then brings the shelves to where these count, and says how long that took.
  async function act(verb, subject, sent, began, options = {}) {
    const entry = tell(verb, subject);
    const turn = ++newest;
    let token;
    try {
      token = await post(sent);
    } catch (error) {
      options.failed?.();
      return entry.fail(error.message);
    }
    const acknowledged = performance.now() - began;
    if (options.undo) entry.offerUndo(sent[0]);
    if (!shelves) return entry.finish(null, `counted; taken by the log in ${whole(acknowledged)} ms`);
    try {
      // What is the same for everyone changes here only by what this shopper does not want.
      const html = await fetchShelves(token, sent[0].type === "dismiss" || sent[0].type === "retract");
      // Newer clicks bring newer shelves, which hold this event as well.
      if (turn !== newest) return entry.finish(null, "on the shelf together with the next");
      const change = swap(html, token, sent[0].item_id);
      const took = performance.now() - began;
      if (options.toTop) scrollTo({ top: 0, behavior: motionless.matches ? "auto" : "smooth" });
      entry.finish(took, `${change}; taken by the log after ${whole(acknowledged)} ms`);
      say(`${verb} ${subject}. ${change}, ${whole(took)} milliseconds.`);
    } catch (error) {
      entry.fail(`The event is safe, but the shelf could not be fetched: ${error.message} Reload the page.`);
    }
  }

  async function post(sent) {
    let response;
    try {
      response = await fetch(events, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(sent),
      });
    } catch {
      throw new Error("The collector cannot be reached. Check that it runs, then try again.");
    }
    const answer = await response.json().catch(() => ({}));
    const refused = answer.results?.find((result) => result.status !== "accepted");
    if (refused) throw new Error(refused.error?.detail ?? "The collector did not take this event.");
    if (!response.ok || !answer.results) throw new Error(answer.detail ?? `The collector answered ${response.status}. Try again.`);
    return answer.results.at(-1).offset;
  }

  async function fetchShelves(token, everyone) {
    const address = new URL("/shop/shelves", location.href);
    address.searchParams.set("user", user);
    const query = new URLSearchParams(location.search).get("q");
    if (query) address.searchParams.set("q", query);
    if (token) address.searchParams.set("after", token);
    if (!everyone) address.searchParams.set("everyone", "false");
    const response = await fetch(address);
    if (!response.ok) throw new Error(`the server answered ${response.status}.`);
    return response.text();
  }

  async function refresh() {
    const turn = ++newest;
    const html = await fetchShelves(null, true).catch(() => null);
    if (html !== null && turn === newest) swap(html);
  }

  // Puts the new shelves in place; returns in words what changed in the personal one.
  function swap(html, token, subject) {
    const before = look();
    for (const group of fragment(html).children) {
      shelves.querySelector(`[data-group="${group.dataset.group}"]`).replaceChildren(...group.childNodes);
    }
    const mine = shelves.querySelector("[data-shelf=for-you]");
    const moves = compare(before.order, order(), subject);
    animate(before.places, moves);
    putBack(before);
    if (token && !counts(mine?.dataset.offset, token)) return "Not counted yet; the next change will show it";
    return inWords(moves, before.order);
  }

  function look() {
    const places = new Map(cards().map((card) => [card.dataset.item, card.getBoundingClientRect()]));
    const scrolls = new Map([...shelves.querySelectorAll("[data-shelf]")].map((shelf) => [shelf.dataset.shelf, shelf.querySelector(".cards")?.scrollLeft ?? 0]));
    const focused = shelves.contains(document.activeElement) ? document.activeElement : null;
    const card = focused?.closest("[data-item]");
    const focus = card && {
      shelf: card.closest("[data-shelf]").dataset.shelf,
      item: card.dataset.item,
      position: Number(card.dataset.position),
      on: focused.dataset.do ? `[data-do=${focused.dataset.do}]` : "a[data-open]",
    };
    return { order: order(), places, scrolls, focus };
  }

  function putBack({ scrolls, focus }) {
    for (const [name, left] of scrolls) {
      const list = shelves.querySelector(`[data-shelf="${name}"] .cards`);
      if (list) list.scrollLeft = left;
    }
    if (!focus || dialog.open) return;
    const all = [...shelves.querySelectorAll(`[data-shelf="${focus.shelf}"] [data-item]`)];
    const card = all.find((each) => each.dataset.item === focus.item) ?? all[Math.min(focus.position, all.length - 1)];
    card?.querySelector(focus.on)?.focus({ preventScroll: true });
  }

  function cards() {
    return [...shelves.querySelectorAll("[data-shelf=for-you] [data-item]")];
  }

  function order() {
    return cards().map((card) => card.dataset.item);
  }

  // Ranks among the items that stayed, so that a gap that closes is no "moving up"; and whatever comes last because
  // the event's own item has left its place did not come in by merit.
  function compare(before, after, subject) {
    const was = before.filter((item) => after.includes(item));
    const is = after.filter((item) => was.includes(item));
    const filler = before.includes(subject) && !after.includes(subject) ? after.at(-1) : null;
    const moves = new Map();
    for (const item of after) {
      const up = was.indexOf(item) - is.indexOf(item);
      if (!was.includes(item)) {
        if (item !== filler) moves.set(item, "came in");
      } else if (up > 0) {
        moves.set(item, `▲ ${up}`);
      }
    }
    return moves;
  }

  function inWords(moves, before) {
    const came = [...moves.values()].filter((move) => move === "came in").length;
    const up = moves.size - came;
    const parts = [];
    if (up) parts.push(`${up} moved up`);
    if (came) parts.push(`${came} came in`);
    if (parts.length) return parts.join(", ");
    return before.join() === order().join() ? "Your shelf stayed as it was" : "The rest closed the gap";
  }

  // Reads all places before it writes, so that the page is laid out once.
  function animate(places, moves) {
    const now = cards().map((card) => [card, places.get(card.dataset.item), card.getBoundingClientRect()]);
    for (const [card, from, to] of now) {
      const move = moves.get(card.dataset.item);
      if (move) {
        card.classList.add("moved");
        card.dataset.moved = move;
      }
      if (motionless.matches) continue;
      const frames = from
        ? [{ transform: `translate(${from.left - to.left}px, ${from.top - to.top}px)` }, { transform: "none" }]
        : [{ opacity: 0, transform: "scale(.94)" }, { opacity: 1, transform: "none" }];
      card.animate(frames, { duration: 420, easing: "cubic-bezier(.2, .8, .2, 1)" });
    }
  }

  function counts(offset, token) {
    if (!offset) return false;
    const [partition, at] = offset.split(":");
    const [wantedPartition, wanted] = token.split(":");
    return partition === wantedPartition && Number(at) >= Number(wanted);
  }

  function tell(verb, subject) {
    document.getElementById("happened-empty")?.remove();
    const [line, words, ms, detail] = ["li", "span", "span", "span"].map((name) => document.createElement(name));
    const strong = document.createElement("b");
    strong.textContent = subject;
    words.append(`${verb} `, strong);
    ms.className = "ms";
    ms.textContent = "…";
    detail.className = "detail";
    line.append(words, ms, detail);
    happened.prepend(line);
    while (happened.children.length > 12) happened.lastElementChild.remove();
    return {
      finish(took, text) {
        ms.textContent = took === null ? "" : `${whole(took)} ms`;
        if (took !== null) ms.dataset.ms = took.toFixed(1);
        detail.textContent = text;
      },
      fail(text) {
        ms.textContent = "";
        line.classList.add("failed");
        detail.textContent = text;
        say(text);
      },
      offerUndo(event) {
        const undo = document.createElement("button");
        undo.type = "button";
        undo.className = "undo";
        undo.textContent = "Undo";
        undo.setAttribute("aria-label", `Undo: ${verb} ${subject}`);
        undo.addEventListener("click", (click) => {
          undo.remove();
          if (event.type === "like") mark(event.item_id, false);
          const back = { ...identity(), event_id: event.event_id, type: "retract" };
          act("Took back:", `${verb} ${subject}`, [back], click.timeStamp);
        });
        line.append(undo);
      },
    };
  }

  function about(type, card) {
    const shelf = card.closest("[data-shelf]");
    const fields = { item_id: card.dataset.item };
    if (shelf?.dataset.recommendation) {
      fields.recommendation_id = shelf.dataset.recommendation;
      fields.position = Number(card.dataset.position);
    }
    return stamped(type, fields);
  }

  function stamped(type, fields) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const event_id = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return { event_id, type, ...identity(), ...fields };
  }

  function identity() {
    return { user_id: user, session_id: session, context: { device: innerWidth < 704 ? "phone" : "desktop", page: "shop" } };
  }

  function mark(item, liked) {
    for (const card of document.querySelectorAll("[data-item]")) {
      if (card.dataset.item === item) card.querySelector(".like")?.setAttribute("aria-pressed", String(liked));
    }
  }

  function hide(item) {
    for (const card of document.querySelectorAll("li[data-item]")) {
      if (card.dataset.item === item) card.classList.add("leaving");
    }
    if (dialog.open && dialog.querySelector(".item")?.dataset.item === item) dialog.close();
  }

  function keepShopperInAddress() {
    const address = new URL(location.href);
    address.searchParams.set("user", user);
    history.replaceState(null, "", address);
  }

  // One id a visit and shopper; a tab that cannot keep it makes one a page.
  function visitId() {
    const name = `freshet-visit-${user}`;
    const made = `web-${Date.now().toString(36)}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
    try {
      const kept = sessionStorage.getItem(name) ?? made;
      sessionStorage.setItem(name, kept);
      return kept;
    } catch {
      return made;
    }
  }

  // The server has escaped every text in this HTML; a template runs nothing, and neither does the page's policy.
  function fragment(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  function say(text) {
    document.getElementById("said").textContent = text;
  }

  function whole(ms) {
    return Math.max(1, Math.round(ms));
  }
})();
