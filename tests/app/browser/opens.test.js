// The page opens, at every size and under both kinds of address, shows the light and shuts nobody out.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, level, live, picture, visit } from "./harness.js";

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance().start();
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

for (const size of SIZES) {
  test(`at ${size.join(" × ")} it opens on plain http, shows the light and has no barrier`, () =>
    visit(browser, { appliance, size, host: PLAIN }, async (page) => {
      assert.equal(await page.evaluate(() => isSecureContext), false, "as on a stage");
      const light = /** @type {[number, number, number]} */ ([200 + (size[0] % 50), 20, 7]);
      await live(page);
      await appliance.light(light);
      for (const [index, name] of ["Red", "Green", "Blue"].entries()) {
        await eventually(name, () => level(page, name), (value) => value === light[index]);
      }
      const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= seen, `nothing is cut off at the side: ${wide} px in ${seen}`);
      assert.deepEqual(await barriers(page), []);
      await picture(page, "opens");
    }));
}

test("it opens where the page is a secure context", () =>
  visit(browser, { appliance }, async (page) => {
    assert.equal(await page.evaluate(() => isSecureContext), true);
    await live(page);
  }));

test("what the policy forbids is found out", async () => {
  const opened = visit(browser, { appliance }, (page) => page.evaluate(async () => {
    const style = document.createElement("style");
    style.textContent = "body { color: red }";
    const told = new Promise((resolve) => addEventListener("securitypolicyviolation", resolve, { once: true }));
    document.head.append(style);
    await told;
  }));
  await assert.rejects(opened, /style-src/);
});
