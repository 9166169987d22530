import assert from "node:assert/strict";
import { test } from "node:test";
import { qr } from "../../src/pwa/core/qr.js";

const lines = (text) => qr(text).map((row) => row.map((dark) => (dark ? "1" : "0")).join(""));

// Made by npm's qrcode 1.5.4 with mode byte and level M.
const ADDRESS = "http://192.168.1.20:8080/";
const MATRIX = [
  "1111111000010010001111111",
  "1000001000110101001000001",
  "1011101011010000101011101",
  "1011101011110100001011101",
  "1011101010110010001011101",
  "1000001011010001101000001",
  "1111111010101010101111111",
  "0000000011011001000000000",
  "1011111001101101101111100",
  "1111010100010110010000010",
  "1010101000001101001101011",
  "0100110001011000100010001",
  "1111111111101100001110111",
  "1110010101000110000001010",
  "1000001000011001010101011",
  "1011010000110001000001001",
  "1001111001111100111110100",
  "0000000011101010100011100",
  "1111111001000000101011111",
  "1000001010110001100011011",
  "1011101010111101111111100",
  "1011101010111111101110111",
  "1011101011001000010000101",
  "1000001001101000101111001",
  "1111111010100101011111111",
];

test("an address is drawn as another encoder draws it", () => {
  assert.deepEqual(lines(ADDRESS), MATRIX);
});

test("an address of up to 106 bytes fits, in the smallest code that has room", () => {
  for (const [bytes, size] of [[14, 21], [15, 25], [26, 25], [42, 29], [62, 33], [84, 37], [106, 41]]) {
    assert.equal(qr("a".repeat(bytes)).length, size, `${bytes} bytes`);
  }
  assert.throws(() => qr("a".repeat(107)), RangeError);
});
