// What a role may not do is not shown as doable: whatever says `data-needs` is hidden by the style sheet from people without the right,
// by what `may` says, and who may only watch sees the light, but no control that moves it. Once somebody is logged out everything stays as it was: `away` says it.

import { h, mark } from "./core/dom.js";
import { WHATS } from "./core/may.js";
import { t } from "./core/words.js";
import { desk } from "./desk.js";

/** Everything that moves light, in every view and in the bar. */
const HANDS = "dmx-fader input, dmx-fader button, dmx-fades button, dmx-bar button, .hex, .recent button, .tile, .recall, .quick button, .undo, .flash";

/**
 * @param {AbortSignal} signal
 * @returns {HTMLElement} Says so in words.
 */
export function rights(signal) {
  const login = h("a", { href: "#/login" }, t("login.do"));
  const words = h("p", { class: "watch", hidden: true }, h("span", null, t("may.watch")), " ", login);
  let held = false;
  desk.paint(() => {
    if (desk.me !== null && !desk.may("watch")) return; // logged out
    mark(document.body, "data-cannot", WHATS.filter((what) => !desk.may(what)).join(" "));
    const watches = !desk.may("light");
    words.hidden = !watches || !desk.usable;
    login.hidden = desk.me?.kind === "user"; // who is logged in knows how
    mark(document.body, "data-watch", watches ? "" : null);
    if (!watches && !held) return;
    held = watches;
    for (const hand of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll(HANDS))) hand.disabled = watches;
    for (const slider of document.querySelectorAll('[role="slider"]')) mark(slider, "aria-disabled", watches ? "true" : null);
  }, signal);
  return words;
}
