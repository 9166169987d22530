// Values under a finger. While it is down, the finger's value stands, and what others do is a ghost. After the release it
// stands until the server confirms it, or for SETTLE_MS; then the server's value counts again. Pure.

/** @typedef {"hold" | "drag" | "end" | "drop"} Phase A finger comes, moves, goes; or goes without having moved anything. */

/** How long a released value waits for its echo: a lost packet on a bad radio takes about that. */
export const SETTLE_MS = 2000;

/** Sent values that are remembered: more than a second and a half of a drag. */
const UNDERWAY = 64;

/**
 * @typedef {object} Held
 * @property {number} value
 * @property {number} truth The server's value when it was last looked at.
 * @property {number[]} underway Sent and not echoed yet, oldest first.
 * @property {number | null} ghost Another person's value.
 * @property {number | null} releasedAt
 * @property {boolean} taken The server has accepted the last one; its echo may have been skipped.
 */

export class Touch {
  /** @type {Map<string, Held>} */
  #held = new Map();
  #alike;

  /**
   * @param {(key: string, a: number, b: number) => boolean} [alike] Whether one value may be the echo of the other: a fixture rounds a
   *   colour to what its emitters have.
   */
  constructor(alike = (_, a, b) => a === b) {
    this.#alike = alike;
  }

  /**
   * A finger is on it.
   * @param {string} key
   * @param {number} value
   * @param {number} truth
   */
  hold(key, value, truth) {
    const held = this.#held.get(key);
    if (held) Object.assign(held, { value, releasedAt: null });
    else this.#held.set(key, { value, truth, underway: [], ghost: null, releasedAt: null, taken: false });
  }

  /**
   * A value was sent.
   * @param {string} key
   * @param {number} value
   */
  sent(key, value) {
    const held = this.#held.get(key);
    if (!held || value === (held.underway.at(-1) ?? held.truth)) return; // an unchanged value has no echo
    held.underway.push(value);
    held.taken = false;
    if (held.underway.length > UNDERWAY) held.underway.shift();
  }

  /**
   * The finger was lifted. Call it after the last value was sent.
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
   * The finger was lifted and has moved nothing: earlier values on their way are still awaited.
   * @param {string} key
   * @param {number} now
   */
  letGo(key, now) {
    const held = this.#held.get(key);
    if (!held) return;
    held.releasedAt = now;
    if (held.underway.length === 0) this.#held.delete(key);
  }

  /** The server accepted the last value sent. @param {string} key */
  taken(key) {
    const held = this.#held.get(key);
    if (held) held.taken = true;
  }

  /**
   * The server has spoken. A value of ours that comes back is an echo, any other is another person's.
   * @param {(key: string) => number} truthOf
   * @param {(key: string) => boolean} [told] Whether it mentioned this one. Of several values in a row it may give the last one
   *   only: on and off again becomes off.
   */
  heard(truthOf, told = () => false) {
    for (const [key, held] of this.#held) {
      const truth = truthOf(key);
      if (truth === held.truth && !(told(key) && truth === held.underway.at(-1))) continue;
      held.truth = truth;
      const exact = held.underway.indexOf(truth);
      const place = exact < 0 ? held.underway.findLastIndex((sent) => this.#alike(key, sent, truth)) : exact;
      held.ghost = place < 0 ? truth : null;
      if (place >= 0) held.underway.splice(0, place + 1);
      if (held.releasedAt !== null && held.underway.length === 0) this.#held.delete(key);
    }
  }

  /**
   * The value was refused or never sent: the server's counts.
   * @param {string} key
   */
  drop(key) {
    this.#held.delete(key);
  }

  /**
   * Releases values that have waited too long for their echo. Without a link there is no waiting: `Infinity`.
   * @param {number} now
   * @returns {boolean} Whether a value was sent and its outcome is unknown.
   */
  sweep(now) {
    let unsure = false;
    for (const [key, held] of this.#held) {
      if (held.releasedAt === null || now - held.releasedAt <= SETTLE_MS) continue;
      this.#held.delete(key);
      unsure ||= held.underway.length > 0 && !held.taken;
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
    return held && held.ghost !== null && !this.#alike(key, held.ghost, held.value) ? held.ghost : null;
  }

  /** Whether any value is held or waits for its echo. */
  get busy() {
    return this.#held.size > 0;
  }
}
