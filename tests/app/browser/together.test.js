// Several hands, bad radios, a server that goes and comes back: what is under a finger stays there, and in the end all agree.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { finger, place } from "./finger.js";
import { Appliance, PLAIN, eventually, launch, barriers, level, live, lost, painted, picture, visit } from "./harness.js";
import { Weather } from "./weather.js";

let browser, appliance;
before(async () => (browser = await launch()));
after(() => browser?.close());
beforeEach(async () => (appliance = await new Appliance().start()));
afterEach(() => appliance.clear());

const red = (page) => page.getByRole("slider", { name: "Red", exact: true });
const is = (page, name, value) => eventually(`${name} on the page`, () => level(page, name), (shown) => shown === value);
const lamp = async () => (({ r, g, b }) => [r, g, b])(await appliance.rest("/rgb"));

/** Records every value that a person could have seen on a slider. */
const watch = (page, name) => red(page).evaluate((slider) => {
  globalThis.seen = [];
  const look = () => {
    globalThis.seen.push(Number(slider.ariaValueNow));
    requestAnimationFrame(look);
  };
  look();
}, name);

/** Moves up the red slider, from `from` to `to` of its length. */
async function climb(page, hand, from, to, steps) {
  for (let step = 0; step <= steps; step++) {
    await hand.move(await place(red(page), from + ((to - from) * step) / steps));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
}

const assertOnlyRises = (seen) => seen.forEach((value, index) => assert.ok(index === 0 || value >= seen[index - 1], `it jumped back: ${seen.slice(Math.max(0, index - 3), index + 2)}`));

test("what two people do at once is seen by both, and nobody's finger is pushed", () =>
  visit(browser, { appliance, host: PLAIN }, (mine) => visit(browser, { appliance, host: PLAIN }, async (theirs) => {
    await Promise.all([live(mine), live(theirs)]);
    const hand = await finger(mine);
    await hand.down(await place(red(mine), 0.2));
    await climb(mine, hand, 0.2, 0.4, 10);
    await painted(mine);
    const held = await level(mine, "Red");
    await is(theirs, "Red", held);

    // The other one moves the same slider elsewhere: mine stays under my finger.
    const other = await finger(theirs);
    await other.tap(await place(red(theirs), 0.9));
    await painted(theirs);
    const theirsNow = await level(theirs, "Red");
    await eventually("the other's light", lamp, ([r]) => r === theirsNow);
    assert.equal(await level(mine, "Red"), held, "under my finger");
    const ghost = red(mine).locator(".ghost");
    assert.ok(await ghost.isVisible(), "a mark where the other one has put it");
    await picture(mine, "ghost");

    await climb(mine, hand, 0.4, 0.5, 5);
    await painted(mine);
    const last = await level(mine, "Red");
    await hand.up();
    await eventually("my last word", lamp, ([r]) => r === last);
    await Promise.all([is(mine, "Red", last), is(theirs, "Red", last)]);
    assert.ok(!(await ghost.isVisible()), "no mark where all agree");
  })));

test("two hands at two colours of one lamp do not undo each other", () =>
  visit(browser, { appliance, host: PLAIN }, (mine) => visit(browser, { appliance, host: PLAIN }, async (theirs) => {
    await Promise.all([live(mine), live(theirs)]);
    const hand = await finger(mine);
    await hand.down(await place(red(mine), 0.3));
    await climb(mine, hand, 0.3, 0.4, 5);
    const other = await finger(theirs);
    await other.tap(await place(theirs.getByRole("slider", { name: "Green", exact: true }), 0.8));
    const [, green] = await eventually("their green", lamp, ([, g]) => g > 0);
    await climb(mine, hand, 0.4, 0.5, 5);
    await painted(mine);
    const last = await level(mine, "Red");
    await hand.up();
    await eventually("my red", lamp, ([r]) => r === last);
    assert.deepEqual(await lamp(), [last, green, 0]);
    await Promise.all([is(mine, "Green", green), is(theirs, "Red", last)]);
  })));

test("a grip that is held stays under the finger, and leaving it alone changes nothing", () =>
  visit(browser, { appliance, host: PLAIN }, async (page, sent) => {
    await live(page);
    await appliance.light([128, 0, 0]);
    await is(page, "Red", 128);
    const hand = await finger(page);
    await hand.down(await place(red(page), 128 / 255));
    await appliance.light([250, 0, 0]);
    await red(page).locator(".ghost").waitFor();
    assert.equal(await level(page, "Red"), 128);
    await hand.upAfter(1000); // sooner it would be a tap
    await is(page, "Red", 250);
    assert.deepEqual(sent.filter(({ message }) => message.type !== "ping"), []);
  }));

test("what a dead radio swallowed does not come out later and undo what was done since", async () => {
  const weather = new Weather(appliance.port);
  const port = await weather.begin();
  try {
    await visit(browser, { appliance: { url: (host) => `http://${host}:${port}/` }, host: PLAIN }, async (page) => {
      await live(page);
      const blackout = page.getByRole("button", { name: "Blackout" });
      const dark = async () => [(await appliance.rest("/desk")).blackout, (await blackout.getAttribute("aria-pressed")) === "true"];
      weather.hold();
      const another = page.waitForEvent("websocket");
      await blackout.click();
      await page.getByText("No reply. Check whether it worked.").waitFor();
      await lost(page);
      // The page gives up the old socket and opens another; only then does the radio bring what was on its way.
      await another;
      await live(page);
      assert.deepEqual(await dark(), [false, false]);
      weather.letGo();
      await appliance.light([1, 2, 3]);
      await is(page, "Red", 1);
      assert.deepEqual(await dark(), [false, false]);
    });
  } finally {
    weather.end();
  }
});

test("a link that is silent is never called connected again before it answers", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    await page.evaluate(() => {
      globalThis.told = [];
      const chip = document.querySelector("dmx-chip");
      new MutationObserver(() => globalThis.told.push(chip.textContent)).observe(chip, { childList: true, characterData: true, subtree: true });
    });
    const another = page.waitForEvent("websocket"); // it has given up the silent one
    appliance.freeze(true);
    await lost(page);
    await another;
    await page.getByRole("button", { name: "Blackout" }).tap();
    await page.getByText("Not sent: no connection.").waitFor();
    const told = await page.evaluate(() => globalThis.told);
    const since = told.findIndex((words) => words.startsWith("No connection"));
    assert.deepEqual(told.slice(since).filter((words) => !words.startsWith("No connection")), []);
    appliance.freeze(false);
    await live(page);
  }));

test("a lost link shuts nobody out", () =>
  visit(browser, { appliance, host: PLAIN, expects: /ERR_|WebSocket/ }, async (page) => {
    await live(page);
    await appliance.stop("SIGKILL");
    await lost(page);
    assert.deepEqual(await barriers(page), []);
    await picture(page, "lost");
  }));

test("with 300 ms and one piece in twenty lost the slider never jumps back, and converges", async () => {
  const weather = new Weather(appliance.port);
  const port = await weather.begin();
  try {
    await visit(browser, { appliance: { url: (host) => `http://${host}:${port}/` }, host: PLAIN }, async (page, sent) => {
      await live(page);
      weather.turn({ roundTripMs: 300, loss: 0.05 });
      const hand = await finger(page);
      await hand.down(await place(red(page), 0.1));
      await watch(page, "Red");
      await climb(page, hand, 0.1, 0.9, 120);
      await painted(page);
      const last = await level(page, "Red");
      await hand.up();
      const said = () => sent.filter(({ message }) => message.type === "dmx.patch").length;
      await eventually("all of it arrives", async () => (await appliance.rest("/rgb")).seq - said(), (open) => open === 0);
      assert.equal((await lamp())[0], last);
      await is(page, "Red", last);
      assertOnlyRises(await page.evaluate(() => globalThis.seen));
      // Another person's value counts again once the finger is gone.
      await appliance.light([7, 8, 9]);
      await is(page, "Red", 7);
    });
  } finally {
    weather.end();
  }
});

test("killed and started again in the middle of a drag, it goes on from what is true", () =>
  // The browser itself reports the socket that dies.
  visit(browser, { appliance, host: PLAIN, expects: /ERR_CONNECTION_(REFUSED|RESET)|WebSocket connection|ERR_EMPTY_RESPONSE/ }, async (page) => {
    await live(page);
    const hand = await finger(page);
    await hand.down(await place(red(page), 0.1));
    await climb(page, hand, 0.1, 0.3, 20);
    await appliance.stop("SIGKILL");
    await climb(page, hand, 0.3, 0.5, 20);
    await lost(page);
    await hand.up();
    await appliance.start();
    const [kept] = await lamp();
    await live(page);
    await is(page, "Red", kept);
    assert.equal((await lamp())[0], kept, "nothing that was done without a link is sent late");
    // And the hand works again.
    await hand.tap(await place(red(page), 0.8));
    await painted(page);
    const last = await level(page, "Red");
    await eventually("the light", lamp, ([r]) => r === last);
  }));

test("a page that slept shows the truth when it wakes", () =>
  visit(browser, { appliance, host: PLAIN, expects: /ERR_CONNECTION_(REFUSED|RESET)|WebSocket connection/ }, async (page) => {
    await live(page);
    const session = await page.context().newCDPSession(page);
    await session.send("Page.setWebLifecycleState", { state: "frozen" });
    await appliance.stop("SIGKILL");
    await appliance.start();
    await appliance.light([91, 92, 93]);
    await session.send("Page.setWebLifecycleState", { state: "active" });
    await is(page, "Red", 91);
    await live(page);
  }));
