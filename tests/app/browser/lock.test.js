// From open to locked in one step, and back: what an open appliance says, who is in afterwards, and who is not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, live, picture, settled, visit } from "./harness.js";

const [TABLET, , , PHONE] = SIZES;

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** A test with an appliance of its own: each locks it. */
const alone = (variables, body) => async () => {
  const appliance = await new Appliance(variables).start();
  try {
    await body(appliance);
  } finally {
    await appliance.clear();
  }
};

/** The code that the log shows, as somebody reads it there. @param {Appliance} appliance */
const code = (appliance) => JSON.parse(appliance.log.split("\n").find((line) => line.includes("first_admin_code"))).code;

/** Locks it in the app. @param {any} page @param {Appliance} appliance */
async function lock(page, appliance) {
  await page.goto(`${appliance.url(PLAIN)}#/lock`);
  await page.getByLabel("Your name").fill("Anna");
  await page.getByLabel("Code of this box").fill(code(appliance));
  await page.getByRole("button", { name: "Lock this box" }).click();
  await page.getByRole("heading", { name: "This box is locked" }).waitFor();
}

for (const size of [TABLET, PHONE]) test(`an open box says so and is locked in one step, at ${size.join(" × ")}`, alone({}, (appliance) =>
  visit(browser, { appliance, host: PLAIN, size, path: "#/settings", expects: /status of 401/ }, async (page) => {
    await live(page);
    await page.getByText("Open to everyone on this network.").waitFor();
    await settled(page);
    await picture(page, "lock-open");
    await page.locator("main").getByRole("link", { name: "Lock this box" }).click();
    await page.getByLabel("Your name").waitFor();
    await page.getByText("dmxd-status.txt").waitFor();
    assert.deepEqual(await barriers(page), []);
    await picture(page, "lock-form");
    await lock(page, appliance);
    const key = await page.locator("pre.secret").textContent();
    assert.match(key, /^[0-9a-f]{32}$/);
    await page.getByText(/and MQTT/).waitFor();
    await live(page); // it stays logged in, by its cookie alone
    await settled(page);
    await picture(page, "lock-done");
    assert.deepEqual(await barriers(page), []);
    await assert.rejects(appliance.rest("/rgb"), /401/, "nobody else is in");
    assert.equal((await appliance.rest("/me", { headers: { "x-api-key": key } })).role, "admin");
    assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage }))).includes(key), "the login is the cookie's");
    await page.reload();
    await live(page);
    await page.getByText("This box is locked.").waitFor();
  })));

test("another tablet sees the last light grow old, and is asked who it is; a name and a PIN let it in", alone({}, (appliance) =>
  visit(browser, { appliance, host: PLAIN, expects: /status of 401/ }, async (page) => {
    await appliance.light([255, 120, 40]);
    await live(page);
    await eventually("the light", () => page.getByLabel("Red, number").inputValue(), (red) => red === "255");
    await appliance.rest("/lock", { body: { name: "Anna", pin: "294817" } });
    await page.getByRole("heading", { name: "Log in to this box" }).waitFor();
    await page.getByText("Not logged in", { exact: true }).waitFor();
    assert.equal(await page.getByLabel("Red, number").inputValue(), "255", "the last light stays in sight");
    await eventually("it looks old", () => page.locator("main").evaluate((main) => getComputedStyle(main).opacity), (opacity) => opacity === "0.72");
    await picture(page, "login-over");
    await page.getByLabel("Name", { exact: true }).fill("Anna");
    await page.getByLabel("PIN or password").fill("111111");
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await page.getByText("The name or the secret is wrong.").waitFor();
    await page.getByLabel("PIN or password").fill("294817");
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await live(page);
    assert.ok(!(await page.getByRole("heading", { name: "Log in to this box" }).isVisible()));
    await page.goto(`${appliance.url(PLAIN)}#/settings`);
    await page.getByText(/You are Anna: Admin/).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in to this box" }).waitFor();
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Anna", "the name is offered again");
  })));

for (const size of [TABLET, PHONE]) test(`whoever opens a locked box for the first time sees the login alone, at ${size.join(" × ")}`, alone({ DMX_AUTH_MODE: "required", DMX_AUTH_KEYS: "right-key-of-the-house" }, (appliance) =>
  visit(browser, { appliance, host: PLAIN, size, expects: /status of 401/ }, async (page) => {
    await page.getByRole("heading", { name: "Log in to this box" }).waitFor();
    assert.ok(!(await page.locator("main").isVisible()));
    assert.ok(await page.getByRole("button", { name: /blackout/i }).isVisible(), "BLACKOUT is always there");
    assert.deepEqual(await barriers(page), []);
    await picture(page, "login-page");
    const pad = page.getByLabel("PIN or password");
    assert.equal(await pad.evaluate((field) => field.inputMode), "numeric", "a keypad for PINs");
    await page.getByRole("button", { name: "ABC" }).click();
    assert.equal(await pad.evaluate((field) => field.inputMode), "text", "and letters for passwords");
    await page.goto(`${appliance.url(PLAIN)}#key=right-key-of-the-house`);
    await live(page);
    assert.ok(!page.url().includes("right"), page.url());
  })));

test("who guesses too often is told how long to wait", alone({}, async (appliance) => {
  await appliance.rest("/lock", { body: { name: "Anna", pin: "294817" } });
  await visit(browser, { appliance, host: PLAIN, expects: /status of (401|429)/ }, async (page) => {
    await page.getByRole("heading", { name: "Log in to this box" }).waitFor();
    await page.route("**/login", (route) => route.fulfill({ status: 429, headers: { "retry-after": "600" }, contentType: "application/problem+json", body: "{}" }));
    await page.getByLabel("Name", { exact: true }).fill("Anna");
    await page.getByLabel("PIN or password").fill("111111");
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await page.getByText(/Too many wrong tries.* in 10 min/).waitFor();
  });
}));

test("an admin opens a box again, and everybody is in", alone({}, (appliance) =>
  visit(browser, { appliance, host: PLAIN, expects: /status of 401/ }, async (page) => {
    await live(page);
    await lock(page, appliance);
    await page.goto(`${appliance.url(PLAIN)}#/settings`);
    await page.getByRole("button", { name: "Open this box" }).click();
    await page.getByRole("button", { name: "Open it to everyone?" }).click();
    await page.locator("main").getByText("Open to everyone on this network.").waitFor();
    await appliance.rest("/rgb");
    await page.locator("main").getByRole("link", { name: "Lock this box" }).click();
    await page.getByRole("button", { name: "Lock this box" }).click(); // there is an admin: nothing else is asked
    await page.getByRole("heading", { name: "This box is locked" }).waitFor();
    await assert.rejects(appliance.rest("/rgb"), /401/);
  })));

test("a box that the settings lock, and that nobody has been added to, offers its first admin", alone({ DMX_AUTH_MODE: "required" }, (appliance) =>
  visit(browser, { appliance, host: PLAIN, expects: /status of 401/ }, async (page) => {
    await page.getByText("Nobody has been added here yet.").waitFor();
    await page.getByRole("link", { name: "Make the first admin" }).click();
    await page.getByLabel("Your name").waitFor();
    await settled(page);
    await picture(page, "lock-claim");
    await lock(page, appliance);
    await page.goto(`${appliance.url(PLAIN)}#/people`);
    await page.getByText("Anna", { exact: true }).first().waitFor();
  })));

/** A browser keeps the cookie of https from http (RFC 6265bis, 5.7). */
test("who is left without the cookie is logged in all the same", alone({}, async (appliance) => {
  await appliance.rest("/lock", { body: { name: "Anna", pin: "294817" } });
  await visit(browser, { appliance, host: PLAIN, expects: /status of 401/ }, async (page) => {
    await page.route("**/login", async (route) => {
      const said = await appliance.rest("/login", { body: { name: "Anna", secret: "294817" } });
      await route.fulfill({ contentType: "application/json", body: JSON.stringify(said) });
    });
    await page.getByLabel("Name", { exact: true }).fill("Anna");
    await page.getByLabel("PIN or password").fill("294817");
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await live(page);
  });
}));

test("many who share a user log in at one moment, and each gets in", alone({}, async (appliance) => {
  await appliance.rest("/lock", { body: { name: "Anna", pin: "294817" } });
  await visit(browser, { appliance, host: PLAIN, expects: /status of (401|429)/ }, async (page) => {
    let busy = 3;
    await page.route("**/login", (route) => (busy-- > 0 ? route.fulfill({ status: 429, headers: { "retry-after": "1" }, contentType: "application/problem+json", body: "{}" }) : route.continue()));
    await page.getByLabel("Name", { exact: true }).fill("Anna");
    await page.getByLabel("PIN or password").fill("294817");
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await live(page);
  });
}));
