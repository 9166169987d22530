import assert from "node:assert/strict";
import { test } from "node:test";
import { SETTLE_MS, Touch } from "../../src/pwa/core/touch.js";

/** A server with one value, and a finger on it. */
function held(truth = 0) {
  const touch = new Touch();
  const server = { truth };
  const hear = (value) => {
    server.truth = value;
    touch.heard(() => value);
  };
  const move = (value) => {
    touch.hold("k", value, server.truth);
    touch.sent("k", value);
  };
  return { touch, hear, move, value: () => touch.value("k", server.truth) };
}

test("under a finger its value stands, whatever comes back late", () => {
  const { touch, hear, move, value } = held();
  [10, 20, 30].forEach(move);
  for (const echo of [10, 20]) {
    hear(echo);
    assert.deepEqual([value(), touch.ghost("k")], [30, null], "an echo is no ghost");
  }
});

test("what somebody else does is a ghost, and gone when our next value has come back", () => {
  const { touch, hear, move, value } = held();
  move(10);
  hear(10);
  hear(99);
  assert.deepEqual([value(), touch.ghost("k")], [10, 99]);
  move(20);
  hear(20);
  assert.equal(touch.ghost("k"), null);
});

test("after the release it holds until the last value has come back, then the server counts", () => {
  const { touch, hear, move, value } = held();
  move(10);
  move(20);
  touch.release("k", 0);
  hear(10);
  assert.equal(value(), 20, "no jump back");
  hear(20);
  assert.equal(touch.busy, false);
  hear(70);
  assert.equal(value(), 70);
});

test("a release without an echo to wait for lets go at once", () => {
  const { touch, hear, move } = held();
  move(10);
  hear(10);
  touch.release("k", 0);
  assert.equal(touch.busy, false);
});

test("an echo that never comes is not waited for for ever", () => {
  const { touch, move, value } = held(5);
  move(10);
  touch.release("k", 0);
  assert.equal(touch.sweep(SETTLE_MS), false);
  assert.equal(touch.sweep(SETTLE_MS + 1), true, "nobody knows what became of it");
  assert.equal(value(), 5);
});

test("an intermediate value that was dropped on the way does not matter", () => {
  const { touch, hear, move } = held();
  [10, 20, 30].forEach(move);
  touch.release("k", 0);
  hear(30);
  assert.equal(touch.busy, false);
});

test("the same value twice waits for one echo only", () => {
  const { touch, hear, move } = held();
  move(10);
  move(10);
  hear(10);
  touch.release("k", 0);
  assert.equal(touch.busy, false);
});

test("a finger that stays down keeps its value when the link goes; a released value is given up", () => {
  const { touch, move, value } = held(5);
  move(10);
  assert.equal(touch.sweep(Infinity), false);
  assert.equal(value(), 10);
  touch.release("k", 0);
  assert.equal(touch.sweep(Infinity), true);
  assert.equal(value(), 5);
});

test("a thousand moves without an echo are a bounded list", () => {
  const { touch, hear, move } = held();
  for (let n = 1; n <= 1000; n++) move(n);
  hear(2); // long forgotten: it counts as another person's
  assert.equal(touch.ghost("k"), 2);
});

test("on and off again may be told as off only, and that is an answer", () => {
  const { touch, move } = held(0);
  move(1);
  move(0);
  touch.release("k", 0);
  touch.heard(() => 0, () => true);
  assert.equal(touch.busy, false);
});

test("a grip that is touched and let go does not forget what is on its way", () => {
  const { touch, hear, move, value } = held(5);
  move(10);
  touch.release("k", 0);
  touch.hold("k", 10, 5);
  touch.letGo("k", 0);
  assert.equal(value(), 10);
  hear(10);
  assert.equal(touch.busy, false);
});

test("what the server took is not unsure, even when its echo was passed over", () => {
  const { touch, move } = held(5);
  move(10);
  touch.release("k", 0);
  touch.taken("k");
  assert.equal(touch.sweep(Infinity), false);
  assert.equal(touch.busy, false);
});

test("a value that a fixture rounds is an echo too, if it is near enough; another hand's is a ghost", () => {
  const touch = new Touch((_, a, b) => Math.abs(a - b) <= 3);
  const hear = (value) => touch.heard(() => value);
  for (const value of [100, 140, 180]) {
    touch.hold("k", value, 0);
    touch.sent("k", value);
  }
  hear(141);
  assert.equal(touch.ghost("k"), null, "rounded");
  hear(50);
  assert.equal(touch.ghost("k"), 50);
  hear(178);
  touch.release("k", 0);
  hear(177);
  assert.equal(touch.value("k", 177), 177, "the last one has come back");
});
