// QR codes (ISO/IEC 18004): bytes, error correction M, versions 1 to 6, so 106 bytes: enough for an address. Pure.

/** By version: code words of error correction in a block, and the data code words of each block. */
const BLOCKS = [
  { ec: 10, data: [16] },
  { ec: 16, data: [28] },
  { ec: 26, data: [44] },
  { ec: 18, data: [32, 32] },
  { ec: 24, data: [43, 43] },
  { ec: 16, data: [27, 27, 27, 27] },
];

/** The two bits of level M in the format information. */
const LEVEL = 0;

/**
 * Rows of modules, true = dark, without the quiet zone.
 * @param {string} text
 * @returns {boolean[][]}
 */
export function qr(text) {
  const bytes = new TextEncoder().encode(text);
  const version = 1 + BLOCKS.findIndex(({ data }) => bytes.length + 2 <= total(data));
  const blocks = BLOCKS[version - 1];
  if (!blocks) throw new RangeError(`too long for a QR code: ${bytes.length} bytes`);
  const stream = bits(interleave(codeWords(bytes, total(blocks.data)), blocks));
  const drawings = Array.from({ length: 8 }, (_, mask) => draw(version, stream, mask));
  return drawings.reduce((best, next) => (penalty(next) < penalty(best) ? next : best));
}

const total = (/** @type {number[]} */ parts) => parts.reduce((sum, part) => sum + part, 0);

/**
 * Mode, length, text, terminator and padding.
 * @param {Uint8Array} text
 * @param {number} size
 */
function codeWords(text, size) {
  const nibbles = [4, text.length >> 4, text.length & 15];
  for (const byte of text) nibbles.push(byte >> 4, byte & 15);
  nibbles.push(0);
  const words = [];
  for (let n = 0; n < nibbles.length; n += 2) words.push(((nibbles[n] ?? 0) << 4) | (nibbles[n + 1] ?? 0));
  for (let n = 0; words.length < size; n++) words.push(n % 2 ? 0x11 : 0xec);
  return words.slice(0, size);
}

/**
 * @param {number[]} words
 * @param {{ ec: number, data: number[] }} blocks
 */
function interleave(words, { ec, data }) {
  let from = 0;
  const parts = data.map((length) => words.slice(from, (from += length)));
  const checks = parts.map((part) => remainder(part, ec));
  const out = [];
  for (const set of [parts, checks]) {
    const longest = Math.max(...set.map((part) => part.length));
    for (let n = 0; n < longest; n++) for (const part of set) if (part[n] !== undefined) out.push(part[n] ?? 0);
  }
  return out;
}

/** Exponents and logarithms of the field GF(256) with x⁸ + x⁴ + x³ + x² + 1. */
const EXP = new Uint8Array(510);
const LOG = new Uint8Array(256);
for (let n = 0, x = 1; n < 255; n++, x = x & 128 ? (x << 1) ^ 0x11d : x << 1) {
  EXP[n] = EXP[n + 255] = x;
  LOG[x] = n;
}
const times = (/** @type {number} */ a, /** @type {number} */ b) => (a && b ? at(EXP, at(LOG, a) + at(LOG, b)) : 0);
const at = (/** @type {ArrayLike<number>} */ list, /** @type {number} */ n) => list[n] ?? 0;

/**
 * Reed-Solomon: the remainder of the data divided by the generator of this degree.
 * @param {number[]} data
 * @param {number} degree
 */
function remainder(data, degree) {
  let generator = [1];
  for (let n = 0; n < degree; n++) {
    const next = [...generator, 0];
    generator.forEach((factor, k) => (next[k + 1] = at(next, k + 1) ^ times(factor, at(EXP, n))));
    generator = next;
  }
  const rest = new Array(degree).fill(0);
  for (const word of data) {
    const lead = word ^ rest.shift();
    rest.push(0);
    for (let n = 0; n < degree; n++) rest[n] ^= times(at(generator, n + 1), lead);
  }
  return rest;
}

const bits = (/** @type {number[]} */ words) => words.flatMap((word) => [7, 6, 5, 4, 3, 2, 1, 0].map((n) => (word >> n) & 1));

const MASKS = [
  (/** @type {number} */ x, /** @type {number} */ y) => (x + y) % 2,
  (/** @type {number} */ _, /** @type {number} */ y) => y % 2,
  (/** @type {number} */ x) => x % 3,
  (/** @type {number} */ x, /** @type {number} */ y) => (x + y) % 3,
  (/** @type {number} */ x, /** @type {number} */ y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (/** @type {number} */ x, /** @type {number} */ y) => ((x * y) % 2) + ((x * y) % 3),
  (/** @type {number} */ x, /** @type {number} */ y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (/** @type {number} */ x, /** @type {number} */ y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/**
 * @param {number} version
 * @param {number[]} stream
 * @param {number} mask
 */
function draw(version, stream, mask) {
  const size = 17 + 4 * version;
  /** @type {(boolean | undefined)[][]} */
  const rows = Array.from({ length: size }, () => new Array(size).fill(undefined));
  const set = (/** @type {number} */ x, /** @type {number} */ y, /** @type {boolean} */ dark) => {
    const row = rows[y];
    if (row && x >= 0 && x < size) row[x] = dark;
  };
  const square = (/** @type {number} */ cx, /** @type {number} */ cy, /** @type {number} */ reach, /** @type {number[]} */ light) => {
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) set(cx + dx, cy + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
    }
  };
  for (const [x, y] of /** @type {[number, number][]} */ ([[3, 3], [size - 4, 3], [3, size - 4]])) square(x, y, 4, [2, 4]);
  if (version > 1) square(size - 7, size - 7, 2, [1]);
  for (let n = 8; n < size - 8; n++) {
    set(n, 6, n % 2 === 0);
    set(6, n, n % 2 === 0);
  }
  drawFormat(set, size, mask);
  place(rows, size, stream, /** @type {(x: number, y: number) => number} */ (MASKS[mask]));
  return rows.map((row) => row.map(Boolean));
}

/**
 * Level and mask, with their BCH code, twice.
 * @param {(x: number, y: number, dark: boolean) => void} set
 * @param {number} size
 * @param {number} mask
 */
function drawFormat(set, size, mask) {
  let rest = (LEVEL << 3) | mask;
  for (let n = 0; n < 10; n++) rest = (rest << 1) ^ (rest & 512 ? 0x537 : 0);
  const format = ((((LEVEL << 3) | mask) << 10) | (rest & 0x3ff)) ^ 0x5412;
  for (let n = 0; n < 15; n++) {
    const dark = ((format >> n) & 1) === 1;
    if (n < 6) set(8, n, dark);
    else if (n < 8) set(8, n + 1, dark);
    else set(8, size - 15 + n, dark);
    if (n < 8) set(size - 1 - n, 8, dark);
    else if (n < 9) set(7, 8, dark);
    else set(14 - n, 8, dark);
  }
  set(8, size - 8, true);
}

/**
 * Data in columns of two, from the right, up and down.
 * @param {(boolean | undefined)[][]} rows
 * @param {number} size
 * @param {number[]} stream
 * @param {(x: number, y: number) => number} mask
 */
function place(rows, size, stream, mask) {
  let n = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5; // the timing column
    for (let step = 0; step < size; step++) {
      const y = up ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        const row = rows[y];
        if (row && row[x] === undefined) row[x] = ((stream[n++] ?? 0) === 1) !== (mask(x, y) === 0);
      }
    }
  }
}

/**
 * How hard it is to read: runs, blocks, patterns like a finder's, and imbalance.
 * @param {boolean[][]} rows
 */
function penalty(rows) {
  const size = rows.length;
  const columns = rows.map((_, x) => rows.map((row) => row[x] ?? false));
  let sum = 0;
  for (const line of [...rows, ...columns]) {
    const text = line.map((dark) => (dark ? "1" : "0")).join("");
    for (const run of text.match(/(1{5,}|0{5,})/g) ?? []) sum += run.length - 2;
    for (let n = 0; n + 11 <= size; n++) {
      const part = text.slice(n, n + 11);
      if (part === "10111010000" || part === "00001011101") sum += 40;
    }
  }
  for (let y = 1; y < size; y++) {
    for (let x = 1; x < size; x++) {
      const corner = rows[y]?.[x];
      if (corner === rows[y]?.[x - 1] && corner === rows[y - 1]?.[x] && corner === rows[y - 1]?.[x - 1]) sum += 3;
    }
  }
  const dark = rows.flat().filter(Boolean).length / (size * size);
  return sum + 10 * Math.floor(Math.abs(dark - 0.5) * 20);
}
