// What people set on their own device, and that it lasts: language, theme, name.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, barriers, eventually, launch, live, visit } from "./harness.js";

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance().start();
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

test("another language is there at once, the focus stays, and it is there the next time", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/settings" }, async (page) => {
    await live(page);
    const czech = page.getByRole("radio", { name: "Čeština" });
    await czech.focus();
    await page.keyboard.press("Space");
    await page.getByRole("heading", { name: "Vzhled" }).waitFor();
    await eventually("the focus", () => czech.evaluate((radio) => radio === document.activeElement), Boolean);
    await page.reload();
    await page.getByRole("heading", { name: "Vzhled" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "cs");
  }));

for (const [theme, name] of [["red", "Dim red"], ["light", "Light"]]) {
  test(`the ${theme} theme has no barrier in any view, and stays`, () =>
    visit(browser, { appliance, host: PLAIN, path: "#/settings" }, async (page) => {
      await live(page);
      await page.getByRole("radio", { name, exact: true }).check();
      await eventually("the theme", () => page.evaluate(() => document.documentElement.dataset.theme), (now) => now === theme);
      for (const view of ["live", "looks", "shows", "devices", "settings"]) {
        await page.locator(`nav a[href="#/${view}"]`).click();
        await page.locator(`nav a[href="#/${view}"][aria-current="page"]`).waitFor();
        assert.deepEqual(await barriers(page), [], view);
      }
      await page.reload();
      await live(page);
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
    }));
}

test("the name of the device stands in what it commands", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/settings" }, async (page) => {
    await live(page);
    await page.getByLabel("Name of this device").fill("Žofie's tablet");
    await page.getByLabel("Name of this device").blur();
    await page.getByText("ui-zofie-s-tablet").waitFor();
    await page.locator('nav a[href="#/live"]').click();
    await page.getByLabel("Red, number").fill("77");
    await page.keyboard.press("Enter");
    const state = await eventually("the light", () => appliance.rest("/rgb"), ({ r }) => r === 77);
    assert.equal(state.updatedBy, "ui-zofie-s-tablet");
  }));

test("on this machine's own address no other tablet is sent there", () =>
  visit(browser, { appliance, path: "#/settings" }, async (page) => {
    await page.getByText(/Version \d/).waitFor();
    await page.getByText(/works on this machine only/).waitFor();
    assert.equal(await page.locator(".qr").count(), 0);
    const addresses = ["http://192.0.2.7:3000/", "http://[2001:db8::7]:3000/"];
    await page.route("**/about", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), addresses } });
    });
    await page.reload();
    await eventually("the addresses of the network", () => page.locator("figcaption").allTextContents(), (list) => list.join() === addresses.join());
    assert.equal(await page.getByText(/works on this machine only/).count(), 0);
  }));

test("a name by which others found it is one that they can open", () =>
  visit(browser, { appliance, host: PLAIN, path: "#/settings" }, async (page) => {
    await eventually("its code", () => page.locator("figcaption").allTextContents(), (list) => list.join() === appliance.url(PLAIN));
  }));

test("a box that does not know the time is told it by the tablet", () =>
  visit(browser, { appliance, host: PLAIN }, async (page) => {
    await live(page);
    await page.route("**/clock", (route) => (route.request().method() === "GET" ? route.fulfill({ json: { now: 0, sure: false, source: "unknown" } }) : route.continue()));
    await page.locator('nav a[href="#/settings"]').click();
    await page.getByText("This box does not know the time.").waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.unroute("**/clock");
    await page.getByRole("button", { name: "Set it from this device" }).click();
    await page.getByText("Time set.").waitFor();
    await page.getByText("This box does not know the time.").waitFor({ state: "hidden" });
    const told = await appliance.rest("/clock");
    assert.equal(told.source, "person");
    assert.ok(Math.abs(told.now - Date.now()) < 10_000, String(told.now));
  }));
