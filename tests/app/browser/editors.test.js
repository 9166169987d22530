// Two people edit the same thing: neither overwrites what they have not seen, and both are told.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Appliance, PLAIN, eventually, launch, live, visit } from "./harness.js";

let browser, appliance;
before(async () => (browser = await launch()));
after(() => browser?.close());
afterEach(() => appliance.clear());

const panel = (page, title) => page.getByRole("region", { name: title });
const patch = (id, body) => appliance.rest(`/scenes/${id}`, { method: "PATCH", body });
const one = async (id) => (await appliance.rest("/scenes")).find((scene) => scene.id === id);

test("a look that somebody else has changed is not overwritten unseen, and then it is", async () => {
  appliance = await new Appliance().start();
  await appliance.rest("/scenes", { body: { id: "a", name: "Warm", channelValues: { 1: 10 }, fadeMs: 0 } });
  await appliance.rest("/scenes", { body: { id: "b", name: "Cold", channelValues: { 3: 10 } } });
  await visit(browser, { appliance, host: PLAIN, path: "#/looks" }, async (page) => {
    await live(page);
    await appliance.light([1, 2, 3]);
    await page.getByRole("button", { name: "Edit Warm" }).click();
    const editor = page.locator(".editor").filter({ visible: true });
    const renew = () => editor.locator("button").filter({ hasText: /light/ });
    // another look is no reason to ask
    await patch("b", { favorite: true });
    // the other one is quicker than the list that the page requests after its own edit
    let edited;
    const theirs = new Promise((resolve) => (edited = resolve));
    let mine = false;
    await page.route((url) => url.pathname.startsWith("/scenes"), async (route) => {
      if (route.request().method() === "PATCH") mine = true;
      else if (mine) await theirs;
      await route.continue();
    });
    await editor.getByLabel("Fade (seconds)").fill("3");
    await editor.getByLabel("Fade (seconds)").blur();
    await eventually("its time", () => one("a"), ({ fadeMs }) => fadeMs === 3000);

    await patch("a", { channelValues: { 1: 99 } });
    edited();
    await renew().click();
    await renew().click();
    await page.getByText(/^Warm was changed on another device/).waitFor();
    assert.deepEqual((await one("a")).channelValues, { 1: 99 });
    await renew().click();
    await renew().click();
    await eventually("the light of now", () => one("a"), ({ channelValues }) => channelValues["3"] === 3);

    // a name belongs to one look
    await editor.getByLabel("Name").fill("Cold");
    await editor.getByLabel("Name").blur();
    await page.getByText("Another look is already called Cold.").waitFor();
    assert.equal((await one("a")).name, "Warm");
  });
});

test("what a second editor has typed stays, with the other's value beside it", async () => {
  appliance = await new Appliance().start();
  await appliance.rest("/scenes", { body: { id: "a", name: "Warm", channelValues: { 1: 10 }, fadeMs: 0 } });
  await visit(browser, { appliance, host: PLAIN, path: "#/looks" }, async (page) => {
    await live(page);
    await page.getByRole("button", { name: "Edit Warm" }).click();
    const editor = page.locator(".editor").filter({ visible: true });
    const name = editor.getByLabel("Name");
    const fade = editor.getByLabel("Fade (seconds)");
    const type = async (field, words) => {
      await field.fill(words);
      await field.blur();
    };
    await patch("a", { name: "Theirs", fadeMs: 5000 });
    await type(name, "Mine");
    await page.getByText(/was changed on another device/).waitFor();
    await editor.getByText("On another device: “Theirs”").waitFor();
    assert.equal(await name.inputValue(), "Mine");
    assert.equal(await fade.inputValue(), "5", "what was not touched here is theirs");
    assert.equal((await one("a")).name, "Theirs");
    await editor.getByRole("button", { name: "Save mine" }).click();
    await eventually("mine", () => one("a"), (look) => look.name === "Mine");
    await eventually("nothing beside it", () => editor.getByText("On another device").count(), (count) => count === 0);

    await patch("a", { fadeMs: 7000 });
    await type(fade, "3");
    await editor.getByText("On another device: “7”").waitFor();
    await editor.getByRole("button", { name: "Use theirs" }).click();
    assert.equal(await fade.inputValue(), "7");
    assert.equal((await one("a")).fadeMs, 7000);

    // another field is no reason to ask
    await patch("a", { favorite: true });
    await type(fade, "4");
    await eventually("its time", () => one("a"), ({ fadeMs, favorite }) => fadeMs === 4000 && favorite);
    await eventually("it shows", () => editor.getByRole("checkbox").isChecked(), Boolean);
  });
});

test("a project that somebody else describes otherwise is not overwritten unseen, and then it is", async () => {
  appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true" }).start();
  const venue = async () => (await appliance.rest("/projects/default")).venue;
  await visit(browser, { appliance, host: PLAIN, path: "#/shows" }, async (page) => {
    await live(page);
    const about = panel(page, "Details of Default");
    await about.getByLabel("Venue").fill("mine");
    await appliance.rest("/projects/default", { method: "PUT", body: { venue: "theirs" } });
    await about.getByRole("button", { name: "Save" }).click();
    await page.getByText("to “theirs”").waitFor();
    await about.getByText("On another device: “theirs”").waitFor();
    assert.deepEqual([await venue(), await about.getByLabel("Venue").inputValue()], ["theirs", "mine"]);
    await about.getByRole("button", { name: "Save" }).click();
    await eventually("it is saved", venue, (text) => text === "mine");
  });
});

test("an import that was looked at is not done to another show", async () => {
  appliance = await new Appliance().start();
  const names = async () => (await appliance.rest("/scenes")).map(({ name }) => name).join();
  await visit(browser, { appliance, host: PLAIN, path: "#/shows", expects: /status of 412/ }, async (page) => {
    await live(page);
    const file = panel(page, "Project file");
    const show = { scenes: [{ id: "f", name: "File", channelValues: {} }] };
    const buffer = Buffer.from(`\ufeff${JSON.stringify(show)}`);
    await file.locator("input[type=file]").setInputFiles({ name: "show.json", mimeType: "application/json", buffer });
    await file.getByText("Looks: 1 new").waitFor();
    await appliance.rest("/scenes", { body: { id: "n", name: "New", channelValues: {} } });
    await file.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByText(/somebody else has just changed it/).waitFor();
    assert.equal(await names(), "New");
    await eventually("it was looked at again", () => file.getByRole("button", { name: "Import", exact: true }).isEnabled(), Boolean);
    await file.getByRole("button", { name: "Import", exact: true }).click();
    await eventually("both are there", names, (list) => list === "New,File");
  });
});

test("without projects there are backups all the same", async () => {
  appliance = await new Appliance({ DMX_CLOUD_BACKUP_ENABLED: "true" }).start();
  await visit(browser, { appliance, host: PLAIN, path: "#/shows" }, async (page) => {
    await live(page);
    await appliance.light([10, 20, 30]);
    const backups = panel(page, "Backups");
    await backups.getByRole("button", { name: "Back up now" }).click();
    await backups.getByRole("listitem").waitFor();
    await appliance.light([0, 0, 0]);
    await backups.getByRole("button", { name: "Restore the backup" }).click();
    await backups.getByText("This takes the light and everything in the project back").waitFor();
    await backups.getByRole("button", { name: "Yes, restore" }).click();
    await eventually("the light of then", () => appliance.rest("/rgb"), ({ r }) => r === 10);
  });
});
