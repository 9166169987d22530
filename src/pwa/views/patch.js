// Fixtures: what hangs where, how each is set, who belongs together. One selection for this page and for Live.

import * as api from "../core/api.js";
import { css } from "../core/colour.js";
import { h, keep, mark, reveal, say } from "../core/dom.js";
import { conflicts, inPlace, lightOf } from "../core/patch.js";
import { CHANNELS } from "../core/state.js";
import { count, t } from "../core/words.js";
import { desk } from "../desk.js";
import { dip } from "../elements/dip.js";
import { icon } from "../elements/icons.js";
import { change, remove } from "../patching.js";
import { rig } from "../rig.js";
import { addForm } from "./patch-add.js";
import { groups } from "./patch-groups.js";
import { types } from "./patch-types.js";
import { beside, field, poll, section, sure } from "./parts.js";

/** @import { Fixture } from "../core/types.js" */

const UNIVERSES = 64;

/** How often to look whether somebody has patched something elsewhere. */
const PATCH_MS = 15_000;

/** @param {AbortSignal} signal */
export function patch(signal) {
  const list = h("ul", { class: "plain list patched" });
  const none = h("p", { class: "quiet", hidden: true }, t("patch.none"));
  const wrong = h("ul", { class: "plain stack warnings" });
  const chosen = h("strong", null);
  const live = h("a", { class: "button", href: "#/live" }, icon("live"), t("nav.live"));
  const drop = sure(t("looks.delete"), t("looks.delete.sure"), () => void remove(rig.chosen.map(({ id }) => id)), { "data-needs": "patch" });
  const all = h("button", { type: "button", "data-here": true, onclick: () => rig.select(rig.chosen.length === rig.fixtures.length ? [] : rig.fixtures.map(({ id }) => id)) });
  const bar = h("div", { class: "row choice" }, all, chosen, drop, live);
  const add = h("div", { "data-needs": "patch" }, addForm(signal));
  const below = groups(signal);
  /** @type {unknown[]} */
  let shown = [];
  desk.paint(() => {
    if (shown[0] !== rig.patch || shown[1] !== rig.types) {
      keep(list, inPlace(rig.fixtures), ({ id }) => id, row, paintRow);
      wrong.replaceChildren(...conflicts(rig.fixtures).map(([a, b]) => h("li", null, icon("warn"),
        b ? t("patch.overlap", { a: a.name, b: b.name }) : t("patch.outside", { a: a.name, last: a.footprint[1] }))),
      ...rig.unplaced.map(({ id, name }) => h("li", null, icon("warn"), h("span", null, t("patch.unplaced", { name: name || id })),
        sure(t("looks.delete"), t("looks.delete.sure"), () => void remove([id]), { "data-needs": "patch" }))));
      none.hidden = rig.patch === null || rig.fixtures.length > 0;
      for (const part of [bar, below]) part.hidden = rig.fixtures.length === 0;
      shown = [];
    }
    if (shown[2] !== rig.turn) {
      for (const item of list.children) mark(/** @type {Element} */ (item.firstElementChild), "aria-pressed", String(rig.isChosen(item.getAttribute("data-key") ?? "")));
      say(chosen, rig.chosen.length > 0 ? count("rig.chosen", rig.chosen.length) : t("rig.tap"));
      say(all, t(rig.chosen.length === rig.fixtures.length ? "rig.clear" : "rig.all"));
      drop.hidden = live.hidden = rig.chosen.length === 0;
    }
    shown = [rig.patch, rig.types, rig.turn];
    for (const item of list.children) paintLight(/** @type {HTMLElement} */ (item));
  }, signal);
  poll(() => rig.renew(), PATCH_MS, signal);
  if (desk.usable) void rig.loadTypes(); // somebody may have brought one
  return h("div", { class: "page" }, h("h1", { class: "unseen" }, t("nav.patch")), add,
    section(t("patch.title"), wrong, none, bar, list), below, types(signal));
}

/** @param {Fixture} fixture */
function row({ id }) {
  const details = h("div", { class: "editor", hidden: true });
  const edit = h("button", { type: "button", class: "square", "aria-expanded": "false", "data-needs": "patch", onclick: toggle }, icon("settings"));
  const flash = h("button", { type: "button", class: "square flash", onclick: () => void desk.ask(api.json("POST", `/patch/fixtures/${encodeURIComponent(id)}/flash`), t("patch.flashing")) }, icon("find"));
  const element = h("li", { class: "item" },
    h("button", { type: "button", class: "chooses", "data-here": true, onclick: () => rig.mark([id], !rig.isChosen(id)) },
      h("span", { class: "swatch" }), h("span", { class: "what" }, h("strong", null), h("span", { class: "quiet meta" }))),
    dip().element, flash, edit, details);
  function toggle() {
    const open = details.hidden;
    details.hidden = !open;
    mark(edit, "aria-expanded", String(open));
    const fixture = rig.fixtures.find((other) => other.id === id);
    if (!open || !fixture) return;
    details.replaceChildren(...editor(fixture));
    reveal(details);
  }
  return element;
}

/** @param {HTMLElement} element @param {Fixture} fixture */
function paintRow(element, { name, universe, footprint: [first, last], type, mode, fixtureType, dmxAddress }) {
  const [, switchesNow, flash, edit] = element.children;
  say(/** @type {Element} */ (element.querySelector("strong")), name);
  const what = [type ? rig.typeName(type) : (fixtureType ?? ""), mode].filter(Boolean).join(", ");
  say(/** @type {Element} */ (element.querySelector(".meta")), [t("patch.place", { universe, first, last }), what].filter(Boolean).join(" · "));
  if (flash) mark(flash, "aria-label", t("patch.flash", { name }));
  if (edit) mark(edit, "aria-label", t("patch.edit", { name }));
  if (switchesNow?.getAttribute("data-address") === String(dmxAddress)) return;
  const fresh = dip();
  fresh.paint(dmxAddress);
  mark(fresh.element, "data-address", String(dmxAddress));
  switchesNow?.replaceWith(fresh.element);
}

/** @param {HTMLElement} element */
function paintLight(element) {
  const fixture = rig.fixtureOf(element.getAttribute("data-key") ?? "");
  const swatch = /** @type {HTMLElement | null} */ (element.querySelector(".swatch"));
  if (fixture) swatch?.style.setProperty("--colour", css(lightOf(fixture, rig.at)));
}

/** @param {Fixture} fixture As shown. */
function editor({ id, name, universe, dmxAddress }) {
  const switchesNow = dip();
  switchesNow.paint(dmxAddress);
  /** @param {object} body @param {HTMLElement} control */
  const edit = async (body, control) => {
    const done = await change(id, body, t("shows.saved"));
    beside(control, done ? "" : t("patch.not", { place: place() }));
  };
  const place = () => {
    const now = rig.fixtureOf(id);
    return now ? t("patch.place", { universe: now.universe, first: now.footprint[0], last: now.footprint[1] }) : "";
  };
  const nameField = h("input", { value: name, required: true, maxlength: 100, autocomplete: "off", onchange: () => nameField.value.trim() && edit({ name: nameField.value.trim() }, nameField) });
  const universeField = h("select", { onchange: () => edit({ universe: Number(universeField.value) }, universeField) },
    Array.from({ length: UNIVERSES }, (_, n) => h("option", { value: n, selected: n === universe }, n)));
  const addressField = h("input", { type: "number", min: 1, max: CHANNELS, inputmode: "numeric", value: dmxAddress, required: true,
    oninput: () => switchesNow.paint(Number(addressField.value)),
    onchange: () => addressField.reportValidity() && edit({ address: Number(addressField.value) }, addressField) });
  return [
    h("div", { class: "fields" }, field(t("looks.name"), nameField), h("div", { class: "short" }, field(t("bank.universe"), universeField)),
      h("div", { class: "short" }, field(t("patch.address"), addressField)), switchesNow.element),
    h("div", { class: "row" }, sure(t("looks.delete"), t("looks.delete.sure"), () => void remove([id]))),
  ];
}
