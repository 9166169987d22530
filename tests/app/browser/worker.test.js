// Where a page may have a service worker: the shell is kept, whole and nothing else; a new one is offered and never forced.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Appliance, launch, live, lost, visit } from "./harness.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

const activated = (page) => page.evaluate(async () => {
  const { active } = await navigator.serviceWorker.ready;
  if (active.state !== "activated") await new Promise((resolve) => active.addEventListener("statechange", resolve, { once: true }));
});
const kept = (page) => page.evaluate(async () => {
  const addresses = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) addresses.push(new URL(request.url).pathname);
  }
  return addresses.sort();
});

test("the shell is kept as /assets.json lists it, and starts without the appliance", async () => {
  const appliance = await new Appliance().start();
  try {
    await visit(browser, { appliance, expects: /ERR_(CONNECTION_REFUSED|FAILED)|WebSocket connection|Failed to (load|fetch)/ }, async (page) => {
      await live(page);
      await activated(page);
      const { files } = await appliance.rest("/assets.json");
      assert.deepEqual(await kept(page), files.filter((file) => !/\/panel\.\w+$/.test(file)).toSorted()); // guests' panels come from the appliance each time

      await appliance.stop();
      await page.reload();
      await lost(page);
      assert.ok(await page.getByRole("main").isVisible());
      await appliance.start();
      await live(page);
    });
  } finally {
    await appliance.clear();
  }
});

test("a new version is offered, and comes when it is taken", async () => {
  // the sources, changed while they are served: another program would bring other files in the same way
  const folder = mkdtempSync(join(tmpdir(), "dmxd-ui-"));
  cpSync(new URL("../../../src/pwa", import.meta.url).pathname, folder, { recursive: true });
  const appliance = await new Appliance({ DMX_HTTP_UI_DIR: folder }).start();
  try {
    await visit(browser, { appliance }, async (page) => {
      await live(page);
      await activated(page);
      const before = await appliance.rest("/assets.json");
      const html = readFileSync(join(folder, "index.html"), "utf8");
      writeFileSync(join(folder, "index.html"), html.replace("<html ", "<html data-newer "));
      assert.notEqual((await appliance.rest("/assets.json")).version, before.version);

      await page.reload();
      const take = page.getByRole("button", { name: "Load the new version of this app" });
      await take.waitFor();
      assert.equal(await page.locator("html[data-newer]").count(), 0, "not in the middle of use");
      await Promise.all([page.waitForEvent("load"), take.click()]);
      assert.equal(await page.locator("html[data-newer]").count(), 1);
      await live(page);
    });
  } finally {
    await appliance.clear();
    rmSync(folder, { recursive: true });
  }
});

test("an appliance that comes back with another app has it offered to pages that stayed open", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dmxd-ui-"));
  cpSync(new URL("../../../src/pwa", import.meta.url).pathname, folder, { recursive: true });
  const appliance = await new Appliance({ DMX_HTTP_UI_DIR: folder }).start();
  try {
    await visit(browser, { appliance, expects: /ERR_|WebSocket|Failed to fetch/ }, async (page) => {
      await live(page);
      await activated(page);
      const html = readFileSync(join(folder, "index.html"), "utf8");
      writeFileSync(join(folder, "index.html"), html.replace("<html ", "<html data-newer "));
      await appliance.stop();
      await appliance.start();
      await page.getByRole("button", { name: "Load the new version of this app" }).waitFor();
      await live(page);
    });
  } finally {
    await appliance.clear();
    rmSync(folder, { recursive: true });
  }
});

test("a browser would install it", async () => {
  const appliance = await new Appliance().start();
  try {
    await visit(browser, { appliance }, async (page) => {
      await live(page);
      await activated(page);
      const session = await page.context().newCDPSession(page);
      const { errors, data } = await session.send("Page.getAppManifest");
      assert.deepEqual(errors, []);
      assert.equal(JSON.parse(data).display, "standalone");
      // A private window, as each of these is, installs nothing; nothing else may prevent it.
      const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
      assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== "in-incognito"), []);
    });
  } finally {
    await appliance.clear();
  }
});
