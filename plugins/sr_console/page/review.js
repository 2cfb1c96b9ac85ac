/** The page "Review": jobs that wait for a person, with what speaks against them, and the decision. */

import { address, get, isFramed, jobPath, post } from "./api.js";
import { h, moment, say, trouble } from "./dom.js";
import { pictures } from "./job.js";

function card(asked, me, redraw) {
  const note = h("input", { type: "text", id: `note-${asked.job_id}`, maxlength: 2000, autocomplete: "off" });
  const failed = h("div");
  const decide = (decision, label, kind) => h("button", { type: "button", class: kind, onclick: async () => {
    try {
      await post(jobPath(asked.job_id, "/review"), { decision, note: note.value });
      say(`${label}: ${asked.source}`);
      redraw();
    } catch (problem) {
      failed.replaceChildren(trouble(problem));
    }
  } }, label);
  const worst = asked.pictures.filter((one) => one.reason === "worst");
  const reasons = asked.reasons.length ? asked.reasons : ["Nothing speaks against it: the request asks for a person's look."];
  return h("li", { class: "card" },
    h("h2", {}, h("a", { href: `#/${jobPath(asked.job_id)}` }, asked.source || asked.job_id)),
    h("p", { class: "quiet" }, [asked.model, asked.created_by && `for ${asked.created_by}`, asked.lapses_at && `until ${moment(asked.lapses_at)}, then ${asked.lapses_to === "approve" ? "approved" : "rejected"}`]
      .filter(Boolean).join(" · ")),
    h("ul", { class: "reasons" }, reasons.map((reason) => h("li", {}, reason))),
    pictures(asked.job_id, worst.length ? worst : asked.pictures),
    h("p", {}, h("a", { href: address(jobPath(asked.job_id, "/report")), target: isFramed ? null : "_blank" }, "The whole report")),
    me.may_review ? h("div", { class: "decision" }, h("label", { for: `note-${asked.job_id}` }, "Note, if you like"), note,
      h("div", { class: "row" }, decide("approve", "Approve", "main"), decide("reject", "Reject", "second danger"))) : null, failed);
}

export async function open(room, me) {
  const list = h("ul", { class: "cards" });
  async function draw() {
    const waiting = await get("reviews");
    list.replaceChildren(...waiting.map((asked) => card(asked, me, draw)));
    if (!waiting.length) list.append(h("li", { class: "empty quiet" }, "Nothing waits for a decision."));
    const badge = document.getElementById("waiting");
    badge.hidden = !waiting.length;
    badge.firstChild?.replaceWith(String(waiting.length));
  }
  room.append(h("h1", {}, "Review"), h("p", { class: "quiet" },
    "Doubtful outputs wait here. Approved, an output is delivered; rejected, it is not."), list);
  await draw();
}
