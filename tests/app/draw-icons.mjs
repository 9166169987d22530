// Draws the PNG icons from src/pwa/icons/icon.svg. Run it when the SVG has changed, once tests/run has installed the peers:
//   node tests/app/draw-icons.mjs
// Each has 8 colours, which nobody sees and a slow radio feels: an eighth of the bytes.
// Masks and iOS round the corners themselves: their pictures have none, and the drawing is smaller there.
import { readFileSync, writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";
import { launch } from "./browser/harness.js";

/** Bits of a pixel. */
const DEPTH = 4;

/** Fewer than fit in them: they pack better. */
const COLOURS = 8;

const folder = new URL("../../src/pwa/icons/", import.meta.url);
const drawing = readFileSync(new URL("icon.svg", folder), "utf8");
const square = drawing.replace(' rx="112"', "").replace('<g fill="none"', '<g transform="translate(256 256) scale(.86) translate(-256 -262)" fill="none"');

const browser = await launch();
for (const [name, size, svg] of [["icon-192", 192, drawing], ["icon-512", 512, drawing], ["maskable-256", 256, square], ["apple-180", 180, square]]) {
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

/** A PNG with a palette of the colours that most pixels have; edges take the nearest. @param {number[]} pixels @param {number} size */
function png(pixels, size) {
  const times = new Map();
  const colours = [];
  for (let at = 0; at < pixels.length; at += 4) {
    const colour = (pixels[at + 3] === 0 ? [0, 0, 0, 0] : pixels.slice(at, at + 4)).join();
    colours.push(colour);
    times.set(colour, (times.get(colour) ?? 0) + 1);
  }
  const far = (a, b) => Math.max(...a.map((value, n) => Math.abs(value - b[n])));
  const common = [...times].sort(([, a], [, b]) => b - a).map(([colour]) => colour.split(",").map(Number));
  const palette = [];
  for (const colour of common) if (palette.length < COLOURS && palette.every((other) => far(colour, other) > 40)) palette.push(colour);
  const nearest = new Map([...times.keys()].map((colour) => {
    const own = colour.split(",").map(Number);
    return [colour, palette.reduce((best, other, n) => (far(own, other) < far(own, palette[best]) ? n : best), 0)];
  }));
  const rows = [];
  for (let at = 0; at < colours.length; at += 2) {
    if (at % size === 0) rows.push(0); // no filter: that is best for a palette
    rows.push((nearest.get(colours[at]) << DEPTH) | nearest.get(colours[at + 1]));
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([DEPTH, 3], 8);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("PLTE", Buffer.from(palette.flatMap(([r, g, b]) => [r, g, b]))),
    chunk("tRNS", Buffer.from(palette.map(([, , , a]) => a))), chunk("IDAT", deflateSync(Buffer.from(rows), { level: 9, memLevel: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

/** @param {string} name @param {Buffer} data */
function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}
