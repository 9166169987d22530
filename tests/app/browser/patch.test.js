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
    await page.locator(".adding select").first().selectOption({ label: "Tiny" });
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
