"use strict";
// The execution lease of a session. Row "lease": the last number granted and, while it is held, the grant.

const { readFileSync } = require("node:fs");
const { randomUUID } = require("node:crypto");
const { admit, refuse } = require("./records");
const { later, sum } = require("./json");

const LIVENESS = { $ref: "#/components/schemas/LeaseOwnerLiveness" };

function lane(tx, session) {
  const row = tx.read("lease", session) ?? { number: 0 };
  if (row.lease) {
    // A liveness that cannot be decoded is no proof of death.
    try { admit(LIVENESS, row.lease.owner.liveness, "lease"); } catch { row.lease.owner.liveness = { kind: "opaque" }; }
  }
  return row;
}

function live(tx, now, session) {
  const { lease } = lane(tx, session);
  return lease && lease.expires_at_epoch_ms > now ? lease : undefined;
}

const sameOwner = (a, b) => a.owner_id === b.owner_id && a.incarnation_id === b.incarnation_id;

const matches = (lease, fence) =>
  lease !== undefined && lease.session_id === fence.session_id && lease.lease_token === fence.lease_token &&
  lease.fencing_token === fence.fencing_token && sameOwner(lease.owner, fence.owner);

const expired = (session) => refuse("SessionExecutionLeaseExpired", { session_id: session });

// The live lease that the fence proves, or a refusal.
function authorised(tx, now, session, fence) {
  const lease = live(tx, now, session);
  return fence && matches(lease, fence) ? lease : expired(session);
}

function grant(tx, now, session, owner, ttl) {
  const number = sum(lane(tx, session).number, 1);
  const lease = {
    session_id: session, owner, lease_token: randomUUID(), fencing_token: number,
    claimed_at_epoch_ms: now, expires_at_epoch_ms: later(now, ttl),
  };
  tx.write("lease", session, { number, lease });
  return { Acquired: lease };
}

function prolong(tx, now, lease, ttl) {
  const renewed = { ...lease, expires_at_epoch_ms: later(now, ttl) };
  tx.write("lease", lease.session_id, { number: lease.fencing_token, lease: renewed });
  return renewed;
}

function claim(tx, { now }, { session_id: session, owner, lease_ttl_ms: ttl }) {
  const holder = live(tx, now, session);
  if (!holder) return grant(tx, now, session, owner, ttl);
  return sameOwner(holder.owner, owner) ? { Acquired: prolong(tx, now, holder, ttl) } : { Busy: { holder } };
}

function reclaim(tx, { now }, { session_id: session, owner, observed_holder: observed, lease_ttl_ms: ttl }) {
  const holder = live(tx, now, session);
  const free = !holder || (matches(holder, observed) && dead(holder.owner.liveness, owner.liveness));
  return free ? grant(tx, now, session, owner, ttl) : { Busy: { holder } };
}

// Dead only by proof: a process of the claimant's own host and boot whose pid is free or another's by now.
function dead(holder, claimant) {
  if (holder.kind !== "local_process" || claimant.kind !== "local_process") return false;
  if (holder.host_id !== claimant.host_id || holder.boot_id !== claimant.boot_id) return false;
  try {
    const stat = readFileSync(`/proc/${holder.pid}/stat`, "utf8");
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]; // field 22; the name before may hold spaces
    return start !== holder.process_start;
  } catch (err) { return err.code === "ENOENT" || err.code === "ESRCH"; }
}

function renew(tx, { now }, { fence, lease_ttl_ms: ttl }) {
  return prolong(tx, now, authorised(tx, now, fence.session_id, fence), ttl);
}

function release(tx, { now }, { completion }) {
  const lease = live(tx, now, completion.session_id);
  if (matches(lease, completion)) tx.write("lease", completion.session_id, { number: lease.fencing_token });
  return null;
}

module.exports = {
  live, authorised, expired, release,
  methods: {
    try_claim_session_execution_lease: claim, reclaim_session_execution_lease: reclaim,
    renew_session_execution_lease: renew, release_session_execution_lease: release,
  },
};
