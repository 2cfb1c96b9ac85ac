/** The page "New job": files or addresses, what becomes of them, what is wanted, and the way to the jobs. */

import { ask, get, offers, post } from "./api.js";
import { bar, bytes, h, say, trouble } from "./dom.js";
import { dropped, isMedia } from "./files.js";
import { fieldsOfRequest, form } from "./form.js";
import { planned, summary } from "./plan.js";
import { PRESETS } from "./presets.js";
import { preview } from "./preview.js";
import { discard, upload } from "./tus.js";

const SENT_AT_ONCE = 2;

/** One source on its way: a file that is sent, or an address that is there already. */
class Item {
  constructor(name, onchange) {
    this.name = name;
    this.source = null;
    this.plan = null;
    this.problem = null;
    this.abort = new AbortController();
    this.onchange = onchange;
    this.state = h("div", { class: "state" });
    this.detail = h("div", { class: "detail" });
    this.picture = h("div", { class: "tile", "aria-hidden": "true" });
    const remove = h("button", { type: "button", class: "plain", "aria-label": `Remove ${name}`, onclick: () => this.remove() },
      "Remove");
    this.element = h("li", { class: "item" }, this.picture, h("div", { class: "grow" },
      h("p", { class: "name" }, name), this.state, this.detail), remove);
  }

  /** Show the file itself, as far as the browser can. */
  look(file) {
    this.url = URL.createObjectURL(file);
    const isVideo = file.type.startsWith("video/");
    const shown = isVideo ? h("video", { src: this.url, muted: true, preload: "metadata", tabindex: -1 }) : h("img", { src: this.url, alt: "" });
    shown.addEventListener("error", () => shown.remove());
    if (isVideo) shown.addEventListener("loadedmetadata", () => { shown.currentTime = shown.duration / 3; }, { once: true });
    this.picture.append(shown);
  }

  async send(file) {
    this.file = file;
    const progress = bar(0, `${this.name} is sent`);
    const told = h("span", { class: "quiet" }, "Waits to be sent");
    this.state.replaceChildren(progress, told);
    this.tell = (sent, isBroken) => {
      progress.value = sent / file.size;
      told.textContent = isBroken ? "The connection broke: trying again" : `${bytes(sent)} of ${bytes(file.size)}`;
    };
    try {
      const { source } = await upload(file, this.tell, this.abort.signal);
      this.state.replaceChildren(h("span", { class: "quiet" }, `${bytes(file.size)}, sent`));
      this.source = source;
    } catch (problem) {
      if (!this.abort.signal.aborted) this.fail(problem);
    }
    this.onchange();
  }

  fail(problem) {
    this.problem = problem;
    this.state.replaceChildren(trouble(problem));
  }

  remove() {
    this.isRemoved = true;
    this.close();
    if (this.file && !this.isSubmitted) discard(this.file);
    this.element.remove();
    this.onchange();
  }

  close() {
    this.abort.abort();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

class NewJob {
  constructor(room, fields, models, { hasPlan, hasPreview }) {
    this.hasPlan = hasPlan;
    this.hasPreview = hasPreview;
    this.items = [];
    this.waiting = [];
    this.sending = 0;
    this.models = models;
    this.form = form(fields, () => this.changed());
    this.list = h("ul", { class: "items" });
    this.previewed = h("div");
    this.submit = h("button", { type: "button", class: "main", disabled: true, onclick: () => this.send() }, "Start");
    this.failed = h("div");
    room.append(h("h1", {}, "New job"), h("div", { class: "halves" },
      h("div", {}, this.zone(), this.list, this.previewed),
      h("div", { class: "wishes" }, this.wishes(), this.folded(), this.failed, this.submit)));
  }

  zone() {
    const choose = (options, label) => {
      const input = h("input", { type: "file", multiple: true, class: "unseen", tabindex: -1, "aria-label": label, ...options,
        onchange: () => {
          const files = [...input.files];
          this.add(options.webkitdirectory ? files.filter(isMedia) : files);
          input.value = "";
        } });
      return [input, h("button", { type: "button", class: "second", onclick: () => input.click() }, label)];
    };
    const zone = h("section", { class: "zone", "aria-label": "Files" },
      h("p", { class: "big" }, "Drop videos or pictures here"),
      h("div", { class: "row" }, choose({ id: "files" }, "Choose files"), choose({ id: "folder", webkitdirectory: true }, "Choose a folder")),
      this.addressRow());
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", async (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      this.add(await dropped(event.dataTransfer));
    });
    return zone;
  }

  addressRow() {
    const input = h("input", { type: "text", id: "address", placeholder: "s3://bucket/film.mkv", autocomplete: "off", spellcheck: "false" });
    const add = (event) => {
      event.preventDefault();
      if (input.value.trim()) this.addAddress(input.value.trim());
      input.value = "";
    };
    return h("form", { class: "address", onsubmit: add }, h("label", { for: "address" }, "Or an address that the workers reach"),
      h("div", { class: "row" }, input, h("button", { type: "submit", class: "second" }, "Add")));
  }

  wishes() {
    const card = (preset, number) => h("label", { class: "preset" },
      h("input", { type: "radio", name: "preset", value: preset.id, checked: number === 0, onchange: () => {
        this.form.fill(preset.fields);
        this.changed();
      } }), h("span", {}, h("strong", {}, preset.title), h("span", { class: "about" }, preset.about)));
    return h("fieldset", { class: "presets" }, h("legend", {}, "What do you want?"), PRESETS.map(card));
  }

  folded() {
    return h("details", {}, h("summary", {}, "All settings"), this.form.element);
  }

  add(files) {
    for (const file of files) {
      const item = new Item(file.name, () => this.moved(item));
      item.look(file);
      this.put(item);
      this.waiting.push([item, file]);
    }
    say(`${files.length} files added`);
    this.next();
  }

  addAddress(source) {
    const item = new Item(source.split("/").pop() || source, () => this.moved(item));
    item.source = source;
    item.state.replaceChildren(h("span", { class: "quiet" }, source));
    this.put(item);
    this.moved(item);
  }

  put(item) {
    this.items.push(item);
    this.list.append(item.element);
  }

  async next() {
    while (this.sending < SENT_AT_ONCE && this.waiting.length) {
      const [item, file] = this.waiting.shift();
      if (item.isRemoved) continue;
      this.sending += 1;
      item.send(file).finally(() => {
        this.sending -= 1;
        this.next();
      });
    }
  }

  /** An item was sent, failed or went. */
  moved(item) {
    this.items = this.items.filter((one) => !one.isRemoved);
    if (item.source && !item.isRemoved) this.look(item);
    this.settle();
  }

  changed() {
    for (const item of this.items) if (item.source) this.look(item);
    this.settle();
  }

  /** Ask what becomes of a source with the present fields. */
  async look(item) {
    if (!this.hasPlan) return;
    const asked = JSON.stringify(this.form.values());
    item.asked = asked;
    let shown;
    try {
      item.plan = await post("plan", { source: item.source, ...this.form.values() });
      item.problem = null;
      shown = [h("p", { class: "quiet" }, summary(item.plan.source)), planned(item.plan)];
    } catch (problem) {
      item.plan = null;
      item.problem = problem.isMissing ? null : problem;
      shown = [problem.isMissing ? null : trouble(problem)];
    }
    if (item.asked !== asked) return;
    item.detail.replaceChildren(...shown.filter(Boolean));
    this.settle();
  }

  settle() {
    const ready = this.ready();
    const open = this.items.filter((item) => !item.source && !item.problem).length;
    this.submit.disabled = !ready.length || open > 0;
    this.submit.textContent = ready.length > 1 ? `Start ${ready.length} jobs` : "Start";
    const first = ready[0];
    if (first === this.shown && (!first || first.plan === this.shownPlan)) return;
    this.closePreview();
    this.shown = first;
    this.shownPlan = first?.plan;
    if (!first || !this.hasPreview) return;
    this.preview = preview(first.source, first.plan, this.models, () => this.form.values());
    this.previewed.replaceChildren(this.preview.element);
  }

  ready() {
    return this.items.filter((item) => item.source && !item.problem);
  }

  closePreview() {
    this.preview?.close();
    this.preview = null;
    this.previewed.replaceChildren();
  }

  async send() {
    if (!this.form.isValid()) {
      this.form.element.closest("details").open = true;
      this.form.element.reportValidity();
      return;
    }
    this.submit.disabled = true;
    this.failed.replaceChildren();
    const sent = [];
    for (const item of this.ready()) {
      try {
        item.key ??= crypto.randomUUID?.() || `${Date.now()}-${Math.random()}`;
        const body = { source: item.source, ...this.form.values() };
        const answer = await ask("POST", "jobs", { body, headers: { "Idempotency-Key": item.key } });
        sent.push((await answer.json()).job_id);
        item.isSubmitted = true;
      } catch (problem) {
        item.key = null;
        this.failed.append(h("p", { class: "strong" }, item.name), trouble(problem));
      }
    }
    for (const item of this.items.filter((one) => one.isSubmitted)) item.remove();
    if (!this.failed.childElementCount) location.hash = sent.length === 1 ? `#/jobs/${encodeURIComponent(sent[0])}` : "#/jobs";
    this.settle();
  }

  close() {
    this.closePreview();
    for (const item of this.items) item.close();
  }
}

export async function open(room) {
  const [fields, models, hasPlan, hasPreview] = await Promise.all(
    [fieldsOfRequest(), get("models").catch(() => []), offers("/plan"), offers("/preview")]);
  const page = new NewJob(room, fields, models, { hasPlan, hasPreview });
  return () => page.close();
}
