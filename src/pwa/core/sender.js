// Sends what fingers do: at most 44 times a second while they move, always the last value, never anything late. Pure but
// for the clock and the way out, which are handed in.

/** @import { Rgb } from "./types.js" */

/** The time between two sends of one control: below 44 a second, DMX's own pace, including the last value of a drag. */
export const GAP_MS = 23;

/** A command that could not be sent for this long is never sent. */
export const LATE_MS = 1000;

/** How long a refused last value waits for room before it is tried again. */
const AGAIN_MS = 120;

/** Most last values whose answers are awaited. */
const AWAITED = 32;

const NO_ROOM = ["RATE_LIMITED", "QUEUE_FULL"];

/** @typedef {"lamp" | "master" | `u${number}` | `f${string}`} Group Universes have one pace each: the server's limit is by universe. Of fixtures
 *   it is the JSON of who is meant; all of them together have one pace. */
/** @typedef {Record<string, number>} Fields Of the lamp r, g, b; of the master level; of a universe levels by channel; of fixtures 0..65535 by
 *   kind, and `color`, 0xrrggbb. */
/** @typedef {{ type: "blackout", on: boolean } | { type: "scene.recall", id: string, src: string, name: string }
 *   | { type: "dmx.patch", id: string, src: string, universe: number, patch: { ch: number, val: number }[] }
 *   | { type: "fixture.set", id: string, src: string, targets: string[], values: Record<string, number | string> }} Once Without a drag. */
/** @typedef {{ fields: Fields, movedAt: number, last: boolean }} Waiting */

/**
 * @typedef {object} Ways
 * @property {(message: object) => boolean} put Sends; false without a link.
 * @property {() => number} now Milliseconds, never back.
 * @property {(run: () => void, ms: number) => unknown} later
 * @property {() => string} source
 * @property {() => string} newId
 * @property {(group: Group, fields: Fields) => void} sent
 * @property {(group: Group, fields: Fields) => void} taken The server accepted a last value.
 * @property {(group: Group, fields: Fields, reason: string) => void} lost It was never sent, or was refused.
 * @property {(reason: string) => void} refused The same for a command without a drag.
 */

export class Sender {
  #ways;
  /** @type {Map<Group, Waiting>} */
  #waiting = new Map();
  /** When each field was moved last. @type {Map<string, number>} */
  #movedAt = new Map();
  /** By lane. @type {Map<string, number>} */
  #sentAt = new Map();
  /** @type {Map<Group, number>} When to look at a group again. */
  #due = new Map();
  /** @type {Map<string, { group: Group, fields: Fields, movedAt: number } | null>} By id; null: a command without a drag. */
  #awaited = new Map();
  /** @type {number | null} The first send after which nothing was heard. */
  #unanswered = null;

  /** @param {Ways} ways */
  constructor(ways) {
    this.#ways = ways;
  }

  /**
   * A finger has moved, or (`last`) was lifted.
   * @param {Group} group
   * @param {Fields} fields
   * @param {boolean} last
   */
  move(group, fields, last) {
    const before = this.#waiting.get(group);
    const waiting = {
      fields: { ...before?.fields, ...fields },
      movedAt: this.#ways.now(),
      last: last || (before?.last ?? false),
    };
    this.#waiting.set(group, waiting);
    for (const name of Object.keys(fields)) this.#movedAt.set(`${group}/${name}`, waiting.movedAt);
    this.#pump(group);
  }

  /**
   * A command without a drag: now or not at all.
   * @param {Once} message
   */
  once(message) {
    const gone = !this.#stalled() && this.#ways.put(message);
    if (gone) this.#unanswered ??= this.#ways.now();
    if (gone && "id" in message) this.#await(message.id, null);
    return gone;
  }

  /** People were told that there is no link: whatever still waits for one is not sent any more. */
  giveUp() {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [group, { fields, last }] of waiting) if (last) this.#ways.lost(group, fields, "LATE");
  }

  /** Something arrived, or a link has come up: sends what is fresh. */
  heard() {
    this.#unanswered = null;
    for (const group of [...this.#waiting.keys()]) this.#pump(group);
  }

  /**
   * The server's answer to a command.
   * @param {string} id
   * @param {string | null} refusal
   */
  answered(id, refusal) {
    const awaited = this.#awaited.get(id);
    this.#awaited.delete(id);
    if (awaited === undefined) return;
    if (awaited === null) return void (refusal !== null && this.#ways.refused(refusal));
    const { group, fields, movedAt } = awaited;
    if (refusal === null) return this.#ways.taken(group, fields);
    if (NO_ROOM.includes(refusal) && this.#ways.now() + AGAIN_MS - movedAt < LATE_MS) {
      this.#ways.later(() => {
        // Values moved since are newer, and are sent or wait.
        const old = Object.entries(fields).filter(([name]) => (this.#movedAt.get(`${group}/${name}`) ?? 0) <= movedAt);
        if (old.length === 0) return;
        const waiting = this.#waiting.get(group);
        this.#waiting.set(group, { fields: { ...Object.fromEntries(old), ...waiting?.fields }, movedAt: waiting?.movedAt ?? movedAt, last: true });
        this.#pump(group);
      }, AGAIN_MS);
    } else {
      this.#ways.lost(group, fields, refusal);
    }
  }

  /** Sent for a second without any answer: more would only pile up and arrive late. */
  #stalled() {
    return this.#unanswered !== null && this.#ways.now() - this.#unanswered > LATE_MS;
  }

  /** @param {Group} group */
  #pump(group) {
    const waiting = this.#waiting.get(group);
    if (!waiting) return;
    const now = this.#ways.now();
    if (now - waiting.movedAt > LATE_MS) {
      this.#waiting.delete(group);
      this.#ways.lost(group, waiting.fields, "LATE");
      return;
    }
    const pause = (this.#sentAt.get(lane(group)) ?? -Infinity) + GAP_MS - now;
    if (pause > 0) return this.#wait(group, pause);
    const id = this.#ways.newId();
    if (this.#stalled() || !this.#ways.put(this.#message(group, waiting.fields, id))) {
      return this.#wait(group, waiting.movedAt + LATE_MS + 1 - now); // until there is a link, or it is too late
    }
    this.#waiting.delete(group);
    this.#sentAt.set(lane(group), now);
    this.#unanswered ??= now;
    if (waiting.last) this.#await(id, { group, fields: waiting.fields, movedAt: waiting.movedAt });
    this.#ways.sent(group, waiting.fields);
  }

  /**
   * @param {Group} group
   * @param {number} ms
   */
  #wait(group, ms) {
    const due = this.#ways.now() + Math.max(1, ms);
    if ((this.#due.get(group) ?? Infinity) <= due) return;
    this.#due.set(group, due);
    this.#ways.later(() => {
      if (this.#due.get(group) !== due) return; // an earlier look has replaced it
      this.#due.delete(group);
      this.#pump(group);
    }, due - this.#ways.now());
  }

  /**
   * @param {string} id
   * @param {{ group: Group, fields: Fields, movedAt: number } | null} what
   */
  #await(id, what) {
    this.#awaited.set(id, what);
    const [oldest] = this.#awaited.keys();
    if (this.#awaited.size > AWAITED && oldest) this.#awaited.delete(oldest);
  }

  /**
   * @param {Group} group
   * @param {Fields} fields
   * @param {string} id
   */
  #message(group, fields, id) {
    const src = this.#ways.source();
    if (group === "lamp") return { type: "set", cmdId: id, src, .../** @type {Rgb} */ (/** @type {unknown} */ (fields)) };
    if (group === "master") return { type: "master", level: fields.level };
    if (isFixtures(group)) return { type: "fixture.set", id, src, targets: JSON.parse(group.slice(1)), values: values(fields) };
    const patch = Object.entries(fields).map(([ch, val]) => ({ ch: Number(ch), val }));
    return { type: "dmx.patch", id, src, universe: Number(group.slice(1)), patch };
  }
}

/** What a kind's whole way is, in fields. */
export const WIDE = 65_535;

/** @param {Group} group */
export const isFixtures = (group) => group.startsWith("f");

/** What shares a pace. @param {Group} group */
const lane = (group) => (isFixtures(group) ? "f" : group);

/**
 * The values of a `fixture.set`.
 * @param {Fields} fields
 * @returns {Record<string, number | string>}
 */
export function values(fields) {
  return Object.fromEntries(Object.entries(fields).map(([kind, value]) =>
    [kind, kind === "color" ? `#${value.toString(16).padStart(6, "0")}` : value / WIDE]));
}
