// Draws the PNG icons from src/pwa/icons/icon.svg. Run it when the SVG has changed, once tests/run has installed the peers:
//   node tests/app/draw-icons.mjs
// Each has 256 colours at most, which nobody sees and a slow radio feels: a third of the bytes.
// Masks and iOS round the corners themselves: their pictures have none, and the drawing is smaller there.
import { readFileSync, writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";
import { launch } from "./browser/harness.js";

const folder = new URL("../../src/pwa/icons/", import.meta.url);
const drawing = readFileSync(new URL("icon.svg", folder), "utf8");
const square = drawing.replace(' rx="112"', "").replace('<g fill="none"', '<g transform="translate(256 256) scale(.86) translate(-256 -262)" fill="none"');

const browser = await launch();
for (const [name, size, svg] of [["icon-192", 192, drawing], ["icon-512", 512, drawing], ["maskable-512", 512, square], ["apple-180", 180, square]]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`);
  const drawn = (await page.screenshot({ omitBackground: true })).toString("base64");
  const pixels = await page.evaluate(async ({ drawn, size }) => {
    const image = new Image();
    image.src = `data:image/png;base64,${drawn}`;
    await image.decode();
    const canvas = new OffscreenCanvas(size, size).getContext("2d");
    canvas.drawImage(image, 0, 0);
    return [...canvas.getImageData(0, 0, size, size).data];
  }, { drawn, size });
  writeFileSync(new URL(`${name}.png`, folder), png(pixels, size));
}
await browser.close();

/** A PNG with a palette: the colours are rounded until there are few enough. @param {number[]} pixels @param {number} size */
function png(pixels, size) {
  for (let step = 1; ; step *= 2) {
    const colours = new Map();
    const rows = [];
    for (let at = 0; at < pixels.length; at += 4) {
      const [r, g, b, a] = pixels.slice(at, at + 4).map((value) => Math.min(255, Math.round(value / step) * step));
      const colour = (a === 0 ? [0, 0, 0, 0] : [r, g, b, a]).join();
      if (!colours.has(colour)) colours.set(colour, colours.size);
      if ((at / 4) % size === 0) rows.push(0); // no filter: that is best for a palette
      rows.push(colours.get(colour));
    }
    if (colours.size > 256) continue;
    const palette = [...colours.keys()].map((colour) => colour.split(",").map(Number));
    const head = Buffer.alloc(13);
    head.writeUInt32BE(size, 0);
    head.writeUInt32BE(size, 4);
    head.set([8, 3], 8);
    return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("PLTE", Buffer.from(palette.flatMap(([r, g, b]) => [r, g, b]))),
      chunk("tRNS", Buffer.from(palette.map(([, , , a]) => a))), chunk("IDAT", deflateSync(Buffer.from(rows), { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
  }
}

/** @param {string} name @param {Buffer} data */
function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}
