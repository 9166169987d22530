// The connection chip: live with the measured round trip, or since when not.

import { h, mark, say } from "../core/dom.js";
import { age, t } from "../core/words.js";

/** @import { Standing } from "../core/link.js" */

export class DmxChip extends HTMLElement {
  #words = h("span", { class: "words" });
  #ms = h("span", { class: "ms" });

  connectedCallback() {
    if (!this.firstChild) this.append(this.#words, this.#ms);
  }

  /** @param {Standing} standing */
  paint(standing) {
    mark(this, "data-link", standing.kind);
    say(this.#words, words(standing));
    // not read aloud, since it changes all the time
    say(this.#ms, standing.kind === "live" && standing.ms !== null ? t("link.ms", { n: Math.max(1, Math.round(standing.ms)) }) : "");
    mark(this.#ms, "aria-hidden", "true");
  }
}

/** @param {Standing} standing */
function words(standing) {
  if (standing.kind === "lost") return standing.ageMs === null ? t("link.none") : t("link.lost", { age: age(standing.ageMs) });
  return t(`link.${standing.kind}`);
}

customElements.define("dmx-chip", DmxChip);
