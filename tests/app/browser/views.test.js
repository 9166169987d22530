// Every view at every size, in both languages: no complaint, no barrier, nothing cut off, and a picture to look at.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, live, picture, settled, visit } from "./harness.js";

const VIEWS = ["live", "looks", "patch", "shows", "devices", "settings"];

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance({
    DMX_PROJECTS_ENABLED: "true", DMX_CLOUD_BACKUP_ENABLED: "true", DMX_USB_ENABLED: "true", DMX_USB_PORT: "/dev/serial/by-id/none",
  }).start();
  await appliance.light([255, 120, 40]);
  for (const [name, rgb] of [["Sunrise", [255, 120, 40]], ["Deep sea", [0, 60, 200]], ["A scene with quite a long name", [90, 0, 90]]]) {
    const channelValues = { 1: rgb[0], 2: rgb[1], 3: rgb[2], "1/7": 200 };
    await appliance.rest("/scenes", { body: { name, channelValues } });
  }
  // As long as a name may be: nothing in the bars may push BLACKOUT away.
  await appliance.rest("/projects/default", { method: "PUT", body: { name: "Zkouška ".repeat(15).trim() } });
  await appliance.rest("/projects", { body: { name: "Spring tour", venue: "Divadlo", eventDate: "2026-05-01" } });
  await appliance.rest("/projects/default/backups", { body: { label: "before the show" } });
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});

/** Letters twice as large leave a page half the size. */
const ZOOMED = [[512, 384], [640, 400], [384, 512], [195, 422]];

for (const [language, sizes] of [["en", [...SIZES, ...ZOOMED]], ["cs", [SIZES[0], SIZES[3]]]]) {
  for (const size of sizes) {
    test(`${language} at ${size.join(" × ")}`, () =>
      visit(browser, { appliance, host: PLAIN, size, context: { locale: { en: "en-GB", cs: "cs-CZ" }[language] } }, async (page) => {
        await eventually("the language", () => page.evaluate(() => document.documentElement.lang), (lang) => lang === language);
        for (const view of VIEWS) {
          await page.goto(`${appliance.url(PLAIN)}#/${view}`);
          await page.locator(`nav a[href="#/${view}"][aria-current="page"]`).waitFor();
          await settled(page);
          for (const [wide, seen] of await page.evaluate(() => [document.documentElement, document.querySelector("main")].map((area) => [area.scrollWidth, area.clientWidth]))) {
            assert.ok(wide <= seen, `${view}: nothing is cut off at the side: ${wide} px in ${seen}`);
          }
          assert.deepEqual(await barriers(page), [], view);
          const least = ZOOMED.includes(size) ? 24 : 48; // which are 48 px for the finger
          assert.deepEqual(await tooSmall(page, least), [], `${view}: fingers need 48 px`);
          const panic = await page.getByRole("button", { name: /blackout|tma/i }).boundingBox();
          const [right, bottom] = [panic.x + panic.width, panic.y + panic.height];
          assert.ok(panic.height >= 64 && panic.x >= 0 && panic.y >= 0 && right <= size[0] && bottom <= size[1], `${view}: BLACKOUT is always there`);
          await picture(page, `${view}-${language}`);
        }
      }));
  }
}

test("who wants no motion gets none", () =>
  visit(browser, { appliance, host: PLAIN, context: { reducedMotion: "reduce" } }, async (page) => {
    await live(page);
    for (const name of ["Sunrise", "Deep sea"]) await page.locator("dmx-tiles").getByRole("button", { name }).click();
    await page.getByRole("button", { name: "Blackout" }).click();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    await page.getByRole("button", { name: "Blackout" }).click();
  }));

test("an appliance that answers badly is not misunderstood", () =>
  visit(browser, { appliance, host: PLAIN, expects: /status of (500|503)/, path: "#/settings" }, async (page) => {
    await page.route(/\/(scenes|usb\/devices)$/, (route) => route.fulfill({ status: 500, body: "" }));
    await page.route("**/about", (route) => route.fulfill({ status: 503, body: "" }));
    await page.reload();
    await live(page);
    const open = async (view) => {
      await page.locator(`nav a[href="#/${view}"]`).click();
      await settled(page);
    };
    for (const view of ["live", "looks", "shows"]) {
      await open(view);
      assert.equal(await page.getByText(/No looks yet|switched off/).filter({ visible: true }).count(), 0, view);
    }
    await open("devices");
    await page.getByText(/^Some of this could not be loaded/).waitFor();
    await page.getByText("No device has announced itself yet.").waitFor();
  }));

for (const variables of [{}, { DMX_PROJECTS_ENABLED: "true" }]) {
  test(`what is switched off is no fault: ${Object.keys(variables).join() || "as shipped"}`, async () => {
    const plain = await new Appliance(variables).start();
    try {
      await visit(browser, { appliance: plain, host: PLAIN, path: "#/shows" }, async (page) => {
        await page.getByText(/switched off/).first().waitFor();
        for (const view of VIEWS) {
          await page.locator(`nav a[href="#/${view}"]`).click();
          await page.locator(`nav a[href="#/${view}"][aria-current="page"]`).waitFor();
          await settled(page);
        }
      });
    } finally {
      await plain.clear();
    }
  });
}

/** What a finger would miss: each control needs this many pixels in both directions, itself or its label. */
function tooSmall(page, least) {
  return page.evaluate((least) => {
    const size = (element) => {
      const { width, height } = element.getBoundingClientRect();
      return `${Math.round(width)} × ${Math.round(height)}`;
    };
    const isBig = (element) => size(element).split(" × ").every((pixels) => Number(pixels) >= least);
    return [...document.querySelectorAll("button, input:not([type=hidden]), select, textarea, [role=slider], nav a, summary")]
      .filter((element) => element.checkVisibility())
      .filter((element) => ![element, ...(element.labels ?? []), element.closest("dmx-wheel")].some((area) => area && isBig(area)))
      .map((element) => `${element.outerHTML.slice(0, 120)} ${size(element)}`);
  }, least);
}
