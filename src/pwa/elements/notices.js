// Short words that go by themselves. They stand over the tabs, let fingers through to them, and never cover a value, a look,
// BLACKOUT or the chip.

import { h } from "../core/dom.js";

const STAY_MS = 5000;

/** What is long is read longer. */
const LETTER_MS = 40;

export class Notices extends HTMLElement {
  #note = h("p", { class: "note", role: "status" });
  #timer = 0;

  connectedCallback() {
    if (!this.#note.parentNode) this.prepend(this.#note);
  }

  /** @param {string} words */
  tell(words) {
    this.#note.replaceChildren(h("span", null, words));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#note.replaceChildren(), Math.max(STAY_MS, words.length * LETTER_MS));
  }
}

customElements.define("dmx-notices", Notices);
