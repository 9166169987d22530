// A bad radio between page and appliance: each piece is late, some much later, as when TCP repeats a lost one.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** What TCP does with a lost piece: it, and everything after it, comes after the retransmission timer. */
const REPEATED_AFTER_MS = 500;

export class Weather {
  #server;
  #sockets = new Set();
  /** What pages have sent and what is held back, by connection. @type {Set<{ held: (() => void)[] | null }>} */
  #ways = new Set();
  #seed = 7;
  #roundTripMs = 0;
  #loss = 0;

  /** Fine at first. @param {number} to port of the appliance */
  constructor(to) {
    this.#server = createServer((near) => {
      const far = connect(to, "127.0.0.1");
      const way = { held: null };
      this.#ways.add(way);
      for (const [from, into] of [[near, far], [far, near]]) {
        this.#sockets.add(from);
        let clearAt = 0; // what is sent later never arrives earlier,
        const line = []; // whichever timer runs first
        const later = (run) => {
          if (from === near && way.held) return way.held.push(run);
          const delay = this.#roundTripMs / 2 + (this.#random() < this.#loss ? REPEATED_AFTER_MS : 0);
          clearAt = Math.max(clearAt, performance.now() + delay);
          line.push(run);
          setTimeout(() => line.shift()(), clearAt - performance.now());
        };
        from.on("data", (piece) => later(() => into.writable && into.write(piece)));
        from.on("end", () => later(() => into.end()));
        from.on("error", () => into.destroy());
        from.on("close", () => this.#sockets.delete(from));
      }
    });
  }

  /** From now on. @param {{ roundTripMs: number, loss: number }} how */
  turn({ roundTripMs, loss }) {
    this.#roundTripMs = roundTripMs;
    this.#loss = loss;
  }

  /** What connected pages send from now on is held back until it is released, as behind a radio that was away. */
  hold() {
    for (const way of this.#ways) way.held = [];
  }

  letGo() {
    for (const way of this.#ways) {
      const held = way.held ?? [];
      way.held = null;
      held.forEach((run) => run());
    }
  }

  async begin() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this.#server.address().port;
  }

  end() {
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
  }

  /** The same weather each time (Park and Miller). */
  #random() {
    this.#seed = (this.#seed * 48271) % 2147483647;
    return this.#seed / 2147483647;
  }
}
