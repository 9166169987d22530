// The rig: the patch as the appliance has it, what is selected here, and the orders that fixtures are given. The desk sends them.

import * as api from "./core/api.js";
import { toHsv, toRgb } from "./core/colour.js";
import { colourOf, has, hasColour, kindLevel, levelOf, targets, wideLevel } from "./core/patch.js";
import * as prefs from "./core/prefs.js";
import { WIDE, values } from "./core/sender.js";
import { ulid } from "./core/ulid.js";
import { knows, t } from "./core/words.js";
import { desk } from "./desk.js";

/** @import { Fields, Group } from "./core/sender.js" */
/** @import { Phase } from "./core/touch.js" */
/** @import { Fixture, FixtureType, Hsv, Kind, Patch, PatchAnswer, PatchWarning, Rgb, Unplaced } from "./core/types.js" */

/** One byte's share of a whole way. */
const BYTE = WIDE / 255;

/** After this long without a hand the next move is another change. */
const REST_MS = 2000;

/** Most channels that one command names. */
const PATCH = 64;

const now = () => performance.now();

/** @param {Rgb} rgb */
const packed = ({ r, g, b }) => (r << 16) | (g << 8) | b;

/** @param {number} colour @returns {Rgb} */
const unpacked = (colour) => ({ r: colour >> 16, g: (colour >> 8) & 255, b: colour & 255 });

class Rig {
  /** Null while unknown. @type {Patch | null} */
  patch = null;
  /** Fixtures of the show that have no place, so they cannot light up. @type {Unplaced[]} */
  unplaced = [];
  /** What the appliance finds wrong in the patch. @type {readonly PatchWarning[]} */
  warnings = [];
  /** Null while unknown. @type {readonly FixtureType[] | null} */
  types = null;
  /** A type that was just imported: what is added next is probably of it. */
  brought = "";
  /** Rises when something else is selected. */
  turn = 0;
  #tag = "";
  #asked = 0;
  #taken = 0;
  /** @type {Map<string, Fixture>} */
  #byId = new Map();
  /** @type {Set<string>} */
  #selected = new Set();
  /** @type {Fixture[]} */
  #chosen = [];
  /** Levels from before the last change, by universe and channel. @type {Map<number, Map<number, number>>} */
  #before = new Map();
  #movedAt = -Infinity;
  /** Fixtures that were dark when a finger took the wheel. @type {Fixture[] | null} */
  #dark = null;
  /** Who is meant by a group. @type {Map<string, Fixture[]>} */
  #meant = new Map();
  /** Parts of what is selected, by name. @type {Map<string, Fixture[]>} */
  #parts = new Map();
  /** @type {WeakMap<Fixture[], Group>} */
  #groups = new WeakMap();

  constructor() {
    desk.fixtureValue = (group, name) => this.#value(group, name);
    desk.onWhole = () => void this.load(true);
    desk.onPatch = () => void this.load();
  }

  // What it knows

  /** @type {import("./core/patch.js").LevelAt} */
  at = (universe, channel) => desk.level(universe, channel);

  get fixtures() {
    return this.patch?.fixtures ?? [];
  }

  /** Whether there are fixtures, as far as is known: before the patch is here, whether there were any. */
  get patched() {
    return this.patch ? this.patch.fixtures.length > 0 : prefs.read("patched", "") === "1";
  }

  /** @param {string} id */
  typeName(id) {
    return knows(`type.${id}`) ? t(`type.${id}`) : (this.types?.find((type) => type.id === id)?.name ?? id);
  }

  /** Fetches the patch. @param {boolean} [whole] It may be another project's. */
  async load(whole = false) {
    const turn = ++this.#asked;
    const known = this.patch && !whole ? this.#tag : "";
    /** @type {ReturnType<typeof api.tagged<PatchAnswer>>} */
    const asked = api.tagged("GET", "/patch", { known });
    const patch = await desk.ask(asked, null);
    if (!patch || turn < this.#taken) return; // a later question was answered first
    this.#taken = turn;
    this.#tag = patch.tag;
    this.#take(patch.value);
  }

  /** Looks whether somebody has patched something elsewhere. Without a link there is nobody to ask, and who is not logged in is not told. */
  async renew() {
    if (!desk.usable) return;
    await this.load();
    if (!this.types) await this.loadTypes();
  }

  async loadTypes() {
    const answer = await desk.ask(/** @type {Promise<{ types: FixtureType[] }>} */ (api.json("GET", "/fixture-types")), null);
    if (!answer) return;
    this.types = answer.types;
    desk.changed();
  }

  /** @param {PatchAnswer} answer */
  #take(answer) {
    const placed = answer.fixtures.filter((fixture) => fixture.footprint !== undefined && fixture.universe !== undefined);
    const patch = { ...answer, fixtures: /** @type {Fixture[]} */ (placed) };
    this.patch = patch;
    this.unplaced = answer.fixtures.filter((fixture) => !placed.includes(fixture));
    this.warnings = answer.warnings ?? [];
    this.#byId = new Map(patch.fixtures.map((fixture) => [fixture.id, fixture]));
    prefs.write("patched", patch.fixtures.length > 0 ? "1" : "0");
    this.#choose(this.#selected);
  }

  /** @param {string} id */
  fixtureOf(id) {
    return this.#byId.get(id);
  }

  // What is selected

  /** The selected fixtures, in the order of the patch. */
  get chosen() {
    return this.#chosen;
  }

  /** @param {string} id */
  isChosen(id) {
    return this.#selected.has(id);
  }

  /** Selects these and no others. @param {Iterable<string>} ids */
  select(ids) {
    this.#choose(new Set(ids));
  }

  /** @param {readonly string[]} ids @param {boolean} on */
  mark(ids, on) {
    for (const id of ids) on ? this.#selected.add(id) : this.#selected.delete(id);
    this.#choose(this.#selected);
  }

  /** @param {Set<string>} ids */
  #choose(ids) {
    this.#chosen = this.fixtures.filter(({ id }) => ids.has(id));
    this.#selected = new Set(this.#chosen.map(({ id }) => id));
    this.#dark = null;
    this.#parts = new Map();
    this.#meant = new Map();
    this.turn++;
    desk.changed();
  }

  // How it stands

  /** The colour of the first that has one. */
  get colour() {
    return this.#seen("color", this.#coloured());
  }

  /** How bright the first one is, 0..255. */
  get level() {
    const [dimmed, plain] = this.#levels();
    if (dimmed.length > 0) return this.#bytes("intensity", dimmed);
    const seen = this.#seen("color", plain);
    return seen && { value: brightest(seen.value), ghost: seen.ghost && brightest(seen.ghost) };
  }

  /** A kind's value of the first that has it, 0..255. @param {Kind} kind */
  kind(kind) {
    return this.#bytes(kind, this.#with(kind));
  }

  /** Where the first head looks, 0..65535. */
  get position() {
    const heads = this.#heads();
    if (heads.length === 0) return null;
    const group = this.#group(heads);
    const [pan, tilt] = [desk.ofFixtures(group, "pan"), desk.ofFixtures(group, "tilt")];
    const [panGhost, tiltGhost] = [desk.ghostOfFixtures(group, "pan"), desk.ghostOfFixtures(group, "tilt")];
    return { pan, tilt, ghost: panGhost === null && tiltGhost === null ? null : { pan: panGhost ?? pan, tilt: tiltGhost ?? tilt } };
  }

  /** @param {Kind} kind @param {Fixture[]} fixtures */
  #bytes(kind, fixtures) {
    if (fixtures.length === 0) return null;
    const group = this.#group(fixtures);
    const ghost = desk.ghostOfFixtures(group, kind);
    return { value: Math.floor(desk.ofFixtures(group, kind) / BYTE), ghost: ghost === null ? null : Math.floor(ghost / BYTE) };
  }

  /** @param {string} name @param {Fixture[]} fixtures */
  #seen(name, fixtures) {
    if (fixtures.length === 0) return null;
    const group = this.#group(fixtures);
    const ghost = desk.ghostOfFixtures(group, name);
    return { value: unpacked(desk.ofFixtures(group, name)), ghost: ghost === null ? null : unpacked(ghost) };
  }

  // What it orders

  /**
   * A colour for all that have one. Of those that have an intensity the hue alone, and light if they were dark: who taps red wants to see it.
   * @param {Hsv} hsv Its brightness is for those without an intensity.
   * @param {Phase} phase
   */
  moveColour(hsv, phase) {
    const coloured = this.#coloured();
    const dimmed = this.#part("coloured, dimmed", (fixture) => hasColour(fixture) && has(fixture, "intensity"));
    const plain = this.#plain();
    this.#note(coloured, phase);
    const color = packed(toRgb({ ...hsv, v: 1 }));
    if (dimmed.length > 0) {
      const first = this.#dark === null && phase !== "hold";
      if (first) this.#dark = dimmed.filter((fixture) => levelOf(fixture, this.at) === 0);
      const dark = this.#dark ?? [];
      if (first && dark.length > 0 && dark.length < dimmed.length) this.#once(dark, { color, intensity: WIDE });
      this.#move(dimmed, dark.length === dimmed.length ? { color, intensity: WIDE } : { color }, phase);
    }
    if (plain.length > 0) this.#move(plain, { color: packed(toRgb({ ...hsv, v: hsv.v || 1 })) }, phase);
    if (phase === "end" || phase === "drop") this.#dark = null;
  }

  /**
   * How bright: intensities, and the colours of those without one.
   * @param {number} value 0..255
   * @param {Phase} phase
   * @param {Hsv} hsv The colour of those that are dark.
   */
  moveLevel(value, phase, hsv) {
    const [dimmed, plain] = this.#levels();
    this.#note([...dimmed, ...plain], phase);
    if (dimmed.length > 0) this.#move(dimmed, { intensity: Math.round(value * BYTE) }, phase);
    if (plain.length > 0) this.#move(plain, { color: packed(toRgb({ ...hsv, v: value / 255 })) }, phase);
  }

  /** @param {Kind} kind @param {number} value 0..255 @param {Phase} phase */
  moveKind(kind, value, phase) {
    const fixtures = this.#with(kind);
    this.#note(fixtures, phase);
    this.#move(fixtures, { [kind]: Math.round(value * BYTE) }, phase);
  }

  /** @param {{ pan: number, tilt: number }} to 0..65535 @param {Phase} phase */
  movePosition({ pan, tilt }, phase) {
    const heads = this.#heads();
    this.#note(heads, phase);
    const can = (/** @type {Kind} */ kind) => heads.some((fixture) => has(fixture, kind));
    this.#move(heads, { ...(can("pan") ? { pan } : {}), ...(can("tilt") ? { tilt } : {}) }, phase);
  }

  /** @param {number} universe @param {number} channel @param {number} value @param {Phase} phase */
  moveChannel(universe, channel, value, phase) {
    this.#remember(phase, [[universe, channel]]);
    desk.moveChannel(universe, channel, value, phase);
  }

  /** @param {Fixture[]} fixtures @param {Fields} fields @param {Phase} phase */
  #move(fixtures, fields, phase) {
    if (fixtures.length > 0) desk.moveFixtures(this.#group(fixtures), fields, phase);
  }

  /** @param {Fixture[]} fixtures @param {Fields} fields */
  #once(fixtures, fields) {
    if (this.patch) desk.once({ type: "fixture.set", id: ulid(), src: desk.source, targets: targets(this.patch, fixtures.map(({ id }) => id)), values: values(fields) });
  }

  // The way back: until the appliance keeps steps itself, the levels from before the last change

  get canUndo() {
    return this.#before.size > 0;
  }

  undo() {
    const before = this.#before;
    this.#before = new Map();
    this.#movedAt = -Infinity;
    for (const [universe, levels] of before) {
      const patch = [...levels].filter(([ch, val]) => desk.level(universe, ch) !== val).map(([ch, val]) => ({ ch, val }));
      for (let n = 0; n < patch.length; n += PATCH) {
        if (!desk.once({ type: "dmx.patch", id: ulid(), src: desk.source, universe, patch: patch.slice(n, n + PATCH) })) this.#before = before;
      }
    }
    desk.changed();
  }

  /** @param {Fixture[]} fixtures @param {Phase} phase */
  #note(fixtures, phase) {
    this.#remember(phase, fixtures.flatMap(({ universe, footprint: [first, last] }) =>
      Array.from({ length: last - first + 1 }, (_, n) => /** @type {[number, number]} */ ([universe, first + n]))));
  }

  /** @param {Phase} phase @param {[number, number][]} channels */
  #remember(phase, channels) {
    if ((phase !== "drag" && phase !== "end") || !desk.usable || !desk.may("light")) return;
    if (now() - this.#movedAt > REST_MS) this.#before = new Map();
    this.#movedAt = now();
    for (const [universe, channel] of channels) {
      const levels = this.#before.get(universe) ?? new Map();
      if (!levels.has(channel)) levels.set(channel, desk.level(universe, channel));
      this.#before.set(universe, levels);
    }
  }

  // Inside

  #coloured() {
    return this.#part("coloured", hasColour);
  }

  #heads() {
    return this.#part("heads", (fixture) => has(fixture, "pan") || has(fixture, "tilt"));
  }

  /** @param {Kind} kind */
  #with(kind) {
    return this.#part(kind, (fixture) => has(fixture, kind));
  }

  #plain() {
    return this.#part("coloured, plain", (fixture) => hasColour(fixture) && !has(fixture, "intensity"));
  }

  /** Those with an intensity, and those whose colour alone is bright or dark. @returns {[Fixture[], Fixture[]]} */
  #levels() {
    return [this.#with("intensity"), this.#plain()];
  }

  /** @param {string} name @param {(fixture: Fixture) => boolean} test */
  #part(name, test) {
    let part = this.#parts.get(name);
    if (!part) this.#parts.set(name, (part = this.#chosen.filter(test)));
    return part;
  }

  /** @param {Fixture[]} fixtures @returns {Group} */
  #group(fixtures) {
    let group = this.#groups.get(fixtures);
    if (!group) {
      const ids = fixtures.map(({ id }) => id);
      this.#groups.set(fixtures, (group = `f${JSON.stringify(this.patch ? targets(this.patch, ids) : ids)}`));
      this.#meant.set(group, fixtures);
    }
    return group;
  }

  /** Who is meant by a group, also by one from before another selection. @param {Group} group */
  #whom(group) {
    const known = this.#meant.get(group);
    if (known) return known;
    const ids = new Set(/** @type {string[]} */ (JSON.parse(group.slice(1))));
    const meant = this.fixtures.filter(({ id, groups }) => ids.has(id) || groups?.some((one) => ids.has(one)));
    this.#meant.set(group, meant);
    return meant;
  }

  /** A value by the levels: of the first one meant that has it. @param {Group} group @param {string} name */
  #value(group, name) {
    const all = this.#whom(group);
    if (name === "color") {
      for (const fixture of all) {
        const colour = colourOf(fixture, this.at);
        if (colour) return packed(colour);
      }
      return 0;
    }
    const kind = /** @type {Kind} */ (name);
    const wide = kind === "pan" || kind === "tilt";
    for (const fixture of all) {
      const value = wide ? wideLevel(fixture, kind, this.at) : kindLevel(fixture, kind, this.at);
      if (value !== null) return wide ? value : Math.round(value * BYTE);
    }
    return 0;
  }
}

/** @param {Rgb} rgb */
const brightest = (rgb) => Math.round(toHsv(rgb).v * 255);

export const rig = new Rig();
