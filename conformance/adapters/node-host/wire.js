"use strict";
// What the judge's requests are by the published schema: defaults filled in.

const { Refused } = require("./errors");

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const KINDS = {
  string: (value) => typeof value === "string", boolean: (value) => typeof value === "boolean", null: (value) => value === null, object: isObject,
  integer: (value) => typeof value === "bigint" || Number.isInteger(value), array: Array.isArray,
};

function admit(wire, schema, value, field) {
  const known = schema.$ref ? wire.components.schemas[schema.$ref.split("/").pop()] : schema;
  if (known.anyOf) return value === null ? null : admit(wire, known.anyOf.find(({ type }) => type !== "null"), value, field);
  const fits = known.type === undefined || KINDS[known.type](value);
  if (!fits || (known.enum && !known.enum.includes(value))) {
    throw new Refused("InvalidRecord", { record_kind: "request", field, expected: known.enum?.join() ?? known.type, found: `${JSON.stringify(value)}`.slice(0, 200) });
  }
  if (known.type === "array") return value.map((item, at) => admit(wire, known.items, item, `${field}[${at}]`));
  if (!known.properties) return value;
  return Object.fromEntries(Object.entries(known.properties).map(([name, property]) => [
    name, name in value ? admit(wire, property, value[name], `${field}.${name}`) : structuredClone(property.default ?? (property.type === "object" ? {} : null)),
  ]));
}

module.exports = { admit };
