import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex, toHsv, toRgb } from "../../src/pwa/core/colour.js";

test("every colour survives the way through the wheel", () => {
  for (let r = 0; r <= 255; r += 15) for (let g = 0; g <= 255; g += 15) for (let b = 0; b <= 255; b += 15) {
    assert.deepEqual(toRgb(toHsv({ r, g, b })), { r, g, b });
  }
});

test("the wheel's corners are the colours people expect there", () => {
  for (const [h, hex] of [[0, "#ff0000"], [60, "#ffff00"], [120, "#00ff00"], [180, "#00ffff"], [240, "#0000ff"], [300, "#ff00ff"]]) {
    assert.equal(toHex(toRgb({ h, s: 1, v: 1 })), hex);
  }
  assert.equal(toHex(toRgb({ h: 77, s: 0, v: 1 })), "#ffffff");
});

test("hex is read as people write it, and nothing else is", () => {
  for (const [text, hex] of [["#ff8000", "#ff8000"], ["FF8000", "#ff8000"], [" #f80 ", "#ff8800"]]) assert.equal(toHex(fromHex(text)), hex);
  for (const text of ["", "#", "#ff80", "red", "#gg0000", "#ff80000"]) assert.equal(fromHex(text), null);
});
