// The patch as people make it: names, places, groups, types by file; what cannot be is said.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Appliance, PLAIN, eventually, launch, live, settled, visit } from "./harness.js";

let browser, appliance;
before(async () => (browser = await launch()));
after(() => browser?.close());
beforeEach(async () => (appliance = await new Appliance().start()));
afterEach(() => appliance.clear());

const frame = async () => (await appliance.rest("/universes/0/frame")).frame;
const fixtures = async () => (await appliance.rest("/patch")).fixtures;

test("fixtures are named, moved, grouped, found and deleted; what cannot be is said", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch", expects: /status of 409/ }, async (page) => {
    await live(page);
    await appliance.rest("/patch/fixtures", { body: { type: "par-7", universe: 0, address: 1, count: 3, name: "PAR" } });
    await page.reload();
    await page.getByRole("button", { name: "Edit PAR 2" }).click();
    const editor = page.locator(".editor").filter({ visible: true });
    await editor.getByLabel("Name").fill("Left");
    await editor.getByLabel("Name").blur();
    await eventually("its name", fixtures, (all) => all.some(({ name }) => name === "Left"));
    await editor.getByLabel("Address").fill("300");
    assert.deepEqual(await editor.locator(".dip [data-up] b").allTextContents(), ["3", "4", "6", "9"]);
    await editor.getByLabel("Address").blur();
    await eventually("its place", fixtures, (all) => all.some(({ name, footprint }) => name === "Left" && footprint.join() === "300,306"));
    await editor.getByLabel("Address").fill("4");
    await editor.getByLabel("Address").blur();
    await page.getByText(/^Not changed; it stays at Universe 0, 300–306/).waitFor();
    await editor.getByText("Left would take channels 4–10, but PAR 1 has 1–7.").waitFor();
    assert.match(await editor.locator("small[lang=en]").textContent(), /Left .* would take channels 4 to 10 of universe 0, where PAR 1/, "all that the appliance says");
    await editor.getByLabel("Address").fill("16");
    await editor.getByText("Left would take channels 16–22, but PAR 3 has 15–21.").waitFor();
    await editor.getByLabel("Address").fill("300");

    await page.locator(".chooses").filter({ hasText: "PAR 1" }).tap();
    await page.locator(".chooses").filter({ hasText: "Left" }).tap();
    await page.getByPlaceholder("Name of the group").fill("Sides");
    await page.getByRole("button", { name: "Make a group of 2" }).click();
    await eventually("the group", async () => {
      const { fixtures: all, groups } = await appliance.rest("/patch");
      const group = groups.find(({ name }) => name === "Sides");
      return all.filter((fixture) => fixture.groups?.includes(group?.id)).map(({ name }) => name).sort().join();
    }, (names) => names === "Left,PAR 1");

    await page.getByRole("button", { name: "Flash PAR 3 for two seconds" }).click();
    await eventually("it flashes", async () => (await frame())[14], (level) => level === 255);
    const drop = page.locator(".choice").getByRole("button", { name: "Delete" });
    await drop.click();
    assert.equal((await fixtures()).length, 3, "it asks first");
    await page.locator(".choice").getByRole("button", { name: "Really delete?" }).click();
    await eventually("one is left", fixtures, (all) => all.length === 1);
    await page.locator("nav").getByRole("link", { name: "Live", exact: true }).click();
    await eventually("which Live shows", () => page.locator(".fixture").count(), (n) => n === 1);
  }));

test("a type comes by file, and can be patched at once", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch", expects: /status of 422/ }, async (page) => {
    await live(page);
    await settled(page);
    const file = (name, text) => ({ name, mimeType: "application/xml", buffer: Buffer.from(text) });
    const qxf = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE FixtureDefinition>
<FixtureDefinition xmlns="http://www.qlcplus.org/FixtureDefinition">
 <Creator><Name>Q Light Controller Plus</Name><Version>4.12.2</Version><Author>nobody</Author></Creator>
 <Manufacturer>Acme</Manufacturer><Model>Tiny</Model><Type>Color Changer</Type>
 <Channel Name="Dim" Preset="IntensityMasterDimmer"/><Channel Name="Red" Preset="IntensityRed"/><Channel Name="Blue" Preset="IntensityBlue"/>
 <Mode Name="3 Channel"><Channel Number="0">Dim</Channel><Channel Number="1">Red</Channel><Channel Number="2">Blue</Channel></Mode>
</FixtureDefinition>`;
    await page.locator("#type-file").setInputFiles(file("bad.qxf", "<nothing/>"));
    await page.getByText(/^That did not work/).waitFor();
    await page.locator("#type-file").setInputFiles(file("tiny.qxf", qxf));
    await page.getByText(/Tiny imported: 1 mode/).waitFor();
    await eventually("it is proposed", () => page.locator(".adding select").first().evaluate((select) => select.selectedOptions[0].textContent), (label) => label === "Tiny");
    await page.getByText("channels 1–3").waitFor();
    await page.getByRole("button", { name: "Add 1 fixture" }).click();
    await eventually("it is there", fixtures, (all) => all.length === 1 && all[0].channels.map(({ kind }) => kind).join() === "intensity,red,blue");
  }));

test("what somebody else patches is there at once, on Live as well", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    await settled(page);
    assert.equal(await page.getByRole("slider", { name: "Lamp level" }).count(), 1, "until then Live is about the lamp");
    const since = performance.now();
    await appliance.rest("/patch/fixtures", { body: { type: "rgb", universe: 0, address: 1, count: 2, name: "Wash" } });
    await page.locator(".fixture").nth(1).waitFor();
    assert.ok(performance.now() - since < 10_000, "not only when the page looks again by itself");
  }));

test("what cannot be added is said while it is typed, and cannot be sent", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch", expects: /status of 409/ }, async (page) => {
    await live(page);
    await appliance.rest("/patch/fixtures", { body: { type: "par-7", universe: 0, address: 1, count: 3, name: "PAR" } });
    const form = page.locator(".adding");
    const add = form.locator("button[type=submit]");
    await form.locator("select").first().selectOption("dimmer");
    await form.getByText("channels 22–22").waitFor();
    await form.getByLabel("Address").fill("8");
    await form.getByText("Dimmer would take channels 8–8, but PAR 2 has 8–14.").waitFor();
    assert.equal(await add.isDisabled(), true);
    for (const [many, words] of [["0", "1 to 128 fixtures at a time"], ["", "1 to 128 fixtures at a time"], ["129", "1 to 128 fixtures at a time"]]) {
      await form.getByLabel("How many").fill(many);
      await form.getByText(words).waitFor();
      assert.deepEqual([await add.isDisabled(), await add.textContent()], [true, "Add fixtures"], many);
    }
    await form.getByLabel("How many").fill("4");
    await form.getByLabel("Address").fill("510");
    await form.getByText("up to channel 513: a universe has 512").waitFor();
    assert.deepEqual([await add.isDisabled(), await add.textContent()], [true, "Add 4 fixtures"]);
    await form.getByLabel("Address").fill("509");
    await page.route("**/patch/fixtures", (route) => route.fulfill({ status: 409, json: { type: "about:blank", title: "Conflict", status: 409, detail: "somebody was faster" } }));
    await add.click();
    await form.getByText("somebody was faster").waitFor();
    await page.unroute("**/patch/fixtures");
    await add.click();
    await eventually("they are there", fixtures, (all) => all.length === 7);
    assert.equal(await form.getByText("somebody was faster").count(), 0, "until the next try");
  }));

test("a lamp's topic is shown whole, and can be set; a type can be given", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch" }, async (page) => {
    await live(page);
    await appliance.rest("/patch/fixtures", { body: { type: "mqtt-rgb", universe: 0, address: 1, name: "Bulb" } });
    const form = page.locator(".adding");
    await form.locator("select").first().selectOption("mqtt-rgb");
    const topic = form.getByLabel("Topic (the lamp's ID)");
    await topic.fill("bulb");
    await form.getByText("Bulb has this topic already.").waitFor();
    assert.equal(await form.locator("button[type=submit]").isDisabled(), true);
    await topic.fill("hall-2");
    await form.getByText("<prefix>/lamps/hall-2/state").waitFor();
    await form.getByLabel("Name (optional)").fill("Hall");
    await form.getByRole("button", { name: "Add 1 fixture" }).click();
    const entry = page.locator(".patched .item").filter({ hasText: "Hall" });
    await entry.getByText("<prefix>/lamps/hall-2/state").waitFor();
    await form.getByLabel("How many").fill("2");
    assert.equal(await topic.isVisible(), false, "several get their ids");
    await entry.getByRole("button", { name: "Edit Hall" }).click();
    const editor = page.locator(".editor").filter({ visible: true });
    await editor.getByLabel("Topic (the lamp's ID)").fill("hall-3");
    await editor.getByLabel("Topic (the lamp's ID)").blur();
    await eventually("its topic", fixtures, (all) => all.some((one) => one.topic === "hall-3"));
    await editor.getByLabel("Type").selectOption("rgb");
    await eventually("another type", fixtures, (all) => all.some(({ name, type, channels }) => name === "Hall" && type === "rgb" && channels.length === 3));
    await eventually("of which there is no topic", () => editor.getByLabel("Topic (the lamp's ID)").isVisible(), (seen) => !seen);
    await editor.getByLabel("Mode").waitFor();
  }));

test("all that is wrong with the patch is listed, and a place is offered", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch" }, async (page) => {
    await live(page);
    await appliance.rest("/patch/fixtures", { body: { type: "mqtt-rgb", universe: 0, address: 1, name: "Bulb" } });
    const show = await appliance.rest("/export");
    const [{ universeId }] = show.fixtures;
    const named = (id, more) => ({ id, name: id, universeId, channels: [{ id: `${id}-r`, name: "Red" }], ...more });
    show.fixtures.push(named("Strange", { type: "acme-none", dmxAddress: 90 }), named("Twin", { type: "mqtt-rgb", topic: "bulb", dmxAddress: 100, channels: [] }),
      named("Lost", { universeId: "gone", dmxAddress: 110 }), named("Over", { dmxAddress: 2 }));
    await appliance.rest("/import", { body: show });
    await page.reload();
    const list = page.locator(".warnings");
    for (const words of ["Strange: its type acme-none is not known here", "Twin: another fixture before it has its topic", "Lost has no place", "its universe gone is not in the show", "Bulb and Over share channels"]) {
      await list.getByText(words).first().waitFor();
    }
    assert.equal(await list.locator("li").count(), 4, "each once");
    await list.getByRole("button", { name: "Move Over to universe 0, 4" }).click();
    await eventually("it is moved", fixtures, (all) => all.some(({ name, footprint }) => name === "Over" && footprint?.[0] === 4));
    await list.getByRole("button", { name: "Move Lost to universe 0, 5" }).click();
    await eventually("and the other has a place", fixtures, (all) => all.some(({ name, footprint }) => name === "Lost" && footprint?.[0] === 5));
    await eventually("what cannot be moved stays", () => list.locator("li").count(), (n) => n === 2);
  }));

test("a flash in the dark says why nothing is seen", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch" }, async (page) => {
    await live(page);
    await appliance.rest("/patch/fixtures", { body: { type: "rgb", universe: 0, address: 1, name: "Wash" } });
    const flash = page.getByRole("button", { name: "Flash Wash for two seconds" });
    await page.getByRole("button", { name: "BLACKOUT" }).click();
    await flash.click();
    await page.getByText("It flashes, but BLACKOUT is on: nothing is seen.").waitFor();
  }));

test("a fixture that is moved far stays in sight", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/patch" }, async (page) => {
    await live(page);
    await appliance.rest("/patch/fixtures", { body: { type: "dimmer", universe: 0, address: 1, count: 40, name: "D" } });
    await page.getByRole("button", { name: "Edit D 2", exact: true }).click();
    const address = page.locator(".editor").filter({ visible: true }).getByLabel("Address");
    await address.fill("400");
    await address.blur();
    const entry = page.locator(".patched .item").last();
    await entry.getByText("Universe 0, 400–400").waitFor();
    await eventually("it is in sight", () => entry.evaluate((one) => {
      const { top, bottom } = one.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }), Boolean);
  }));
