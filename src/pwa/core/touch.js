// Values under a finger. While it is down the finger's value stands; what others do meanwhile is a ghost; after the
// release it holds until the server has said the same, or for SETTLE_MS, and then the server's word counts again. Pure.

/** @typedef {"hold" | "drag" | "end" | "drop"} Phase A finger comes, moves, goes; or goes without having moved anything. */

/** How long a released value may wait for its echo: a lost packet on a bad radio takes about that. */
export const SETTLE_MS = 2000;

/** Values on their way that are remembered: more than a second and a half of a drag. */
const UNDERWAY = 64;

/**
 * @typedef {object} Held
 * @property {number} value
 * @property {number} truth The server's value when it was last looked at.
 * @property {number[]} underway Sent and not echoed yet, oldest first.
 * @property {number | null} ghost What somebody else made of it.
 * @property {number | null} releasedAt
 */

export class Touch {
  /** @type {Map<string, Held>} */
  #held = new Map();

  /**
   * A finger is on it.
   * @param {string} key
   * @param {number} value
   * @param {number} truth
   */
  hold(key, value, truth) {
    const held = this.#held.get(key);
    if (held) Object.assign(held, { value, releasedAt: null });
    else this.#held.set(key, { value, truth, underway: [], ghost: null, releasedAt: null });
  }

  /**
   * A value went out.
   * @param {string} key
   * @param {number} value
   */
  sent(key, value) {
    const held = this.#held.get(key);
    if (!held || value === (held.underway.at(-1) ?? held.truth)) return; // the same again has no echo
    held.underway.push(value);
    if (held.underway.length > UNDERWAY) held.underway.shift();
  }

  /**
   * The finger is gone. Call it after the last value was sent.
   * @param {string} key
   * @param {number} now
   */
  release(key, now) {
    const held = this.#held.get(key);
    if (!held) return;
    held.releasedAt = now;
    if (held.underway.length === 0 && held.value === held.truth) this.#held.delete(key);
  }

  /**
   * The server has spoken. A value of ours that comes back is an echo, any other one is somebody else's.
   * @param {(key: string) => number} truthOf
   */
  heard(truthOf) {
    for (const [key, held] of this.#held) {
      const truth = truthOf(key);
      if (truth === held.truth) continue;
      held.truth = truth;
      const place = held.underway.indexOf(truth);
      held.ghost = place < 0 ? truth : null;
      if (place >= 0) held.underway.splice(0, place + 1);
      if (held.releasedAt !== null && held.underway.length === 0) this.#held.delete(key);
    }
  }

  /**
   * The value was refused or never left: the server's counts.
   * @param {string} key
   */
  drop(key) {
    this.#held.delete(key);
  }

  /**
   * Lets go of what waits too long for its echo. Without a link nothing is waited for: `Infinity`.
   * @param {number} now
   * @returns {boolean} Whether something had gone out and nobody knows what became of it.
   */
  sweep(now) {
    let unsure = false;
    for (const [key, held] of this.#held) {
      if (held.releasedAt === null || now - held.releasedAt <= SETTLE_MS) continue;
      this.#held.delete(key);
      unsure ||= held.underway.length > 0;
    }
    return unsure;
  }

  /**
   * @param {string} key
   * @param {number} truth
   */
  value(key, truth) {
    return this.#held.get(key)?.value ?? truth;
  }

  /** @param {string} key */
  ghost(key) {
    const held = this.#held.get(key);
    return held && held.ghost !== held.value ? held.ghost : null;
  }

  /** Whether somebody waits for an echo or holds something. */
  get busy() {
    return this.#held.size > 0;
  }
}
