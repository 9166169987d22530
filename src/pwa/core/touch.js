// Values under a finger. While it is down, the finger's value stands, and what others do is a ghost. After the release it
// stands until the server confirms it, or for SETTLE_MS; then the server's value counts again. Pure.

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
 * @property {boolean} taken The server has said that it took the last one; its echo may have been passed over.
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
    else this.#held.set(key, { value, truth, underway: [], ghost: null, releasedAt: null, taken: false });
  }

  /**
   * A value went out.
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
   * The finger is gone and has moved nothing: what is on its way from before is still waited for.
   * @param {string} key
   * @param {number} now
   */
  letGo(key, now) {
    const held = this.#held.get(key);
    if (!held) return;
    held.releasedAt = now;
    if (held.underway.length === 0) this.#held.delete(key);
  }

  /** The server took the last value that went out. @param {string} key */
  taken(key) {
    const held = this.#held.get(key);
    if (held) held.taken = true;
  }

  /**
   * The server has spoken. A value of ours that comes back is an echo, any other one is somebody else's.
   * @param {(key: string) => number} truthOf
   * @param {(key: string) => boolean} [told] Whether it spoke of this one. Of several words in a row it may say the last one
   *   only: on and off again is told as off.
   */
  heard(truthOf, told = () => false) {
    for (const [key, held] of this.#held) {
      const truth = truthOf(key);
      if (truth === held.truth && !(told(key) && truth === held.underway.at(-1))) continue;
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
    return held && held.ghost !== held.value ? held.ghost : null;
  }

  /** Whether somebody waits for an echo or holds something. */
  get busy() {
    return this.#held.size > 0;
  }
}
