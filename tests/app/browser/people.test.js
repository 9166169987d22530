// People and their roles: an admin adds them, each sees what its role may do and nothing else, and a lamp gets a key of its own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, live, picture, settled, visit } from "./harness.js";

const [TABLET, , , PHONE] = SIZES;
const PIN = "294817";

let browser, appliance, admin;
/** What the first admin's scripts send. */
let headers;
before(async () => {
  browser = await launch();
  appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true", DMX_CLOUD_BACKUP_ENABLED: "true" }).start();
  await appliance.rest("/scenes", { body: { name: "Warm", channelValues: { 1: 255, 2: 120, 3: 40 } } });
  admin = (await appliance.rest("/lock", { body: { name: "Anna", generate: true } })).admin;
  headers = { "x-api-key": admin.key };
  for (const role of ["view", "operate", "edit"]) await appliance.rest("/users", { headers, body: { name: `The ${role}`, role, pin: PIN } });
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

const users = async () => (await appliance.rest("/users", { headers })).users;

/** A page of somebody who has logged in by name and PIN. */
const as = (name, how, body) => visit(browser, { appliance, host: PLAIN, expects: /status of 401/, ...how }, async (page, sent) => {
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("PIN or password").fill(PIN);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await live(page);
  await body(page, sent);
});

/** A page of the admin, by the link of the key. */
const asAdmin = (how, body) => visit(browser, { appliance, host: PLAIN, path: `#key=${admin.key}`, ...how }, async (page, sent) => {
  await live(page);
  await body(page, sent);
});

const go = async (page, view) => {
  await page.goto(`${appliance.url(PLAIN)}#/${view}`);
  await settled(page);
};

for (const size of [TABLET, PHONE]) test(`an admin adds somebody with a PIN and somebody with a key, changes and removes them, at ${size.join(" × ")}`, () =>
  asAdmin({ size }, async (page) => {
    const [berta, cyril] = [`Berta ${size[0]}`, `Cyril ${size[0]}`];
    await go(page, "people");
    await page.locator("li").filter({ hasText: "Anna" }).filter({ hasText: "you" }).waitFor();
    await page.getByText("Add somebody").first().click();
    await page.locator("main").getByLabel("Name", { exact: true }).fill(berta);
    await page.getByLabel("Role").selectOption("operate");
    await page.getByLabel("New PIN").fill("123");
    await page.getByRole("button", { name: "Add somebody" }).click();
    assert.ok(!(await users()).some(({ name }) => name === berta), "a short PIN is not sent");
    await page.getByLabel("New PIN").fill(PIN);
    await page.getByRole("button", { name: "Add somebody" }).click();
    await eventually("she is there", users, (all) => all.some(({ name, role }) => name === berta && role === "operate"));

    await page.locator("main").getByLabel("Name", { exact: true }).fill(cyril);
    await page.getByLabel("A key to scan").check();
    await page.getByRole("button", { name: "Add somebody" }).click();
    const key = await page.locator("pre.secret").textContent();
    assert.equal((await appliance.rest("/me", { headers: { "x-api-key": key } })).name, cyril);
    await settled(page);
    assert.deepEqual(await barriers(page), []);
    await picture(page, "people");

    await page.getByRole("button", { name: `Change ${berta}` }).click();
    const row = page.locator("li").filter({ hasText: berta });
    await row.getByLabel("Role").selectOption("edit");
    await picture(page, "people-edit");
    await row.getByRole("button", { name: "Set role" }).click();
    await eventually("the role", users, (all) => all.some(({ name, role }) => name === berta && role === "edit"));
    for (const name of [berta, cyril]) {
      await page.getByRole("button", { name: `Change ${name}` }).click();
      const one = page.locator("li").filter({ hasText: name });
      await one.getByRole("button", { name: "Remove" }).click();
      await one.getByRole("button", { name: "Really remove?" }).click();
      await eventually("gone", users, (all) => !all.some((user) => user.name === name));
    }
    await page.reload();
    await page.getByText("Anna removed somebody").first().waitFor();
  }));

test("the last admin stays, and the app says why", () =>
  asAdmin({ expects: /status of 409/ }, async (page) => {
    await go(page, "people");
    await page.getByRole("button", { name: "Change Anna" }).click();
    await page.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("button", { name: "Really remove?" }).click();
    await page.getByText("make somebody else an admin first").waitFor();
    assert.ok((await users()).some(({ name }) => name === "Anna"));
  }));

test("who may only watch sees the light, and no control that moves it", () =>
  as("The view", {}, async (page, sent) => {
    await page.getByText("You can watch, but not change the light.").waitFor();
    await appliance.rest("/rgb", { headers, body: { cmdId: "01JD0000000000000000000009", src: "script", r: 200, g: 10, b: 10 } });
    await eventually("the light is seen", () => page.getByLabel("Red, number").inputValue(), (red) => red === "200");
    const before = sent.length;
    for (const name of ["Red, number", "Colour (hex)"]) assert.ok(await page.getByLabel(name).isDisabled(), name);
    for (const name of [/blackout/i, /^Warm/, "Red: full"]) assert.ok(await page.getByRole("button", { name }).isDisabled(), String(name));
    await page.getByRole("slider", { name: "Red", exact: true }).focus();
    await page.keyboard.press("End");
    const { x, y, width, height } = await page.locator("dmx-wheel").boundingBox();
    await page.mouse.click(x + width / 3, y + height / 3);
    await settled(page);
    assert.deepEqual(sent.slice(before).filter(({ message }) => message.type !== "ping"), [], "nothing is sent");
    assert.equal(await page.getByLabel("Red, number").inputValue(), "200");
    assert.deepEqual(await barriers(page), []);
    await picture(page, "watch");
  }));

for (const [name, hidden, shown] of [
  ["The view", { looks: ["Capture", "Edit Warm"], shows: ["Import", "Back up now", "Restore"], settings: ["People", "Panels"] }, {}],
  ["The operate", { looks: ["Capture", "Edit Warm"], shows: ["Back up now"], settings: ["People", "Panels"] }, { looks: ["Recall Warm"] }],
  ["The edit", { settings: ["People"] }, { looks: ["Capture", "Edit Warm"], shows: ["Back up now"], settings: ["Panels"] }],
]) test(`${name.toLowerCase()} role: what it may not do is not offered, what it may is`, () =>
  as(name, {}, async (page) => {
    const there = (label) => page.locator("main").getByRole("button", { name: label, exact: true }).or(page.locator("main").getByRole("link", { name: label, exact: true }));
    for (const view of ["looks", "shows", "settings"]) {
      await go(page, view);
      for (const label of shown[view] ?? []) await there(label).first().waitFor();
      for (const label of hidden[view] ?? []) assert.equal(await there(label).filter({ visible: true }).count(), 0, `${view}: ${label}`);
      assert.deepEqual(await barriers(page), [], view);
    }
    await page.getByText(new RegExp(`You are ${name}`)).waitFor();
    await go(page, "people");
    await page.getByText("Only an admin who is logged in manages people").waitFor();
  }));

test("a refusal by role is said in words", () =>
  as("The operate", { expects: /status of 40[13]/ }, async (page) => {
    await go(page, "looks");
    await page.evaluate(() => document.querySelectorAll("[data-needs]").forEach((element) => element.setAttribute("data-needs", "watch"))); // as if the app had it wrong
    await page.getByLabel("Name of the new look").fill("Mine");
    await page.getByRole("button", { name: "Capture", exact: true }).click();
    await page.getByText("that needs the role “Edit”; you have “Operate”").waitFor();
  }));

test("a role that changes is felt at once, and what was typed stays; so it does when the login ends", async () => {
  const { id } = await appliance.rest("/users", { headers, body: { name: "Dana", role: "edit", pin: PIN } });
  await as("Dana", {}, async (page) => {
    await go(page, "looks");
    const [typed, capture] = [page.getByLabel("Name of the new look"), page.getByRole("button", { name: "Capture", exact: true })];
    await typed.fill("Half a na");
    await appliance.rest(`/users/${id}`, { method: "PATCH", headers, body: { role: "view" } });
    await capture.waitFor({ state: "hidden" });
    await page.getByText("You can watch, but not change the light.").waitFor();
    await appliance.rest(`/users/${id}`, { method: "PATCH", headers, body: { role: "edit" } });
    await capture.waitFor();
    assert.equal(await typed.inputValue(), "Half a na");
    await appliance.rest(`/users/${id}`, { method: "PATCH", headers, body: { pin: `${PIN}0` } });
    await page.getByRole("heading", { name: "Log in to this box" }).waitFor();
    await picture(page, "login-over-looks");
    await page.getByLabel("PIN or password").fill(`${PIN}0`);
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await live(page);
    assert.equal(await typed.inputValue(), "Half a na");
    await appliance.rest(`/users/${id}`, { method: "DELETE", headers });
    await page.getByRole("heading", { name: "Log in to this box" }).waitFor();
  });
});

for (const size of [TABLET, PHONE]) test(`a lamp gets a name, a key and the lines for its program, at ${size.join(" × ")}`, () =>
  asAdmin({ size }, async (page) => {
    const name = `stage-left-${size[0]}`;
    await go(page, "devices");
    await page.getByText("Add a lamp").click();
    assert.ok(!(await page.getByText("This box is open").isVisible()));
    await page.getByLabel("Name of the lamp").fill(name);
    await page.getByRole("button", { name: "Make its key" }).click();
    const key = await page.locator("pre.secret").textContent();
    assert.ok((await users()).some((user) => user.name === name && user.role === "device"));
    for (const heading of ["Arduino (PubSubClient)", "ESPHome", "Tasmota"]) {
      const lines = await page.locator("div").filter({ has: page.getByRole("heading", { name: heading }) }).last().locator("pre").textContent();
      assert.ok(lines.includes(key) && lines.includes(name), lines);
    }
    await settled(page);
    assert.deepEqual(await barriers(page), []);
    await page.locator("pre.secret").evaluate((element) => element.scrollIntoView({ block: "start" }));
    await picture(page, "lamp");
  }));

test("with the box open the app says that lamps need no key", async () => {
  const open = await new Appliance().start();
  try {
    await visit(browser, { appliance: open, host: PLAIN, path: "#/devices" }, async (page) => {
      await live(page);
      await page.getByText("Open to everyone on this network.").waitFor();
      await page.getByText("Add a lamp").click();
      await page.getByText("This box is open, so lamps need no key.").waitFor();
      await page.getByText("Keys for lamps are made by an admin who is logged in.").waitFor();
    });
  } finally {
    await open.clear();
  }
});
