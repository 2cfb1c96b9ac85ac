/** Two pictures or two players in one place, and a slider between them. Knows no job. */

import { h } from "./dom.js";

const APART_S = 0.04;

/** Both layers with their names; the first shows left of the slider. They must have the same shape. */
export function compared(before, after, names = ["Before", "After"]) {
  const line = h("div", { class: "line", "aria-hidden": "true" });
  const range = h("input", {
    type: "range", min: 0, max: 100, step: 0.5, value: 50, "aria-label": `${names[0]} to ${names[1]}`,
    oninput: () => root.style.setProperty("--at", `${range.value}%`),
  });
  const root = h("div", { class: "compare" },
    h("div", { class: "after" }, after),
    h("div", { class: "before" }, before),
    h("span", { class: "name left" }, names[0]), h("span", { class: "name right" }, names[1]), line, range);
  root.style.setProperty("--at", "50%");
  return root;
}

export function picture(source, alt, onerror = null) {
  return h("img", { src: source, alt, loading: "lazy", decoding: "async", onerror });
}

/** Whether the browser plays the video at an address. */
function plays(video) {
  return new Promise((resolve) => {
    video.addEventListener("loadeddata", () => resolve(video.videoWidth > 0), { once: true });
    video.addEventListener("error", () => resolve(false), { once: true });
  });
}

/** Two players in step, as an element; null if the browser does not play one of them. */
export async function players(beforeSource, afterSource, names) {
  const options = { muted: true, playsinline: true, preload: "auto" };
  const [before, after] = [beforeSource, afterSource].map((src) => h("video", { ...options, src, tabindex: -1 }));
  before.muted = true;
  const ok = await Promise.all([plays(before), plays(after)]);
  if (!ok.every(Boolean)) return null;
  return h("div", {}, compared(before, after, names), controls(before, after));
}

function controls(before, after) {
  const seek = h("input", {
    type: "range", class: "seek", min: 0, max: after.duration || 0, step: "any", value: 0, "aria-label": "Moment",
    oninput: () => {
      after.currentTime = Number(seek.value);
      before.currentTime = Number(seek.value);
    },
  });
  const play = h("button", { type: "button", class: "round", onclick: () => (after.paused ? after.play() : after.pause()) },
    "Play");
  const sound = h("button", {
    type: "button", class: "plain", "aria-pressed": "false", onclick: () => {
      after.muted = !after.muted;
      sound.setAttribute("aria-pressed", String(!after.muted));
    },
  }, "Sound");
  const told = h("output", { class: "clock" }, clock(0));
  after.addEventListener("play", () => {
    play.textContent = "Pause";
    before.play();
    keep(before, after);
  });
  after.addEventListener("pause", () => {
    play.textContent = "Play";
    before.pause();
    before.currentTime = after.currentTime;
  });
  after.addEventListener("timeupdate", () => {
    seek.value = after.currentTime;
    told.textContent = clock(after.currentTime);
  });
  return h("div", { class: "controls" }, play, seek, told, sound);
}

/** Bring the first player to where the second is, as long as that plays. */
function keep(before, after) {
  if (after.paused || !after.isConnected) return;
  if (Math.abs(before.currentTime - after.currentTime) > APART_S) before.currentTime = after.currentTime;
  requestAnimationFrame(() => keep(before, after));
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${Math.floor((seconds % 1) * 10)}`;
}

/** Frame after frame of both sides; `sourceOf(number, side)` is a frame's address. Calls `onmissing` if there is none. */
export function stepped(frames, sourceOf, names, onmissing) {
  const before = picture(sourceOf(0, "source"), "Frame 1 of the source", onmissing);
  const after = picture(sourceOf(0, "output"), "Frame 1 of the output", onmissing);
  const range = h("input", { type: "range", class: "seek", min: 0, max: Math.max(0, frames - 1), value: 0, "aria-label": "Frame",
    onchange: () => go(Number(range.value)) });
  const told = h("output", { class: "clock" }, `1 of ${frames}`);
  function go(number) {
    const at = Math.max(0, Math.min(frames - 1, number));
    range.value = at;
    told.textContent = `${at + 1} of ${frames}`;
    before.src = sourceOf(at, "source");
    after.src = sourceOf(at, "output");
    before.alt = `Frame ${at + 1} of the source`;
    after.alt = `Frame ${at + 1} of the output`;
  }
  const step = (by, label) => h("button", { type: "button", class: "plain", onclick: () => go(Number(range.value) + by) }, label);
  return h("div", {}, compared(before, after, names),
    frames > 1 ? h("div", { class: "controls" }, step(-1, "Back"), range, told, step(1, "Next")) : null);
}
