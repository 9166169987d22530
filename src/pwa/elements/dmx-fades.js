// Running fades: who asked, how far, how much longer; and a way to stop them where they are. The latest is drawn, others
// are counted: the place is fixed, so no tile moves away from under a finger when a fade begins.

import { h, mark, say } from "../core/dom.js";
import { progress } from "../core/state.js";
import { count, seconds, t } from "../core/words.js";
import { desk } from "../desk.js";
import { icon } from "./icons.js";

/** @import { Fade } from "../core/types.js" */

export class DmxFades extends HTMLElement {
  #gone = new AbortController();

  connectedCallback() {
    this.#gone = new AbortController();
    const who = h("span", { class: "who" });
    const left = h("span", { class: "left" });
    const way = h("div", { class: "way", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 });
    const stop = h("button", { type: "button", class: "small", onclick: () => desk.stopFades() }, icon("stop"), t("fades.stop"));
    this.replaceChildren(h("div", { class: "fade" }, who, left, way), stop);
    desk.paint(() => {
      const fades = desk.model.desk?.fades ?? [];
      const fade = fades.at(-1);
      this.hidden = !fade || !desk.usable; // without a link nobody knows how far it is
      if (!fade || !desk.usable) return;
      const done = progress(desk.model, fade, Date.now());
      const rest = seconds(Math.ceil((fade.durationMs * (1 - done)) / 100) * 100);
      say(who, name(fade) + (fades.length > 1 ? ` ${count("fades.more", fades.length - 1)}` : ""));
      say(left, rest);
      way.style.setProperty("--at", String(done));
      mark(way, "aria-valuenow", String(Math.round(done * 10) * 10));
      mark(way, "aria-label", who.textContent);
      desk.changed(); // until it has arrived
    }, this.#gone.signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }
}

/** @param {Fade} fade */
function name({ id, src, channels }) {
  const scene = id === desk.model.sceneFade ? desk.scenes.find((known) => known.id === desk.model.desk?.scene) : undefined;
  return scene ? scene.name : count("fades.channels", channels, { src });
}

customElements.define("dmx-fades", DmxFades);
