// Live with fixtures: who is meant, what hands do with them, and the looks.

import * as api from "../core/api.js";
import { h, mark } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { DmxFades } from "../elements/dmx-fades.js";
import { DmxTiles } from "../elements/dmx-tiles.js";
import { fixtureTiles } from "../elements/fixture-tiles.js";
import { icon } from "../elements/icons.js";
import { proposed } from "../elements/look-names.js";
import { hands } from "./hands.js";

/** How long a look that was captured here takes. */
const FADE_MS = 2000;

/** @param {AbortSignal} signal */
export function stage(signal) {
  const place = h("div", { class: "live stage" });
  const capture = h("button", { type: "button", class: "small capture", "data-needs": "looks", onclick: () => void take(capture) }, icon("plus"), t("rig.capture"));
  place.append(
    h("section", { class: "rig", "aria-labelledby": "h-rig" }, h("h2", { id: "h-rig", class: "unseen" }, t("rig.fixtures")), fixtureTiles(signal)),
    h("section", { class: "hands", "aria-label": t("hands.label") }, ...hands(signal, (page) => mark(place, "data-page", page))),
    h("section", { class: "looks", "aria-labelledby": "h-looks" },
      h("div", { class: "head" }, h("h2", { id: "h-looks" }, t("live.looks")), new DmxFades(), capture), new DmxTiles()));
  return place;
}

/** The light as it is, under a name that says what it looks like. @param {HTMLButtonElement} button */
async function take(button) {
  button.disabled = true; // twice would be two looks
  const body = { name: proposed(), fadeMs: FADE_MS };
  await desk.ask(api.json("POST", "/scenes", { body }), t("looks.captured", { name: body.name }));
  await desk.loadScenes();
  button.disabled = false;
}
