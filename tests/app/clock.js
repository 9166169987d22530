// A clock for tests: time passes when they say so, and timers fire in order.
export class Clock {
  #now = 0;
  /** @type {{ at: number, run: () => void, id: number }[]} */
  #timers = [];
  #ids = 0;

  now = () => this.#now;

  later = (run, ms) => {
    this.#timers.push({ at: this.#now + ms, run, id: ++this.#ids });
    return this.#ids;
  };

  never = (id) => {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  };

  run(ms) {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0];
      if (!next) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }
}
