// A name for a look that is about to be captured: the colours of the light.

import { hueName, lights, proposal } from "../core/looks.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { rig } from "../rig.js";

/** @import { Fixture } from "../core/types.js" */

/** Nobody has it yet. @param {readonly Fixture[]} [fixtures] Those that are captured. */
export function proposed(fixtures = rig.fixtures) {
  const { r, g, b } = desk.lamp;
  const colours = fixtures.length > 0 ? lights(fixtures, rig.at) : r + g + b > 0 ? [desk.lamp] : [];
  return proposal(colours.map((rgb) => t(`hue.${hueName(rgb)}`)), desk.scenes, { dark: t("hue.dark"), and: (a, b) => t("hue.and", { a, b }) });
}
