/** The page "Models": what there is, what it is for, what it gains. */

import { get } from "./api.js";
import { bar, facts, h } from "./dom.js";

const KINDS = { network: "Network", resampler: "Plain resampling", style: "Style" };
const MOST_GAIN_DB = 6;

function gain(row) {
  const name = [row.down_scaling, row.degradation].filter(Boolean).join(", ");
  const db = row.gain_over_bicubic_db;
  return h("li", {}, h("span", { class: "what" }, `${name}, ×${row.scale}`), h("span", { class: "figure" }, `${db >= 0 ? "+" : ""}${db.toFixed(2)} dB`),
    bar(db / MOST_GAIN_DB, `${name}: ${db.toFixed(2)} dB`));
}

function gains(card) {
  const sets = [...new Set((card.quality || []).map((row) => row.test_set))];
  return sets.map((set) => h("div", { class: "gains" }, h("h3", {}, `Gain over bicubic, ${set}`),
    h("ul", {}, card.quality.filter((row) => row.test_set === set).map(gain))));
}

function shown(model) {
  const { card } = model;
  const speed = (card.speed || [])[0];
  return h("li", { class: "card" }, h("p", { class: "kind" }, KINDS[card.kind] || card.kind), h("h2", {}, card.title), h("p", {}, card.intended_content),
    gains(card), facts([
      ["Name", `${card.name}@${model.production}`], ["Scales", model.scales.map((one) => `×${one}`).join(", ")],
      ["Speed", speed ? `${speed.fps} frames a second of ${speed.frame}, ${speed.device}` : null],
      ["Licence", card.licence], ["Candidate", model.candidate && `${model.candidate}, of ${Math.round(model.candidate_share * 100)} % of jobs`],
    ]));
}

export async function open(room) {
  const models = await get("models");
  const details = await Promise.all(models.map((one) => get(`models/${encodeURIComponent(one.name)}`)));
  room.append(h("h1", {}, "Models"), h("p", { class: "quiet" }, "A job takes the one that suits its source, unless you choose."),
    h("ul", { class: "cards models" }, details.map(shown)));
}
