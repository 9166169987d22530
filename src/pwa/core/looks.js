// What the app needs of scenes: their colours for people, and their levels for the wire. Pure.

import { toHsv } from "./colour.js";
import { lightOf } from "./patch.js";

/** @import { Fixture, Rgb, Scene } from "./types.js" */
/** @import { LevelAt } from "./patch.js" */

/** The lamp's channels: the only ones that are known to be a colour, as long as nobody has patched anything else. */
const LAMP = ["1", "2", "3"];

/**
 * The mark of a look: the colour it gives the lamp, and how bright the brightest of all its other channels
 * is, 0..255. Null: it lights none of these. A level has no colour: nobody knows which lamp it is on.
 * @param {Scene} scene
 * @returns {{ colour: Rgb | null, level: number | null }}
 */
export function dot({ channelValues = {} }) {
  const [r = 0, g = 0, b = 0] = LAMP.map((key) => channelValues[key] ?? 0);
  const others = Object.entries(channelValues).filter(([key]) => !LAMP.includes(key)).map(([, level]) => level);
  return { colour: r + g + b > 0 ? { r, g, b } : null, level: others.reduce((most, level) => Math.max(most, level), 0) || null };
}

/**
 * How many channels a scene lights.
 * @param {Scene} scene
 */
export function lit({ channelValues = {} }) {
  return Object.values(channelValues).filter((level) => level > 0).length;
}

/**
 * Favourites first, otherwise in the order of the list.
 * @param {readonly Scene[]} scenes
 */
export function inOrder(scenes) {
  return [...scenes.filter((scene) => scene.favorite), ...scenes.filter((scene) => !scene.favorite)];
}

/** Most colours that a look's mark shows. */
const MARKS = 5;

/** Colours nearer than this are one to the eye. */
const NEAR = 48;

/**
 * The levels of a scene by place; its keys name channels of fixtures, too. What it does not name is as `below`.
 * @param {Scene} scene
 * @param {readonly Fixture[]} fixtures
 * @returns {LevelAt}
 */
export function levelsOf({ channelValues = {} }, fixtures) {
  /** @type {Map<string, number>} */
  const levels = new Map();
  for (const [key, level] of Object.entries(channelValues)) {
    if (/^\d+$/.test(key)) levels.set(`0/${key}`, level);
    else if (/^\d+\/\d+$/.test(key)) levels.set(key, level);
  }
  for (const { universe, footprint, channels } of fixtures) {
    channels.forEach(({ id }, n) => {
      const level = channelValues[id];
      if (level !== undefined) levels.set(`${universe}/${footprint[0] + n}`, level);
    });
  }
  return (universe, channel) => levels.get(`${universe}/${channel}`) ?? 0;
}

/**
 * The colours of light, most of it first; what is alike is one.
 * @param {readonly Fixture[]} fixtures
 * @param {LevelAt} at
 * @returns {Rgb[]}
 */
export function lights(fixtures, at) {
  /** @type {{ rgb: Rgb, times: number }[]} */
  const found = [];
  for (const fixture of fixtures) {
    const rgb = lightOf(fixture, at);
    if (rgb.r + rgb.g + rgb.b === 0) continue;
    const known = found.find((other) => Math.abs(other.rgb.r - rgb.r) + Math.abs(other.rgb.g - rgb.g) + Math.abs(other.rgb.b - rgb.b) < NEAR);
    if (known) known.times++;
    else found.push({ rgb, times: 1 });
  }
  return found.sort((a, b) => b.times - a.times).map(({ rgb }) => rgb);
}

/**
 * The colours that a look gives the fixtures it names.
 * @param {Scene} scene
 * @param {readonly Fixture[]} fixtures
 */
export function marks(scene, fixtures) {
  return lights(fixtures, levelsOf(scene, fixtures)).slice(0, MARKS);
}

/** Names of hues, up to these degrees. @type {[number, string][]} */
const HUES = [[14, "red"], [42, "orange"], [68, "yellow"], [160, "green"], [195, "cyan"], [255, "blue"], [285, "violet"], [340, "magenta"], [361, "red"]];

/**
 * The name of a colour, as a key of the words.
 * @param {Rgb} rgb
 */
export function hueName(rgb) {
  const { h, s } = toHsv(rgb);
  if (s < 0.15) return "white";
  if (s < 0.5 && h >= 14 && h < 68) return "warm";
  return HUES.find(([to]) => h < to)?.[1] ?? "white";
}

/**
 * A name for a look that nobody has yet: its two main colours, and a number if need be.
 * @param {readonly string[]} colours Names of its colours, most of it first.
 * @param {readonly Scene[]} scenes
 * @param {{ dark: string, and: (a: string, b: string) => string }} words
 */
export function proposal(colours, scenes, words) {
  const [first, second] = [...new Set(colours)];
  const name = first === undefined ? words.dark : second === undefined ? first : words.and(first, second);
  const base = name.charAt(0).toLocaleUpperCase() + name.slice(1);
  const taken = new Set(scenes.map((scene) => scene.name.trim()));
  for (let n = 1; ; n++) {
    const wanted = n === 1 ? base : `${base} ${n}`;
    if (!taken.has(wanted)) return wanted;
  }
}
