"use strict";
// The judge's time: what is due is due when the judge says so, and never by the machine's clock.

class Clock {
  constructor(now) {
    this.now = now;
    this.due = new Set();
  }

  advance(now) {
    this.now = now;
    for (const timer of [...this.due]) {
      if (timer.at > now || !this.due.delete(timer)) continue;
      timer.act();
    }
  }

  // Run `act` once the time has come; answers how to call it off.
  at(when, act) {
    const timer = { at: when, act };
    this.due.add(timer);
    return () => this.due.delete(timer);
  }

  timestamp() { return new Date(Number(this.now)).toISOString(); }
}

module.exports = { Clock };
