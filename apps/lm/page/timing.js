const tokens = (count) => (count === 1 ? "1 token" : `${count} tokens`);

/** The number of an answer's tokens, and when the first and the latest came, in words. */
export class Timing {
  constructor() { this.begun = performance.now(); this.first = null; this.count = 0; }

  add({ usage }) {
    if (!(usage?.completion_tokens > this.count)) return;
    this.count = usage.completion_tokens;
    this.latest = { count: this.count, seconds: (performance.now() - this.begun) / 1000 };
    this.first ??= this.latest;
  }

  toString() {
    if (this.first === null) return tokens(0);
    const seconds = this.latest.seconds - this.first.seconds;
    const rate = seconds > 0 ? `, ${((this.count - this.first.count) / seconds).toFixed(1)} tokens/s` : "";
    return `${tokens(this.count)}${rate}, the first after ${this.first.seconds.toFixed(2)} s`;
  }
}
