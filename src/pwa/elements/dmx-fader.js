// A fader: a big track, buttons for its two ends, a number that can be typed, and a ghost where somebody else has put it.
// It shows what it is told and reports what fingers do; it keeps no value of its own.
//
// A tap puts it where the finger is, even on the grip; a drag that begins at the grip takes it along from where it is.
// With `guarded` only such a drag moves it: a hand that brushes it must not change the light of the whole show.

import { h, mark, say } from "../core/dom.js";
import { t } from "../core/words.js";

const MOST = 255;

/** A finger this near to the grip drags it instead of calling it. Pixels. */
const GRAB = 26;

/** A tap: how far a finger may slip, in pixels, and how long it may stay. */
const SLIP = 8;
const TAP_MS = 400;

/** Length of the grip in pixels; live.css draws it so. */
const GRIP = 14;
const GUARDED_GRIP = 40;

/** How far each key moves it. */
const STEPS = /** @type {Record<string, number>} */ ({
  ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 26, PageDown: -26, Home: -MOST, End: MOST,
});

/** @import { Phase } from "../core/touch.js" */
/** @typedef {{ value: number, phase: Phase }} Move */

export class DmxFader extends HTMLElement {
  #value = 0;
  /** @type {number | null} */
  #shown = -1;
  /** @type {number | null | undefined} */
  #ghostShown = undefined;
  #built = false;
  #offset = 0;
  #moved = false;
  /** Where and when a finger took the grip; null if it cannot be a tap. @type {{ x: number, y: number, time: number, at: number } | null} */
  #tap = null;
  #track = h("div", { class: "track", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": MOST },
    h("div", { class: "fill" }), h("div", { class: "ghost", hidden: true }));
  #name = h("span", { class: "name" });
  #number = h("input", { class: "number", inputmode: "numeric", maxlength: 3, autocomplete: "off" });
  // keys have Home and End for these
  #full = h("button", { type: "button", class: "end", tabindex: -1, onclick: () => this.#tell(MOST, "end") });
  #zero = h("button", { type: "button", class: "end", tabindex: -1, onclick: () => this.#tell(0, "end") });
  #fill = /** @type {HTMLElement} */ (this.#track.children[0]);
  #ghost = /** @type {HTMLElement} */ (this.#track.children[1]);
  /** How the value is read aloud, and shown if it is not a number to type. */
  words = (/** @type {number} */ value) => t("fader.value", { n: value, percent: Math.round((value / MOST) * 100) });

  connectedCallback() {
    if (this.#built) return;
    this.#built = true;
    mark(this.#track, "aria-orientation", this.lies ? "horizontal" : "vertical");
    say(this.#full, t("fader.full"));
    say(this.#zero, t("fader.zero"));
    if (this.guarded) this.append(this.#name, this.#track);
    else this.append(h("div", { class: "value" }, this.#name, this.#number), this.#full, this.#track, this.#zero);
    this.#track.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#track.addEventListener("pointermove", (event) => this.#drag(event));
    this.#track.addEventListener("pointerup", (event) => this.#letGo(event));
    this.#track.addEventListener("pointercancel", (event) => {
      this.#tap = null;
      this.#letGo(event);
    });
    this.#track.addEventListener("keydown", (event) => this.#press(event));
    this.#number.addEventListener("focus", () => this.#number.select());
    this.#number.addEventListener("change", () => this.#typed());
    this.#number.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#number.value = String(this.#value); // nothing has changed then
      if (event.key === "Enter" || event.key === "Escape") this.#number.blur();
    });
    this.#number.addEventListener("blur", () => (this.#shown = -1, this.paint(this.#value, null)));
  }

  /** Removed from under a finger: the finger has let go. */
  disconnectedCallback() {
    if (!this.hasAttribute("data-held")) return;
    this.#release();
  }

  /** Whether it is horizontal: `orientation="horizontal"`. */
  get lies() {
    return this.getAttribute("orientation") === "horizontal";
  }

  /** Whether only its grip moves it, and no number or button: `guarded`. */
  get guarded() {
    return this.hasAttribute("guarded");
  }

  /**
   * @param {string} name As it is shown.
   * @param {string} [label] For reading aloud.
   */
  called(name, label = name) {
    if (this.#name.textContent !== name) this.#name.textContent = name;
    mark(this.#track, "aria-label", label);
    mark(this.#number, "aria-label", t("fader.number", { name: label }));
    mark(this.#full, "aria-label", t("fader.full.label", { name: label }));
    mark(this.#zero, "aria-label", t("fader.zero.label", { name: label }));
  }

  /**
   * Shows a value (null: not known yet), and another person's value.
   * @param {number | null} value
   * @param {number | null} ghost
   */
  paint(value, ghost) {
    this.#value = value ?? 0;
    if (this.#shown !== value) {
      this.#shown = value;
      this.toggleAttribute("data-unknown", value === null);
      this.#fill.style.setProperty("--at", String(this.#value / MOST));
      mark(this.#track, "aria-valuenow", String(this.#value));
      mark(this.#track, "aria-valuetext", value === null ? t("unknown") : this.words(value));
      if (document.activeElement !== this.#number) this.#number.value = value === null ? t("unknown.short") : String(value);
    }
    if (this.#ghostShown === ghost) return;
    this.#ghostShown = ghost;
    this.#ghost.hidden = ghost === null;
    if (ghost !== null) this.#ghost.style.setProperty("--at", String(ghost / MOST));
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0 || this.hasAttribute("data-held")) return; // one finger
    event.preventDefault();
    const { at, length } = this.#place(event);
    const off = this.#value / MOST - at;
    const near = Math.abs(off) * length <= GRAB;
    if (this.guarded && !near) return void this.dispatchEvent(new Event("missed"));
    this.#track.focus({ preventScroll: true });
    this.#track.setPointerCapture(event.pointerId);
    this.#offset = near ? off : 0;
    this.#tap = near && !this.guarded ? { x: event.clientX, y: event.clientY, time: event.timeStamp, at } : null;
    this.toggleAttribute("data-held", true);
    this.#moved = false;
    this.#tell(this.#value, "hold");
    if (!near) this.#drag(event);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!this.#track.hasPointerCapture(event.pointerId)) return;
    if (this.#tap && Math.hypot(event.clientX - this.#tap.x, event.clientY - this.#tap.y) > SLIP) this.#tap = null;
    this.#moveTo(this.#place(event).at + this.#offset);
  }

  /** @param {number} at 0..1 */
  #moveTo(at) {
    const value = clamp(Math.round(at * MOST));
    if (value === this.#value) return;
    this.#moved = true;
    this.#tell(value, "drag");
  }

  /** @param {PointerEvent} event */
  #letGo(event) {
    if (!this.hasAttribute("data-held") || !this.#track.hasPointerCapture(event.pointerId)) return;
    this.#track.releasePointerCapture(event.pointerId);
    if (this.#tap && event.timeStamp - this.#tap.time <= TAP_MS) this.#moveTo(this.#tap.at);
    this.#release();
  }

  #release() {
    this.toggleAttribute("data-held", false);
    this.#tell(this.#value, this.#moved ? "end" : "drop");
  }

  /**
   * A finger's place on the track, 0..1, and the length of the track in pixels. The grip takes up room at the end.
   * @param {PointerEvent} event
   */
  #place(event) {
    const box = this.#track.getBoundingClientRect();
    const grip = this.guarded ? GUARDED_GRIP : GRIP;
    const length = (this.lies ? box.width : box.height) - grip;
    const way = this.lies ? event.clientX - box.left - grip / 2 : box.bottom - event.clientY - grip / 2;
    return { at: way / length, length };
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = STEPS[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#tell(clamp(this.#value + (event.shiftKey && Math.abs(step) === 1 ? 10 * step : step)), "end");
  }

  #typed() {
    const value = Number.parseInt(this.#number.value, 10);
    this.#shown = -1;
    if (Number.isFinite(value)) this.#tell(clamp(value), "end");
    this.paint(this.#value, null);
  }

  /**
   * @param {number} value
   * @param {Phase} phase
   */
  #tell(value, phase) {
    this.#value = value;
    this.dispatchEvent(new CustomEvent("move", { detail: /** @type {Move} */ ({ value, phase }) }));
  }
}

const clamp = (/** @type {number} */ value) => Math.min(MOST, Math.max(0, value));

customElements.define("dmx-fader", DmxFader);

/**
 * A fader that calls `moved`.
 * @param {string} name
 * @param {string} label
 * @param {(value: number, phase: Phase) => void} moved
 * @param {{ lies?: boolean, guarded?: boolean, class?: string }} [how]
 */
export function fader(name, label, moved, how = {}) {
  const element = new DmxFader();
  if (how.class) element.className = how.class;
  element.toggleAttribute("guarded", how.guarded === true);
  if (how.lies) element.setAttribute("orientation", "horizontal");
  element.called(name, label);
  element.addEventListener("move", (event) => {
    const { value, phase } = /** @type {CustomEvent<Move>} */ (event).detail;
    moved(value, phase);
  });
  return element;
}
