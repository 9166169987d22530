import assert from "node:assert/strict";
import { test } from "node:test";
import { capture, colour, inOrder, lit } from "../../src/pwa/core/looks.js";
import { slug } from "../../src/pwa/core/prefs.js";

const scene = (channelValues, more = {}) => ({ id: "a", name: "a", channelValues, ...more });

test("a scene's colour is the lamp's; of other channels a warm light as bright as the brightest; none when it is dark", () => {
  assert.deepEqual(colour(scene({ 1: 10, 2: 20, 3: 30, 9: 255 })), { r: 10, g: 20, b: 30 });
  assert.deepEqual(colour(scene({ 1: 0, "2/7": 255 })), { r: 255, g: 214, b: 170 });
  assert.equal(colour(scene({ 1: 0 })), null);
  assert.equal(colour(scene({})), null);
  assert.equal(lit(scene({ 1: 0, 2: 1, "2/7": 3 })), 2);
});

test("a capture is what the appliance would capture: lit channels, whole universes", () => {
  const one = new Uint8Array(512);
  one[6] = 30;
  const two = new Uint8Array(512);
  two[0] = 1;
  assert.deepEqual(capture({ universes: new Map([[2, two], [0, one]]) }), { channelValues: { 7: 30, "2/1": 1 }, universes: [0, 2] });
});

test("favourites come first, the order is kept", () => {
  const ids = (list) => list.map(({ id }) => id).join("");
  assert.equal(ids(inOrder([scene({}, { id: "a" }), scene({}, { id: "b", favorite: true }), scene({}, { id: "c" }), scene({}, { id: "d", favorite: true })])), "bdac");
});

test("a device's name becomes part of an id", () => {
  assert.equal(slug("Pult – Režie č. 2"), "pult-rezie-c-2");
  assert.match(slug("Пульт"), /^app-[a-z0-9]+$/);
  assert.notEqual(slug("Пульт"), slug("Пультик"));
  assert.ok(slug("x".repeat(99)).length <= 40);
});
