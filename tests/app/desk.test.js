// The desk as a whole, with a server of three lines instead of a browser's socket.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
let clock = 10_000;
const pass = (ms) => {
  for (let n = 0; n < ms; n += 10) {
    clock += 10;
    mock.timers.tick(10);
  }
};

/** @type {FakeSocket[]} */
const sockets = [];
class FakeSocket {
  readyState = 1;
  sent = [];
  constructor() {
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  say(...messages) {
    for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
  }
}
const stub = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
stub("performance", { now: () => clock, timeOrigin: 1_800_000_000_000 });
stub("WebSocket", FakeSocket);
stub("location", { href: "http://desk.test/", protocol: "http:" });
stub("document", { visibilityState: "visible", addEventListener: () => {} });
stub("addEventListener", () => {});
stub("navigator", { userAgent: "node" });
stub("requestAnimationFrame", (run) => setTimeout(run, 16));
stub("fetch", async () => new Response("[]", { status: 200 }));

const { desk } = await import("../../src/pwa/desk.js");
const told = [];
desk.notify = (words) => told.push(words);
desk.start();

const levels = (r, full = false) => ({ type: "state.update", rev: 1, ts: 1, universe: 0, full, delta: [{ ch: 1, val: r }] });
const greet = (r) => {
  sockets.at(-1).onopen?.();
  sockets.at(-1).say({ type: "state", r, g: 0, b: 0, seq: 1, ts: 1 }, levels(r, true), { type: "desk", master: 200, blackout: false, scene: null, fades: [] });
};
const sets = () => sockets.at(-1).sent.filter(({ type }) => type === "set");

test("it shows nothing as a value before the appliance has spoken", () => {
  assert.equal(desk.known, false);
  greet(50);
  assert.deepEqual([desk.known, desk.lamp.r, desk.master], [true, 50, 200]);
});

test("a finger's value stands until the server has it, and its commands name this device", () => {
  desk.moveLamp({ r: 60, g: 0, b: 0 }, "drag");
  desk.moveLamp({ r: 70, g: 0, b: 0 }, "end");
  pass(50);
  assert.deepEqual(sets().map(({ r }) => r), [60, 70]);
  assert.match(sets()[0].src, /^ui-desk-/);
  sockets.at(-1).say(levels(60));
  assert.equal(desk.lamp.r, 70);
  sockets.at(-1).say(levels(70), levels(90));
  assert.equal(desk.lamp.r, 90, "and after that the server's word counts");
});

test("blackout is one message at once, and shown at once", () => {
  desk.setBlackout(true);
  const { ts, ...message } = sockets.at(-1).sent.at(-1);
  assert.deepEqual(message, { type: "blackout", on: true });
  assert.ok(Number.isInteger(ts), "it says when, so that what a dead radio held up is not done late");
  assert.equal(desk.blackout, true);
  sockets.at(-1).say({ type: "desk", master: 200, blackout: true, scene: null, fades: [] });
  assert.equal(desk.blackout, true);
});

test("a finger that goes while there is no link leaves nothing behind", () => {
  desk.moveLamp({ r: 10, g: 0, b: 0 }, "drag");
  pass(100);
  sockets.at(-1).onclose?.({ code: 1006 });
  sockets.at(-1).readyState = 3;
  for (const each of sockets) each.readyState = 3;
  pass(2000);
  assert.equal(desk.usable, false);
  assert.equal(desk.lamp.r, 10, "under the finger");
  told.length = 0;
  desk.moveLamp({ r: 11, g: 0, b: 0 }, "end");
  assert.ok(told.length > 0, "and people are told");
  assert.equal(desk.lamp.r, 90);
  pass(6000);
  sockets.at(-1).readyState = 1;
  greet(33);
  assert.deepEqual([desk.usable, desk.lamp.r, sets().length], [true, 33, 0]);
});

test("a value that was refused is the server's again, and people are told", () => {
  desk.moveChannel(0, 9, 77, "end");
  const { id } = sockets.at(-1).sent.at(-1);
  told.length = 0;
  sockets.at(-1).say({ ack: id, accepted: false, ts: 1, reason: "VALIDATION_FAILED" });
  assert.deepEqual([desk.level(0, 9), told.length], [0, 1]);
});

test("a grip that is held and not moved stays where it is, shows what others do, and leaves no command behind", () => {
  sockets.at(-1).say(levels(40));
  const before = sockets.at(-1).sent.length;
  desk.moveChannel(0, 1, 40, "hold");
  sockets.at(-1).say(levels(250));
  assert.deepEqual([desk.level(0, 1), desk.ghost(0, 1)], [40, 250]);
  desk.moveChannel(0, 1, 40, "drop");
  assert.deepEqual([desk.level(0, 1), desk.ghost(0, 1), sockets.at(-1).sent.length], [250, null, before]);
});

test("a recall that is refused is told", () => {
  desk.recall("gone");
  const { type, id } = sockets.at(-1).sent.at(-1);
  assert.equal(type, "scene.recall");
  told.length = 0;
  sockets.at(-1).say({ ack: id, accepted: false, ts: 1, reason: "VALIDATION_FAILED" });
  assert.equal(told.length, 1);
});

test("a blackout of which nothing is heard is not passed over in silence", () => {
  desk.setBlackout(true);
  told.length = 0;
  pass(1000);
  assert.deepEqual([desk.blackout, told.length], [true, 0]);
  pass(3000);
  assert.deepEqual([desk.blackout, told.length, desk.standing.kind], [false, 1, "lost"]);
});
