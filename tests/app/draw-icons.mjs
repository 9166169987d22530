// Draws the PNG icons from src/pwa/icons/icon.svg. Run it when the SVG has changed, once tests/run has installed the peers:
//   node tests/app/draw-icons.mjs
// Masks and iOS round the corners themselves: their pictures have none, and the drawing is smaller there.
import { readFileSync, writeFileSync } from "node:fs";
import { launch } from "./browser/harness.js";

const folder = new URL("../../src/pwa/icons/", import.meta.url);
const drawing = readFileSync(new URL("icon.svg", folder), "utf8");
const square = drawing.replace(' rx="112"', "").replace('<g fill="none"', '<g transform="translate(256 256) scale(.86) translate(-256 -262)" fill="none"');

const browser = await launch();
for (const [name, size, svg] of [["icon-192", 192, drawing], ["icon-512", 512, drawing], ["maskable-512", 512, square], ["apple-180", 180, square]]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`);
  writeFileSync(new URL(`${name}.png`, folder), await page.screenshot({ omitBackground: true }));
}
await browser.close();
