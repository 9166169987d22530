// The patch, for people: which fixtures are where, what they can do, and which light their channels make. Pure.

import { CHANNELS } from "./state.js";

/** @import { Fixture, FixtureType, Group, Kind, Patch, PatchWarning, Rgb, Universe } from "./types.js" */

/** @typedef {(universe: number, channel: number) => number} LevelAt A level of 0..255. */

/** The light of each emitter, as `dmx/colour.rs` has it: what is chosen has to come back as the same colour. @type {Partial<Record<Kind, Parts>>} */
const EMITTERS = {
  red: [1, 0, 0], green: [0, 1, 0], blue: [0, 0, 1], white: [1, 1, 1], warm_white: [1, 1, 1], cold_white: [1, 1, 1],
  amber: [1, 0.5, 0], lime: [0.5, 1, 0], cyan: [0, 1, 1], magenta: [1, 0, 1], yellow: [1, 1, 0],
};

/** How whites look where nothing else could mix them. @type {Partial<Record<Kind, Parts>>} */
const WHITES = { warm_white: [1, 0.77, 0.56], cold_white: [0.92, 0.96, 1] };

/** UV is seen, but no colour is chosen with it. @type {Parts} */
const UV = [0.25, 0, 0.5];

/** @typedef {[number, number, number]} Parts */

/** The type of lamps that listen to a topic. */
export const ON_MQTT = "mqtt-rgb";

/** @type {Kind[]} */
const PRIMARIES = ["red", "green", "blue"];

/** What takes light away. @type {Kind[]} */
const FLAGS = ["cyan", "magenta", "yellow"];

/** The light of a fixture whose colour nobody knows. @type {Rgb} */
const TUNGSTEN = { r: 255, g: 214, b: 170 };

/** Kinds by what people reach for; the rest is on the faders of its channels. */
export const PAGES = /** @type {const} */ ({
  colour: ["white", "strobe", "warm_white", "cold_white", "amber", "uv", "lime", "cct"],
  position: ["speed", "zoom", "focus", "iris"],
  beam: ["shutter", "color_wheel", "gobo", "prism", "macro"],
});

/** Places are asked for with every frame. @type {WeakMap<Fixture, Map<Kind, Place[]>>} */
const found = new WeakMap();

/** @typedef {{ coarse: number, fine: number | null }} Place Channels of its universe. */

/**
 * The places of a kind in a fixture.
 * @param {Fixture} fixture
 * @param {Kind} kind
 */
export function places(fixture, kind) {
  const kinds = found.get(fixture) ?? new Map();
  found.set(fixture, kinds);
  if (!kinds.has(kind)) kinds.set(kind, look(fixture, kind));
  return /** @type {Place[]} */ (kinds.get(kind));
}

/**
 * The places of a kind, coarse first where several channels carry one value.
 * @param {Fixture} fixture
 * @param {Kind} kind
 */
function look({ channels, footprint: [first] }, kind) {
  /** @type {Place[]} */
  const list = [];
  channels.forEach((channel, n) => {
    if (channel.kind !== kind) return;
    const last = list.at(-1);
    if (last && channel.fine) last.fine ??= first + n;
    else list.push({ coarse: first + n, fine: null });
  });
  return list;
}

/** @param {Fixture} fixture @param {Kind} kind */
export const has = (fixture, kind) => fixture.channels.some((channel) => channel.kind === kind);

/** Whether a colour can be chosen for it: of white alone there is nothing to choose. @param {Fixture} fixture */
export const hasColour = (fixture) => [...PRIMARIES, ...FLAGS, "amber", "lime", "cct"].some((kind) => has(fixture, /** @type {Kind} */ (kind)))
  || (has(fixture, "warm_white") && has(fixture, "cold_white"));

/** @param {Fixture} fixture */
const mixes = (fixture) => fixture.channels.some(({ kind }) => kind in EMITTERS || kind === "uv");

/**
 * The highest level of a kind, 0..255; null: it has none.
 * @param {Fixture} fixture
 * @param {Kind} kind
 * @param {LevelAt} at
 */
export function kindLevel(fixture, kind, at) {
  const levels = places(fixture, kind).map(({ coarse }) => at(fixture.universe, coarse));
  return levels.length > 0 ? Math.max(...levels) : null;
}

/**
 * A value of up to 16 bits as one of 0..65535; null: it has none.
 * @param {Fixture} fixture
 * @param {Kind} kind
 * @param {LevelAt} at
 */
export function wideLevel(fixture, kind, at) {
  const [place] = places(fixture, kind);
  if (!place) return null;
  const coarse = at(fixture.universe, place.coarse);
  return coarse * 256 + (place.fine === null ? coarse : at(fixture.universe, place.fine));
}

/**
 * The colour that its emitters make, whatever its intensity is; null: it mixes none.
 * @param {Fixture} fixture
 * @param {LevelAt} at
 * @param {boolean} [uv] Whether UV counts, too.
 * @returns {Rgb | null}
 */
export function colourOf(fixture, at, uv = false) {
  const part = (/** @type {Kind} */ kind) => (kindLevel(fixture, kind, at) ?? 0) / 255;
  const primaries = PRIMARIES.every((kind) => has(fixture, kind));
  if (!primaries && FLAGS.every((kind) => has(fixture, kind))) return rgb(FLAGS.map((kind) => 1 - part(kind)));
  if (!mixes(fixture)) {
    if (!has(fixture, "cct")) return null;
    const cold = part("cct");
    return rgb([2 - 2 * cold, 1 - Math.abs(cold - 0.5) / 2, 2 * cold]);
  }
  const sum = [0, 0, 0];
  const add = (/** @type {number} */ share, /** @type {Parts} */ light) => light.forEach((of, n) => (sum[n] = (sum[n] ?? 0) + share * of));
  for (const [name, light] of Object.entries(EMITTERS)) {
    const kind = /** @type {Kind} */ (name);
    if (has(fixture, kind)) add(part(kind), (!primaries && WHITES[kind]) || light);
  }
  if (uv) add(part("uv"), UV);
  return rgb(sum);
}

/** @param {number[]} parts @returns {Rgb} */
function rgb([r = 0, g = 0, b = 0]) {
  return { r: clip(255 * r), g: clip(255 * g), b: clip(255 * b) };
}

const clip = (/** @type {number} */ level) => Math.min(255, Math.round(level));

/**
 * How bright it is, 0..255.
 * @param {Fixture} fixture
 * @param {LevelAt} at
 */
export function levelOf(fixture, at) {
  const intensity = kindLevel(fixture, "intensity", at);
  if (intensity !== null) return intensity;
  const colour = colourOf(fixture, at);
  if (colour) return Math.max(colour.r, colour.g, colour.b);
  const [first, last] = fixture.footprint;
  return Array.from({ length: last - first + 1 }, (_, n) => at(fixture.universe, first + n)).reduce((most, level) => Math.max(most, level), 0);
}

/**
 * Its light: colour and level together, as it is seen.
 * @param {Fixture} fixture
 * @param {LevelAt} at
 * @returns {Rgb}
 */
export function lightOf(fixture, at) {
  const colour = colourOf(fixture, at, true);
  const share = colour && !has(fixture, "intensity") ? 1 : levelOf(fixture, at) / 255;
  const { r, g, b } = colour ?? TUNGSTEN;
  return { r: clip(r * share), g: clip(g * share), b: clip(b * share) };
}

/** @param {Fixture} a @param {Fixture} b */
const alike = (a, b) => a.type !== undefined && a.type === b.type && a.mode === b.mode && a.dmxAddress === b.dmxAddress && a.universe === b.universe;

/**
 * Fixtures that stand in each other's way, and those that do not end within their universe.
 * @param {readonly Fixture[]} fixtures
 * @returns {[Fixture, Fixture | null][]}
 */
export function conflicts(fixtures) {
  /** @type {[Fixture, Fixture | null][]} */
  const found = fixtures.filter(({ footprint }) => footprint[1] > CHANNELS).map((fixture) => [fixture, null]);
  const sorted = inPlace(fixtures);
  sorted.forEach((fixture, n) => {
    for (const next of sorted.slice(n + 1)) {
      if (next.universe !== fixture.universe || next.footprint[0] > fixture.footprint[1]) break;
      if (!alike(fixture, next)) found.push([fixture, next]);
    }
  });
  return found;
}

/** @typedef {{ universe: number, first: number, size: number, type?: string | undefined, mode?: string | undefined }} Wanted A place for one fixture. */

/**
 * Who is in the way of so many, one behind the other; null: nobody. Alike ones may share an address.
 * @param {readonly Fixture[]} fixtures
 * @param {Wanted} wanted
 * @param {number} [n]
 * @param {readonly FixtureType[]} [types] They tell which mode is meant by none.
 */
export function inTheWay(fixtures, { universe, first, size, type, mode }, n = 1, types = []) {
  const last = first + n * size - 1;
  const modeOf = (/** @type {string | undefined} */ of, /** @type {string | undefined} */ named) => named || types.find(({ id }) => id === of)?.modes[0]?.name || "";
  const twin = (/** @type {Fixture} */ other) => type !== undefined && other.type === type && modeOf(type, other.mode) === modeOf(type, mode)
    && (other.dmxAddress - first) % size === 0 && other.footprint[1] <= last && other.dmxAddress >= first;
  return fixtures.find((other) => other.universe === universe && other.footprint[0] <= last && first <= other.footprint[1] && !twin(other)) ?? null;
}

/** Who listens to a lamp's topic already. @param {readonly Fixture[]} fixtures @param {string} topic @param {string} [but] */
export const listens = (fixtures, topic, but) => (topic && fixtures.find((other) => other.id !== but && other.type === ON_MQTT && other.topic === topic)) || null;

/**
 * Warnings that need words of their own: shared channels are named in pairs already.
 * @param {readonly PatchWarning[]} warnings
 * @param {readonly [Fixture, Fixture | null][]} pairs
 */
export const otherWarnings = (warnings, pairs) => warnings.filter(({ fixture, message }) => !(message.startsWith("it shares channels") && pairs.some((pair) => pair.some((one) => one?.id === fixture))));

/** In the order of their places. @param {readonly Fixture[]} fixtures */
export const inPlace = (fixtures) => [...fixtures].sort((a, b) => a.universe - b.universe || a.footprint[0] - b.footprint[0]);

/**
 * The first place where so many channels are free in one piece; null: there is none.
 * @param {readonly Fixture[]} fixtures
 * @param {number} universe
 * @param {number} size
 */
export function nextFree(fixtures, universe, size) {
  let first = 1;
  for (const { footprint: [from, to] } of inPlace(fixtures.filter((fixture) => fixture.universe === universe))) {
    if (from - first >= size) break;
    first = Math.max(first, to + 1);
  }
  return size > 0 && first + size - 1 <= CHANNELS ? first : null;
}

/**
 * How the switches of a fixture stand for an address, 1 to 256; null: nine switches cannot say it.
 * @param {number} address
 * @returns {boolean[] | null}
 */
export function switches(address) {
  if (!Number.isInteger(address) || address < 1 || address > 511) return null;
  return Array.from({ length: 9 }, (_, n) => ((address >> n) & 1) === 1);
}

/** @typedef {{ id: string, name: string, ids: string[], kind: "all" | "group" | "type" }} Bunch Fixtures that one tap selects. */

/**
 * What one tap selects: everything, each group, and all of one type.
 * @param {Patch} patch
 * @param {(type: string) => string} nameOf A type's name.
 * @returns {Bunch[]}
 */
export function bunches({ fixtures, groups }, nameOf) {
  /** @type {Bunch[]} */
  const found = groups.map(({ id, name }) => ({ id: `g:${id}`, name, kind: "group", ids: members(fixtures, id) }));
  /** @type {Map<string, string[]>} */
  const types = new Map();
  for (const { id, type, fixtureType } of fixtures) {
    const key = type ?? fixtureType ?? "";
    if (key) types.set(key, [...(types.get(key) ?? []), id]);
  }
  const taken = new Set(found.map(({ ids }) => ids.join("\n")));
  for (const [type, ids] of types) if (ids.length < fixtures.length && !taken.has(ids.join("\n"))) found.push({ id: `t:${type}`, name: nameOf(type), kind: "type", ids });
  return [{ id: "all", name: "", kind: "all", ids: fixtures.map(({ id }) => id) }, ...found.filter(({ ids }) => ids.length > 0)];
}

/** @param {readonly Fixture[]} fixtures @param {string} group */
export const members = (fixtures, group) => fixtures.filter(({ groups }) => groups?.includes(group)).map(({ id }) => id);

/**
 * Fewer words for the same targets: a whole group by its own id.
 * @param {Patch} patch
 * @param {readonly string[]} ids
 */
export function targets({ fixtures, groups }, ids) {
  const whole = groups.find(({ id }) => {
    const of = members(fixtures, id);
    return of.length > 1 && of.length === ids.length && of.every((member) => ids.includes(member));
  });
  return whole && !fixtures.some(({ id }) => id === whole.id) ? [whole.id] : [...ids];
}

/**
 * What a channel is, for whoever stands at its fader: the fixture there and its kind; `own`: its own name, where that says more.
 * @param {readonly Fixture[]} fixtures
 * @param {number} universe
 * @param {number} channel
 */
export function whoseChannel(fixtures, universe, channel) {
  for (const fixture of fixtures) {
    const [first, last] = fixture.footprint;
    if (fixture.universe !== universe || channel < first || channel > last) continue;
    const { kind, name } = fixture.channels[channel - first] ?? { kind: /** @type {Kind} */ ("other"), name: "" };
    const fine = places(fixture, kind).some((place) => place.fine === channel);
    return { fixture, kind, fine, own: (kind === "other" || kind === "macro") && !/^\D{0,8}\s*\d+$|^\s*$/.test(name) ? name : "" };
  }
  return null;
}

/**
 * How many channels a type takes in a mode.
 * @param {FixtureType | undefined} type
 * @param {string} [mode]
 */
export function sizeOf(type, mode) {
  const chosen = type?.modes.find(({ name }) => name === mode) ?? type?.modes[0];
  return chosen?.channelCount ?? 0;
}

/**
 * A name and the number at its end: where room is short, the number is what tells fixtures apart.
 * @param {string} name
 * @returns {[string, string]}
 */
export function splitName(name) {
  const [, stem = name, n = ""] = /^(.*[^\s\d])(\s*\d+)$/s.exec(name) ?? [];
  return [stem, n];
}

/** What people call a type: "PAR with 7 channels" is a PAR. @param {string} name */
export const shortName = (name) => name.replace(/( with | on | se | přes |, | \().*$/s, "") || name;
