// An appliance that requires a key gets it from the person, once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, eventually, launch, live, visit } from "./harness.js";

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance({ DMX_AUTH_MODE: "required", DMX_AUTH_KEYS: "right" }).start();
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

test("a wrong key is asked for again, the right one is kept", () =>
  visit(browser, { appliance, host: PLAIN, expects: /status of 401/ }, async (page) => {
    const field = page.getByLabel("Key", { exact: true });
    await page.getByText("Use a key instead").click();
    for (const key of ["wrong", "right"]) {
      await field.fill(key);
      await page.getByRole("button", { name: "Use this key" }).click();
      if (key === "wrong") await page.getByText("This key does not work here").waitFor();
    }
    await live(page);
    await page.reload();
    await live(page);
    assert.ok(!(await field.isVisible()), "not asked twice");
  }));

for (const [when, path] of [["first", "#token=right"], ["first", "#key=right"], ["later", ""]]) {
  test(`a link may bring the key, ${when}, and does not show it: ${path || "typed"}`, () =>
    visit(browser, { appliance, host: PLAIN, path, expects: /status of 401/ }, async (page) => {
      if (path === "") {
        await page.getByRole("heading", { name: "Log in to this box" }).waitFor();
        await page.evaluate(() => (location.hash = "#key=right"));
      }
      await live(page);
      assert.ok(!page.url().includes("right"), page.url());
    }));
}

/** The storage of the page. */
const stored = (page) => page.evaluate(() => JSON.stringify({ ...localStorage }));
const follow = (page, token) => page.evaluate((token) => (location.hash = `#token=${token}`), token);

for (const mode of ["required", "audit"]) test(`a link with a wrong key does not replace one that works, a right one does: ${mode}`, async () => {
  const two = await new Appliance({ DMX_AUTH_MODE: mode, DMX_AUTH_KEYS: "right,other" }).start();
  try {
    await visit(browser, { appliance: two, host: PLAIN, path: "#token=right", expects: /status of 401/ }, async (page) => {
      const key = () => stored(page);
      await live(page);
      const offered = (token) => Promise.all([
        page.waitForResponse((answer) => answer.url().endsWith("/about") && answer.request().headers()["x-api-key"] === token),
        follow(page, token),
      ]);
      await offered("wrong");
      await page.getByText("The link’s key does not work here.").waitFor();
      await live(page);
      assert.match(await key(), /right/);
      await page.reload();
      await live(page);
      await offered("other");
      await eventually("the other key is kept", key, (kept) => kept.includes("other"));
      await live(page);
      await page.goto(`${two.url(PLAIN)}#/settings`);
      for (const name of ["REST API (OpenAPI)"]) {
        const href = await page.getByRole("link", { name }).getAttribute("href");
        assert.equal(await page.evaluate(async (href) => (await fetch(href)).status, href), 200, "a link brings the key");
      }
    });
  } finally {
    await two.clear();
  }
});

for (const mode of ["required", "audit"]) test(`a link followed without a connection is judged when there is one: ${mode}`, async () => {
  const two = await new Appliance({ DMX_AUTH_MODE: mode, DMX_AUTH_KEYS: "right,other" }).start();
  try {
    await visit(browser, { appliance: two, host: PLAIN, path: "#token=right", expects: /status of 401|ERR_CONNECTION|WebSocket/ }, async (page) => {
      await live(page);
      for (const [token, kept] of [["other", "other"], ["wrong", "other"]]) {
        await two.stop("SIGKILL");
        await follow(page, token);
        await page.getByText(/No connection/).first().waitFor();
        assert.ok(!(await stored(page)).includes(token === "wrong" ? "wrong" : "other"), "nobody has judged it yet");
        await two.start();
        await live(page);
        if (token === "wrong") await page.getByText("The link’s key does not work here.").waitFor();
        await eventually("the key is judged", () => stored(page), (all) => all.includes(kept) && !all.includes("wrong"));
      }
    });
  } finally {
    await two.clear();
  }
});
