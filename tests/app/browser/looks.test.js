// Looks as people make and use them: capturing, naming, sorting and recalling, and what is in effect shows.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Appliance, PLAIN, eventually, launch, live, settled, visit } from "./harness.js";

let browser, appliance;
before(async () => (browser = await launch()));
after(() => browser?.close());
beforeEach(async () => (appliance = await new Appliance().start()));
afterEach(() => appliance.clear());

const scenes = () => appliance.rest("/scenes");
const lamp = async () => (({ r, g, b }) => [r, g, b].join())(await appliance.rest("/rgb"));
const tab = (page, name) => page.locator("nav").getByRole("link", { name, exact: true }).click();
const tile = (page, name) => page.locator("dmx-tiles").getByRole("button", { name });

/** Captures the light as it is. */
async function capture(page, name, seconds) {
  await page.getByLabel("Name of the new look").fill(name);
  await page.getByLabel("Fade (seconds)").first().fill(String(seconds));
  await page.getByRole("button", { name: "Capture", exact: true }).click();
  await page.getByRole("button", { name: `Recall ${name}`, exact: true }).waitFor();
}

test("a look is captured, called back, and stops being in effect when the light changes", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/looks" }, async (page) => {
    await live(page);
    await appliance.light([200, 100, 50]);
    await capture(page, "Warm", 0);
    assert.deepEqual((await scenes()).map(({ name, fadeMs }) => [name, fadeMs]), [["Warm", 0]]);
    await page.getByText("cut · whole look · 3 lit", { exact: true }).waitFor();
    await appliance.light([0, 0, 9]);
    await tab(page, "Live");
    const pressed = () => tile(page, "Warm").getAttribute("aria-pressed");
    await eventually("it is not in effect", pressed, (on) => on === "false");
    await tile(page, "Warm").click();
    await eventually("its light", lamp, (light) => light === "200,100,50");
    await eventually("it is in effect", pressed, (on) => on === "true");
    await appliance.light([200, 100, 51]);
    await eventually("another light is another look", pressed, (on) => on === "false");
  }));

test("a long fade shows and can be stopped where it is", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/looks" }, async (page) => {
    await live(page);
    await appliance.light([250, 0, 0]);
    await capture(page, "Slowly", 600);
    await appliance.light([0, 0, 0]);
    await tab(page, "Live");
    await tile(page, "Slowly").click();
    const fades = page.locator("dmx-fades");
    await fades.getByRole("progressbar").waitFor();
    assert.match(await fades.textContent(), /(599|600)\D/, "how long it still takes");
    await fades.getByRole("button", { name: "Stop" }).click();
    await eventually("no fade runs", () => appliance.rest("/fades"), ({ fades: running }) => running.length === 0);
    await eventually("and none is shown", () => fades.isVisible(), (visible) => !visible);
  }));

test("a look is edited: name, time, favourite, place, light, and its end", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/looks" }, async (page) => {
    await live(page);
    await appliance.light([1, 2, 3]);
    for (const name of ["First", "Second", "Third"]) await capture(page, name, 1);
    const named = (wanted) => eventually("the looks", async () => (await scenes()).map(({ name }) => name).join(), (names) => names === wanted);
    const one = async (name) => (await scenes()).find((scene) => scene.name === name);

    await page.getByRole("button", { name: "Edit Third" }).click();
    const editor = page.locator(".editor").filter({ visible: true });
    const up = editor.getByRole("button", { name: "Move Third up" });
    await up.click();
    await named("First,Third,Second");
    await eventually("the finger, or the key, finds the arrow again", () => up.evaluate((button) => button === document.activeElement), Boolean);
    await page.keyboard.press("Enter");
    await named("Third,First,Second");
    await editor.getByRole("button", { name: "Move Third down" }).click();
    await named("First,Third,Second");

    await editor.getByLabel("Fade (seconds)").fill("2.5");
    await editor.getByLabel("Fade (seconds)").blur();
    await eventually("its time", async () => (await one("Third")).fadeMs, (ms) => ms === 2500);
    await editor.getByLabel("Favourite").check();
    await eventually("a favourite", async () => (await one("Third")).favorite, Boolean);
    await editor.getByLabel("Name").fill("Třetí <3");
    await editor.getByLabel("Name").blur();
    await named("First,Třetí <3,Second");

    await appliance.light([9, 8, 7]);
    const overwrite = editor.getByRole("button", { name: "Update from current light" });
    await overwrite.click();
    assert.equal((await one("Třetí <3")).channelValues["1"], 1, "it asks first");
    await editor.getByRole("button", { name: "Replace its light?" }).click();
    await eventually("its light", async () => (await one("Třetí <3")).channelValues["1"], (level) => level === 9);

    await tab(page, "Live");
    await settled(page);
    assert.deepEqual(await page.locator("dmx-tiles .name").allTextContents(), ["Třetí <3", "First", "Second"], "the favourite first");
    await tab(page, "Looks");
    await page.getByRole("button", { name: "Edit First" }).click();
    await editor.getByRole("button", { name: "Delete" }).click();
    await editor.getByRole("button", { name: "Really delete?" }).click();
    await named("Třetí <3,Second");
    await eventually("its row goes", () => page.getByRole("button", { name: "Recall First" }).count(), (count) => count === 0);
  }));
