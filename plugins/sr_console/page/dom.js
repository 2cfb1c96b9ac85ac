/** Elements and words: the page is built of these. Asks no server. */

/** An element with attributes, listeners (`onclick`) and children. Children that are null or false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Say something to people who hear the page. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

export function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A span of time as people say it. */
export function span(seconds) {
  if (seconds < 1) return "under a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(seconds < 36000 ? 1 : 0)} h`;
}

export function moment(text) {
  if (!text) return "";
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** A box that says what went wrong and what to do. `error` is a Problem, or a record with `message` and `hint`. */
export function trouble(error) {
  const fields = (error.fields || []).slice(1).map((one) => h("li", {}, `${one.field}: ${one.message}`));
  return h("div", { class: "trouble", role: "alert" },
    h("p", { class: "strong" }, error.message),
    fields.length ? h("ul", {}, fields) : null,
    error.hint ? h("p", {}, error.hint) : null,
    error.code ? h("p", { class: "code" }, error.code) : null);
}

/** A bar from 0 to 1 with a name that is read aloud. */
export function bar(share, name) {
  return h("progress", { max: 1, value: Math.max(0, Math.min(1, share)), "aria-label": name });
}

/** Words with lines under each other: pairs of a term and what is said of it. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, said]) => said !== null && said !== "" && said !== undefined)
    .map(([term, said]) => h("div", {}, h("dt", {}, term), h("dd", {}, said))));
}
