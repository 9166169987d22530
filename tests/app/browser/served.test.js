// What a browser gets over the wire: every form of every file, the size of the shell, the time to the first paint.
import assert from "node:assert/strict";
import { get } from "node:http";
import { after, before, test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { Appliance, PLAIN, launch, visit } from "./harness.js";

/** Everything that a tablet on a weak radio has to fetch for the app, compressed as plain http allows: with one language, and without
 * the page of panels, which only guests open. */
const MOST_SHELL_BYTES = 150_000;
/** The budget is a second; five, for a machine with other work. */
const MOST_FIRST_PAINT_MS = 5000;

let appliance;
before(async () => (appliance = await new Appliance().start()));
after(() => appliance?.clear());

/** The bytes as sent. @param {string} path @param {string} coding */
function raw(path, coding) {
  return new Promise((resolve, reject) => {
    get(appliance.url() + path.slice(1), { headers: { "accept-encoding": coding } }, async (answer) => {
      const parts = [];
      for await (const part of answer) parts.push(part);
      resolve({ coding: answer.headers["content-encoding"], bytes: Buffer.concat(parts) });
    }).on("error", reject);
  });
}

test("each form unpacks to the same file, and the shell is small", async (t) => {
  const { files } = await appliance.rest("/assets.json");
  let shell = 0;
  for (const file of files) {
    const [plain, gzip, brotli] = await Promise.all([raw(file, "identity"), raw(file, "gzip"), raw(file, "br")]);
    assert.equal(plain.coding, undefined, file);
    if (gzip.coding) assert.deepEqual(gunzipSync(gzip.bytes), plain.bytes, file);
    if (brotli.coding) assert.deepEqual(brotliDecompressSync(brotli.bytes), plain.bytes, file);
    if (!/^\/lang\/en|\/panel\.\w+$/.test(file)) shell += gzip.bytes.length;
  }
  t.diagnostic(`shell: ${shell} bytes with gzip in ${files.length} files`);
  assert.ok(shell <= MOST_SHELL_BYTES, `${shell} bytes`);
});

test("the first paint comes soon", async (t) => {
  const browser = await launch();
  const took = [];
  try {
    for (let round = 0; round < 5; round++) { // with an empty cache each time; the first time the browser warms up
      await visit(browser, { appliance, host: PLAIN }, async (page) => took.push(await page.evaluate(() => new Promise((resolve) => {
        new PerformanceObserver((list) => list.getEntriesByName("first-contentful-paint").forEach(({ startTime }) => resolve(startTime)))
          .observe({ type: "paint", buffered: true });
      }))));
    }
  } finally {
    await browser.close();
  }
  took.sort((a, b) => a - b);
  t.diagnostic(`first paint: ${took.map(Math.round).join(", ")} ms after the address was asked for`);
  assert.ok(took[2] <= MOST_FIRST_PAINT_MS, `${took[2]} ms`);
});
