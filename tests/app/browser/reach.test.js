// What a tap opens is in sight, above the bar, in every view and size; and a tap dismisses notices.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, SIZES, eventually, launch, live, painted, picture, settled, visit } from "./harness.js";

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true", DMX_CLOUD_BACKUP_ENABLED: "true", DMX_CLOUD_BACKUP_KEEP: "20" }).start();
  for (let n = 1; n <= 12; n++) await appliance.rest("/scenes", { body: { name: `Look ${n}`, channelValues: { 1: n } } });
  for (let n = 1; n <= 6; n++) {
    await appliance.rest("/projects", { body: { name: `Project ${n}` } });
    await appliance.rest("/projects/default/backups", { body: { label: `backup ${n}` } });
  }
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

/** Completely on the screen, and covered by nothing. */
const reached = (locator) => eventually("it is in reach", () => locator.evaluate((element) => {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  const bar = document.querySelector("dmx-bar").getBoundingClientRect().top;
  const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return { top, bottom, bar, free: element.contains(hit), inside: top >= 0 && bottom <= bar + 1 };
}), ({ free, inside }) => free && inside);

/** Where a thumb finds it: at the lower edge of the visible part. */
async function tapLow(page, locator) {
  await locator.evaluate((element) => element.scrollIntoView({ block: "end" }));
  await painted(page);
  await locator.evaluate((element) => element.click());
}

const LYING = [844, 390];
for (const size of [...SIZES, LYING]) {
  test(`what a tap opens is in sight at ${size.join(" × ")}`, () =>
    visit(browser, { appliance, host: PLAIN, size, path: "#/shows" }, async (page) => {
      await live(page);
      await page.getByRole("button", { name: "Restore the backup" }).nth(5).waitFor();
      await settled(page);
      const open = page.getByRole("button", { name: "Restore the backup" }).last();
      await tapLow(page, open);
      await reached(page.getByRole("button", { name: "Yes, restore" }));
      await page.getByText("This would change").or(page.getByText("Nothing would change")).first().waitFor();
      await reached(page.getByRole("button", { name: "Yes, restore" }));
      await picture(page, "reach-restore");
      await tapLow(page, open);

      await tapLow(page, page.getByRole("button", { name: /^Delete project/ }).last());
      await reached(page.getByRole("button", { name: "Really delete?" }));
      await page.getByText("New project").evaluate((element) => element.scrollIntoView({ block: "end" }));
      await page.getByText("New project").click();
      // a form larger than the view shows its beginning
      await reached(size === LYING ? page.getByText("New project") : page.getByRole("button", { name: "Create" }));

      const show = { scenes: [{ id: "f", name: "File", channelValues: {} }] };
      await page.locator("input[type=file]").setInputFiles({ name: "show.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(show)) });
      await page.getByText("Looks: 1 new").waitFor();
      await reached(page.getByRole("button", { name: "Import", exact: true }));
      await picture(page, "reach-import");

      await page.locator('nav a[href="#/looks"]').click();
      await page.getByRole("button", { name: "Edit Look 12" }).waitFor();
      await tapLow(page, page.getByRole("button", { name: "Edit Look 12" }));
      const remove = page.locator(".editor").getByRole("button", { name: "Delete" }).filter({ visible: true });
      await reached(size === LYING ? page.locator(".editor").getByLabel("Name").filter({ visible: true }) : remove);
      await tapLow(page, remove);
      await reached(page.getByRole("button", { name: "Really delete?" }));
    }));
}

test("on a telephone short words leave the tabs readable, and a tap sends any away", () =>
  visit(browser, { appliance, host: PLAIN, size: SIZES[3] }, async (page) => {
    await live(page);
    const tell = (words) => page.evaluate(async (words) => (await import("/desk.js")).desk.notify(words), words);
    const note = page.locator(".note");
    await tell("Not sent: no connection.");
    const { y, height } = await note.boundingBox();
    const nav = await page.locator("header nav").boundingBox();
    assert.ok(y + height <= nav.y, `${y + height} of ${nav.y}`);
    await picture(page, "note-phone");
    await tell("That did not work: the appliance rejected it. ".repeat(4));
    const over = await note.boundingBox();
    const covered = page.locator('nav a[href="#/devices"]');
    const tab = await covered.boundingBox();
    await page.touchscreen.tap(tab.x + tab.width / 2, Math.min(over.y + over.height - 2, tab.y + tab.height / 2));
    await page.locator('nav a[href="#/devices"][aria-current="page"]').waitFor(); // the tap was for the tab
    await eventually("it is gone", () => note.textContent(), (words) => words === "");
    await page.locator('nav a[href="#/looks"]').tap();
    await page.locator('nav a[href="#/looks"][aria-current="page"]').waitFor();
  }));
