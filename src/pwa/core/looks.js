// What the app needs of scenes: their colours for people, and their levels for the wire. Pure.

/** @import { Rgb, Scene } from "./types.js" */

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
