// Fixtures as a volunteer has them: twelve PARs from an empty box, red on all of them, looks with heads; every tap is counted.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { around, finger, place } from "./finger.js";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, live, picture, settled, visit } from "./harness.js";

let browser, appliance;
before(async () => (browser = await launch()));
after(() => browser?.close());
beforeEach(async () => (appliance = await new Appliance().start()));
afterEach(() => appliance.clear());

const levels = async (universe = 0) => (await appliance.rest("/state?sparse=1")).universesSparse[universe] ?? {};
const frame = async () => (await appliance.rest("/universes/0/frame")).frame;
const add = (body) => appliance.rest("/patch/fixtures", { body });
const tab = (page, name) => page.locator("nav").getByRole("link", { name, exact: true });
const chip = (page, name) => page.locator(".chip").filter({ hasText: name });
const tiles = (page) => page.locator(".fixture");
const pressed = (page) => page.locator('.fixture[aria-pressed="true"]').count();

/** Hands that count: a tap, and each key of a number, is one. */
function counting(page) {
  const hands = {
    taps: 0,
    async tap(what) {
      hands.taps++;
      await what.tap();
    },
    async type(field, text) {
      await hands.tap(field);
      for (const key of text) {
        hands.taps++;
        await page.keyboard.press(key);
      }
    },
    /** On a place of a control. */
    async at({ x, y }) {
      hands.taps++;
      await page.touchscreen.tap(x, y);
    },
  };
  return hands;
}

test("from an empty box to a working wheel on twelve PARs in 12 taps, and red on all of them in 3 more", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    const hands = counting(page);
    await hands.tap(tab(page, "Fixtures"));
    await page.getByRole("button", { name: "Add 1 fixture" }).waitFor();
    await hands.type(page.getByLabel("How many"), "12");
    await page.getByText("channels 1–84").waitFor();
    await hands.tap(page.getByRole("button", { name: "Add 12 fixtures" }));
    await page.getByText("12 fixtures added.").waitFor();
    await hands.tap(tab(page, "Live"));
    await eventually("the new ones are selected", () => pressed(page), (n) => n === 12);
    const wheel = page.locator("dmx-wheel");
    await hands.at(await around(wheel, 120, 0.9));
    await eventually("green light on the last one", async () => (await frame()).slice(77, 84), ([dimmer, red, green]) => dimmer === 255 && green > 200 && red < 60);
    assert.ok(hands.taps <= 12, `${hands.taps} taps`);
    await page.getByRole("button", { name: "Select none" }).click();
    hands.taps = 0;
    await hands.tap(chip(page, "All"));
    await hands.tap(page.locator(".quick button").first());
    await eventually("red on all", async () => (await frame()).slice(0, 84), (light) => light.every((level, n) => level === [255, 255, 0, 0, 0, 0, 0][n % 7]));
    await eventually("and each tile shows it", () => tiles(page).evaluateAll((all) => all.every((tile) => tile.querySelector(".swatch").style.getPropertyValue("--colour") === "rgb(255 0 0)")), Boolean);
    assert.ok(hands.taps <= 3, `${hands.taps} taps`);
  }));

test("eight looks with heads take 120 taps at most, and each mark shows its colours", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await add({ type: "par-7", universe: 0, address: 1, count: 8, name: "PAR" });
    await add({ type: "moving-head", universe: 0, address: 101, count: 4, name: "Head" });
    await page.reload();
    await live(page);
    await settled(page);
    const hands = counting(page);
    const wait = (what) => eventually("it is captured", async () => (await appliance.rest("/scenes")).length, (n) => n === what);
    for (let n = 0; n < 8; n++) {
      await hands.tap(chip(page, "PAR"));
      if (n > 0) await hands.tap(page.locator(".tab[data-page=colour]"));
      await hands.tap(page.locator(".quick button").nth(n));
      await hands.tap(chip(page, "head"));
      await hands.tap(page.locator(".quick button").nth(7 - n));
      await hands.tap(page.locator(".tab[data-page=position]"));
      const pad = await page.locator("dmx-pad").boundingBox();
      await hands.at({ x: pad.x + pad.width * (0.1 + 0.1 * n), y: pad.y + pad.height * 0.3 });
      await eventually("the heads have gone there", async () => (await frame())[100], (pan) => Math.abs(pan / 255 - (0.1 + 0.1 * n)) < 0.12);
      await hands.tap(page.getByRole("button", { name: "Capture" }));
      await wait(n + 1);
    }
    assert.ok(hands.taps <= 120, `${hands.taps} taps`);
    const [first] = await appliance.rest("/scenes");
    const colours = await eventually("its tile shows them", () => page.locator("dmx-tiles .swatch").first().evaluate((mark) => mark.style.getPropertyValue("--colours")), Boolean);
    assert.match(colours, /rgb\(255 0 0\)/);
    assert.match(first.name, /^Red/, "its name says what it looks like");
  }));

test("a finger across tiles selects them, a tap adds and takes away, a chip means a group alone", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await add({ type: "par-7", universe: 0, address: 1, count: 6, name: "PAR" });
    await add({ type: "dimmer", universe: 0, address: 200, count: 2, name: "Front" });
    await page.reload();
    await live(page);
    await tiles(page).first().waitFor();
    const glass = await finger(page);
    const middle = async (n) => {
      const { x, y, width, height } = await tiles(page).nth(n).boundingBox();
      return { x: x + width / 2, y: y + height / 2 };
    };
    await glass.down(await middle(0));
    for (const n of [0, 1, 2, 3]) await glass.move(await middle(n));
    await glass.up();
    await eventually("four by one stroke", () => pressed(page), (n) => n === 4);
    await tiles(page).nth(1).tap();
    await tiles(page).nth(5).tap();
    const which = () => tiles(page).evaluateAll((all) => all.map((tile) => (tile.getAttribute("aria-pressed") === "true" ? 1 : 0)).join(""));
    await eventually("one less, one more", which, (now) => now === "10110100");
    await chip(page, "Dimmer").tap();
    await eventually("the dimmers alone", () => pressed(page), (n) => n === 2);
    assert.equal(await page.locator("dmx-wheel").count(), 0, "a dimmer has no colour to choose");
    const fader = page.locator(".hands").getByRole("slider", { name: "Level of the selection" });
    await page.touchscreen.tap(...Object.values(await place(fader, 0.5)));
    await eventually("both are half up", levels, (now) => now[200] > 110 && now[200] < 145 && now[201] === now[200]);
  }));

test("the last change is taken back with one tap, and a drag is one change", () =>
  visit(browser, { appliance, host: PLAIN }, async (page, sent) => {
    await add({ type: "par-7", universe: 0, address: 1, count: 12, name: "PAR" });
    await appliance.rest("/command", { body: { type: "dmx.patch", id: "before", universe: 0, patch: [{ ch: 1, val: 80 }, { ch: 3, val: 40 }, { ch: 8, val: 7 }] } });
    await page.reload();
    await live(page);
    await chip(page, "All").tap();
    const undo = page.getByRole("button", { name: "Undo the last change of light" });
    assert.equal(await undo.isEnabled(), false);
    const glass = await finger(page);
    const wheel = page.locator("dmx-wheel");
    await glass.down(await around(wheel, 0, 0.5));
    for (let degrees = 10; degrees <= 200; degrees += 10) await glass.move(await around(wheel, degrees, 0.9));
    await glass.upAfter(400); // from a finger in full swing Chromium takes the next tap for the end of a scroll
    const [fast, slow] = await eventually("the last value arrives", levels, (now) => now[4] > 200).then((now) => [now[1], now[8]]);
    assert.deepEqual([fast, slow], [80, 7], "who is lit keeps the intensity");
    await eventually("who was dark is seen", levels, (now) => now[15] === 255);
    const moves = sent.filter(({ message }) => message.type === "fixture.set");
    assert.ok(moves.length > 3 && moves.length <= (moves.at(-1).at - moves[0].at) / 22 + 3, `44 a second at most, and one for those that were dark: ${moves.map(({ at }) => Math.round(at - moves[0].at))}`);
    await undo.tap();
    await eventually("all of it is back", levels, (now) => JSON.stringify(now) === JSON.stringify({ 1: 80, 3: 40, 8: 7 }));
    await eventually("and there is nothing more to take back", () => undo.isEnabled(), (can) => !can);
  }));

test("sixteen faders say what they do, and are one tap away", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await add({ type: "par-7", universe: 0, address: 10, count: 2, name: "PAR" });
    await page.reload();
    await live(page);
    const before = await page.locator(".hands").boundingBox();
    await tiles(page).nth(1).tap();
    await page.locator(".tab[data-page=channels]").tap();
    const cells = page.locator(".cell");
    await eventually("sixteen", () => cells.count(), (n) => n === 16);
    assert.deepEqual(await cells.locator("strong").allTextContents().then((all) => all.slice(0, 8).map((text) => text.trim())), ["Dimmer", "Red", "Green", "Blue", "White", "Strobe", "Macro", ""]);
    assert.equal(await page.getByRole("slider", { name: "Channel 17, Dimmer, PAR 2" }).count(), 1);
    const track = await page.locator(".cell .track").first().boundingBox();
    assert.ok(track.height >= 240 && before.height > 0, `${track.height} px`);
    await page.touchscreen.tap(...Object.values(await place(page.getByRole("slider", { name: "Channel 18, Red, PAR 2" }), 0.99)));
    await eventually("its channel", levels, (now) => now[18] > 245);
  }));

test("who may only operate moves light, and is offered no patch", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await add({ type: "par-7", universe: 0, address: 1, count: 2, name: "PAR" });
    const me = { ...(await appliance.rest("/me")), role: "operate" };
    await page.route("**/me", (route) => route.fulfill({ json: me }));
    await page.reload();
    await live(page);
    await chip(page, "All").tap();
    await page.locator(".quick button").first().tap();
    await eventually("red", levels, (now) => now[2] === 255);
    assert.equal(await page.getByRole("button", { name: "Capture" }).isVisible(), false);
    await tab(page, "Fixtures").click();
    await page.locator(".chooses").first().waitFor();
    for (const hidden of [".adding", ".grouping", ".patched [aria-expanded]", "label[for=type-file]"]) {
      assert.equal(await page.locator(hidden).first().isVisible(), false, hidden);
    }
  }));

test("fixtures of which nothing is known have faders at once, with their own names, and the way to a type", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await add({ type: "par-7", universe: 0, address: 1, name: "PAR" });
    const show = await appliance.rest("/export");
    show.fixtures.push({ id: "fog", name: "Fog", universeId: show.fixtures[0].universeId, dmxAddress: 30, channels: [{ id: "fog-a", name: "Smoke" }, { id: "fog-b", name: "Ch 2" }] });
    await appliance.rest("/import", { body: show });
    await page.reload();
    await live(page);
    await tiles(page).nth(1).tap();
    await page.getByText("Of this only the channels are known.").waitFor();
    await page.getByRole("slider", { name: "Channel 30, Smoke, Fog" }).waitFor();
    await page.getByRole("slider", { name: "Channel 31, Other, Fog" }).waitFor();
    assert.equal(await page.locator(".tab[data-page=colour]").isVisible(), false);
    assert.equal(await tiles(page).first().isVisible(), true, "and the fixtures stay in sight");
    await tiles(page).first().tap();
    await page.locator("dmx-wheel").waitFor();
    await page.locator(".hands").getByRole("link", { name: "Fixtures" }).waitFor({ state: "detached" });
  }));

test("many fixtures stand in whole rows, the rest is counted, and who is selected comes into sight", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await add({ type: "par-7", universe: 0, address: 1, count: 24, name: "PAR" });
    await add({ type: "moving-head", universe: 0, address: 201, count: 24, name: "Moving head" });
    await page.reload();
    await live(page);
    await tiles(page).nth(47).waitFor();
    const rows = () => page.locator(".fixtures").evaluate((list) => {
      const { top, bottom } = list.getBoundingClientRect();
      const boxes = [...list.children].map((tile) => tile.getBoundingClientRect());
      const cut = boxes.filter((box) => (box.top < top - 2 && box.bottom > top + 2) || (box.top < bottom - 2 && box.bottom > bottom + 2));
      return { cut: cut.length, seen: new Set(boxes.filter((box) => box.top >= top - 2 && box.bottom <= bottom + 2).map((box) => box.top)).size };
    });
    const { cut, seen } = await rows();
    assert.ok(cut === 0 && seen >= 4, `${seen} rows, ${cut} tiles cut`);
    const more = page.locator(".chip.more");
    assert.match(await more.textContent(), /^↓ \d+$/);
    await chip(page, "head").tap();
    await eventually("a selected one is in sight", () => page.locator('.fixture[aria-pressed="true"]').first().evaluate((tile) => tile.getBoundingClientRect().top >= tile.parentElement.getBoundingClientRect().top - 2), Boolean);
    await page.locator(".fixtures").evaluate((list) => (list.scrollTop = list.scrollHeight));
    await eventually("nothing is below", () => more.textContent(), (words) => /^↑ \d+$/.test(words));
    await eventually("the last row is whole", rows, ({ cut }) => cut === 0);
    await more.tap();
    await eventually("and back", () => page.locator(".fixtures").evaluate((list) => list.scrollTop), (top) => top === 0);
  }));

test("no page can be scrolled out of its window", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch" }, async (page) => {
    await live(page);
    await add({ type: "par-7", universe: 0, address: 1, count: 24, name: "PAR" });
    await page.locator(".chooses").nth(23).waitFor();
    assert.equal(await page.evaluate(() => (scrollTo(0, 1000), scrollY)), 0);
  }));

test("who is logged in to watch is not asked to log in, and faders without a grip reach their ends", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await appliance.rest("/command", { body: { type: "dmx.patch", id: "full", universe: 0, patch: [{ ch: 1, val: 255 }, { ch: 2, val: 0 }] } });
    const me = { ...(await appliance.rest("/me")), role: "view", kind: "user", name: "Eve" };
    await page.route("**/me", (route) => route.fulfill({ json: me }));
    await page.reload();
    await live(page);
    const watch = page.locator(".watch");
    await watch.waitFor();
    assert.equal(await watch.getByRole("link", { name: "Log in" }).isVisible(), false);
    const shares = () => page.locator(".rgb dmx-fader:is(.r, .g) .track").evaluateAll((tracks) => tracks.map((track) => {
      const [whole, fill] = [track, track.firstElementChild].map((element) => element.getBoundingClientRect());
      return Math.round((100 * Math.max(0, whole.bottom - fill.top)) / whole.height);
    }));
    await eventually("all and nothing", shares, ([full, none]) => full >= 98 && none <= 2);
  }));

for (const [language, locale] of [["en", "en-GB"], ["cs", "cs-CZ"]]) {
  test(`nothing is cut off or too small, at any size: ${language}`, async () => {
    await add({ type: "par-7", universe: 0, address: 1, count: 12, name: "PAR" });
    await add({ type: "moving-head", universe: 0, address: 101, count: 2, name: "Head" });
    for (const size of SIZES) await visit(browser, { appliance, host: PLAIN, size, context: { locale } }, async (page) => {
      const check = async (name) => {
        await settled(page);
        for (const [wide, seen] of await page.evaluate(() => [document.documentElement, document.querySelector("main")].map((area) => [area.scrollWidth, area.clientWidth]))) {
          assert.ok(wide <= seen, `${name} at ${size}: ${wide} px in ${seen}`);
        }
        assert.deepEqual(await barriers(page), [], name);
        await picture(page, `${name}-${language}`);
      };
      await tiles(page).first().waitFor();
      await check("stage-none");
      await page.locator(".chip").first().tap();
      for (const part of ["colour", "position", "beam", "channels"]) {
        await page.locator(`.tab[data-page=${part}]`).tap();
        await check(`stage-${part}`);
      }
      await page.locator('nav a[href="#/patch"]').tap();
      await page.locator(".patched [aria-expanded]").first().tap();
      await check("patch");
      await page.locator('nav a[href="#/looks"]').tap();
      await check("looks-selected");
    });
  });
}
