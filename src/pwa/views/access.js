// Settings: who I am here, whether the appliance is open, and the ways to people, panels and the lock.

import { h, say } from "../core/dom.js";
import { isOpen } from "../core/may.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { logOut, unlock } from "../who.js";
import { section, sure } from "./parts.js";

/**
 * The quiet line of an open appliance, with the step that locks it.
 * @param {AbortSignal} signal
 */
export function openLine(signal) {
  const line = h("div", { class: "row open-line", hidden: true }, h("p", null, t("open.line")),
    h("a", { class: "button", href: "#/lock" }, t("lock.do")));
  desk.paint(() => (line.hidden = !isOpen(desk.me)), signal);
  return line;
}

/** @param {AbortSignal} signal */
export function access(signal) {
  const who = h("p", null);
  const state = h("p", { class: "quiet" });
  const link = (/** @type {string} */ view, /** @type {string} */ needs) =>
    h("a", { class: "button", href: `#/${view}`, "data-needs": needs }, t(`nav.${view}`));
  const out = h("button", { type: "button", onclick: logOut }, t("who.logout"));
  const enter = h("a", { class: "button", href: "#/login" }, t("login.do"));
  const open = h("span", { "data-needs": "people" }, sure(t("lock.open"), t("lock.open.sure"), unlock));
  desk.paint(() => {
    const { me } = desk;
    const known = me !== null && me.kind !== "anonymous";
    say(who, me === null ? t("loading") : known ? t("who.me", { name: me.name, role: t(`role.${me.role ?? "none"}`), can: t(`role.${me.role ?? "none"}.can`) })
      : me.role === null || !isOpen(me) && me.role === "view" ? t("who.nobody") : t("who.anyone"));
    say(state, me === null || isOpen(me) ? "" : t(me.lockedBySettings ? "lock.state.settings" : "lock.state"));
    state.hidden = state.textContent === "";
    out.hidden = !known;
    enter.hidden = known;
    open.hidden = me === null || isOpen(me) || me.lockedBySettings;
  }, signal);
  return section(t("access.title"), who, state, openLine(signal),
    h("div", { class: "row" }, link("people", "people"), link("panels", "panels"), open, enter, out));
}
