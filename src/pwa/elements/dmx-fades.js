// Fades that run: who asked, how far, how long still; and a way to stop them where they are.

import { h, keep, mark, say } from "../core/dom.js";
import { progress } from "../core/state.js";
import { count, seconds, t } from "../core/words.js";
import { desk } from "../desk.js";
import { icon } from "./icons.js";

/** @import { Fade } from "../core/types.js" */

/** More are counted, not drawn. */
const DRAWN = 3;

export class DmxFades extends HTMLElement {
  #gone = new AbortController();

  connectedCallback() {
    this.#gone = new AbortController();
    const list = h("ul", { class: "plain" });
    const more = h("p", { class: "quiet" });
    const stop = h("button", { type: "button", class: "small", onclick: () => desk.stopFades() }, icon("stop"), t("fades.stop"));
    this.replaceChildren(h("div", { class: "fades-list" }, list, more), stop);
    desk.paint(() => {
      const fades = desk.model.desk?.fades ?? [];
      this.hidden = fades.length === 0;
      keep(list, fades.slice(-DRAWN), (fade) => fade.id, make, paint);
      say(more, fades.length > DRAWN ? count("fades.more", fades.length - DRAWN) : "");
      if (fades.length > 0 && desk.usable) desk.changed(); // until they have arrived
    }, this.#gone.signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }
}

const make = () => h("li", null, h("span", { class: "who" }), h("span", { class: "left" }), h("div", { class: "way", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }));

/**
 * @param {HTMLElement} row
 * @param {Fade} fade
 */
function paint(row, fade) {
  const [who, left, way] = /** @type {[HTMLElement, HTMLElement, HTMLElement]} */ ([...row.children]);
  const done = progress(desk.model, fade, Date.now());
  const scene = fade.id === desk.model.sceneFade ? desk.scenes.find(({ id }) => id === desk.model.desk?.scene) : undefined;
  say(who, scene ? scene.name : count("fades.channels", fade.channels, { src: fade.src }));
  say(left, seconds(Math.ceil((fade.durationMs * (1 - done)) / 100) * 100));
  way.style.setProperty("--at", String(done));
  mark(way, "aria-valuenow", String(Math.round(done * 10) * 10));
  mark(way, "aria-label", who.textContent);
}

customElements.define("dmx-fades", DmxFades);
