/** The page: who looks at it, and which of its pages is open. */

import { get, returned } from "./api.js";
import { h, say, trouble } from "./dom.js";
import * as job from "./job.js";
import * as jobs from "./jobs.js";
import * as models from "./models.js";
import * as create from "./new.js";
import * as review from "./review.js";

const main = document.getElementById("main");
const COUNT_EVERY_MS = 15000;
let close = () => {};
let opened = 0;

function routeOf(hash) {
  const [, page = "", id = ""] = hash.split("/");
  if (page === "jobs" && id) return { name: "jobs", page: job, title: "Job", id: decodeURIComponent(id) };
  if (page === "jobs") return { name: "jobs", page: jobs, title: "Jobs" };
  if (page === "review") return { name: "review", page: review, title: "Review" };
  if (page === "models") return { name: "models", page: models, title: "Models" };
  return { name: "new", page: create, title: "New job" };
}

async function show(me) {
  const route = routeOf(location.hash);
  if (route.name === "new" && !me.may_submit) {
    location.replace("#/jobs");
    return;
  }
  close();
  close = () => {};
  opened += 1;
  const mine = opened;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === route.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${route.title} · Enhance`;
  const room = h("div", { class: `page ${route.name}` });
  main.replaceChildren(room);
  try {
    const closing = await route.page.open(room, me, route.id);
    if (mine === opened) close = closing || (() => {});
    else if (closing) closing();
  } catch (problem) {
    room.replaceChildren(h("h1", {}, route.title), trouble(problem));
  }
  if (mine !== opened) return;
  say(route.title);
  main.dataset.ready = route.name;
}

async function count() {
  const badge = document.getElementById("waiting");
  const waiting = await get("reviews").catch(() => []);
  badge.hidden = waiting.length === 0;
  badge.replaceChildren(String(waiting.length), h("span", { class: "unseen" }, " waiting"));
}

async function begin() {
  let me;
  try {
    me = await get("me");
  } catch (problem) {
    main.replaceChildren(trouble(problem));
    return;
  }
  const back = returned();
  if (back && !location.hash) history.replaceState(null, "", back);
  document.getElementById("who").textContent = me.name;
  document.querySelector("[data-needs=submit]").hidden = !me.may_submit;
  document.querySelector(".brand").href = me.may_submit ? "#/new" : "#/jobs";
  window.addEventListener("hashchange", () => {
    if (location.hash.startsWith("#/")) show(me);
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  await show(me);
  await count();
  setInterval(() => document.hidden || count(), COUNT_EVERY_MS);
}

begin();
