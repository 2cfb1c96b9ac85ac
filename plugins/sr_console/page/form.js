/** The fields of a request as a form, made from the API's own description of them. */

import { described } from "./api.js";
import { h } from "./dom.js";

const NOT_SHOWN = new Set(["source", "id"]);

/** Name, schema and whether it may be left empty, of every field that the form shows. */
export async function fieldsOfRequest() {
  const { components } = await described();
  const { properties } = components.schemas.JobRequest;
  return Object.entries(properties).filter(([name]) => !NOT_SHOWN.has(name)).map(([name, schema]) => {
    const kinds = schema.anyOf || [schema];
    const kind = { ...kinds.find((one) => one.type !== "null") };
    return {
      name,
      kind,
      title: schema.title || name,
      about: schema.description || "",
      section: schema.section || "More",
      standard: schema.default ?? null,
    };
  });
}

function control(field) {
  const { kind, name } = field;
  const common = { id: `field-${name}`, name, "aria-describedby": `about-${name}` };
  if (kind.enum) return h("select", common, kind.enum.map((one) => h("option", { value: one }, String(one))));
  if (kind.type === "boolean") return h("input", { ...common, type: "checkbox" });
  if (kind.type === "integer" || kind.type === "number") {
    const step = kind.type === "integer" ? 1 : "any";
    return h("input", { ...common, type: "number", step, min: kind.minimum, max: kind.maximum });
  }
  return h("input", { ...common, type: "text", pattern: kind.pattern, maxlength: kind.maxLength, autocomplete: "off",
    spellcheck: "false" });
}

/** A form of these fields: its element, `values()` that differ from the standard, and `fill(fields)` for a preset. */
export function form(fields, onchange) {
  const controls = new Map(fields.map((field) => [field.name, control(field)]));
  const row = (field) => h("div", { class: field.kind.type === "boolean" ? "field check" : "field" },
    h("label", { for: `field-${field.name}` }, field.title), controls.get(field.name),
    h("p", { class: "about", id: `about-${field.name}` }, field.about.replaceAll("`", "")));
  const sections = [...new Set(fields.map((field) => field.section))];
  const element = h("form", { class: "fields", onchange, onsubmit: (event) => event.preventDefault() },
    sections.map((section) => h("fieldset", {}, h("legend", {}, section),
      fields.filter((field) => field.section === section).map(row))));
  function put(field, value) {
    const input = controls.get(field.name);
    if (input.type === "checkbox") input.checked = Boolean(value);
    else input.value = value ?? "";
  }
  function fill(given) {
    for (const field of fields) put(field, given[field.name] ?? field.standard);
  }
  fill({});
  return { element, fill, values: () => valuesOf(fields, controls), isValid: () => element.checkValidity() };
}

function valuesOf(fields, controls) {
  const found = {};
  for (const field of fields) {
    const value = valueOf(field, controls.get(field.name));
    if (value !== field.standard && value !== null) found[field.name] = value;
  }
  return found;
}

function valueOf(field, input) {
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return null;
  return ["integer", "number"].includes(field.kind.type) ? Number(input.value) : input.value;
}
