// The server's messages, folded into a model. Pure: never asks, never guesses, never touches the page.

/** @import { Desk, Device, Message, Rgb, UpdateMessage } from "./types.js" */

export const CHANNELS = 512;

/**
 * @typedef {object} Model
 * @property {Rgb | null} light The lamp's light, after master and blackout.
 * @property {number} seq
 * @property {ReadonlyMap<number, Uint8Array>} universes Levels before master and blackout, by universe.
 * @property {Desk | null} desk
 * @property {readonly Device[] | null} devices
 * @property {ReadonlySet<number> | null} greeting Universes named so far in a connection's first messages; null after them.
 * @property {number} ahead How far the server's clock is ahead of ours, ms.
 * @property {string | null} sceneFade The fade that leads to the scene in effect.
 * @property {number} generation Rises when a whole project may have been replaced: what was fetched by REST is then out of date.
 */

/** @returns {Model} */
export function empty() {
  return {
    light: null, seq: 0, universes: new Map(), desk: null, devices: null,
    greeting: null, ahead: 0, sceneFade: null, generation: 0,
  };
}

/**
 * A connection opens: a full snapshot follows, up to and with `desk`. Values are kept until it is complete.
 * @param {Model} model
 * @returns {Model}
 */
export function opened(model) {
  return { ...model, greeting: new Set() };
}

/**
 * @param {Model} model
 * @param {Message} message
 * @param {number} now Our clock, Unix milliseconds.
 * @returns {Model}
 */
export function fold(model, message, now) {
  switch (message.type) {
    case "state": {
      const { r, g, b, seq, ts } = message;
      return { ...model, light: { r, g, b }, seq, ahead: model.greeting ? model.ahead : ts - now };
    }
    case "state.update":
      return foldUpdate(model, message, now);
    case "desk":
      return foldDesk(model, message);
    case "devices":
      return { ...model, devices: message.devices };
    case "pong":
      return { ...model, ahead: message.ts - now };
    default:
      return model;
  }
}

/**
 * @param {Model} model
 * @param {UpdateMessage} message
 * @param {number} now
 * @returns {Model}
 */
function foldUpdate(model, { universe, delta, full, rev, ts }, now) {
  const before = full ? undefined : model.universes.get(universe);
  const levels = before ? before.slice() : new Uint8Array(CHANNELS);
  for (const { ch, val } of delta) levels[ch - 1] = val;
  const universes = new Map(model.universes).set(universe, levels);
  const next = { ...model, universes, seq: Math.max(model.seq, rev) };
  if (model.greeting) return { ...next, greeting: new Set(model.greeting).add(universe) };
  return full ? { ...next, generation: model.generation + 1 } : { ...next, ahead: ts - now };
}

/**
 * @param {Model} model
 * @param {Desk} desk
 * @returns {Model}
 */
function foldDesk(model, { master, blackout, scene, fades }) {
  const next = { ...model, desk: { master, blackout, scene, fades }, sceneFade: sceneFade(model, scene, fades) };
  const named = model.greeting;
  if (!named) return next;
  const universes = new Map([...model.universes].filter(([universe]) => named.has(universe)));
  return { ...next, universes, greeting: null, generation: model.generation + 1 };
}

/**
 * A fade that begins together with a scene leads to it; the wire does not say so.
 * @param {Model} model
 * @param {string | null} scene
 * @param {readonly { id: string }[]} fades
 */
function sceneFade(model, scene, fades) {
  const known = new Set(model.desk?.fades.map((fade) => fade.id));
  const fresh = model.greeting ? undefined : fades.findLast((fade) => !known.has(fade.id));
  if (scene === null) return null;
  if (fresh) return fresh.id;
  return model.desk?.scene === scene && fades.some((fade) => fade.id === model.sceneFade) ? model.sceneFade : null;
}

/**
 * A level before master and blackout; channels count from 1.
 * @param {Model} model
 * @param {number} universe
 * @param {number} channel
 */
export function level(model, universe, channel) {
  return model.universes.get(universe)?.[channel - 1] ?? 0;
}

/**
 * How far a fade is, 0..1.
 * @param {Model} model
 * @param {{ startedAt: number, durationMs: number }} fade
 * @param {number} now
 */
export function progress(model, fade, now) {
  if (fade.durationMs <= 0) return 1;
  return Math.min(1, Math.max(0, (now + model.ahead - fade.startedAt) / fade.durationMs));
}
