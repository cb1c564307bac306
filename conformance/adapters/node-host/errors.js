"use strict";
// How the host refuses: a name of the law and its facts.

const { Refusal } = require("../node/records");

class Refused extends Error {
  constructor(error, fields = {}, message = undefined) {
    super(message ?? `${error} ${JSON.stringify(fields)}`);
    this.error = error;
    this.fields = fields;
  }
}

// A turn or a queue operation that failed and committed nothing.
class RuntimeFailure extends Refused {
  constructor(code, message) {
    super("Runtime", { runtime_code: code, message }, `${code}: ${message}`);
    this.runtimeCode = code;
  }
}

class PluginError extends Error {}

const sessionError = (message) => new Refused("Session", { message }, message);
const busy = (session) => new RuntimeFailure("session_execution_busy", `another worker holds the lane of ${session}`);
const leaseLost = (session) => new RuntimeFailure("session_execution_lease_lost", `the lane of ${session} went to another worker`);

// What a store says, as a turn says it.
function storeFailure(err, session) {
  if (!(err instanceof Refusal)) return err;
  if (err.error === "SessionExecutionLeaseExpired") return leaseLost(session);
  return new RuntimeFailure("store_commit_failed", err.message);
}

const unsupported = (capability) => new Refused("Unsupported", { capability }, `this host has no ${capability}`);

module.exports = { Refusal, Refused, RuntimeFailure, PluginError, sessionError, busy, leaseLost, storeFailure, unsupported };
