/** Uploads by the tus protocol, in slices. A slice that broke off is sent again from where the server got to, also by a
    page that was opened anew. */

import { ask, Problem } from "./api.js";

const SLICE_BYTES = 8 << 20;
const LONGEST_PAUSE_S = 30;

function keyOf(file) {
  return `enhance-upload:${file.name}:${file.size}:${file.lastModified}`;
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** Id and offset of the upload that this file began earlier; null if there is none any more. */
async function earlier(file) {
  const id = localStorage.getItem(keyOf(file));
  if (!id) return null;
  try {
    return { id, offset: await offsetOf(id) };
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    localStorage.removeItem(keyOf(file));
    return null;
  }
}

async function offsetOf(id) {
  const answer = await ask("HEAD", `uploads/${id}`);
  return Number(answer.headers.get("Upload-Offset"));
}

async function begun(file) {
  const found = await earlier(file);
  if (found) return found;
  const headers = { "Upload-Length": String(file.size), "Upload-Metadata": `filename ${base64(file.name)}` };
  const { id } = await (await ask("POST", "uploads", { headers })).json();
  localStorage.setItem(keyOf(file), id);
  return { id, offset: 0 };
}

/** Whether the same slice may go through a little later. */
function mayPass(problem) {
  return problem instanceof Problem && (problem.status === 0 || problem.status >= 500 || problem.code === "UPLOAD_BUSY");
}

/** Send a file; gives its upload's record with the address to name as source. `tell` hears of bytes sent, and of breaks.
    Throws a Problem, or what `signal` was aborted with. */
export async function upload(file, tell, signal) {
  const at = await begun(file);
  let breaks = 0;
  while (at.offset < file.size) {
    signal.throwIfAborted();
    tell(at.offset, false);
    const slice = file.slice(at.offset, at.offset + SLICE_BYTES);
    const headers = { "Upload-Offset": String(at.offset), "Content-Type": "application/offset+octet-stream" };
    try {
      const answer = await ask("PATCH", `uploads/${at.id}`, { body: slice, headers });
      at.offset = Number(answer.headers.get("Upload-Offset"));
      breaks = 0;
    } catch (problem) {
      if (problem.code !== "WRONG_OFFSET" && !mayPass(problem)) throw forgetting(file, problem);
      breaks += 1;
      tell(at.offset, true);
      await pause(Math.min(LONGEST_PAUSE_S, 2 ** breaks / 2), signal);
      at.offset = await offsetOf(at.id).catch((again) => {
        if (again.status === 404) throw forgetting(file, again);
        return at.offset;
      });
    }
  }
  tell(file.size, false);
  return (await ask("GET", `uploads/${at.id}`)).json();
}

function forgetting(file, problem) {
  localStorage.removeItem(keyOf(file));
  return problem;
}

/** Forget a file at the server, as far as it came. */
export async function discard(file) {
  const id = localStorage.getItem(keyOf(file));
  localStorage.removeItem(keyOf(file));
  if (id) await ask("DELETE", `uploads/${id}`).catch(() => null);
}
