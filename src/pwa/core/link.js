// The link to the appliance, and the truth about it. It reconnects for ever by itself, and never takes a silent socket for
// a live one. Clock, timers and sockets are handed in, so that tests control them.

/** @import { Message } from "./types.js" */

/** A shorter break is not mentioned. */
export const QUIET_MS = 1500;

const PING_EVERY_MS = 2000;
const DEAD_MS = 4000; // unanswered: nobody has reported it, but nobody is there
const GREETED_MS = 6000; // how long a connection may take until the appliance speaks
const WOKEN_MS = 1000; // how long a socket may take to answer after a sleep
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;
const KEY_REFUSED = 4401;

/**
 * @typedef {{ kind: "connecting" } | { kind: "live", ms: number | null } | { kind: "key" } | { kind: "lost", ageMs: number | null }} Standing
 *   "live" only on the appliance's own word: a socket that broke, was given up or has just woken is "connecting" until it speaks,
 *   or for as long as a short break may last. `ageMs`: how old the values are; null if there never were any.
 */

/**
 * @typedef {object} Surroundings
 * @property {(url: string) => WebSocket} open
 * @property {() => string} url With the key.
 * @property {() => number} now Milliseconds, never back.
 * @property {() => number} [stamp] The page's time, Unix milliseconds, which never goes back: what is sent says when. Absent: it does not.
 * @property {() => number} wall Milliseconds of the calendar: some clocks that never go back stand still while a tablet sleeps.
 * @property {(run: () => void, ms: number) => number} later
 * @property {(timer: number) => void} never
 * @property {() => number} [chance] 0..1
 * @property {() => void} opened A snapshot follows.
 * @property {(message: Message) => void} hear
 * @property {() => void} changed `standing` may have changed.
 */

export class Link {
  #around;
  /** @type {WebSocket | null} */
  #socket = null;
  #retries = 0;
  #retryTimer = 0;
  /** @type {number | null} */
  #heardAt = null;
  #heardWall = 0;
  /** @type {number | null} The first message that went out after the last one came in. */
  #askedAt = null;
  #quietTimer = 0;
  #triedAt;
  /** @type {number | null} Since when nothing came; null while it is live. */
  #lostAt;
  /** @type {number | null} When a socket that slept must have spoken. */
  #deadline = null;
  #pingedAt = 0;
  #pingOut = false;
  /** @type {number | null} */
  #roundTrip = null;
  #refused = false;

  /** @param {Surroundings} around */
  constructor(around) {
    this.#around = around;
    this.#triedAt = this.#lostAt = around.now();
  }

  /** Tries now, in spite of any pause. */
  connect() {
    this.#around.never(this.#retryTimer);
    if (this.#socket) return;
    const socket = (this.#socket = this.#around.open(this.#around.url()));
    this.#triedAt = this.#around.now();
    this.#deadline = null;
    socket.onopen = () => socket === this.#socket && this.#around.opened();
    socket.onmessage = (event) => socket === this.#socket && this.#hear(event.data);
    socket.onclose = (event) => socket === this.#socket && this.#lose(event.code);
  }

  /** The key has changed. */
  retry() {
    this.#refused = false;
    this.#retries = 0;
    this.#abandon();
    this.connect();
    this.#around.changed();
  }

  /**
   * The page is visible again: a tablet that slept may have a dead socket without knowing. And an appliance that refused the key
   * may want another one by now, or none.
   */
  wake() {
    this.#retries = 0;
    const fresh = this.#socket !== null && this.#around.now() - this.#triedAt < WOKEN_MS;
    if (this.#lostAt !== null) {
      if (!fresh) this.#abandon();
      this.connect();
    } else {
      this.#deadline = this.#around.now() + WOKEN_MS;
      this.#around.later(() => this.tick(), WOKEN_MS + 50);
      this.#ping();
    }
    this.#around.changed();
  }

  /** Call it about once a second. */
  tick() {
    const now = this.#around.now();
    const late = this.#deadline !== null && now > this.#deadline;
    // A hidden page ticks rarely: silence is no fault as long as nothing was asked.
    const dead = this.#lostAt !== null ? now - this.#triedAt > GREETED_MS : this.#askedAt !== null && now - this.#askedAt > DEAD_MS;
    if (this.#socket && (late || dead)) {
      this.#retries = late ? 0 : this.#retries;
      this.#lose(0);
    } else if (this.#lostAt === null && now - this.#pingedAt >= PING_EVERY_MS - 100) {
      this.#ping();
    }
    this.#around.changed();
  }

  /**
   * Sends at once, or not at all.
   * @param {object} message
   */
  put(message) {
    if (this.#lostAt !== null || this.#socket?.readyState !== 1) return false;
    const ts = this.#around.stamp?.();
    this.#socket.send(JSON.stringify(ts === undefined ? message : { ...message, ts }));
    if (this.#askedAt === null) {
      this.#askedAt = this.#around.now();
      this.#around.never(this.#quietTimer);
      this.#quietTimer = this.#around.later(() => this.#around.changed(), QUIET_MS + 20);
    }
    return true;
  }

  /** @returns {Standing} */
  standing() {
    const now = this.#around.now();
    if (this.#refused) return { kind: "key" };
    const since = this.#lostAt ?? this.#askedAt; // everything that is sent gets some answer
    if (since !== null && now - since > QUIET_MS) return { kind: "lost", ageMs: this.#age(now) };
    return this.#lostAt === null && this.#deadline === null ? { kind: "live", ms: this.#roundTrip } : { kind: "connecting" };
  }

  /** @param {number} now */
  #age(now) {
    return this.#heardAt === null ? null : Math.max(now - this.#heardAt, this.#around.wall() - this.#heardWall);
  }

  #ping() {
    if (this.#pingOut) return; // a second one would be taken for the first
    this.#pingedAt = this.#around.now();
    this.#pingOut = this.put({ type: "ping" }); // its time shows the appliance our clock
  }

  /** @param {string} text */
  #hear(text) {
    /** @type {Message} */
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // something between us and the appliance is talking
    }
    if (message.type === "err" && message.code === 401) return; // the close that follows says it too
    if (this.standing().kind === "lost") this.#around.changed(); // waiting requests are given up before the link is back
    this.#heardAt = this.#around.now();
    this.#heardWall = this.#around.wall();
    this.#deadline = this.#askedAt = null;
    this.#refused = false;
    if (message.type === "pong" && this.#pingOut) {
      this.#roundTrip = this.#heardAt - this.#pingedAt;
      this.#pingOut = false;
    }
    const back = this.#lostAt !== null;
    this.#lostAt = null;
    this.#retries = 0;
    this.#around.hear(message);
    if (back) {
      this.#ping();
      this.#around.changed();
    }
  }

  /** @param {number} code */
  #lose(code) {
    this.#abandon();
    this.#roundTrip = null;
    this.#refused = code === KEY_REFUSED;
    if (!this.#refused) {
      const pause = Math.min(FIRST_RETRY_MS * 2 ** this.#retries++, LONGEST_RETRY_MS);
      const chance = (this.#around.chance ?? Math.random)();
      this.#retryTimer = this.#around.later(() => this.connect(), pause * (0.75 + chance / 4));
    }
    this.#around.changed();
  }

  #abandon() {
    const socket = this.#socket;
    this.#lostAt ??= this.#askedAt ?? this.#around.now(); // the silence began with the question
    this.#socket = this.#askedAt = this.#deadline = null;
    this.#pingOut = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
