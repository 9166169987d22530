// What must be seen: blackout, a lost link, white on a light ground; and what must not be covered.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, level, live, painted, picture, settled, visit } from "./harness.js";

let browser, appliance;
before(async () => {
  browser = await launch();
  appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true" }).start();
  for (let n = 1; n <= 30; n++) await appliance.rest("/scenes", { body: { name: `Look ${n}`, channelValues: { 1: n, "1/1": 200 } } });
});
after(async () => {
  await browser?.close();
  await appliance?.clear();
});
beforeEach(() => appliance.rest("/blackout", { body: { on: false } }));

/** A browser that remembers a theme. */
const themed = (name) => ({ storageState: { cookies: [], origins: [{ origin: appliance.url(PLAIN).slice(0, -1), localStorage: [{ name: "dmxd.theme", value: name }] }] } });
const computed = (locator, property, pseudo) => locator.evaluate((element, [property, pseudo]) => getComputedStyle(element, pseudo)[property], [property, pseudo]);

/** WCAG's contrast of two colours as the browser computes them: `rgb(…)` of 255, `color(srgb …)` of 1. */
function contrast(...colours) {
  const [a, b] = colours.map((words) => {
    const most = words.startsWith("rgb") ? 255 : 1;
    const parts = words.match(/[\d.]+/g).map((part) => Number(part) / most);
    const [red, green, blue] = parts.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

for (const name of ["dark", "red", "light"]) {
  test(`blackout is loud in the ${name} theme: the whole width is filled and beats, faders are dim`, () =>
    visit(browser, { appliance, host: PLAIN, context: themed(name) }, async (page) => {
      await live(page);
      const bar = page.getByRole("region", { name: "Master and blackout" });
      const calm = await computed(bar, "backgroundColor");
      const fill = page.locator("dmx-fader.r .fill");
      assert.equal(await computed(fill, "opacity"), "1");
      await page.getByRole("button", { name: "Blackout" }).tap();
      await eventually("its bar is filled", () => computed(bar, "backgroundColor"), (colour) => colour !== calm);
      const { x, width } = await bar.boundingBox();
      assert.deepEqual([x, width], [0, SIZES[0][0]]);
      const beats = await page.evaluate(() => document.getAnimations().map((one) => [one.effect.pseudoElement, one.effect.getComputedTiming().duration]));
      const [[, half]] = beats.filter(([pseudo]) => pseudo === "::before");
      assert.ok(half >= 500, `it does not flash: ${half} ms`);
      assert.ok(Number(await computed(fill, "opacity")) <= 0.5);
      await settled(page);
      assert.deepEqual(await barriers(page), []);
      await picture(page, `blackout-${name}`);
      await page.getByRole("button", { name: "Blackout" }).tap();
      await eventually("it is calm again", () => computed(bar, "backgroundColor"), (colour) => colour === calm);
    }));
}

test("BLACKOUT looks lost when the link is, dark or not", async () => {
  const mine = await new Appliance().start();
  try {
    await visit(browser, { appliance: mine, host: PLAIN, expects: /ERR_|WebSocket/ }, async (page) => {
      const button = page.getByRole("button", { name: "Blackout" });
      for (const on of [false, true]) {
        await live(page);
        await mine.rest("/blackout", { body: { on } });
        await eventually("it is as it is", () => button.getAttribute("aria-pressed"), (pressed) => pressed === String(on));
        assert.equal(await computed(button, "borderTopStyle"), "solid");
        await mine.stop("SIGKILL");
        await button.getByText("no connection").waitFor();
        assert.equal(await computed(button, "borderTopStyle"), "dashed");
        await eventually("it is not filled", () => computed(button, "backgroundColor"), (colour) => colour === "rgba(0, 0, 0, 0)");
        assert.deepEqual(await page.evaluate(() => document.getAnimations().filter(({ effect }) => effect.pseudoElement === "::before").length), 0);
        assert.deepEqual(await barriers(page), []);
        await page.setViewportSize({ width: 195, height: 422 }); // letters twice as large on a telephone
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 195, `the chip's words fit: ${wide} px`);
        await page.setViewportSize({ width: SIZES[0][0], height: SIZES[0][1] });
        await picture(page, on ? "lost-dark" : "lost-light");
        await mine.start();
      }
    });
  } finally {
    await mine.clear();
  }
});

for (const size of SIZES) {
  test(`at ${size.join(" × ")} a word that comes and goes covers no value, no look and no button, however long it is`, () =>
    visit(browser, { appliance, host: PLAIN, size }, async (page) => {
      await live(page);
      await page.locator(".tile").first().waitFor();
      for (const words of ["Not sent: no connection.", "That did not work: the appliance rejected it. ".repeat(12)]) {
        await page.evaluate(async (words) => (await import("/desk.js")).desk.notify(words), words);
        await painted(page);
        const covered = await page.evaluate(() => {
          const box = document.querySelector(".note").getBoundingClientRect();
          const [top, bottom] = [document.querySelector("main"), document.querySelector("header")].map((area) => area.getBoundingClientRect());
          if (box.width < 40 || box.height < 20) return ["it is not seen"];
          if (box.bottom > top.top || box.top < 0 || box.right > innerWidth || box.bottom > bottom.bottom) return ["it leaves the header"];
          const over = (other) => !(other.right <= box.left || other.left >= box.right || other.bottom <= box.top || other.top >= box.bottom);
          return [...document.querySelectorAll("main *, dmx-bar *, dmx-chip")].filter((one) => one.checkVisibility() && over(one.getBoundingClientRect()) && !one.closest("main"))
            .map((one) => one.outerHTML.slice(0, 80));
        });
        assert.deepEqual(covered, [], words);
        await picture(page, `note-${words.length > 100 ? "long" : "short"}`);
      }
    }));
}

test("a fader of white or yellow light is seen on a light ground", () =>
  visit(browser, { appliance, host: PLAIN, context: themed("light") }, async (page) => {
    await live(page);
    for (const light of [[255, 255, 255], [255, 255, 0]]) {
      await appliance.light(/** @type {[number, number, number]} */ (light));
      await eventually("the light", () => level(page, "Green"), (value) => value === light[1]);
      await painted(page);
      const v = page.locator("dmx-fader.v");
      const seen = contrast(await computed(v.locator(".fill"), "backgroundColor"), await computed(v.locator(".track"), "backgroundColor"));
      assert.ok(seen >= 3, `${light}: ${seen.toFixed(1)} to 1`);
    }
    await picture(page, "light-full");
  }));

test("on a telephone looks come first, and with many of them the wheel is not far", () =>
  visit(browser, { appliance, host: PLAIN, size: SIZES[3] }, async (page) => {
    await live(page);
    await page.locator(".tile").nth(29).waitFor({ state: "attached" });
    const top = async (locator) => (await locator.boundingBox()).y;
    const [tiles, wheel] = [await top(page.locator("dmx-tiles")), await top(page.locator("dmx-wheel"))];
    assert.ok(tiles < wheel && tiles < SIZES[3][1] / 4 && wheel < SIZES[3][1], `${tiles}, ${wheel}`);
  }));

test("a venue of two thousand characters leaves the list a list", async () => {
  await appliance.rest("/projects", { body: { name: "Long", venue: "Kulturní dům ".repeat(153) } });
  await visit(browser, { appliance, host: PLAIN, path: "#/shows" }, async (page) => {
    const row = page.getByRole("listitem").filter({ hasText: "Kulturní dům" });
    await row.waitFor();
    const { height } = await row.boundingBox();
    assert.ok(height <= 200, `${height} px`);
    await picture(page, "venue");
  });
});
