// The colour wheel: hue around, saturation outwards. One finger, pointer capture; arrow keys do the same.

import { h, mark } from "../core/dom.js";
import { css, toHex, toRgb } from "../core/colour.js";
import { percent, t } from "../core/words.js";

/** @typedef {{ h: number, s: number }} Place */
/** @import { Phase } from "../core/touch.js" */
/** @typedef {Place & { phase: Phase }} Move */

/** How far each key moves it: degrees and saturation. */
const STEPS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, 0.02], ArrowDown: [0, -0.02],
});

export class DmxWheel extends HTMLElement {
  #built = false;
  /** @type {Place} */
  #place = { h: 0, s: 0 };
  #shown = "";
  #thumb = h("div", { class: "thumb", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 359 });
  #ghost = h("div", { class: "ghost", hidden: true });

  connectedCallback() {
    if (this.#built) return;
    this.#built = true;
    this.append(this.#ghost, this.#thumb);
    mark(this.#thumb, "aria-label", t("wheel.name"));
    mark(this.#thumb, "aria-roledescription", t("wheel.kind"));
    this.addEventListener("pointerdown", (event) => this.#grab(event));
    this.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) this.addEventListener(end, (event) => this.#letGo(/** @type {PointerEvent} */ (event)));
    this.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Removed from under a finger: the finger has let go. */
  disconnectedCallback() {
    if (!this.hasAttribute("data-held")) return;
    this.toggleAttribute("data-held", false);
    this.#tell(this.#place, "end");
  }

  /**
   * @param {Place} place
   * @param {Place | null} ghost
   */
  paint(place, ghost) {
    this.#place = place;
    const shown = [place.h, place.s, ghost?.h, ghost?.s].join();
    if (this.#shown === shown) return;
    this.#shown = shown;
    const rgb = toRgb({ ...place, v: 1 });
    put(this.#thumb, place);
    this.#thumb.style.setProperty("--colour", css(rgb));
    mark(this.#thumb, "aria-valuenow", String(Math.round(place.h)));
    mark(this.#thumb, "aria-valuetext", t("wheel.value", { hue: Math.round(place.h), saturation: percent(place.s), hex: toHex(rgb) }));
    this.#ghost.hidden = ghost === null;
    if (ghost) put(this.#ghost, ghost);
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0 || this.hasAttribute("data-held")) return; // one finger
    event.preventDefault();
    this.#thumb.focus({ preventScroll: true });
    this.setPointerCapture(event.pointerId);
    this.toggleAttribute("data-held", true);
    this.#drag(event);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!this.hasPointerCapture(event.pointerId)) return;
    const box = this.getBoundingClientRect();
    const x = event.clientX - box.left - box.width / 2;
    const y = event.clientY - box.top - box.height / 2;
    const s = Math.min(1, Math.hypot(x, y) / (box.width / 2));
    this.#tell({ h: (Math.atan2(y, x) * 180) / Math.PI + (y < 0 ? 360 : 0), s: s < 0.04 ? 0 : s }, "drag");
  }

  /** @param {PointerEvent} event */
  #letGo(event) {
    if (!this.hasPointerCapture(event.pointerId)) return;
    this.toggleAttribute("data-held", false);
    this.releasePointerCapture(event.pointerId);
    this.#tell(this.#place, "end");
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const times = event.shiftKey ? 5 : 1;
    const { h: hue, s } = this.#place;
    this.#tell({ h: (hue + step[0] * times + 360) % 360, s: Math.min(1, Math.max(0, s + step[1] * times)) }, "end");
  }

  /**
   * @param {Place} place
   * @param {Phase} phase
   */
  #tell(place, phase) {
    this.#place = place;
    this.dispatchEvent(new CustomEvent("move", { detail: /** @type {Move} */ ({ ...place, phase }) }));
  }
}

/**
 * @param {HTMLElement} element
 * @param {Place} place
 */
function put(element, { h: hue, s }) {
  const angle = (hue * Math.PI) / 180;
  element.style.setProperty("left", `${50 + 50 * s * Math.cos(angle)}%`);
  element.style.setProperty("top", `${50 + 50 * s * Math.sin(angle)}%`);
}

customElements.define("dmx-wheel", DmxWheel);
