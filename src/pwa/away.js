// While the link is lost, controls of the appliance cannot work: they look it, a screen reader says it, and a tap says why.
// Text can still be typed, and controls of this page alone (`data-here`) still work.

import { h, mark } from "./core/dom.js";
import { t } from "./core/words.js";
import { desk } from "./desk.js";

const ORDERS = ["button", ".button", 'input[type="checkbox"]', 'input[type="radio"]', 'input[type="file"]'].map((one) => `${one}:not([data-here])`).join();

/** Settings are this device's own; and nobody can log in with a button that does nothing. */
const OURS = ["settings", "login"];

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
    desk.notify(t(desk.standing.kind === "key" ? "notice.login" : "notice.nolink"));
  }, { capture: true, signal });
  desk.paint(() => {
    const { kind } = desk.standing;
    const view = main.getAttribute("data-view");
    words.hidden = kind !== "lost" || OURS.includes(view ?? "") || view === "live";
    const lost = (kind === "lost" || kind === "key") && !OURS.includes(view ?? "");
    for (const control of main.querySelectorAll(lost ? ORDERS : "[data-away]")) {
      mark(control, "data-away", lost ? "" : null);
      if (!(control instanceof HTMLLabelElement)) mark(control, "aria-disabled", lost ? "true" : null);
    }
  }, signal);
  return words;
}
