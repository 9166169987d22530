// Panels: an editor makes one and prints its code; a guest's page does exactly what it has, and is honest about the rest.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, live, picture, settled, visit } from "./harness.js";

const [TABLET, , , PHONE] = SIZES;
const KEY = "key-of-the-house-0001";
const headers = { "x-api-key": KEY };

let browser, appliance, looks;
before(async () => {
  browser = await launch();
  appliance = await new Appliance({ DMX_AUTH_MODE: "required", DMX_AUTH_KEYS: KEY }).start();
  looks = {};
  for (const [name, r] of [["Warm", 255], ["Cold", 20], ["Dance floor", 90]]) {
    looks[name] = (await appliance.rest("/scenes", { headers, body: { name, channelValues: { 1: r, 2: 60, 3: 255 - r } } })).id;
  }
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

/** @param {object} more @returns {Promise<{ id: string, url: string }>} */
const panel = (more = {}) => appliance.rest("/panels", { headers, body: { name: "Bar", looks: [looks.Warm, looks.Cold], ...more } });
const light = () => appliance.rest("/rgb", { headers });
const desk = () => appliance.rest("/desk", { headers });
const connected = (page) => page.getByText("Connected", { exact: true }).waitFor();

for (const size of [TABLET, PHONE]) test(`an editor makes a panel, and gets its code, at ${size.join(" × ")}`, () =>
  visit(browser, { appliance, host: PLAIN, size, path: `#key=${KEY}` }, async (page) => {
    await live(page);
    await page.goto(`${appliance.url(PLAIN)}#/panels`);
    await page.getByLabel("Name of the panel").fill(`Foyer ${size[0]}`);
    await page.getByLabel("Warm").check();
    await page.getByLabel("With the master fader").check();
    await page.getByRole("button", { name: "Make panel" }).click();
    const address = await page.locator("pre.secret").first().textContent();
    assert.ok(address.startsWith(`${appliance.url(PLAIN)}panel/`), address);
    await settled(page);
    assert.deepEqual(await barriers(page), []);
    await picture(page, "panels");
    const { panels } = await appliance.rest("/panels", { headers });
    const made = panels.find(({ name }) => name === `Foyer ${size[0]}`);
    assert.deepEqual([made.looks, made.master, made.blackout], [[looks.Warm], true, "on"]);

    // on paper: a name, its code, one line, and nothing else
    await page.evaluate(() => (globalThis.print = () => {}));
    await page.getByRole("button", { name: "Print" }).first().click();
    await page.emulateMedia({ media: "print" });
    const seen = await page.evaluate(() => [...document.body.children].filter((child) => getComputedStyle(child).display !== "none").map((child) => child.className));
    assert.deepEqual(seen, ["sheet"]);
    await picture(page, "panel-paper");
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    await page.emulateMedia({ media: "screen" });

    await page.getByRole("button", { name: `Change Foyer ${size[0]}` }).click();
    await page.getByRole("button", { name: "New address" }).click();
    await page.getByRole("button", { name: "The old address ends. Renew?" }).click();
    await eventually("the old address ends", async () => (await fetch(address.replace(PLAIN, "127.0.0.1"))).status, (status) => status === 404);
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Really delete?" }).click();
    await eventually("it is gone", () => appliance.rest("/panels", { headers }), ({ panels }) => !panels.some(({ id }) => id === made.id));
  }));

for (const size of [TABLET, PHONE]) test(`a guest has the panel's looks, master and blackout, and nothing else, at ${size.join(" × ")}`, async () => {
  const { url } = await panel({ master: true });
  await appliance.rest("/blackout", { headers, body: { on: false } });
  await visit(browser, { appliance, host: PLAIN, size, path: url.slice(1) }, async (page, sent) => {
    await connected(page);
    assert.equal(await page.getByRole("heading").textContent(), "Bar");
    assert.deepEqual(await page.locator("main button").allTextContents(), ["Warm", "Cold"]);
    await page.getByRole("button", { name: "Cold" }).click();
    await eventually("the light", light, ({ r }) => r === 20);
    await eventually("its button", () => page.getByRole("button", { name: "Cold" }).getAttribute("aria-pressed"), (on) => on === "true");
    await appliance.rest("/scenes/" + looks.Warm + "/recall", { headers, body: {} });
    await eventually("another hand's look", () => page.getByRole("button", { name: "Warm" }).getAttribute("aria-pressed"), (on) => on === "true");
    await page.getByRole("slider").focus();
    await page.keyboard.press("PageDown");
    await eventually("the master", desk, ({ master }) => master === 229);
    await settled(page);
    assert.deepEqual(await barriers(page), []);
    await picture(page, "panel");
    await page.getByRole("button", { name: "BLACKOUT" }).click();
    await eventually("dark", desk, ({ blackout }) => blackout);
    await page.getByText("Ask the light desk").waitFor();
    assert.ok(await page.locator(".blackout").isDisabled(), "it cannot make light again, and does not look as if");
    await picture(page, "panel-dark");
    await appliance.rest("/blackout", { headers, body: { on: false } });
    await appliance.rest("/master", { headers, body: { level: 255 } });
    await page.getByRole("button", { name: "BLACKOUT" }).waitFor();
    assert.ok(sent.length > 0);
  });
});

test("a panel without blackout and master shows neither; one with both makes light again", async () => {
  const [bare, both] = [await panel({ blackout: "none" }), await panel({ blackout: "both" })];
  await visit(browser, { appliance, host: PLAIN, path: bare.url.slice(1) }, async (page) => {
    await connected(page);
    assert.equal(await page.locator(".blackout, dmx-fader").count(), 0);
  });
  await visit(browser, { appliance, host: PLAIN, path: both.url.slice(1) }, async (page) => {
    await connected(page);
    await page.getByRole("button", { name: "BLACKOUT" }).click();
    await page.getByRole("button", { name: "Light again" }).click();
    await eventually("light", desk, ({ blackout }) => !blackout);
  });
});

test("what the panel has lost is refused in words; a panel that is changed shows it, one that is deleted says so", async () => {
  const { id, url } = await panel();
  await visit(browser, { appliance, host: PLAIN, path: url.slice(1), expects: /status of 404/ }, async (page) => {
    await connected(page);
    await page.evaluate(() => document.querySelector("main button").setAttribute("data-key", "x")); // only what is shown, not what is sent
    await appliance.rest(`/panels/${id}`, { method: "PATCH", headers, body: { looks: [looks["Dance floor"]] } });
    await eventually("its new look", () => page.locator("main button").allTextContents(), (names) => names.join() === "Dance floor");
    await connected(page);
    await appliance.rest(`/panels/${id}`, { method: "DELETE", headers });
    await page.getByRole("heading", { name: "This link is no longer valid" }).waitFor();
    const answer = await page.reload();
    assert.equal(answer.status(), 404);
    await page.getByRole("heading", { name: "This link is no longer valid" }).waitFor();
    assert.deepEqual(await barriers(page), []);
    await picture(page, "panel-gone");
  });
});

test("without a connection the panel says so, and promises nothing", async () => {
  const own = await new Appliance().start();
  try {
    const { url } = await own.rest("/panels", { body: { name: "Bar", blackout: "both" } });
    await visit(browser, { appliance: own, host: PLAIN, path: url.slice(1), expects: /ERR_CONNECTION|WebSocket/ }, async (page) => {
      await connected(page);
      await own.stop("SIGKILL");
      await page.getByText("No connection. What you see may be out of date.").waitFor();
      await picture(page, "panel-lost");
      await page.getByRole("button", { name: "BLACKOUT" }).click();
      await page.getByText("Not sent: no connection.").waitFor();
      await own.start();
      await connected(page);
      assert.equal((await own.rest("/desk")).blackout, false, "nothing comes late");
    });
  } finally {
    await own.clear();
  }
});

test("a panel's address is kept by nothing and logged by nobody", async () => {
  const { url } = await panel();
  const secret = url.split("/").at(-1);
  const page = await fetch(appliance.url() + url.slice(1), { headers: { "if-none-match": "*" } });
  assert.equal(page.status, 200);
  assert.equal(page.headers.get("cache-control"), "no-store");
  assert.equal(page.headers.get("referrer-policy"), "no-referrer");
  assert.equal(page.headers.get("etag"), null);
  assert.match(page.headers.get("content-security-policy"), /default-src 'self'.*frame-ancestors 'none'/);
  const unknown = await fetch(`${appliance.url()}panel/${"0".repeat(32)}`);
  assert.equal(unknown.status, 404);
  assert.match(await unknown.text(), /panel\.js/, "a page says so");
  assert.equal((await fetch(`${appliance.url()}panel/${KEY}`)).status, 404, "a key is no panel");
  await visit(browser, { appliance, path: url.slice(1) }, async (page) => { // localhost: a service worker could be there
    await connected(page);
    assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ""]);
  });
  const metrics = await (await fetch(`${appliance.url()}metrics`, { headers })).text();
  const audit = await appliance.rest("/panels", { headers });
  for (const [where, text] of [["log", appliance.log], ["metrics", metrics], ["list", JSON.stringify(audit)]]) assert.ok(!text.includes(secret), where);
  assert.ok(metrics.includes('route="/panel/{secret}"'), "counted by its template");
  const { files } = await appliance.rest("/assets.json");
  assert.ok(!files.some((file) => file.startsWith("/panel/")));
});
