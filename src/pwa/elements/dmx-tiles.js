// Scene tiles: one tap recalls. The scene in effect is marked, and fills while its fade runs.

import { css } from "../core/colour.js";
import { h, keep, mark, say } from "../core/dom.js";
import { dot, inOrder, marks } from "../core/looks.js";
import { progress } from "../core/state.js";
import { seconds, t } from "../core/words.js";
import { desk } from "../desk.js";
import { rig } from "../rig.js";
import { icon } from "./icons.js";

/** @import { Scene } from "../core/types.js" */

export class DmxTiles extends HTMLElement {
  #gone = new AbortController();
  /** @type {readonly Scene[] | null} */
  #known = null;
  /** @type {readonly Scene[]} */
  #order = [];
  /** @type {unknown} */
  #patch = null;
  /** What was painted last: with 200 looks each frame of a fade matters. */
  #painted = "";

  connectedCallback() {
    this.#gone = new AbortController();
    this.#known = null;
    this.#painted = "";
    const list = h("div", { class: "tiles" });
    const none = h("p", { class: "quiet", hidden: true }, t("tiles.none"));
    this.replaceChildren(list, none);
    desk.paint(() => {
      if ((this.#known !== desk.looks || this.#patch !== rig.patch) && desk.looks) {
        this.#known = desk.looks;
        this.#patch = rig.patch;
        this.#order = inOrder(desk.looks);
        keep(list, this.#order, (scene) => scene.id, make, paint);
        none.hidden = this.#order.length > 0;
        this.#painted = "";
      }
      const effective = desk.model.desk?.scene ?? null;
      const fade = desk.model.desk?.fades.find(({ id }) => id === desk.model.sceneFade);
      const done = (fade ? progress(desk.model, fade, Date.now()) : 1).toFixed(2);
      if (this.#painted === `${effective} ${done}`) return;
      this.#painted = `${effective} ${done}`;
      for (const tile of list.children) {
        const on = tile.getAttribute("data-key") === effective;
        mark(tile, "aria-pressed", String(on));
        /** @type {HTMLElement} */ (tile).style.setProperty("--done", on ? done : "0");
      }
    }, this.#gone.signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }
}

/** @param {Scene} scene */
function make({ id }) {
  return h("button", { type: "button", class: "tile", onclick: () => desk.recall(id) },
    h("span", { class: "swatch" }), h("span", { class: "name" }), h("span", { class: "meta" }, icon("star"), h("span", null)));
}

/**
 * @param {HTMLElement} tile
 * @param {Scene} scene
 */
function paint(tile, scene) {
  const [swatch, name, meta] = /** @type {[HTMLElement, HTMLElement, HTMLElement]} */ ([...tile.children]);
  paintSwatch(swatch, scene);
  say(name, scene.name);
  say(/** @type {Element} */ (meta.lastElementChild), scene.fadeMs ? seconds(scene.fadeMs) : t("tiles.cut"));
  mark(tile, "data-favorite", scene.favorite ? "" : null);
}

/**
 * @param {HTMLElement} swatch
 * @param {Scene} scene
 */
export function paintSwatch(swatch, scene) {
  const colours = marks(scene, rig.fixtures);
  if (colours.length > 0) {
    mark(swatch, "data-holds", "fixtures");
    const share = 100 / colours.length;
    swatch.style.setProperty("--colours", colours.map((rgb, n) => `${css(rgb)} ${n * share}% ${(n + 1) * share}%`).join(", "));
    return;
  }
  const { colour, level } = dot(scene);
  mark(swatch, "data-holds", [colour && "colour", level && "level"].filter(Boolean).join(" "));
  if (colour) swatch.style.setProperty("--colour", css(colour));
  if (level) swatch.style.setProperty("--level", `${Math.round((level / 255) * 100)}%`);
}

customElements.define("dmx-tiles", DmxTiles);
