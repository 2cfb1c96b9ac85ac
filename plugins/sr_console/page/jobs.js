/** The page "Jobs": a list that is live. */

import { address, get, jobPath, post } from "./api.js";
import { bar, h, moment, span, trouble } from "./dom.js";

const EVERY_MS = 2000;
const DETAILED = 12;
export const PHASES = {
  accepted: "Waits for its turn", validating: "Looks at the source", planning: "Plans", preparing: "Prepares the model",
  upscaling: "Enlarges", assembling: "Puts the file together", assessing: "Measures the quality", judging: "Judges the quality",
  reviewing: "Waits for a person", delivering: "Delivers", reporting: "Writes the report", cleaning: "Clears up",
  completed: "Done", failed: "Failed",
};

export function phaseOf(job) {
  return PHASES[job.phase.split(" ")[0]] || job.phase;
}

/** How much of a job is done, 0 to 1. */
export function shareOf(job) {
  if (job.status === "COMPLETED") return 1;
  if (job.frames && job.frames.total) return job.frames.done / job.frames.total;
  return job.chunks ? job.chunks_done / job.chunks : 0;
}

export function timeLeft(job) {
  const left = job.frames?.time_left_s;
  return left ? `${span(left)} left` : "";
}

/** A picture of a job that is done: its poster, else one of its report. Else a neutral tile. */
export function poster(job) {
  const tile = h("div", { class: "tile", "aria-hidden": "true" });
  if (job.status !== "COMPLETED") return tile;
  const tries = ["/poster", "/pictures/0/output"].map((rest) => address(jobPath(job.job_id, rest)));
  const image = h("img", { alt: "", loading: "lazy", decoding: "async", src: tries.shift() });
  image.addEventListener("error", () => {
    if (tries.length) image.src = tries.shift();
    else image.remove();
  });
  tile.append(image);
  return tile;
}

class Row {
  constructor(job, page) {
    this.page = page;
    this.element = h("li", { class: "item job" });
    this.show(job, null);
  }

  show(job, detail) {
    const shown = JSON.stringify([job, detail && [detail.frames, detail.error]]);
    if (shown === this.shown) return;
    this.shown = shown;
    if (!this.tile || job.status !== this.status) this.tile = poster(job);
    this.status = job.status;
    const all = detail || job;
    const working = job.status === "PROCESSING";
    const parts = [phaseOf(job), timeLeft(all), working ? "" : moment(job.ended_at || job.accepted_at)].filter(Boolean);
    const focused = this.element.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.element.className = `item job ${job.status.toLowerCase()}`;
    this.element.replaceChildren(this.tile, h("div", { class: "grow" },
      h("p", { class: "name" }, h("a", { href: `#/${jobPath(job.job_id)}` }, job.source || job.job_id)),
      h("p", { class: "quiet" }, parts.join(" · ")),
      working ? bar(shareOf(all), `${job.source}: how much is done`) : null,
      detail?.error ? h("p", { class: "wrong" }, detail.error.message, " ", detail.error.hint) : null), ...[this.actions(job)].filter(Boolean));
    if (focused) [...this.element.querySelectorAll("a, button")].find((one) => one.textContent === focused)?.focus();
  }

  actions(job) {
    if (!this.page.me.may_submit) return null;
    const act = (what, label) => h("button", { type: "button", class: "second", "aria-label": `${label} ${job.source}`,
      onclick: () => this.page.act(job, what) }, label);
    if (job.status === "FAILED") return act("retry", "Try again");
    return job.status === "COMPLETED" ? null : act("cancel", "Cancel");
  }
}

class Jobs {
  constructor(room, me) {
    this.me = me;
    this.rows = new Map();
    this.details = new Map();
    this.list = h("ul", { class: "items" });
    this.failed = h("div");
    this.more = h("button", { type: "button", class: "second", hidden: true, onclick: () => {
      this.limit += 50;
      this.look();
    } }, "Show more");
    this.limit = 50;
    this.name = h("input", { type: "search", id: "name", placeholder: "Part of a file name", oninput: () => this.look() });
    this.status = h("select", { id: "status", onchange: () => this.look() },
      [["", "All"], ["PENDING", "Waiting"], ["PROCESSING", "Working"], ["COMPLETED", "Done"], ["FAILED", "Failed"]]
        .map(([value, label]) => h("option", { value }, label)));
    room.append(h("h1", {}, "Jobs"), h("div", { class: "row filters" },
      h("label", { for: "name", class: "unseen" }, "File name"), this.name,
      h("label", { for: "status", class: "unseen" }, "Status"), this.status), this.failed, this.list, this.more);
  }

  async look() {
    const asked = new URLSearchParams({ limit: Math.min(200, this.limit) });
    if (this.name.value.trim()) asked.set("name", this.name.value.trim());
    if (this.status.value) asked.set("status", this.status.value);
    const mine = (this.asked = String(asked));
    try {
      const page = await get(`jobs?${asked}`);
      if (mine !== this.asked) return;
      await this.detail(page.jobs);
      this.failed.replaceChildren();
      this.show(page.jobs);
      this.more.hidden = !page.next_cursor || this.limit >= 200;
    } catch (problem) {
      this.failed.replaceChildren(trouble(problem));
    }
  }

  /** Of jobs that work now how far they are, anew each time; of those that failed why, once. */
  async detail(jobs) {
    const keyOf = (job) => `${job.job_id} ${job.started_at} ${job.status}`;
    const wanted = jobs.filter((job) => job.status === "PROCESSING" || (job.status === "FAILED" && !this.details.has(keyOf(job))));
    await Promise.all(wanted.slice(0, DETAILED).map(async (job) => {
      this.details.set(keyOf(job), await get(jobPath(job.job_id)).catch(() => null));
    }));
    for (const job of jobs) job.detail = this.details.get(keyOf(job)) || null;
  }

  show(jobs) {
    const ids = new Set(jobs.map((job) => job.job_id));
    for (const [id, row] of this.rows) if (!ids.has(id)) {
      row.element.remove();
      this.rows.delete(id);
    }
    jobs.forEach((job, number) => {
      const { detail, ...plain } = job;
      const row = this.rows.get(job.job_id) || new Row(plain, this);
      this.rows.set(job.job_id, row);
      row.show(plain, detail);
      if (this.list.children[number] !== row.element) this.list.insertBefore(row.element, this.list.children[number] || null);
    });
    this.list.querySelector(".empty")?.remove();
    if (!jobs.length) this.list.append(h("li", { class: "empty quiet" }, "No jobs here.",
      this.me.may_submit ? h("a", { href: "#/new" }, " Start one") : null));
  }

  async act(job, what) {
    try {
      await post(jobPath(job.job_id, `/${what}`));
      this.failed.replaceChildren();
    } catch (problem) {
      this.failed.replaceChildren(trouble(problem));
    }
    await this.look();
  }
}

export async function open(room, me) {
  const page = new Jobs(room, me);
  await page.look();
  const timer = setInterval(() => document.hidden || page.look(), EVERY_MS);
  return () => clearInterval(timer);
}
