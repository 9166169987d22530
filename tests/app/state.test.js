import assert from "node:assert/strict";
import { test } from "node:test";
import { empty, fold, level, opened, progress } from "../../src/pwa/core/state.js";

const state = (seq, ts = 1000) => ({ type: "state", r: 1, g: 2, b: 3, seq, ts });
const update = (universe, delta, full = false, rev = 1, ts = 1000) =>
  ({ type: "state.update", rev, ts, universe, full, delta: Object.entries(delta).map(([ch, val]) => ({ ch: Number(ch), val })) });
const desk = (more = {}) => ({ type: "desk", master: 255, blackout: false, scene: null, fades: [], ...more });
const fade = (id, more = {}) => ({ id, src: "a", universes: [0], channels: 3, startedAt: 1000, durationMs: 2000, easing: "linear", ...more });
const after = (model, ...messages) => messages.reduce((m, message) => fold(m, message, 1000), model);
const greeted = () => after(opened(empty()), state(5), update(0, { 1: 10 }, true), update(2, { 7: 20 }, true), desk());

test("a connection's first messages are the whole truth, up to and with the desk", () => {
  const model = greeted();
  assert.deepEqual([model.seq, level(model, 0, 1), level(model, 2, 7), model.greeting, model.generation], [5, 10, 20, null, 1]);
});

test("a delta changes what it names and leaves the rest; a full one leaves nothing", () => {
  const model = after(greeted(), update(0, { 2: 30 }));
  assert.deepEqual([level(model, 0, 1), level(model, 0, 2)], [10, 30]);
  assert.equal(level(after(model, update(0, { 5: 1 }, true)), 0, 1), 0);
});

test("folding never changes an earlier model", () => {
  const before = greeted();
  after(before, update(0, { 1: 99 }));
  assert.equal(level(before, 0, 1), 10);
});

test("values are kept while the link is away, and a universe that is gone goes with the next greeting", () => {
  const again = opened(greeted());
  assert.equal(level(again, 2, 7), 20);
  const model = after(again, state(9), update(0, { 1: 11 }, true));
  assert.equal(level(model, 2, 7), 20, "not before the greeting has ended");
  assert.equal(level(after(model, desk()), 2, 7), 0);
});

test("a full update outside a greeting means another project: what REST gave is old", () => {
  const before = greeted();
  assert.equal(after(before, update(0, { 1: 1 })).generation, before.generation);
  assert.equal(after(before, update(0, { 1: 1 }, true)).generation, before.generation + 1);
});

test("the fade that begins with a scene is the scene's; one that ran before is not", () => {
  const ran = after(greeted(), desk({ fades: [fade("old")] }));
  const recalled = after(ran, desk({ scene: "s", fades: [fade("old"), fade("new")] }));
  assert.equal(recalled.sceneFade, "new");
  assert.equal(after(recalled, desk({ scene: "s", fades: [fade("old"), fade("new")] })).sceneFade, "new");
  assert.equal(after(recalled, desk({ scene: "s", fades: [fade("old")] })).sceneFade, null);
  assert.equal(after(recalled, desk({ fades: [fade("old"), fade("new")] })).sceneFade, null);
  assert.equal(after(opened(empty()), state(1), desk({ scene: "s", fades: [fade("x")] })).sceneFade, null, "nobody told us");
});

test("a fade's progress is by the server's clock", () => {
  const model = fold(greeted(), update(0, { 1: 2 }, false, 6, 61_000), 1000);
  assert.equal(model.ahead, 60_000);
  assert.equal(progress(model, fade("f", { startedAt: 61_000 }), 2000), 0.5);
  assert.equal(progress(model, fade("f", { startedAt: 61_000 }), 99_000), 1);
  assert.equal(progress(model, fade("f", { startedAt: 90_000 }), 2000), 0);
});

test("acks and refusals are no state, and a pong tells the server's clock", () => {
  const model = greeted();
  for (const message of [{ ack: "x", accepted: true, ts: 1 }, { type: "err", code: "VALIDATION_FAILED" }]) {
    assert.equal(fold(model, message, 1000), model);
  }
  assert.equal(fold(model, { type: "pong", ts: 5000 }, 1000).ahead, 4000);
});

test("devices are what was said last", () => {
  assert.deepEqual(after(greeted(), { type: "devices", devices: [{ id: "a", online: true, since: 1 }] }).devices?.length, 1);
});
