// The patch, for people: light from levels, free places, switches, what one tap selects.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hueName, levelsOf, lights, marks, proposal } from "../../src/pwa/core/looks.js";
import { bunches, colourOf, conflicts, hasColour, inTheWay, kindLevel, levelOf, lightOf, listens, nextFree, otherWarnings, places, shortName, sizeOf, splitName, switches, targets, whoseChannel, wideLevel } from "../../src/pwa/core/patch.js";

const PAR = ["intensity", "red", "green", "blue", "white", "strobe", "macro"];

/** A fixture of these kinds; `pan fine` is the finer half of `pan`. */
function fixture(id, first, kinds, more = {}) {
  const channels = kinds.map((kind, n) => ({ id: `${id}-${n}`, number: n + 1, name: kind, kind: kind.replace(/ fine$/, ""), ...(kind.endsWith(" fine") ? { fine: true } : {}) }));
  return { id, name: id, universe: 0, dmxAddress: first, footprint: [first, first + kinds.length - 1], channels, ...more };
}

/** Levels from a channel on, of universe 0. */
const from = (first, levels) => (universe, channel) => (universe === 0 ? (levels[channel - first] ?? 0) : 0);

test("a fixture's colour is what its emitters make, and its light is that under its intensity", () => {
  const par = fixture("par", 8, PAR);
  assert.deepEqual(colourOf(par, from(8, [0, 200, 100, 0, 50])), { r: 250, g: 150, b: 50 });
  assert.deepEqual(lightOf(par, from(8, [0, 200, 100, 0, 50])), { r: 0, g: 0, b: 0 }, "dark");
  assert.deepEqual(lightOf(par, from(8, [128, 255, 0, 0, 0])), { r: 128, g: 0, b: 0 });
  assert.deepEqual(lightOf(par, from(8, [255])), { r: 0, g: 0, b: 0 }, "no emitter is on");
  assert.equal(levelOf(par, from(8, [77, 255])), 77);
  const rgb = fixture("rgb", 1, ["red", "green", "blue"]);
  assert.equal(levelOf(rgb, from(1, [9, 200, 0])), 200, "without an intensity the brightest emitter");
  assert.deepEqual(lightOf(rgb, from(1, [9, 200, 0])), { r: 9, g: 200, b: 0 });
  const dim = fixture("dim", 1, ["intensity"]);
  assert.equal(colourOf(dim, from(1, [255])), null);
  assert.deepEqual(lightOf(dim, from(1, [255])), { r: 255, g: 214, b: 170 }, "a lamp without a colour is warm");
  const flags = fixture("cmy", 1, ["intensity", "cyan", "magenta", "yellow"]);
  assert.deepEqual(colourOf(flags, from(1, [255, 255, 0, 0])), { r: 0, g: 255, b: 255 });
  assert.equal(levelOf(fixture("x", 1, ["other", "other"]), from(1, [3, 9])), 9, "of which nothing is known: all its channels");
  assert.ok(hasColour(par) && !hasColour(dim) && !hasColour(fixture("w", 1, ["intensity", "white"])));
  const wide = fixture("all", 1, ["red", "green", "blue", "warm_white", "amber", "uv"]);
  assert.deepEqual(colourOf(wide, from(1, [0, 0, 0, 100, 100, 255])), { r: 200, g: 150, b: 100 }, "as dmx/colour.rs shows it back");
  assert.deepEqual(lightOf(wide, from(1, [0, 0, 0, 0, 0, 255])), { r: 64, g: 0, b: 128 }, "UV is seen");
  assert.deepEqual(colourOf(fixture("cct", 1, ["intensity", "cct"]), from(1, [255, 0])), { r: 255, g: 191, b: 0 });
  assert.deepEqual(lightOf(fixture("ww", 1, ["warm_white", "cold_white"]), from(1, [255, 0])), { r: 255, g: 196, b: 143 });
});

test("a pair of channels is one value, and cells of one kind are not", () => {
  const head = fixture("head", 10, ["pan", "pan fine", "tilt", "tilt fine", "intensity", "intensity fine", "gobo"]);
  assert.deepEqual(places(head, "tilt"), [{ coarse: 12, fine: 13 }]);
  assert.deepEqual(places(head, "intensity"), [{ coarse: 14, fine: 15 }]);
  assert.equal(wideLevel(head, "pan", from(10, [128, 3])), 128 * 256 + 3);
  assert.equal(wideLevel(fixture("h", 10, ["pan", "tilt"]), "pan", from(10, [255])), 65_535, "8 bits reach the end, too");
  assert.equal(wideLevel(head, "zoom", from(10, [])), null);
  assert.deepEqual(places(fixture("h", 1, ["pan", "tilt", "pan fine", "tilt fine"]), "tilt"), [{ coarse: 2, fine: 4 }], "wherever it stands");
  const pack = fixture("pack", 1, ["intensity", "intensity", "intensity"]);
  assert.deepEqual(places(pack, "intensity").map(({ coarse, fine }) => [coarse, fine]), [[1, null], [2, null], [3, null]]);
  assert.equal(kindLevel(pack, "intensity", from(1, [1, 9, 5])), 9);
});

test("a free place is the first gap that is wide enough, and there may be none", () => {
  const rig = [fixture("b", 20, PAR), fixture("a", 1, PAR), fixture("c", 1, PAR, { universe: 1 })];
  assert.equal(nextFree(rig, 0, 12), 8);
  assert.equal(nextFree(rig, 0, 13), 27);
  assert.equal(nextFree(rig, 2, 512), 1);
  assert.equal(nextFree(rig, 0, 487), null);
  assert.equal(nextFree(rig, 0, 486), 27);
});

test("switches say an address in binary, lowest first", () => {
  const on = (address) => switches(address)?.flatMap((up, n) => (up ? [n + 1] : []));
  assert.deepEqual(on(1), [1]);
  assert.deepEqual(on(300), [3, 4, 6, 9]);
  assert.deepEqual(on(511), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const none of [0, 512, -1, 1.5, NaN]) assert.equal(switches(none), null, String(none));
});

test("what stands in each other's way is named, what shares a place on purpose is not", () => {
  const names = (list) => conflicts(list).map(([a, b]) => `${a.id} ${b?.id ?? "end"}`);
  const par = (id, first, more) => fixture(id, first, PAR, { type: "par-7", mode: "", ...more });
  assert.deepEqual(names([par("a", 1), par("b", 8), par("c", 14)]), ["b c"]);
  assert.deepEqual(names([par("a", 1), par("b", 1)]), [], "twins");
  assert.deepEqual(names([par("a", 1), par("b", 1, { type: "other" })]), ["a b"]);
  assert.deepEqual(names([par("a", 1), par("b", 1, { universe: 1 })]), []);
  assert.deepEqual(names([par("a", 508)]), ["a end"]);
});

test("one tap selects everything, a group, or all of a type; nothing is offered twice", () => {
  const fixtures = [fixture("a", 1, PAR, { type: "par-7", groups: ["g"] }), fixture("b", 8, PAR, { type: "par-7", groups: ["g"] }), fixture("h", 20, ["pan"], { type: "head" })];
  const patch = { universes: [], fixtures, groups: [{ id: "g", name: "Front" }, { id: "e", name: "Empty" }] };
  assert.deepEqual(bunches(patch, (type) => type.toUpperCase()).map(({ id, name, ids }) => [id, name, ids.join()]),
    [["all", "", "a,b,h"], ["g:g", "Front", "a,b"], ["t:head", "HEAD", "h"]], "the group has all PARs already");
  const apart = { ...patch, groups: [] };
  assert.deepEqual(bunches(apart, (type) => type).map(({ id }) => id), ["all", "t:par-7", "t:head"]);
  assert.deepEqual(bunches({ ...apart, fixtures: fixtures.slice(0, 2) }, (type) => type).map(({ id }) => id), ["all"], "all of them are all");
  assert.deepEqual(targets(patch, ["b", "a"]), ["g"]);
  assert.deepEqual(targets(patch, ["a", "h"]), ["a", "h"]);
});

test("a channel knows whose it is", () => {
  const rig = [fixture("head", 10, ["pan", "pan fine", "gobo"])];
  const at = (channel) => whoseChannel(rig, 0, channel);
  assert.deepEqual([at(9), whoseChannel(rig, 1, 10)], [null, null]);
  assert.deepEqual([10, 11, 12].map((channel) => [at(channel).kind, at(channel).fine]), [["pan", false], ["pan", true], ["gobo", false]]);
});

test("a channel has its own name where its kind says less", () => {
  const own = (kind, name) => whoseChannel([{ ...fixture("x", 1, [kind]), channels: [{ id: "x-0", name, kind }] }], 0, 1).own;
  assert.deepEqual([own("other", "Smoke"), own("macro", "Programs 2x"), own("red", "Rouge"), own("other", "Ch 3"), own("other", "Kanál 12"), own("other", "7"), own("other", "")],
    ["Smoke", "Programs 2x", "", "", "", "", ""]);
});

test("where room is short, the number of a name stays", () => {
  assert.deepEqual(splitName("PAR with 7 channels 12"), ["PAR with 7 channels", " 12"]);
  assert.deepEqual(splitName("Front"), ["Front", ""]);
  assert.deepEqual(splitName("12"), ["12", ""]);
  assert.deepEqual(["PAR with 7 channels", "Moving head", "Head, 16 bit", "with"].map(shortName), ["PAR", "Moving head", "Head", "with"]);
});

test("a type takes as many channels as its mode has", () => {
  const type = { id: "t", name: "T", modes: [{ name: "3ch", channelCount: 3 }, { name: "5ch", channelCount: 5 }] };
  assert.deepEqual([sizeOf(type), sizeOf(type, "5ch"), sizeOf(type, "none"), sizeOf(undefined)], [3, 5, 3, 0]);
});

test("a look's mark has the colours of its fixtures, by whatever keys it names them", () => {
  const rig = [fixture("a", 1, PAR), fixture("b", 8, PAR), fixture("c", 15, ["red", "green", "blue"], { universe: 2 })];
  const scene = { id: "s", name: "s", channelValues: { "a-0": 255, "a-1": 255, 8: 255, 9: 255, "2/15": 0, "2/16": 0, "2/17": 200, gone: 9 } };
  assert.deepEqual(marks(scene, rig), [{ r: 255, g: 0, b: 0 }, { r: 0, g: 0, b: 200 }]);
  assert.equal(levelsOf(scene, rig)(0, 2), 255);
  assert.deepEqual(lights(rig, () => 0), []);
});

test("a look's name is proposed from its colours, and is nobody else's", () => {
  assert.deepEqual([[255, 0, 0], [255, 120, 0], [0, 0, 255], [255, 255, 250], [255, 200, 140], [255, 0, 200], [0, 255, 220]].map(([r, g, b]) => hueName({ r, g, b })),
    ["red", "orange", "blue", "white", "warm", "magenta", "cyan"]);
  const words = { dark: "dark", and: (a, b) => `${a} and ${b}` };
  const scenes = [{ name: "Red" }, { name: "Red 2 " }];
  assert.equal(proposal(["red", "red"], scenes, words), "Red 3");
  assert.equal(proposal(["red", "blue", "green"], scenes, words), "Red and blue");
  assert.equal(proposal([], scenes, words), "Dark");
});

test("a place is taken by whoever stands there, but not by one that is alike", () => {
  const types = [{ id: "par-7", name: "PAR", modes: [{ name: "7 channels", channelCount: 7, kinds: [] }] }];
  const rig = [fixture("a", 10, PAR, { type: "par-7" }), fixture("b", 20, PAR), fixture("c", 1, PAR, { universe: 1 })];
  const at = (first, n = 1, more = {}) => inTheWay(rig, { universe: 0, first, size: 7, ...more }, n, types)?.id ?? null;
  assert.deepEqual([at(3), at(4), at(16), at(17), at(27), at(28)], [null, "a", "a", null, null, null].map((id, n) => (n === 3 ? "b" : n === 4 ? null : id)));
  assert.deepEqual([at(27, 2), at(3, 2), at(10), at(10, 1, { type: "par-7", mode: "7 channels" }), at(11, 1, { type: "par-7" })], [null, "a", "a", null, "a"]);
  assert.equal(at(20, 1, { type: "par-7" }), "b", "without a type nobody is alike");
});

test("a topic has one lamp, and warnings are said once", () => {
  const lamp = fixture("lamp", 1, ["red"], { type: "mqtt-rgb", topic: "hall" });
  assert.deepEqual([listens([lamp], "hall")?.id, listens([lamp], "hall", "lamp"), listens([lamp], ""), listens([lamp], "other")], ["lamp", null, null, null]);
  const warnings = [{ fixture: "b", message: "it shares channels with a (a)" }, { fixture: "b", message: "its type x is not known here" }, { message: "and 3 warnings more" }];
  assert.deepEqual(otherWarnings(warnings, [[lamp, { ...lamp, id: "b" }]]).length, 2);
  assert.deepEqual(otherWarnings(warnings, []).length, 3);
});
