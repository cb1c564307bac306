"use strict";
// JSON that keeps every number as it was written: 9223372036854775807 is a BigInt in here, 1.0 and 1e400 are Numerals.

const { randomUUID } = require("node:crypto");

const MARK = `exact ${randomUUID()} `; // nobody else can write it
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, "g");

class Numeral { // what a double would write otherwise, or cannot hold
  constructor(text) { this.text = text; }
  toJSON() { return MARK + this.text; }
}

BigInt.prototype.toJSON = function () { return MARK + this; };

function inexact(token) {
  if (token[0] === '"' || token === "-0") return false;
  return String(+token) !== token || (/^-?\d+$/.test(token) && !Number.isSafeInteger(+token)); // 2^53 is one with its neighbour
}

function revive(_, value) {
  if (typeof value !== "string" || !value.startsWith(MARK)) return value;
  const text = value.slice(MARK.length);
  return /^-?\d+$/.test(text) ? BigInt(text) : new Numeral(text);
}

function parse(text) {
  if (!/\d{16}|\d[.eE]|-0/.test(text)) return JSON.parse(text);
  return JSON.parse(text.replace(TOKEN, (token) => (inexact(token) ? `"${MARK}${token}"` : token)), revive);
}

const write = (value) => JSON.stringify(value).replace(MARKED, "$1");

// The same text for equal values, whatever the order of their keys.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (value === null || typeof value !== "object" || value instanceof Numeral) return write(value);
  return `{${Object.keys(value).sort().map((key) => `${write(key)}:${canonical(value[key])}`)}}`;
}

const MAX = 2n ** 63n - 1n;
const tidy = (number) => (Number.isSafeInteger(Number(number)) ? Number(number) : number);

// Sums of integers, exact; a deadline past the largest integer is the largest integer.
const sum = (a, b) => tidy(BigInt(a) + BigInt(b));
const later = (now, ms) => (sum(now, ms) > MAX ? MAX : sum(now, ms));

module.exports = { MAX, parse, write, canonical, sum, later };
