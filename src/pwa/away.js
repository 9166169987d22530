// While the link is lost, what would order something cannot be done: it looks so, a screen reader says so, and a tap says why.
// Words may still be typed, and what works on this page alone (`data-here`) still works.

import { h, mark } from "./core/dom.js";
import { t } from "./core/words.js";
import { desk } from "./desk.js";

const ORDERS = ["button", ".button", 'input[type="checkbox"]', 'input[type="radio"]', 'input[type="file"]'].map((one) => `${one}:not([data-here])`).join();

/** Settings are this device's own. */
const OURS = "settings";

/**
 * @param {HTMLElement} main The view.
 * @param {AbortSignal} signal
 * @returns {HTMLElement} Says so in words, where old values do not look old by themselves.
 */
export function away(main, signal) {
  const words = h("p", { class: "away", hidden: true }, t("away"));
  main.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-away]")) return;
    event.preventDefault();
    event.stopPropagation();
    desk.notify(t("notice.nolink"));
  }, { capture: true, signal });
  desk.paint(() => {
    const { kind } = desk.standing;
    const view = main.getAttribute("data-view");
    words.hidden = kind !== "lost" || view === OURS || view === "live";
    const lost = (kind === "lost" || kind === "key") && view !== OURS;
    for (const control of main.querySelectorAll(lost ? ORDERS : "[data-away]")) {
      mark(control, "data-away", lost ? "" : null);
      if (!(control instanceof HTMLLabelElement)) mark(control, "aria-disabled", lost ? "true" : null);
    }
  }, signal);
  return words;
}
