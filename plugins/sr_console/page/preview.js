/** A moment of a source as up to three models would show it, against the source enlarged by bicubic. */

import { ask } from "./api.js";
import { compared, picture } from "./compare.js";
import { h, trouble } from "./dom.js";

const MOST_MODELS = 3;
const RESTORING = ["restore", "denoise", "deblock", "deband", "sharpen", "content"];
const PLAIN = "bicubic";

function query(source, seconds, model, side, fields) {
  const asked = new URLSearchParams({ source, time_s: seconds.toFixed(3), model, side, scale: fields.scale || 2 });
  for (const name of RESTORING) if (fields[name] !== undefined) asked.set(name, fields[name]);
  return `preview?${asked}`;
}

/** The address of a picture that was fetched, and which model made it. The caller revokes it. */
async function fetched(path) {
  const answer = await ask("GET", path);
  return { url: URL.createObjectURL(await answer.blob()), model: answer.headers.get("X-SR-Model") || "" };
}

function explained(problem) {
  if (!problem.isMissing) return trouble(problem);
  return h("p", { class: "notice" }, "Preview is not available: start it with ",
    h("code", {}, "python -m sr_tasks serve"), ". The job itself needs no preview.");
}

/** The room for previews of one source. `fields` gives the request's fields, `plan` what is known of the source. */
export function preview(source, plan, models, fields) {
  const length = plan ? plan.source.duration_s || 0 : 0;
  const shown = h("div", { class: "shown" });
  const made = [];
  const at = h("input", { type: "range", min: 0, max: Math.max(0, length - 0.1), step: "any", value: length / 3,
    "aria-label": "Moment to look at", oninput: () => { told.textContent = `${Number(at.value).toFixed(1)} s`; } });
  const told = h("output", { class: "clock" }, `${(length / 3).toFixed(1)} s`);
  const scale = Number(fields().scale || 2);
  const fitting = models.filter((one) => one.name !== PLAIN && one.scales.includes(scale));
  const choices = [{ name: "auto", title: "As the job would choose" }, ...fitting].map((one, number) => h("label", { class: "chip" },
    h("input", { type: "checkbox", value: one.name, checked: number === 0, onchange: limit }), one.title || one.name));
  const boxes = () => choices.map((label) => label.querySelector("input"));
  function limit() {
    const full = boxes().filter((box) => box.checked).length >= MOST_MODELS;
    for (const box of boxes()) box.disabled = full && !box.checked;
  }
  const look = h("button", { type: "button", onclick: show }, "Preview");
  async function show() {
    look.disabled = true;
    shown.replaceChildren(h("p", { class: "quiet" }, "Enlarging one frame."));
    try {
      const pictures = await Promise.all(boxes().filter((box) => box.checked).map((box) => one(box.value)));
      shown.replaceChildren(...pictures);
    } catch (problem) {
      shown.replaceChildren(explained(problem));
    }
    look.disabled = false;
  }
  async function one(model) {
    const seconds = Number(at.value);
    const sides = ["source", "output"].map((side) => fetched(query(source, seconds, model, side, fields())));
    const [before, after] = await Promise.all(sides);
    made.push(before.url, after.url);
    const name = after.model || model;
    return h("figure", {}, compared(picture(before.url, "The source, enlarged by bicubic"), picture(after.url, `By ${name}`),
      ["Bicubic", name]), h("figcaption", {}, name));
  }
  const element = h("section", { class: "preview" }, h("h2", {}, "Preview"),
    h("p", { class: "quiet" }, "One frame, before any hour is spent. Choose up to three models."),
    length > 0.2 ? h("div", { class: "controls" }, at, told) : null,
    h("div", { class: "chips" }, choices), look, shown);
  return { element, close: () => made.forEach((url) => URL.revokeObjectURL(url)) };
}
