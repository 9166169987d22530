// Faders under a hurried finger: a tap goes where it points, the ends have buttons, and Master cannot be brushed away.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { finger, place } from "./finger.js";
import { Appliance, PLAIN, SIZES, eventually, launch, level, live, painted, visit } from "./harness.js";

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance().start();
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});
beforeEach(() => appliance.rest("/master", { body: { level: 255 } }));

const slider = (page, name) => page.getByRole("slider", { name, exact: true });
const red = async () => (await appliance.rest("/rgb")).r;
const master = async () => (await appliance.rest("/desk")).master;
const is = (what, ask, value) => eventually(what, ask, (now) => now === value);

/** The light once everything that the page has sent is done: its next command has been. */
async function said(page) {
  await page.getByLabel("Blue, number").fill(String(((await appliance.rest("/rgb")).b + 1) % 256));
  const wanted = Number(await page.getByLabel("Blue, number").inputValue());
  await page.keyboard.press("Enter");
  await is("what was said last", async () => (await appliance.rest("/rgb")).b, wanted);
}

test("a tap goes where it points: near the grip and on it too, down to nothing", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    const hand = await finger(page);
    const { x, y, width, height } = await slider(page, "Red").boundingBox();
    const at = (pixels) => ({ x: x + width / 2, y: y + height - pixels });
    const value = (pixels) => Math.round(((pixels - 7) / (height - 14)) * 255);
    await appliance.light([30, 0, 0]);
    await is("a low value", () => level(page, "Red"), 30);
    for (const pixels of [20, 30, 12, 45, 50, 47]) { // each within reach of the grip as the previous one left it
      await hand.tap(at(pixels));
      await eventually(`a tap ${pixels} pixels above its foot`, red, (now) => Math.abs(now - value(pixels)) <= 2);
      await eventually("the grip is there", () => level(page, "Red"), (now) => Math.abs(now - value(pixels)) <= 2);
    }
    await hand.tap(at(22));
    await hand.tap(at(2));
    await is("tapped away", red, 0);
  }));

test("a drag that begins at the grip takes it along, without a jump", () =>
  visit(browser, { appliance, host: PLAIN }, async (page, sent) => {
    await live(page);
    await appliance.light([100, 0, 0]);
    await is("some red", () => level(page, "Red"), 100);
    const hand = await finger(page);
    const { x, y, width, height } = await slider(page, "Red").boundingBox();
    const from = { x: x + width / 2, y: y + height - 7 - (100 / 255) * (height - 14) - 20 }; // above its middle
    await hand.down(from);
    for (let up = 1; up <= 40; up++) await hand.move({ x: from.x, y: from.y - up });
    await painted(page);
    const wanted = 100 + Math.round((40 / (height - 14)) * 255);
    assert.ok(Math.abs((await level(page, "Red")) - wanted) <= 2, `${await level(page, "Red")}, not ${wanted}`);
    await hand.up();
    const patches = sent.flatMap(({ message }) => (message.type === "dmx.patch" ? message.patch.map(({ val }) => val) : []));
    patches.forEach((value, n) => assert.ok(value >= (patches[n - 1] ?? 100), `it jumped: ${patches}`));
    await eventually("the light", red, (now) => Math.abs(now - wanted) <= 2);
  }));

for (const size of SIZES) {
  test(`at ${size.join(" × ")} every fader has a button for each end, as large as a finger`, () =>
    visit(browser, { appliance, host: PLAIN, size }, async (page) => {
      await live(page);
      const names = await page.locator("main").getByRole("slider").evaluateAll((all) => all.map((one) => one.ariaLabel).filter((name) => name !== "Colour"));
      assert.ok(names.length >= 8, names.join());
      for (const name of names) {
        for (const end of ["full", "0"]) {
          const { width, height } = await page.getByRole("button", { name: `${name}: ${end}`, exact: true }).boundingBox();
          assert.ok(width >= 48 && height >= 48, `${name}: ${end} is ${width} × ${height}`);
        }
        assert.ok((await slider(page, name).boundingBox()).height >= 100, `${name} is long enough to be moved`);
      }
      await page.getByRole("button", { name: "Red: full", exact: true }).tap();
      await is("full", red, 255);
      await page.getByRole("button", { name: "Red: 0", exact: true }).tap();
      await is("nothing", red, 0);
      for (const end of ["full", "0"]) assert.equal(await page.getByRole("button", { name: `Grand master: ${end}` }).count(), 0);
    }));
}

test("Master moves only when its grip is taken and dragged", () =>
  visit(browser, { appliance, host: PLAIN, size: SIZES[3] }, async (page, sent) => {
    await live(page);
    const hand = await finger(page);
    const grand = slider(page, "Grand master");
    for (const share of [0.3, 0.05, 0.6]) await hand.tap(await place(grand, share));
    await page.getByText("Master moves only when you drag its handle.").waitFor();
    // A palm that wipes across it, and a tap on the grip.
    await hand.down(await place(grand, 0.1));
    for (let step = 1; step <= 20; step++) await hand.move(await place(grand, 0.1 + step / 40));
    await hand.up();
    const grip = await place(grand, 1);
    await hand.tap({ x: grip.x - 20, y: grip.y });
    await said(page);
    assert.equal(await master(), 255);
    assert.deepEqual(sent.filter(({ message }) => message.type === "master"), []);
    assert.equal(await level(page, "Grand master"), 255);

    await hand.down({ x: grip.x - 20, y: grip.y });
    for (let step = 1; step <= 20; step++) await hand.move({ x: grip.x - 20 - step * 2, y: grip.y });
    await painted(page);
    const held = await level(page, "Grand master");
    await hand.up();
    assert.ok(held < 255 && held > 0, String(held));
    await is("as it was left", master, held);
  }));

test("a recent colour is one that was chosen, whatever the light is by then", async () => {
  await appliance.light([0, 0, 0]);
  await visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    const hand = await finger(page);
    await hand.tap(await place(slider(page, "Green"), 0.5));
    const { g } = await eventually("green", () => appliance.rest("/rgb"), ({ g }) => g > 0);
    await appliance.light([9, 8, 7]);
    await eventually("somebody else's light", () => level(page, "Red"), (value) => value === 9);
    const first = page.getByRole("group", { name: "Recent colours" }).getByRole("button").first();
    await first.waitFor();
    assert.equal(await first.getAttribute("aria-label"), `Colour #00${g.toString(16).padStart(2, "0")}00`);
  });
});
