// What the app has to know of scenes: their colours for people, and their levels for the wire. Pure.

/** @import { Rgb, Scene } from "./types.js" */
/** @import { Model } from "./state.js" */

/**
 * The lamp's colour in a scene, else that of the first three channels with light that it has; null: it is dark.
 * @param {Scene} scene
 * @returns {Rgb | null}
 */
export function colour({ channelValues = {} }) {
  const lamp = [channelValues["1"] ?? 0, channelValues["2"] ?? 0, channelValues["3"] ?? 0];
  const lit = Object.values(channelValues).filter((level) => level > 0);
  const [r = 0, g = 0, b = 0] = lamp.some((level) => level > 0) ? lamp : lit.length ? [255, 214, 170].map((part) => (part * Math.max(...lit)) / 255) : [];
  return r + g + b > 0 ? { r: Math.round(r), g: Math.round(g), b: Math.round(b) } : null;
}

/**
 * How many channels a scene lights.
 * @param {Scene} scene
 */
export function lit({ channelValues = {} }) {
  return Object.values(channelValues).filter((level) => level > 0).length;
}

/**
 * The light as it stands, as a captured scene has it.
 * @param {Model} model
 */
export function capture(model) {
  /** @type {Record<string, number>} */
  const channelValues = {};
  for (const [universe, levels] of [...model.universes].sort(([a], [b]) => a - b)) {
    levels.forEach((level, n) => {
      if (level) channelValues[universe === 0 ? String(n + 1) : `${universe}/${n + 1}`] = level;
    });
  }
  return { channelValues, universes: [...model.universes.keys()].sort((a, b) => a - b) };
}

/**
 * Favourites first, else as they stand in the list.
 * @param {readonly Scene[]} scenes
 */
export function inOrder(scenes) {
  return [...scenes.filter((scene) => scene.favorite), ...scenes.filter((scene) => !scene.favorite)];
}
