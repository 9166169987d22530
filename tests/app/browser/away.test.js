// While the appliance is away: in every view, controls that cannot work look it, and nothing pretends to go on.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Appliance, PLAIN, barriers, eventually, launch, live, painted, picture, visit } from "./harness.js";

let browser, appliance;
before(async () => (browser = await launch()));
after(() => browser?.close());
beforeEach(async () => (appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true", DMX_CLOUD_BACKUP_ENABLED: "true" }).start()));
afterEach(() => appliance.clear());

const go = async (page, view) => {
  await page.locator(`nav a[href="#/${view}"]`).click();
  await page.locator(`nav a[href="#/${view}"][aria-current="page"]`).waitFor();
  await painted(page);
};
const lost = (page) => page.locator("dmx-bar").getByText("no connection").waitFor();
const away = "No connection to the appliance. What you see may be out of date";

test("what cannot work looks so in every view, a tap says why, and all of it is back with the link", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/looks", expects: /ERR_|WebSocket/ }, async (page) => {
    await appliance.rest("/scenes", { body: { id: "a", name: "Warm", channelValues: { 1: 10 }, fadeMs: 0 } });
    await live(page);
    await page.getByRole("button", { name: "Recall Warm" }).waitFor({ timeout: 20_000 });
    await go(page, "shows");
    await page.getByRole("button", { name: "Back up now" }).waitFor();
    await appliance.stop("SIGKILL");
    await lost(page);
    const orders = {
      shows: ["Back up now", "Create", "Save", "Export"], looks: ["Recall Warm", "Capture", "Edit Warm"], devices: ["Rescan", "Reconnect output"], live: [/^Warm/],
    };
    for (const [view, names] of Object.entries(orders)) {
      await go(page, view);
      for (const name of names) {
        const button = page.getByRole("button", { name, exact: typeof name === "string", includeHidden: true });
        await eventually(`${view}: ${name}`, () => button.isDisabled(), Boolean);
      }
      if (view !== "live") await page.getByText(away).waitFor();
      assert.deepEqual(await barriers(page), [], view);
      await picture(page, `away-${view}`);
    }
    // Typing goes on; an order that cannot be given is not given, and no text is lost.
    await go(page, "looks");
    await page.getByLabel("Name of the new look").fill("Mine");
    await page.keyboard.press("Enter");
    await page.getByText("Not sent: no connection.").waitFor();
    assert.equal(await page.getByLabel("Name of the new look").inputValue(), "Mine");

    await appliance.start();
    await live(page);
    await page.getByRole("button", { name: "Capture" }).click();
    await eventually("it is there", async () => (await appliance.rest("/scenes")).length, (count) => count === 2);
    assert.equal(await page.locator("main [aria-disabled]").count(), 0);
    await eventually("the view is silent", () => page.getByText(away).filter({ visible: true }).count(), (count) => count === 0);
  }));

test("views opened while it is away say that nothing was loaded, and load when it is back", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/live", expects: /ERR_|WebSocket/ }, async (page) => {
    await live(page);
    await page.locator("header").getByText("Default").waitFor(); // the project it belongs to is known
    await appliance.stop("SIGKILL");
    await lost(page);
    await go(page, "shows");
    const backups = page.getByRole("region", { name: "Backups" });
    await backups.getByText("Not loaded: no connection.").waitFor();
    await go(page, "devices");
    for (const name of ["Status", "Outputs and inputs", "Lamps and other devices"]) {
      await page.getByRole("region", { name }).getByText("Not loaded: no connection.").first().waitFor();
    }
    await picture(page, "away-unread");
    await go(page, "shows");
    await appliance.start();
    await backups.getByText("No backups yet.").waitFor();
  }));

test("a fade is not counted on while nobody knows how far it is", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/live", expects: /ERR_|WebSocket/ }, async (page) => {
    await appliance.rest("/scenes", { body: { id: "e", name: "Evening", channelValues: { 1: 200 }, fadeMs: 600_000 } });
    await live(page);
    await appliance.rest("/scenes/e/recall", { method: "POST" });
    const stop = page.locator("dmx-fades").getByRole("button", { name: "Stop" });
    await stop.waitFor();
    await appliance.stop("SIGKILL");
    await lost(page);
    await eventually("it is not shown", () => stop.isVisible(), (seen) => !seen);
    await appliance.start();
    await live(page);
  }));
