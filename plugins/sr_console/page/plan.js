/** What is in a source and what becomes of it, from an answer of `POST /plan`. */

import { bytes, h, span } from "./dom.js";

const FATES = {
  enlarged: "Enlarged", kept: "Kept", converted: "Converted", dropped: "Dropped",
};

/** In one line: kind, size, length. */
export function summary(source) {
  const size = `${source.width} × ${source.height}`;
  if (source.is_picture) return `Picture, ${size}, ${source.container}`;
  const rate = source.fps ? `, ${Number(source.fps).toFixed(2).replace(/\.?0+$/, "")} frames a second` : "";
  return `${size}${rate}, ${span(source.duration_s)}, ${source.container}`;
}

export function streams(rows) {
  return h("ul", { class: "streams" }, rows.map((row) => h("li", { class: `fate ${row.fate}` },
    h("span", { class: "pill" }, FATES[row.fate] || row.fate),
    h("span", { class: "what" }, `${row.kind}, ${row.codec}`),
    h("span", { class: "why" }, row.sentence))));
}

export function planned(plan) {
  const { output, estimate } = plan;
  const cost = estimate.cost ? `, cost ${estimate.cost.toFixed(2)}` : "";
  return h("div", { class: "plan" },
    h("p", { class: "becomes" }, h("span", {}, `${plan.source.width} × ${plan.source.height}`),
      h("span", { class: "arrow", "aria-label": "becomes" }, "→"),
      h("strong", {}, `${output.width} × ${output.height}`), h("span", {}, ` ${output.codec}, ${output.container}`)),
    plan.streams.length ? streams(plan.streams) : null,
    plan.warnings.map((text) => h("p", { class: "notice" }, text)),
    estimate.seconds === null || estimate.seconds === undefined ? null : h("p", { class: "estimate" },
      h("strong", {}, `About ${span(estimate.seconds)}`), ` of work, ${bytes(estimate.bytes)}${cost}. `,
      h("span", { class: "quiet" }, `${plan.model}. ${estimate.basis || ""}`)));
}
