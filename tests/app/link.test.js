import assert from "node:assert/strict";
import { test } from "node:test";
import { Link, QUIET_MS } from "../../src/pwa/core/link.js";
import { Clock } from "./clock.js";

/** A link to sockets that tests open, feed and break. */
function link() {
  const clock = new Clock();
  clock.run(1000);
  const sockets = [];
  let slept = 0;
  const heard = [];
  const standings = [];
  const made = new Link({
    open: (url) => {
      const socket = { url, readyState: 0, sent: [], at: clock.now(), close: () => (socket.readyState = 3) };
      socket.send = (text) => socket.sent.push(JSON.parse(text));
      sockets.push(socket);
      return socket;
    },
    url: () => "ws://x/ws",
    now: clock.now,
    wall: () => clock.now() + slept,
    later: clock.later,
    never: clock.never,
    chance: () => 1,
    opened: () => heard.push("opened"),
    hear: (message) => heard.push(message.type),
    changed: () => standings.push(made.standing().kind),
  });
  const say = (message, socket = sockets.at(-1)) => socket.onmessage?.({ data: JSON.stringify(message) });
  const open = () => {
    sockets.at(-1).readyState = 1;
    sockets.at(-1).onopen?.();
    say({ type: "state" });
  };
  const lose = (code = 1006) => {
    const socket = sockets.at(-1);
    socket.readyState = 3;
    socket.onclose?.({ code });
  };
  /** Lets seconds pass, while the server answers pings or not. */
  const seconds = (n, answers) => {
    for (let k = 0; k < n; k++) {
      clock.run(1000);
      made.tick();
      if (answers) say({ type: "pong" });
    }
  };
  const sleep = (ms) => (slept += ms);
  return { clock, sockets, heard, standings, link: made, say, open, lose, seconds, sleep };
}

test("it comes back by itself, for ever, with pauses that grow to 5 s", () => {
  const { clock, sockets, link: it, lose } = link();
  it.connect();
  for (let n = 0; n < 12; n++) {
    lose();
    clock.run(5000);
  }
  const pauses = sockets.slice(1).map((socket, n) => socket.at - (sockets[n]?.at ?? 0));
  assert.equal(sockets.length, 13);
  assert.equal(pauses[0], 250);
  assert.ok(pauses.every((ms) => ms <= 5000 * 2));
});

test("a short break is not called a loss; after a second and a half the values' age is told", () => {
  const { clock, link: it, open, lose } = link();
  it.connect();
  assert.deepEqual(it.standing(), { kind: "connecting" });
  open();
  assert.equal(it.standing().kind, "live");
  lose();
  clock.run(QUIET_MS - 1);
  assert.deepEqual(it.standing(), { kind: "connecting" }, "not lost yet, and not connected");
  clock.run(2);
  assert.deepEqual(it.standing(), { kind: "lost", ageMs: QUIET_MS + 1 });
});

test("a loss is told before it is over, whenever it began: nothing that waited for the link goes out after it", () => {
  const { clock, heard, standings, link: it, open, lose, say } = link();
  it.connect();
  open();
  lose();
  clock.run(QUIET_MS + 1); // it has tried again meanwhile, and nobody has ticked
  standings.length = heard.length = 0;
  open();
  assert.equal(standings[0], "lost");
  assert.deepEqual(heard, ["opened", "state"]);
  it.put({ type: "set" });
  clock.run(QUIET_MS - 1);
  standings.length = 0;
  say({ type: "ack" });
  assert.ok(!standings.includes("lost"), "a short break is none");
});

test("no appliance at all is told too", () => {
  const { clock, link: it } = link();
  it.connect();
  clock.run(QUIET_MS + 1);
  assert.deepEqual(it.standing(), { kind: "lost", ageMs: null });
});

test("the chip's figure is what a ping took", () => {
  const { clock, sockets, link: it, say, open } = link();
  it.connect();
  open();
  assert.equal(sockets[0].sent[0].type, "ping");
  clock.run(42);
  say({ type: "pong" });
  assert.deepEqual(it.standing(), { kind: "live", ms: 42 });
});

test("a socket that is silent is not taken for a live one, and left for another", () => {
  const { sockets, link: it, open, seconds } = link();
  it.connect();
  open();
  seconds(10, true);
  assert.equal(it.standing().kind, "live");
  seconds(4, false);
  assert.equal(it.standing().kind, "lost");
  seconds(5, false);
  assert.ok(sockets.length > 1);
  assert.equal(sockets[0].readyState, 3);
});

test("a link that was declared dead is never called connected before something is heard on the new one", () => {
  const { clock, sockets, link: it, say, open, seconds } = link();
  it.connect();
  open();
  seconds(3, true);
  const told = [];
  for (let ms = 0; ms < 30_000; ms += 50) {
    clock.run(50);
    if (ms % 1000 === 0) it.tick();
    told.push(it.standing().kind);
  }
  assert.ok(sockets.length > 2, "it was declared dead, more than once");
  const firstDoubt = told.indexOf("lost");
  assert.ok(firstDoubt > 0);
  assert.deepEqual([...new Set(told.slice(firstDoubt))], ["lost"]);
  const known = sockets.length;
  while (sockets.length === known) seconds(1, false); // the next one, which is answered
  open();
  say({ type: "pong" });
  assert.equal(it.standing().kind, "live");
});

test("nor is one that wakes from a sleep, or that tries another key", () => {
  const { clock, link: it, say, open, sleep } = link();
  it.connect();
  open();
  say({ type: "pong" });
  sleep(3600_000);
  it.wake();
  assert.equal(it.standing().kind, "connecting");
  say({ type: "pong" });
  assert.equal(it.standing().kind, "live");
  it.retry();
  assert.equal(it.standing().kind, "connecting");
  clock.run(QUIET_MS + 1);
  assert.equal(it.standing().kind, "lost");
  open();
  assert.equal(it.standing().kind, "live");
});

test("a tablet that wakes up tries at once", () => {
  const { clock, sockets, link: it, open, lose } = link();
  it.connect();
  open();
  for (let n = 0; n < 6; n++) {
    lose();
    clock.run(5001);
  }
  lose();
  const before = sockets.length;
  it.wake();
  assert.equal(sockets.length, before + 1);
});

test("a page that shows up while it connects does not begin anew", () => {
  const { clock, sockets, link: it } = link();
  it.connect();
  clock.run(100);
  it.wake();
  assert.equal(sockets.length, 1);
  clock.run(3000);
  it.wake();
  assert.equal(sockets.length, 2, "one that hangs is left");
});

test("a socket that does not answer within a second of waking is dead", () => {
  const { clock, sockets, link: it, open } = link();
  it.connect();
  open();
  it.wake();
  clock.run(1100);
  clock.run(300);
  assert.equal(sockets.length, 2);
});

test("each connection begins with a full snapshot, and an old socket is not heard any more", () => {
  const { clock, sockets, heard, link: it, say, open, lose } = link();
  it.connect();
  open();
  lose();
  clock.run(300);
  open();
  assert.deepEqual(heard, ["opened", "state", "opened", "state"]);
  say({ type: "desk" }, sockets[0]);
  assert.equal(heard.length, 4);
});

test("a refused key is asked for, and tried again when there is another or when somebody looks again", () => {
  const { clock, sockets, link: it, say, open, lose } = link();
  it.connect();
  say({ type: "err", code: 401 });
  lose(4401);
  clock.run(60_000);
  assert.deepEqual([it.standing().kind, sockets.length], ["key", 1]);
  it.wake();
  assert.deepEqual([it.standing().kind, sockets.length], ["key", 2], "the question stays while it is tried");
  say({ type: "err", code: 401 });
  lose(4401);
  assert.equal(it.standing().kind, "key");
  it.retry();
  assert.equal(sockets.length, 3);
  open();
  assert.equal(it.standing().kind, "live");
});

test("what is sent and not answered makes the link doubtful, long before the next ping", () => {
  const { clock, link: it, say, open } = link();
  it.connect();
  open();
  say({ type: "pong", ts: 1 });
  clock.run(100);
  it.put({ type: "set" });
  clock.run(QUIET_MS);
  assert.equal(it.standing().kind, "live");
  clock.run(1);
  assert.deepEqual(it.standing(), { kind: "lost", ageMs: QUIET_MS + 101 });
  say({ type: "state" });
  assert.equal(it.standing().kind, "live");
});

test("a slow answer is not taken for that of a later ping", () => {
  const { clock, sockets, link: it, say, open } = link();
  it.connect();
  open();
  for (let n = 0; n < 3; n++) {
    clock.run(1000);
    it.tick();
  }
  say({ type: "pong", ts: 1 });
  assert.deepEqual([it.standing(), sockets[0].sent.length], [{ kind: "live", ms: 3000 }, 1]);
});

test("the age of the values counts a sleep in which the clock stood still", () => {
  const { clock, link: it, open, lose, sleep } = link();
  it.connect();
  open();
  lose();
  clock.run(QUIET_MS + 1);
  sleep(8 * 3600 * 1000);
  assert.deepEqual(it.standing(), { kind: "lost", ageMs: 8 * 3600 * 1000 + QUIET_MS + 1 });
});

test("what is no message is not listened to", () => {
  const { heard, link: it, open, sockets } = link();
  it.connect();
  open();
  sockets[0].onmessage({ data: "<html>" });
  assert.deepEqual(heard, ["opened", "state"]);
});

test("nothing is put on a link that is not live", () => {
  const { sockets, link: it, open, lose } = link();
  it.connect();
  assert.equal(it.put({}), false);
  open();
  assert.equal(it.put({ a: 1 }), true);
  assert.deepEqual(sockets[0].sent.at(-1), { a: 1 });
  lose();
  assert.equal(it.put({}), false);
});

test("a page that nobody sees ticks once a minute, and does not take its good socket for a dead one", () => {
  const { clock, sockets, link: it, say, open } = link();
  it.connect();
  open();
  say({ type: "pong", ts: 1 });
  for (let minute = 0; minute < 3; minute++) {
    clock.run(60_000);
    it.tick();
    clock.run(20);
    say({ type: "pong", ts: 1 });
  }
  assert.deepEqual([sockets.length, it.standing()], [1, { kind: "live", ms: 20 }]);
});
