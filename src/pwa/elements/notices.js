// Short words that go by themselves, and an offer that waits. They stand above the bar and cover nothing of it.

import { h } from "../core/dom.js";
import { t } from "../core/words.js";

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

  /**
   * Something that may be done now or later.
   * @param {string} words
   * @param {string} action
   * @param {() => void} apply
   */
  offer(words, action, apply) {
    const later = h("button", { type: "button", class: "small", onclick: () => offer.remove() }, t("update.later"));
    const offer = h("div", { class: "offer", role: "status" }, h("span", null, words),
      h("button", { type: "button", class: "small main", onclick: apply }, action), later);
    this.append(offer);
  }
}

customElements.define("dmx-notices", Notices);
