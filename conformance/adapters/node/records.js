"use strict";
// What is admitted: every argument is decoded by the published schema, which is the one that `lash-conformance schema --wire` prints.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const json = require("./json");

const wire = json.parse(readFileSync(join(__dirname, "../../../fixtures/wire/openrpc.json"), "utf8"));

class Refusal extends Error {
  constructor(error, fields) {
    super(`${error} ${Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ")}`);
    this.error = error;
    this.fields = fields;
  }
}

const refuse = (error, fields) => { throw new Refusal(error, fields); };
const invalid = (kind, field, expected, found) =>
  refuse("InvalidRecord", { record_kind: kind, field, expected, found: `${found}`.slice(0, 200) });
const unreadable = (kind, id, reason) => refuse("UnreadableRecord", { record_kind: kind, record_id: id, reason });

const METHODS = Object.fromEntries(wire.methods.map((method) => [method.name, method]));
const resolve = (schema) => (schema.$ref ? wire.components.schemas[schema.$ref.split("/").pop()] : schema);
const isObject = (value) => value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;
const isInteger = (value) => typeof value === "bigint" || Number.isSafeInteger(value);
const BOUNDS = {
  minimum: (value, bound) => value >= bound, maximum: (value, bound) => value <= bound,
  exclusiveMinimum: (value, bound) => value > bound,
};

// The record that `value` is by `schema`: defaults filled in, unknown keys and absent optionals left out.
function admit(schema, value, kind, field = "") {
  const name = schema.$ref ? schema.$ref.split("/").pop() : kind;
  const known = resolve(schema);
  const wrong = (expected) => invalid(name, field, expected, typeof value === "string" ? JSON.stringify(value) : typeof value);
  if ("const" in known && value !== known.const) wrong(JSON.stringify(known.const));
  if (known.enum && !known.enum.includes(value)) wrong(`one of ${known.enum}`);
  const choices = known.oneOf || known.anyOf;
  if (choices) return chosen(known, choices, value, name, field, wrong);
  switch (known.type) {
    case "object": return isObject(value) ? admitObject(known, value, name, field) : wrong("an object");
    case "array":
      if (!Array.isArray(value)) wrong("a list");
      return value.map((item, at) => admit(known.items, item, name, `${field}[${at}]`));
    case "string": return admitText(known, value, wrong);
    case "integer":
      if (!isInteger(value)) wrong("an integer");
      for (const [bound, holds] of Object.entries(BOUNDS)) {
        if (bound in known && !holds(value, known[bound])) wrong(`${bound} ${known[bound]}`);
      }
      return value;
    case "boolean": return typeof value === "boolean" ? value : wrong("true or false");
    case "null": return value === null ? value : wrong("null");
    default: return value; // opaque
  }
}

function admitText(known, value, wrong) {
  if (typeof value !== "string") wrong("text");
  if (known.pattern && !(new RegExp(known.pattern, "u").test(value) && value.isWellFormed())) wrong("an identifier without NUL or lone surrogates");
  if (known.contentEncoding && Buffer.from(value, "base64").toString("base64") !== value) wrong("standard base64 with padding");
  if (known.minLength && value.length < known.minLength) wrong("text that is not empty");
  return value;
}

function admitObject(known, value, name, field) {
  const record = {};
  for (const [key, property] of Object.entries(known.properties || {})) {
    const given = Object.hasOwn(value, key);
    if (!given && (known.required || []).includes(key)) invalid(name, `${field}.${key}`, "a value", "nothing");
    if (!given && property.default === undefined) continue;
    const admitted = admit(property, given ? value[key] : property.default, name, `${field}.${key}`);
    if (admitted !== null || property.default !== null) record[key] = admitted;
  }
  if (known.additionalProperties === false) {
    const unknown = Object.keys(value).find((key) => !Object.hasOwn(known.properties, key));
    if (unknown !== undefined) invalid(name, `${field}.${unknown}`, "no such key", "it");
  }
  return record;
}

function chosen(known, choices, value, name, field, wrong) {
  const tag = known.discriminator?.propertyName;
  if (tag) {
    const target = isObject(value) && Object.hasOwn(known.discriminator.mapping, value[tag]) && known.discriminator.mapping[value[tag]];
    return target ? admit({ $ref: target }, value, name, field) : wrong(`an object tagged by ${tag}`);
  }
  if (value === null && choices.some((choice) => choice.type === "null")) return null;
  let reason;
  for (const choice of choices) {
    try {
      return admit(choice, value, name, field);
    } catch (err) {
      if (choice.type !== "null") reason = err;
    }
  }
  throw reason;
}

module.exports = { METHODS, Refusal, refuse, invalid, unreadable, admit };
