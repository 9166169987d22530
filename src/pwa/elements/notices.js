// Short words that go by themselves. They stand above the bar, cover nothing of it and let fingers through.

import { h } from "../core/dom.js";

const STAY_MS = 5000;

export class Notices extends HTMLElement {
  #note = h("p", { class: "note", role: "status" });
  #timer = 0;

  connectedCallback() {
    if (!this.#note.parentNode) this.prepend(this.#note);
  }

  /** @param {string} words */
  tell(words) {
    this.#note.textContent = words;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#note.replaceChildren(), STAY_MS);
  }
}

customElements.define("dmx-notices", Notices);
