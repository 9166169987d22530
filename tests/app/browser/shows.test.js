// Shows as people keep them: projects and their details, backups and restores, the show as a file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Appliance, PLAIN, eventually, launch, live, visit } from "./harness.js";

let browser, appliance;
const variables = { DMX_PROJECTS_ENABLED: "true", DMX_CLOUD_BACKUP_ENABLED: "true", DMX_CLOUD_BACKUP_ENCRYPTION_KEY: "passphrase:correct horse" };
before(async () => (browser = await launch()));
after(() => browser?.close());
beforeEach(async () => (appliance = await new Appliance(variables).start()));
afterEach(() => appliance.clear());

const panel = (page, title) => page.getByRole("region", { name: title });
const lamp = async () => (({ r, g, b }) => [r, g, b].join())(await appliance.rest("/rgb"));
const names = async () => (await appliance.rest("/scenes")).map(({ name }) => name).join();
const scene = (name, red) => appliance.rest("/scenes", { body: { name, channelValues: { 1: red } } });

test("a project is copied, described, opened and deleted", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/shows" }, async (page) => {
    await live(page);
    await appliance.light([10, 20, 30]);
    await scene("Before", 10);
    const projects = panel(page, "Projects");
    await projects.getByText("New project").click();
    await projects.getByLabel("Name").fill("Autumn");
    await projects.getByLabel("Start from").selectOption({ label: "a copy of Default" });
    await projects.getByRole("button", { name: "Create" }).click();
    const open = projects.getByRole("button", { name: "Open project Autumn" });
    await open.click();
    const active = async () => (await appliance.rest("/projects")).activeId;
    assert.equal(await active(), "default", "it asks first: the light changes");
    await projects.getByRole("button", { name: "This changes the light. Open?" }).click();
    await eventually("it is open", active, (id) => id !== "default");
    assert.equal(await names(), "Before", "a copy has the looks");

    const about = panel(page, "Details of Autumn");
    await eventually("it is described", () => about.getByLabel("Name").inputValue(), (name) => name === "Autumn");
    await about.getByLabel("Venue").fill("Divadlo <Komedie>");
    await about.getByLabel("Date").fill("2026-12-24");
    await about.getByLabel("Notes").fill("two\nlines");
    await about.getByRole("button", { name: "Save" }).click();
    const told = async () => {
      const { activeId, projects: list } = await appliance.rest("/projects");
      return list.find(({ id }) => id === activeId);
    };
    const saved = await eventually("it is saved", told, ({ venue }) => venue === "Divadlo <Komedie>");
    assert.deepEqual([saved.eventDate, saved.notes], ["2026-12-24", "two\nlines"]);
    await projects.getByText("Divadlo <Komedie>").waitFor();
    await page.locator("header").getByText("Autumn").waitFor();

    // One that is not active has details too, without a change of light; and what others have written meanwhile stays.
    await appliance.rest("/projects/default", { method: "PUT", body: { venue: "here" } });
    await page.reload();
    await projects.getByRole("button", { name: "Details of project Default" }).click();
    const other = panel(page, "Details of Default");
    await eventually("its venue", () => other.getByLabel("Venue").inputValue(), (venue) => venue === "here");
    await appliance.rest("/projects/default", { method: "PUT", body: { venue: "elsewhere" } });
    await other.getByLabel("Notes").fill("older");
    await other.getByRole("button", { name: "Save" }).click();
    const older = async () => (await appliance.rest("/projects")).projects.find(({ id }) => id === "default");
    const kept = await eventually("it is saved", older, ({ notes }) => notes === "older");
    assert.deepEqual([kept.venue, (await active()) === "default"], ["elsewhere", false]);
    await eventually("it shows", () => other.getByLabel("Venue").inputValue(), (venue) => venue === "elsewhere");

    await projects.getByRole("button", { name: "Delete project Default" }).click();
    await projects.getByRole("button", { name: "Really delete?" }).click();
    await eventually("it is gone", async () => (await appliance.rest("/projects")).projects.length, (count) => count === 1);
    await about.waitFor();
  }));

test("a backup is made, says what going back would change, and is gone back to", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/shows" }, async (page) => {
    await live(page);
    await appliance.light([10, 20, 30]);
    await scene("Kept", 10);
    await scene("Changed", 20);
    const backups = panel(page, "Backups");
    await backups.getByLabel("Note").fill("before the show");
    await backups.getByRole("button", { name: "Back up now" }).click();
    const row = backups.getByRole("listitem").filter({ hasText: "before the show" });
    await row.waitFor();
    assert.match(await row.textContent(), /local folder · encrypted/);

    await appliance.light([0, 0, 0]);
    const [, changed] = await appliance.rest("/scenes");
    await appliance.rest(`/scenes/${changed.id}`, { method: "PATCH", body: { channelValues: { 1: 99 } } });
    await scene("Too much", 30);
    await page.locator("nav").getByRole("link", { name: "Looks" }).click(); // the looks are fetched again
    await page.getByRole("button", { name: "Recall Too much" }).waitFor();
    await page.locator("nav").getByRole("link", { name: "Projects" }).click();
    await row.getByRole("button", { name: "Restore the backup" }).click();
    for (const line of ["The light: 3 channels", "Looks: 1 changed (Changed)", "Looks: 1 removed (Too much)"]) await row.getByText(line).waitFor();
    assert.equal(await lamp(), "0,0,0", "only a look so far");
    await row.getByRole("button", { name: "Yes, restore" }).click();
    await eventually("the light of then", lamp, (light) => light === "10,20,30");
    await page.getByText("Restored.").waitFor(); // light shows once it is written, the looks once that has been synced too
    assert.equal(await names(), "Kept,Changed");
    await eventually("what was there is a backup now", () => backups.getByRole("listitem").count(), (count) => count === 2);
  }));

test("who is in a hurry need not wait for what would change", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/shows" }, async (page) => {
    await live(page);
    await appliance.light([10, 20, 30]);
    await appliance.rest("/projects/default/backups", { body: {} });
    await appliance.light([0, 0, 0]);
    await page.reload();
    // opening it takes a moment, as it does from a bucket: the passphrase takes work
    await page.getByRole("button", { name: "Restore the backup" }).click();
    await page.getByRole("button", { name: "Yes, restore" }).click();
    await eventually("the light of then", lamp, (light) => light === "10,20,30");
    await page.getByText("Restored.").waitFor();
  }));

test("a show leaves as a file, and comes in after a look at what changes", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/shows", expects: /status of (400|413|422)/ }, async (page) => {
    await live(page);
    await scene("Here", 10);
    const file = panel(page, "Project file");
    const [download] = await Promise.all([page.waitForEvent("download"), file.getByRole("button", { name: "Export" }).click()]);
    assert.match(download.suggestedFilename(), /^default-\d{4}-\d\d-\d\d\.json$/);
    const show = JSON.parse(readFileSync(await download.path(), "utf8"));
    assert.deepEqual(show.scenes.map(({ name }) => name), ["Here"]);

    const other = { ...show, scenes: [{ ...show.scenes[0], id: "other", name: "From a file" }] };
    const give = (content) => file.locator("input[type=file]").setInputFiles({ name: "show.json", mimeType: "application/json", buffer: Buffer.from(content) });
    await give("{ no show");
    await file.getByText("This file is not a project file: its content is not JSON.").waitFor();
    for (const strange of ["[]", '{"rev":1,"tracks":[]}', '{"scenes":5}']) {
      await give(strange);
      await file.getByText("This file is not a project file, or is damaged.").waitFor();
      await eventually("the other is gone", () => file.getByText("its content is not JSON").count(), (count) => count === 0);
    }
    await file.getByText("Details from the appliance").click();
    await file.getByText("/scenes must be a list of scenes").waitFor();
    await give(" ".repeat(9_000_000));
    await file.getByText("This file is too large").waitFor();
    assert.equal(await page.locator(".note").textContent(), "", "no tab is covered by it");
    await page.evaluate(async () => (await import("/desk.js")).desk.notify("That did not work: of an earlier file"));
    await give(JSON.stringify(other));
    await file.getByText("Looks: 1 new").waitFor();
    assert.equal(await file.getByText(/^This file/).count(), 0, "the next file is fine");
    assert.equal(await page.locator(".note").textContent(), "");
    await file.getByLabel("Replace it with the file").check();
    await file.getByText("Looks: 1 removed").waitFor();
    assert.equal(await names(), "Here", "only a look so far");
    await file.getByLabel("Keep it and add").check();
    await eventually("nothing goes", () => file.getByText("Looks: 1 removed").count(), (count) => count === 0);
    await file.getByRole("button", { name: "Import", exact: true }).click();
    await eventually("both are there", names, (list) => list === "Here,From a file");

    // What an import takes away is kept first, and listed at once.
    const backups = panel(page, "Backups");
    await backups.getByText("No backups yet.").waitFor();
    await give(JSON.stringify({ ...other, scenes: [] }));
    await file.getByLabel("Replace it with the file").check();
    await file.getByText("Looks: 2 removed").waitFor();
    await page.evaluate(() => (globalThis.since = performance.now()));
    await file.getByRole("button", { name: "Import", exact: true }).click();
    await backups.getByText("before import").waitFor();
    assert.ok((await page.evaluate(() => performance.now() - globalThis.since)) < 10_000, "not only with the next look, 15 s later");
  }));

test("while backups are off the app says what is kept all the same", async () => {
  const plain = await new Appliance().start();
  try {
    await visit(browser, { appliance: plain, host: PLAIN, path: "#/shows" }, async (page) => {
      await panel(page, "Backups").getByText(/before an import takes looks or fixtures away, the appliance keeps a version/).waitFor();
    });
  } finally {
    await plain.clear();
  }
});
