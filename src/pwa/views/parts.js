// Pieces that several views are made of.

import { h } from "../core/dom.js";

/** @import { Child } from "../core/dom.js" */

/** How long a question waits before the button is what it was. */
const ASK_MS = 4000;

let sections = 0;

/**
 * @param {string} title
 * @param {...(Child | Child[])} children
 */
export function section(title, ...children) {
  const id = `s${sections++}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

/**
 * A control under its name.
 * @param {string} name
 * @param {HTMLElement} control
 * @param {Child} [hint]
 */
export function field(name, control, hint) {
  return h("label", { class: "field" }, h("span", null, name), control, hint ? h("small", { class: "quiet" }, hint) : null);
}

/**
 * A button that asks once, in its own place, before it does what cannot be taken back.
 * @param {string} words
 * @param {string} question
 * @param {() => void} run
 * @param {Record<string, any>} [props]
 */
export function sure(words, question, run, props = {}) {
  const button = h("button", { type: "button", ...props, onclick: press }, words);
  let timer = 0;
  function calm() {
    clearTimeout(timer);
    button.textContent = words;
    button.classList.remove("danger");
    if (props["aria-label"]) button.setAttribute("aria-label", props["aria-label"]);
  }
  function press() {
    if (button.classList.contains("danger")) {
      calm();
      return run();
    }
    button.textContent = question;
    button.removeAttribute("aria-label");
    button.classList.add("danger");
    timer = setTimeout(calm, ASK_MS);
  }
  return button;
}

/**
 * Runs again and again while the page is seen, each time after the last one has ended, until the signal.
 * @param {() => Promise<unknown>} run
 * @param {number} everyMs
 * @param {AbortSignal} signal
 */
export function poll(run, everyMs, signal) {
  let timer = 0;
  const turn = async () => {
    if (document.visibilityState === "visible") await run().catch(() => {});
    if (!signal.aborted) timer = setTimeout(turn, everyMs);
  };
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  void turn();
}
