// Without a finger: keys, typed numbers and colours, and any channel of any universe.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, eventually, launch, level, live, visit } from "./harness.js";

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance().start();
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

const lamp = async () => (({ r, g, b }) => [r, g, b].join())(await appliance.rest("/rgb"));

test("keys move wheel, faders, master and blackout, and each says its value", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    await appliance.light([255, 0, 0]);
    await eventually("red", () => level(page, "Red"), (value) => value === 255);
    const wheel = page.getByRole("slider", { name: "Colour" });
    await wheel.focus();
    for (let press = 0; press < 12; press++) await page.keyboard.press("Shift+ArrowRight"); // 10° each
    await eventually("green", lamp, (light) => light === "0,255,0");
    await eventually("it is said", () => wheel.getAttribute("aria-valuetext"), (words) => words === "hue 120°, saturation 100%, #00ff00");

    const blue = page.getByRole("slider", { name: "Blue", exact: true });
    await blue.focus();
    for (const key of ["End", "PageDown", "ArrowUp"]) await page.keyboard.press(key);
    await eventually("some blue", lamp, (light) => light === "0,255,230");
    await eventually("it is said", () => blue.getAttribute("aria-valuetext"), (words) => words === "230 of 255, 90 %");

    await page.getByRole("slider", { name: "Grand master" }).focus();
    await page.keyboard.press("Home");
    await eventually("the master", () => appliance.rest("/desk"), ({ master }) => master === 0);
    await page.keyboard.press("End");
    const blackout = page.getByRole("button", { name: "Blackout" });
    await blackout.focus();
    for (const on of [true, false]) {
      await page.keyboard.press("Enter");
      await eventually("blackout", () => appliance.rest("/desk"), (desk) => desk.blackout === on && desk.master === 255);
      await eventually("it is said", () => blackout.getAttribute("aria-pressed"), (pressed) => pressed === String(on));
    }
    assert.equal(await lamp(), "0,255,230", "what was there is there again");
  }));

test("colours and numbers can be typed, and a colour is called back", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    const hex = page.getByLabel("Colour (hex)");
    await hex.fill("#0af");
    await page.keyboard.press("Enter");
    await eventually("the colour", lamp, (light) => light === "0,170,255");
    await hex.fill("nonsense".slice(0, 7));
    await page.keyboard.press("Enter");
    await eventually("what is no colour is forgotten", () => hex.inputValue(), (value) => value === "#00aaff");
    await page.getByLabel("Red, number").fill("7");
    await page.keyboard.press("Escape");
    await eventually("nothing was meant", () => page.getByLabel("Red, number").inputValue(), (value) => value === "0");
    await page.getByLabel("Red, number").fill("999");
    await page.keyboard.press("Enter");
    await eventually("the most there is", lamp, (light) => light === "255,170,255");
    await page.getByRole("button", { name: "Colour #00aaff" }).click();
    await eventually("the colour of before", lamp, (light) => light === "0,170,255");
  }));

test("any channel of any universe has a fader", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    await page.getByLabel("Universe").selectOption({ label: "Universe 2" });
    await page.getByRole("button", { name: "Higher channels" }).click();
    await page.getByRole("slider", { name: "Channel 9", exact: true }).focus();
    await page.keyboard.press("End");
    await page.getByLabel("First channel shown").fill("500");
    await page.keyboard.press("Enter");
    await page.getByRole("slider", { name: "Channel 500", exact: true }).focus();
    await page.keyboard.press("PageUp");
    const levels = async () => (await appliance.rest("/state?sparse=1")).universesSparse;
    await eventually("its level", levels, (universes) => JSON.stringify(universes["2"]) === '{"9":255,"500":26}');
    assert.ok(!("9" in ((await levels())["0"] ?? {})), "and none of another universe");
  }));
