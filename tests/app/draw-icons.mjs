// Draws the PNG icons from src/pwa/icons/icon.svg. Run it when the SVG has changed, with playwright-core installed:
//   node tests/app/draw-icons.mjs [path of chromium]
// Masks and iOS round the corners themselves: their pictures have none, and the drawing is smaller there.
import { readFileSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";

const folder = new URL("../../src/pwa/icons/", import.meta.url);
const drawing = readFileSync(new URL("icon.svg", folder), "utf8");
const square = drawing.replace(' rx="112"', "").replace('<g fill="none"', '<g transform="translate(256 256) scale(.86) translate(-256 -262)" fill="none"');

const browser = await chromium.launch({ executablePath: process.argv[2] ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, size, svg] of [["icon-192", 192, drawing], ["icon-512", 512, drawing], ["maskable-512", 512, square], ["apple-180", 180, square]]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`);
  writeFileSync(new URL(`${name}.png`, folder), await page.screenshot({ omitBackground: true }));
}
await browser.close();
