"use strict";
// A held lease: renewed for as long as somebody works under it, and given back.

const { leaseLost } = require("./errors");

class Lane {
  constructor(live, lease) {
    this.live = live;
    this.store = live.store;
    this.lease = lease;
    this.lost = false;
    this.ended = false;
    const { session_id, owner, lease_token, fencing_token } = lease;
    this.fence = { session_id, owner, lease_token, fencing_token };
    this.lossed = new Set(); // told when the lease is lost
    this.#arm();
  }

  // The lane, or undefined while another holds it.
  static async claim(live) {
    const { ttl } = live.core.lease;
    const answer = await live.store("try_claim_session_execution_lease", { session_id: live.id, owner: live.owner, lease_ttl_ms: ttl });
    return answer.Acquired && new Lane(live, answer.Acquired);
  }

  claiming() { return { session_id: this.lease.session_id, session_execution_lease: this.fence, owner: this.lease.owner }; }

  #arm() {
    const { clock, lease } = this.live.core;
    this.callOff = clock.at(clock.now + lease.renew, () => this.#renew().catch(() => this.#lose()));
  }

  async #renew() {
    if (this.ended) return;
    await this.store("renew_session_execution_lease", { fence: this.fence, lease_ttl_ms: this.live.core.lease.ttl });
    if (!this.ended) this.#arm();
  }

  #lose() {
    this.lost = true;
    for (const tell of this.lossed) tell();
  }

  require() { if (this.lost) throw leaseLost(this.lease.session_id); }

  // A commit gave the lease back, or somebody else has it.
  settled() {
    this.ended = true;
    this.callOff();
  }

  async release() {
    if (this.ended) return;
    this.settled();
    if (!this.lost) await this.store("release_session_execution_lease", { completion: this.fence }).catch(() => undefined);
  }
}

module.exports = { Lane };
