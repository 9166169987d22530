// Colours: RGB of 0..255 as on the wire, HSV for the wheel, hex for people. Pure.

/** @import { Hsv, Rgb } from "./types.js" */

/**
 * @param {Rgb} rgb
 * @returns {Hsv}
 */
export function toHsv({ r, g, b }) {
  const most = Math.max(r, g, b);
  const span = most - Math.min(r, g, b);
  if (span === 0) return { h: 0, s: 0, v: most / 255 };
  const sector = most === r ? (g - b) / span : most === g ? 2 + (b - r) / span : 4 + (r - g) / span;
  return { h: (sector * 60 + 360) % 360, s: span / most, v: most / 255 };
}

/**
 * @param {Hsv} hsv
 * @returns {Rgb}
 */
export function toRgb({ h, s, v }) {
  const part = (/** @type {number} */ n) => {
    const k = (n + h / 60) % 6;
    return Math.round(255 * v * (1 - s * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return { r: part(5), g: part(3), b: part(1) };
}

/** @param {Rgb} rgb */
export function toHex({ r, g, b }) {
  return "#" + [r, g, b].map((level) => level.toString(16).padStart(2, "0")).join("");
}

/**
 * `#rgb` or `#rrggbb`, the # may be missing; null if it is neither.
 * @param {string} text
 * @returns {Rgb | null}
 */
export function fromHex(text) {
  const digits = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text.trim())?.[1];
  if (!digits) return null;
  const long = digits.length === 3 ? [...digits].map((digit) => digit + digit).join("") : digits;
  const number = parseInt(long, 16);
  return { r: number >> 16, g: (number >> 8) & 255, b: number & 255 };
}

/**
 * @param {Rgb} rgb
 */
export function css({ r, g, b }) {
  return `rgb(${r} ${g} ${b})`;
}

/**
 * @param {Rgb} a
 * @param {Rgb} b
 */
export function same(a, b) {
  return a.r === b.r && a.g === b.g && a.b === b.b;
}
