// Short notices that go by themselves or with a tap. They stand in the header, and never cover a value, a look, BLACKOUT or the chip.
// They may stand over tabs: a tap there is the tab's, and sends the notice away as well.

import { h } from "../core/dom.js";

const STAY_MS = 5000;

/** Long notices take longer to read. */
const LETTER_MS = 40;

export class Notices extends HTMLElement {
  #note = h("p", { class: "note", role: "status" });
  #timer = 0;
  #gone = new AbortController();

  connectedCallback() {
    if (!this.#note.parentNode) this.prepend(this.#note);
    this.#gone = new AbortController();
    addEventListener("click", ({ clientX, clientY }) => {
      const { left, right, top, bottom } = this.#note.getBoundingClientRect();
      if (this.#note.firstChild && clientX >= left && clientX <= right && clientY >= top && clientY <= bottom) this.tell("");
    }, { capture: true, signal: this.#gone.signal });
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  /**
   * @param {string} words Empty: removes the notice.
   * @param {string} [detail] The appliance's own English.
   */
  tell(words, detail = "") {
    clearTimeout(this.#timer);
    this.#note.replaceChildren(...(words ? [h("span", null, words)] : []), ...(detail ? [h("small", { class: "quiet", lang: "en" }, detail)] : []));
    if (!words) return;
    this.#timer = setTimeout(() => this.#note.replaceChildren(), Math.max(STAY_MS, (words.length + detail.length) * LETTER_MS));
  }
}

customElements.define("dmx-notices", Notices);
