import assert from "node:assert/strict";
import { test } from "node:test";
import { dot, inOrder, lit } from "../../src/pwa/core/looks.js";
import { slug } from "../../src/pwa/core/prefs.js";

const scene = (channelValues, more = {}) => ({ id: "a", name: "a", channelValues, ...more });

test("a look's dot is the lamp's colour and how bright all the rest is; a level is never called a colour", () => {
  assert.deepEqual(dot(scene({ 1: 10, 2: 20, 3: 30 })), { colour: { r: 10, g: 20, b: 30 }, level: null });
  assert.deepEqual(dot(scene({ 1: 10, 2: 20, 3: 30, 9: 255 })), { colour: { r: 10, g: 20, b: 30 }, level: 255 });
  assert.deepEqual(dot(scene({ 1: 0, "2/7": 40, 4: 3 })), { colour: null, level: 40 });
  assert.deepEqual(dot(scene({ "2/1": 255, "2/2": 1 })), { colour: null, level: 255 }, "of another universe");
  assert.deepEqual(dot(scene({ 1: 0, 9: 0 })), { colour: null, level: null });
  assert.deepEqual(dot(scene({})), { colour: null, level: null });
  assert.equal(lit(scene({ 1: 0, 2: 1, "2/7": 3 })), 2);
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
