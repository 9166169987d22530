// Where heads look: pan across, tilt upwards, one finger. It shows what it is told and keeps no value of its own.

import { h, mark } from "../core/dom.js";
import { percent, t } from "../core/words.js";

/** @import { Phase } from "../core/touch.js" */
/** @typedef {{ pan: number, tilt: number }} Position 0..65535 */

const MOST = 65_535;

/** Half a grip, in pixels: at an end all of it is still in sight. */
const EDGE = 20;

/** How far each key moves it. */
const STEP = 512;
const KEYS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] });

export class DmxPad extends HTMLElement {
  #built = false;
  /** @type {Position} */
  #at = { pan: 0, tilt: 0 };
  #shown = "";
  #thumb = h("div", { class: "thumb", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 100 });
  #ghost = h("div", { class: "ghost", hidden: true });

  connectedCallback() {
    if (this.#built) return;
    this.#built = true;
    this.append(h("span", { class: "axis" }, t("kind.pan.name")), h("span", { class: "axis up" }, t("kind.tilt.name")), this.#ghost, this.#thumb);
    mark(this.#thumb, "aria-label", t("pad.name"));
    mark(this.#thumb, "aria-roledescription", t("pad.kind"));
    this.addEventListener("pointerdown", (event) => this.#grab(event));
    this.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) this.addEventListener(end, (event) => this.#letGo(/** @type {PointerEvent} */ (event)));
    this.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Removed from under a finger: the finger has let go. */
  disconnectedCallback() {
    if (!this.hasAttribute("data-held")) return;
    this.toggleAttribute("data-held", false);
    this.#tell(this.#at, "end");
  }

  /** @param {Position} at @param {Position | null} ghost */
  paint(at, ghost) {
    this.#at = at;
    const shown = [at.pan, at.tilt, ghost?.pan, ghost?.tilt].join();
    if (this.#shown === shown) return;
    this.#shown = shown;
    put(this.#thumb, at);
    mark(this.#thumb, "aria-valuenow", String(Math.round((at.pan / MOST) * 100)));
    mark(this.#thumb, "aria-valuetext", t("pad.value", { pan: percent(at.pan / MOST), tilt: percent(at.tilt / MOST) }));
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
    const way = (/** @type {number} */ from, /** @type {number} */ length) => part((from - EDGE) / (length - 2 * EDGE));
    this.#tell({ pan: way(event.clientX - box.left, box.width), tilt: way(box.bottom - event.clientY, box.height) }, "drag");
  }

  /** @param {PointerEvent} event */
  #letGo(event) {
    if (!this.hasPointerCapture(event.pointerId)) return;
    this.toggleAttribute("data-held", false);
    this.releasePointerCapture(event.pointerId);
    this.#tell(this.#at, "end");
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = KEYS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const times = event.shiftKey ? 8 : 1;
    const { pan, tilt } = this.#at;
    this.#tell({ pan: part((pan + step[0] * times) / MOST), tilt: part((tilt + step[1] * times) / MOST) }, "end");
  }

  /** @param {Position} at @param {Phase} phase */
  #tell(at, phase) {
    this.#at = at;
    this.dispatchEvent(new CustomEvent("move", { detail: { ...at, phase } }));
  }
}

const part = (/** @type {number} */ share) => Math.round(Math.min(1, Math.max(0, share)) * MOST);

const along = (/** @type {number} */ share) => `calc(${EDGE}px + ${share} * (100% - ${2 * EDGE}px))`;

/** @param {HTMLElement} element @param {Position} at */
function put(element, { pan, tilt }) {
  element.style.setProperty("left", along(pan / MOST));
  element.style.setProperty("top", along(1 - tilt / MOST));
}

customElements.define("dmx-pad", DmxPad);
