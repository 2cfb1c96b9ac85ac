/** The page of one job: where it stands, before and after, quality, what became of the streams, the files. */

import { address, ask, get, isFramed, jobPath, offers, post } from "./api.js";
import { compared, picture, players, stepped } from "./compare.js";
import { bar, bytes, facts, h, moment, span, trouble } from "./dom.js";
import { phaseOf, shareOf, timeLeft } from "./jobs.js";
import { streams } from "./plan.js";

const VERDICTS = { passed: "Passed the quality gate", needs_review: "Doubtful: for a person to decide", failed: "Refused by the quality gate" };
const NAMES = ["Before", "After"];
const FATES = { enhanced: "enlarged", copied: "kept", kept: "kept", converted: "converted", dropped: "dropped" };

class Job {
  constructor(room, me, id) {
    this.me = me;
    this.id = id;
    this.head = h("header", { class: "jobhead" });
    this.looks = h("section", { class: "looks", "aria-label": "Before and after", hidden: true });
    this.quality = h("section", { class: "quality", hidden: true });
    this.worst = h("section", { hidden: true });
    this.content = h("section", { hidden: true });
    this.settings = h("section", { hidden: true });
    this.failed = h("div");
    room.append(this.head, this.failed, this.looks, this.quality, this.worst, this.content, this.settings);
  }

  path(rest = "") {
    return jobPath(this.id, rest);
  }

  show(job) {
    const isNew = job.status !== this.status;
    this.status = job.status;
    document.title = `${job.source || job.job_id} · Enhance`;
    const isOpen = job.status === "PENDING" || job.status === "PROCESSING";
    const length = job.started_at && job.ended_at ? `took ${span((new Date(job.ended_at) - new Date(job.started_at)) / 1000)}` : "";
    const said = [phaseOf(job), timeLeft(job), isOpen ? "" : moment(job.ended_at), length, job.model].filter(Boolean).join(" · ");
    const shown = [h("p", { class: "back" }, h("a", { href: "#/jobs" }, "All jobs")),
      h("h1", {}, job.source || job.job_id), h("p", { class: `status ${job.status.toLowerCase()}` }, said),
      isOpen ? bar(shareOf(job), "How much is done") : null, job.error ? trouble(job.error) : null, this.actions(job, isOpen)];
    if (said + isOpen !== this.said || isOpen) this.head.replaceChildren(...shown.filter(Boolean));
    this.said = said + isOpen;
    if (!isNew) return;
    this.showSettings(job);
    this.showQuality(job);
    if (job.status === "COMPLETED") this.finish(job);
    else if (job.status === "FAILED") this.showPictures();
  }

  actions(job, isOpen) {
    const act = (what, label) => h("button", { type: "button", class: "second", onclick: () => this.act(what) }, label);
    const file = (name, label, kind) => h("a", { class: `button ${kind}`, href: address(this.path(`/${name}`)), download: name === "report" ? null : "",
      target: name === "report" && !isFramed ? "_blank" : null }, label);
    const done = job.status === "COMPLETED";
    return h("p", { class: "row actions" },
      done ? file("output", "Download", "main") : null,
      job.links.report ? file("report", "Report", "second") : null,
      done ? file("manifest", "Manifest", "second") : null,
      this.me.may_submit && isOpen ? act("cancel", "Cancel") : null,
      this.me.may_submit && job.status === "FAILED" ? act("retry", "Try again") : null,
      job.phase === "reviewing" ? h("a", { class: "button main", href: "#/review" }, "Decide") : null,
      isFramed ? null : h("a", { class: "engineer", href: new URL(`..${job.links.airflow}`, document.baseURI).href }, "Open in Airflow"));
  }

  async act(what) {
    try {
      this.show(await post(this.path(`/${what}`)));
      this.failed.replaceChildren();
      this.watch();
    } catch (problem) {
      this.failed.replaceChildren(trouble(problem));
    }
  }

  watch() {
    this.events?.close();
    this.events = new EventSource(address(this.path("/events")));
    this.events.addEventListener("job", (event) => {
      const job = JSON.parse(event.data);
      this.show(job);
      if (job.status === "COMPLETED" || job.status === "FAILED") this.events.close();
    });
    this.events.addEventListener("gone", () => this.events.close());
  }

  async finish(job) {
    const manifest = await get(this.path("/manifest")).catch(() => null);
    if (manifest) this.showContent(manifest);
    await this.showBoth(job, manifest);
    await this.showPictures();
  }

  async showBoth(job, manifest) {
    const frames = manifest?.output?.probe?.video?.frames || 1;
    const room = (element) => {
      this.looks.hidden = false;
      this.looks.replaceChildren(element);
    };
    const played = frames > 1 ? await players(address(this.path("/source")), address(this.path("/output")), NAMES) : null;
    if (played) {
      room(played);
      return;
    }
    if (!(await offers("/frames/{n}"))) return;
    const ofFrame = (number, side) => address(this.path(`/frames/${number}?side=${side}`));
    const answer = await ask("GET", this.path("/frames/0?side=output")).catch(() => null);
    if (answer) room(stepped(frames, ofFrame, NAMES, null));
  }

  showQuality(job) {
    if (!job.verdict) return;
    const { quality } = job;
    const figures = quality && [["Against the source", `${quality.psnr_mean.toFixed(1)} dB`], ["Worst frame", `${quality.psnr_worst.toFixed(1)} dB`],
      ["Likeness (SSIM)", quality.ssim_mean.toFixed(3)]];
    this.quality.hidden = false;
    this.quality.replaceChildren(h("h2", {}, VERDICTS[job.verdict.decision] || job.verdict.decision),
      ...job.verdict.reasons.map((reason) => h("p", {}, reason)), ...(figures ? [facts(figures)] : []));
  }

  async showPictures() {
    const rows = await get(this.path("/pictures")).catch(() => []);
    const worst = [...rows].sort((one, other) => (other.reason === "worst") - (one.reason === "worst"));
    if (!worst.length) return;
    this.worst.hidden = false;
    this.worst.replaceChildren(h("h2", {}, "Where it is worst, and where there is most detail"), pictures(this.id, worst));
  }

  showContent(manifest) {
    const rows = manifest.streams.map((row) => ({ kind: [row.type, row.language].filter(Boolean).join(" "), codec: row.codec, fate: FATES[row.fate] || row.fate,
      sentence: [row.target && `as ${row.target}`, row.reason].filter(Boolean).join(", ") }));
    const { source, output } = manifest;
    this.content.hidden = false;
    this.content.replaceChildren(h("h2", {}, "What became of it"), facts([
      ["Source", sized(source)], ["Output", sized(output)], ["Model", `${manifest.model.name}@${manifest.model.version}, ${manifest.model.reason}`],
    ]), streams(rows));
  }

  showSettings(job) {
    if (!job.request) return;
    const told = Object.entries(job.request).filter(([, value]) => value !== null && value !== "" && value !== false);
    this.settings.hidden = false;
    this.settings.replaceChildren(h("details", {}, h("summary", {}, "Settings of this job"),
      facts([["Job", job.job_id], ["By", job.created_by], ...told.map(([name, value]) => [name.replaceAll("_", " "), String(value)])])));
  }

  close() {
    this.events?.close();
  }
}

function sized(file) {
  const { video } = file.probe;
  return `${video.width} × ${video.height}, ${video.codec}, ${bytes(file.size_bytes)}`;
}

/** Regions of a report, each with its slider. */
export function pictures(id, rows) {
  return h("div", { class: "regions" }, rows.map((row) => {
    const of = (view) => address(jobPath(id, `/pictures/${row.number}/${view}`));
    const place = `frame ${row.frame + 1}, ${row.time_s.toFixed(2)} s`;
    return h("figure", {}, compared(picture(of("bicubic"), `Source enlarged by bicubic, ${place}`), picture(of("output"), `Output, ${place}`),
      ["Bicubic", "Output"]), h("figcaption", {}, row.reason === "worst" ? `Worst: ${place}` : `Most detail: ${place}`));
  }));
}

export async function open(room, me, id) {
  const page = new Job(room, me, id);
  const job = await get(jobPath(id));
  page.show(job);
  if (job.status === "PENDING" || job.status === "PROCESSING") page.watch();
  return () => page.close();
}
