// Fixtures: what hangs where, how each is set, who belongs together. One selection for this page and for Live.

import * as api from "../core/api.js";
import { css } from "../core/colour.js";
import { h, keep, mark, reveal, say } from "../core/dom.js";
import { ON_MQTT, inPlace, inTheWay, lightOf, listens, sizeOf } from "../core/patch.js";
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
import { refused, taken, topicField, topicOf, wrongs } from "./patch-words.js";
import { field, poll, section, sure } from "./parts.js";

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
      wrong.replaceChildren(...wrongs());
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
  const flash = h("button", { type: "button", class: "square flash", onclick: () => void desk.ask(api.json("POST", `/patch/fixtures/${encodeURIComponent(id)}/flash`), flashing()) }, icon("find"));
  const element = h("li", { class: "item" },
    h("button", { type: "button", class: "chooses", "data-here": true, onclick: () => rig.mark([id], !rig.isChosen(id)) },
      h("span", { class: "swatch" }), h("span", { class: "what" }, h("strong", null), h("span", { class: "quiet meta" }))),
    dip().element, flash, edit, details);
  function toggle() {
    const open = details.hidden;
    details.hidden = !open;
    mark(edit, "aria-expanded", String(open));
    if (!open) return;
    fill();
    reveal(details);
  }
  function fill() {
    const fixture = rig.fixtureOf(id);
    if (fixture) details.replaceChildren(...editor(fixture, fill));
  }
  return element;
}

/** What a flash is seen of. */
const flashing = () => t(desk.blackout ? "patch.flashing.blackout" : desk.master === 0 ? "patch.flashing.master" : "patch.flashing");

/** @param {HTMLElement} element @param {Fixture} fixture */
function paintRow(element, { name, universe, footprint: [first, last], type, mode, fixtureType, dmxAddress, topic }) {
  const [, switchesNow, flash, edit] = element.children;
  say(/** @type {Element} */ (element.querySelector("strong")), name);
  const what = [type ? rig.typeName(type) : (fixtureType ?? ""), mode].filter(Boolean).join(", ");
  say(/** @type {Element} */ (element.querySelector(".meta")), [t("patch.place", { universe, first, last }), what, type === ON_MQTT && topic ? topicOf(topic) : ""].filter(Boolean).join(" · "));
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

/** @param {Fixture} fixture As shown. @param {() => void} again Makes the editor anew: of another type there is more, or less, to set. */
function editor({ id, name, universe, dmxAddress, footprint, type, mode, topic }, again) {
  const switchesNow = dip();
  switchesNow.paint(dmxAddress);
  /** @param {object} body @param {HTMLElement} control @param {string} [known] */
  const edit = async (body, control, known = "") => {
    const why = await change(id, body, t("shows.saved"));
    notes.replaceChildren(...(why ? [h("p", null, t("patch.not", { place: place() })), ...refused(why, known)] : []));
    if (why) reveal(notes);
    else if ("address" in body || "universe" in body) reveal(/** @type {HTMLElement} */ (control.closest(".item"))); // it may stand elsewhere now
    return !why;
  };
  const notes = h("div", { class: "notes", role: "status" });
  const now = () => rig.fixtureOf(id);
  const place = () => {
    const fixture = now();
    return fixture ? t("patch.place", { universe: fixture.universe, first: fixture.footprint[0], last: fixture.footprint[1] }) : "";
  };
  /** Who is in the way there, in words. @param {number} of @param {number} first */
  const clash = (of, first) => {
    const size = footprint[1] - footprint[0] + 1;
    const other = first >= 1 ? inTheWay(rig.fixtures.filter((one) => one.id !== id), { universe: of, first, size, type, mode }, 1, rig.types ?? []) : null;
    return other ? taken(now()?.name ?? name, first, first + size - 1, other) : "";
  };
  const nameField = h("input", { value: name, required: true, maxlength: 100, autocomplete: "off", onchange: () => nameField.value.trim() && edit({ name: nameField.value.trim() }, nameField) });
  const universeField = h("select", { onchange: () => edit({ universe: Number(universeField.value) }, universeField, clash(Number(universeField.value), Number(addressField.value))) },
    Array.from({ length: UNIVERSES }, (_, n) => h("option", { value: n, selected: n === universe }, n)));
  const addressField = h("input", { type: "number", min: 1, max: CHANNELS, inputmode: "numeric", value: dmxAddress, required: true,
    oninput: () => {
      switchesNow.paint(Number(addressField.value));
      say(notes, clash(Number(universeField.value), Number(addressField.value)));
    },
    onchange: () => addressField.reportValidity() && edit({ address: Number(addressField.value) }, addressField, clash(Number(universeField.value), Number(addressField.value))) });
  const listen = topicField(topic ?? "", () => {
    const other = listens(rig.fixtures, listen.input.value, id);
    listen.say(listen.input.value);
    say(notes, other ? t("patch.topic.taken", { name: other.name }) : "");
  }, () => listen.input.reportValidity() && edit({ topic: listen.input.value || null }, listen.input));
  listen.say(topic ?? "");
  listen.field.hidden = type !== ON_MQTT;
  return [
    h("div", { class: "fields" }, field(t("looks.name"), nameField), h("div", { class: "short" }, field(t("bank.universe"), universeField)),
      h("div", { class: "short" }, field(t("patch.address"), addressField)), switchesNow.element),
    h("div", { class: "fields" }, ...kinds({ type, mode, size: footprint[1] - footprint[0] + 1 }, async (body, control) => (await edit(body, control)) && again()), listen.field),
    notes, h("div", { class: "row" }, sure(t("looks.delete"), t("looks.delete.sure"), () => void remove([id]))),
  ];
}

/**
 * Type and mode: those with as many channels first.
 * @param {{ type: string | undefined, mode: string | undefined, size: number }} now
 * @param {(body: object, control: HTMLElement) => void} edit
 */
function kinds({ type, mode, size }, edit) {
  const types = rig.types ?? [];
  const known = types.find(({ id }) => id === type);
  const fits = types.filter(({ modes }) => modes.some(({ channelCount }) => channelCount === size));
  const options = (/** @type {typeof types} */ list) => list.map(({ id }) => h("option", { value: id, selected: id === type }, rig.typeName(id)));
  const typeField = h("select", { onchange: () => {
    const of = types.find(({ id }) => id === typeField.value);
    const best = of?.modes.find(({ channelCount }) => channelCount === size) ?? of?.modes[0];
    if (of) edit({ type: of.id, ...(of.modes.length > 1 && best ? { mode: best.name } : {}) }, typeField);
  } },
  known ? [] : h("option", { value: "", selected: true }, type ?? t("patch.untyped")),
  h("optgroup", { label: count("patch.channels", size) }, options(fits)), h("optgroup", { label: t("patch.others") }, options(types.filter((one) => !fits.includes(one)))));
  const modeField = h("select", { onchange: () => edit({ mode: modeField.value }, modeField) }, (known?.modes ?? []).map((one) =>
    h("option", { value: one.name, selected: one.name === (mode || known?.modes[0]?.name) }, `${one.name || t("patch.mode.only")} (${count("patch.channels", sizeOf(known, one.name))})`)));
  return [field(t("patch.type"), typeField), ...((known?.modes.length ?? 0) > 1 ? [field(t("patch.mode"), modeField)] : [])];
}
