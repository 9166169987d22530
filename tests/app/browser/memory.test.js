// A long evening in half a minute: afterwards the page holds what it held before.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { finger, place } from "./finger.js";
import { Appliance, PLAIN, launch, live, painted, settled, visit } from "./harness.js";

const VIEWS = ["looks", "patch", "shows", "devices", "settings", "live"];
const WARM_UP = 8;
const ROUNDS = 20;

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true" }).start();
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

test("memory stays flat", (t) =>
  visit(browser, { appliance, host: PLAIN }, async (page, sent) => {
    await live(page);
    const session = await page.context().newCDPSession(page);
    const hand = await finger(page);
    const red = page.getByRole("slider", { name: "Red", exact: true });

    /** Every view once, a drag, and light from elsewhere. */
    const round = async (number) => {
      for (const view of VIEWS) {
        await page.evaluate((name) => (location.hash = `#/${name}`), view);
        await page.locator(`nav a[href="#/${view}"][aria-current="page"]`).waitFor();
        await painted(page);
      }
      await hand.down(await place(red, 0.2));
      for (let step = 0; step < 10; step++) await hand.move(await place(red, 0.2 + step / 20));
      await hand.up();
      for (let light = 0; light < 10; light++) await appliance.light([number % 256, light, 7]);
      await painted(page);
    };
    const held = async () => {
      await settled(page);
      await session.send("HeapProfiler.collectGarbage");
      const { usedSize } = await session.send("Runtime.getHeapUsage");
      const { nodes, jsEventListeners } = await session.send("Memory.getDOMCounters");
      return { heap: usedSize, nodes, listeners: jsEventListeners };
    };

    for (let number = 0; number < WARM_UP; number++) await round(number);
    const early = await held();
    for (let number = 0; number < ROUNDS; number++) await round(number);
    const late = await held();
    const kB = (bytes) => `${Math.round(bytes / 1024)} kB`;
    t.diagnostic(`heap ${kB(early.heap)} → ${kB(late.heap)}, nodes ${early.nodes} → ${late.nodes}, listeners ${early.listeners} → ${late.listeners}; ${sent.length} messages sent`);
    assert.ok(late.heap - early.heap < 400 * 1024, "the heap");
    assert.ok(late.nodes - early.nodes < 200, "nodes of the document, those that only scripts hold among them");
    assert.ok(late.listeners - early.listeners < 20, "listeners");
  }));
