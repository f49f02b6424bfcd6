/** The API's reference, drawn from its OpenAPI description. */

import { $, h, prose } from "./dom.js";
import { load, t } from "./i18n.js";

const VERBS = ["get", "put", "post", "patch", "delete"];

/** Names a schema's type: `string`, `Job[]`, `integer | null`, models as links. */
function type(schema) {
  if (!schema) return [];
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return [h("a", { href: `#model-${name}` }, name)];
  }
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options) return options.flatMap((option, n) => (n ? [" | ", ...type(option)] : type(option)));
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" | ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return [...type(schema.items), "[]"];
  if (schema.additionalProperties?.type || schema.additionalProperties?.$ref) {
    return ["{ ", ...type(schema.additionalProperties), " }"];
  }
  return [
    schema.format ? `${schema.type} (${schema.format})` : [schema.type ?? "any"].flat().join(" | "),
  ];
}

/** Writes the bounds of a value. */
function bounds(schema = {}) {
  const names = {
    minimum: "≥",
    maximum: "≤",
    minLength: "length ≥",
    maxLength: "length ≤",
    minItems: "items ≥",
    maxItems: "items ≤",
    pattern: "~",
    default: "=",
  };
  return Object.entries(names)
    .filter(([name]) => schema[name] !== undefined)
    .map(([name, sign]) => `${sign} ${JSON.stringify(schema[name])}`)
    .join(", ");
}

function fields(rows, of) {
  const cells = rows.map(({ name, where, schema, about, required }) =>
    h(
      "tr",
      {},
      h(
        "td",
        {},
        h("code", {}, name),
        required ? h("small", { class: "faint" }, ` ${t("docs.required")}`) : "",
      ),
      h(
        "td",
        {},
        where ? `${where}: ` : "",
        type(schema),
        " ",
        h("small", { class: "faint" }, bounds(schema)),
      ),
      h("td", {}, prose(about ?? "")),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": `${t("docs.fields")}: ${of}` },
    h("table", {}, h("tbody", {}, cells)),
  );
}

function operation(path, verb, { summary, description, parameters = [], requestBody, responses }) {
  const rows = parameters.map(({ name, in: where, schema, description: about, required }) => ({
    name,
    where,
    schema,
    about,
    required,
  }));
  const answers = Object.entries(responses).map(([status, { description: about, content = {} }]) =>
    h(
      "li",
      {},
      h("span", {}, h("code", {}, status), ` ${about}`),
      h("span", {}, contents(content)),
    ),
  );
  return h(
    "details",
    { class: "card" },
    h(
      "summary",
      {},
      h("span", { class: "verb" }, verb.toUpperCase()),
      " ",
      h("code", {}, path),
      " ",
      h("span", { class: "faint" }, prose((description ?? summary ?? "").split("\n")[0])),
    ),
    h("p", {}, prose((description ?? "").split("\n").slice(1).join("\n"))),
    rows.length
      ? h("section", {}, h("h3", {}, t("docs.parameters")), fields(rows, `${verb} ${path}`))
      : null,
    requestBody
      ? h("section", {}, h("h3", {}, t("docs.body")), h("p", {}, contents(requestBody.content)))
      : null,
    h("section", {}, h("h3", {}, t("docs.answers")), h("ul", { class: "list" }, answers)),
  );
}

function contents(content) {
  return Object.entries(content).flatMap(([mime, { schema }], n) => [
    n ? ", " : "",
    h("code", {}, mime),
    " ",
    ...type(schema),
  ]);
}

function model([name, schema]) {
  const required = schema.required ?? [];
  const rows = Object.entries(schema.properties ?? {}).map(([field, each]) => ({
    name: field,
    schema: each,
    about: each.description,
    required: required.includes(field),
  }));
  return h(
    "section",
    { class: "card model", id: `model-${name}` },
    h("h3", {}, name),
    h("p", {}, prose(schema.description ?? "")),
    rows.length ? fields(rows, name) : h("p", {}, type(schema)),
  );
}

async function begin() {
  const [description] = await Promise.all([
    fetch("/openapi.json").then((answer) => answer.json()),
    load(),
  ]);
  const groups = new Map();
  for (const [path, verbs] of Object.entries(description.paths)) {
    for (const verb of VERBS.filter((each) => each in verbs)) {
      const tag = verbs[verb].tags?.[0] ?? "";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(path, verb, verbs[verb])]);
    }
  }
  const parts = [...groups].map(([tag, operations]) =>
    h("section", {}, h("h2", {}, tag), operations),
  );
  const models = Object.entries(description.components?.schemas ?? {}).map(model);
  $("docs").replaceChildren(...parts, h("h2", {}, t("docs.models")), ...models);
  $("docs").classList.add("reference");
}

begin();
