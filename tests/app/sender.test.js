import assert from "node:assert/strict";
import { test } from "node:test";
import { GAP_MS, LATE_MS, Sender, WIDE } from "../../src/pwa/core/sender.js";
import { Clock } from "./clock.js";

function desk() {
  const clock = new Clock();
  const out = [];
  const lost = [];
  const way = { open: true };
  let ids = 0;
  const sender = new Sender({
    put: (message) => way.open && out.push({ ...message, at: clock.now() }) > 0,
    now: clock.now,
    later: clock.later,
    source: () => "ui-test",
    newId: () => `id-${++ids}`,
    sent: () => {},
    taken: () => {},
    refused: () => {},
    lost: (group, fields, reason) => lost.push([group, fields, reason]),
  });
  /** The server answers each message this many ms later. */
  const answering = (ms) => {
    const put = out.push.bind(out);
    out.push = (message) => {
      clock.later(() => sender.heard(), ms);
      return put(message);
    };
  };
  return { clock, out, lost, way, sender, answering };
}

const rgb = (r) => ({ r, g: 0, b: 0 });

test("a drag is at most 44 sends a second, and its last value always goes out, with an id of its own", () => {
  const { clock, out, sender, answering } = desk();
  answering(5);
  for (let n = 0; n <= 240; n++) {
    sender.move("lamp", rgb(n), n === 240);
    clock.run(1000 / 240);
  }
  clock.run(100);
  assert.ok(out.length <= 45 && out.length > 35, `${out.length} sends`);
  for (const [n, message] of out.entries()) assert.ok(n === 0 || message.at - out[n - 1].at >= GAP_MS - 0.001);
  assert.equal(out.at(-1).r, 240);
  assert.equal(new Set(out.map(({ cmdId }) => cmdId)).size, out.length);
});

test("a release sends the value again though it was sent while moving", () => {
  const { clock, out, sender } = desk();
  sender.move("lamp", rgb(7), false);
  sender.move("lamp", rgb(7), true);
  clock.run(50);
  assert.deepEqual(out.map(({ r, cmdId }) => [r, cmdId]), [[7, "id-1"], [7, "id-2"]]);
});

test("fingers on several channels of a universe share a patch, other universes have their own pace", () => {
  const { clock, out, sender } = desk();
  sender.move("u0", { 1: 1 }, false);
  sender.move("u0", { 5: 2 }, false);
  sender.move("u0", { 6: 3 }, true);
  sender.move("u3", { 9: 4 }, true);
  clock.run(50);
  assert.deepEqual(out.map(({ universe, patch }) => [universe, patch]), [
    [0, [{ ch: 1, val: 1 }]],
    [3, [{ ch: 9, val: 4 }]],
    [0, [{ ch: 5, val: 2 }, { ch: 6, val: 3 }]],
  ]);
});

test("without a link nothing is sent late: what is younger than a second goes out, the rest is lost and told", () => {
  const { clock, out, lost, way, sender } = desk();
  way.open = false;
  sender.move("lamp", rgb(1), true);
  clock.run(LATE_MS - 200);
  way.open = true;
  sender.heard();
  assert.equal(out.length, 1);
  way.open = false;
  sender.move("lamp", rgb(2), true);
  clock.run(LATE_MS + 200);
  way.open = true;
  sender.heard();
  clock.run(1000);
  assert.equal(out.length, 1);
  assert.deepEqual(lost, [["lamp", rgb(2), "LATE"]]);
});

test("after a pause of the link a drag goes on at its own pace at once", () => {
  const { clock, out, way, sender, answering } = desk();
  answering(5);
  way.open = false;
  sender.move("lamp", rgb(1), false);
  clock.run(100);
  way.open = true;
  sender.heard();
  for (let n = 2; n < 12; n++) {
    sender.move("lamp", rgb(n), false);
    clock.run(GAP_MS);
  }
  assert.ok(out.length >= 9, `${out.length} sends`);
});

test("a link that takes but never answers is not fed for more than a second", () => {
  const { clock, out, sender } = desk();
  for (let n = 0; n < 300; n++) {
    sender.move("lamp", rgb(n), false);
    clock.run(10);
  }
  assert.ok(out.at(-1).at <= LATE_MS + GAP_MS, `last one at ${out.at(-1).at}`);
  assert.equal(sender.once({ type: "blackout", on: true }), false);
});

test("a last value that found no room is tried again, until it is late", () => {
  const { clock, out, lost, sender } = desk();
  sender.move("u1", { 1: 9 }, true);
  for (let n = 0; n < 20; n++) {
    sender.answered(out.at(-1).id, "RATE_LIMITED");
    clock.run(150);
  }
  assert.ok(out.length > 3 && out.length < 10, `${out.length} tries`);
  assert.equal(lost.length, 1);
  assert.equal(new Set(out.map(({ id }) => id)).size, out.length);
});

test("a refused value is told at once", () => {
  const { out, lost, sender } = desk();
  sender.move("u1", { 1: 9 }, true);
  sender.answered(out[0].id, "VALIDATION_FAILED");
  assert.deepEqual(lost, [["u1", { 1: 9 }, "VALIDATION_FAILED"]]);
});

test("the master's message is the contract's, with no field more", () => {
  const { out, sender } = desk();
  sender.move("master", { level: 3 }, true);
  assert.deepEqual(Object.keys(out[0]).sort(), ["at", "level", "type"]);
});

test("a last value that found no room goes out with what is moved since, and never after a newer one of the same channel", () => {
  const { clock, out, sender } = desk();
  sender.move("u0", { 5: 50 }, true);
  sender.answered(out[0].id, "RATE_LIMITED");
  clock.run(105);
  sender.move("u0", { 6: 1 }, false);
  clock.run(5);
  sender.move("u0", { 6: 2 }, false); // waits its turn when the other one is tried again
  clock.run(200);
  assert.deepEqual(out.slice(1).map(({ patch }) => patch), [[{ ch: 6, val: 1 }], [{ ch: 5, val: 50 }, { ch: 6, val: 2 }]]);

  clock.run(100);
  sender.move("u0", { 5: 70 }, true);
  const refused = out.at(-1);
  sender.answered(refused.id, "QUEUE_FULL");
  clock.run(GAP_MS + 1);
  sender.move("u0", { 5: 80 }, true);
  clock.run(300);
  assert.deepEqual(out.at(-1).patch, [{ ch: 5, val: 80 }]);
});

test("a last value that waits when the link is given up is told as lost, and does not go out", () => {
  const { clock, out, lost, way, sender } = desk();
  way.open = false;
  sender.move("u0", { 5: 50 }, true);
  sender.move("u1", { 6: 60 }, false);
  sender.giveUp();
  way.open = true;
  sender.heard();
  clock.run(2000);
  assert.deepEqual([lost, out], [[["u0", { 5: 50 }, "LATE"]], []]);
});

test("fixtures share one pace, whoever is meant, and each of their values arrives as the wire wants it", () => {
  const { clock, out, sender, answering } = desk();
  answering(5);
  const [dimmed, plain] = ['f["a","b"]', 'f["group"]'];
  for (let n = 0; n <= 120; n++) {
    sender.move(dimmed, { color: 0x00ff00 + n, intensity: WIDE }, n === 120);
    sender.move(plain, { color: n }, n === 120);
    clock.run(1000 / 120);
  }
  clock.run(100);
  for (const [n, message] of out.entries()) assert.ok(n === 0 || message.at - out[n - 1].at >= GAP_MS - 0.001);
  const of = (targets) => out.filter((message) => message.targets.join() === targets);
  assert.ok(Math.abs(of("a,b").length - of("group").length) <= 2, "neither waits for the other");
  const { type, src, values } = of("a,b").at(-1);
  assert.deepEqual([type, src, values], ["fixture.set", "ui-test", { color: "#00ff78", intensity: 1 }]);
  assert.deepEqual(of("group").at(-1).values, { color: "#000078" });
});
