"use strict";
// The published vectors: `node --test conformance/adapters/node`.

const assert = require("node:assert");
const { readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const json = require("./json");
const { Refusal, admit } = require("./records");

const VECTORS = join(__dirname, "../../../fixtures/wire/records");

for (const name of readdirSync(VECTORS)) {
  const { record, valid, invalid } = json.parse(readFileSync(join(VECTORS, name), "utf8"));
  const schema = { $ref: `#/components/schemas/${record}` };
  test(`${record}: ${valid.length} read, ${invalid.length} refused`, () => {
    for (const { about, value, written } of valid) assert.strictEqual(json.canonical(admit(schema, value, record)), json.canonical(written), about);
    for (const { about, value } of invalid) {
      assert.throws(() => admit(schema, value, record), (err) => err instanceof Refusal && err.error === "InvalidRecord", about);
    }
  });
}
