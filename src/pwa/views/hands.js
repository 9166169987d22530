// What hands do with the selected fixtures: colour, position, beam, each with the faders that the selection has, and channels.

import { css, fromHex, toHsv, toRgb } from "../core/colour.js";
import { h, keep, mark } from "../core/dom.js";
import { PAGES, has, hasColour } from "../core/patch.js";
import * as prefs from "../core/prefs.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { bank } from "../elements/bank.js";
import { DmxFader, fader } from "../elements/dmx-fader.js";
import { DmxPad } from "../elements/dmx-pad.js";
import { DmxWheel } from "../elements/dmx-wheel.js";
import { icon } from "../elements/icons.js";
import { rig } from "../rig.js";

/** @import { Phase } from "../core/touch.js" */
/** @import { Hsv, Kind } from "../core/types.js" */

/** @typedef {keyof typeof PAGES | "channels"} Page */

/** Colours within one tap. */
const QUICK = ["#ff0000", "#ff6a00", "#ffd000", "#00ff00", "#00e0ff", "#0000ff", "#ff00c8", "#ffffff"];

/** Most faders beside the wheel; more of them are with the beam. */
const BESIDE = 4;

/**
 * The kinds of a page, of those that are there.
 * @param {keyof typeof PAGES} page
 * @param {Set<Kind>} kinds
 */
function kindsOf(page, kinds) {
  const there = (/** @type {readonly Kind[]} */ list) => list.filter((kind) => kinds.has(kind));
  if (page === "colour") return there(PAGES.colour).slice(0, BESIDE);
  return page === "beam" ? [...there(PAGES.colour).slice(BESIDE), ...there(PAGES.beam)] : there(PAGES[page]);
}

/** @param {AbortSignal} signal @param {(page: Page) => void} turned */
export function hands(signal, turned) {
  /** @type {Page} */
  let page = prefs.read("hands", "colour") === "channels" ? "channels" : "colour";
  let inner = new AbortController();
  /** What the body was made for. */
  let shown = "";
  signal.addEventListener("abort", () => inner.abort(), { once: true });
  const tab = (/** @type {Page} */ name) => h("button", { type: "button", class: "tab", "data-page": name, "data-here": true, onclick: () => {
    page = name;
    prefs.write("hands", name);
    desk.changed();
  } }, t(`hands.${name}`));
  const tabs = /** @type {Page[]} */ ([...Object.keys(PAGES), "channels"]).map(tab);
  const undo = h("button", { type: "button", class: "square undo", "aria-label": t("undo"), title: t("undo"), onclick: () => rig.undo() }, icon("undo"));
  const body = h("div", { class: "body" });

  desk.paint(() => {
    const kinds = kindsChosen();
    const lit = kinds.has("intensity") || rig.chosen.some(hasColour) || kindsOf("colour", kinds).length > 0;
    const can = { colour: lit || kinds.size === 0, position: kinds.has("pan") || kinds.has("tilt"), beam: kindsOf("beam", kinds).length > 0, channels: true };
    const now = can[page] ? page : (/** @type {Page[]} */ (["colour", "position", "beam"]).find((name) => can[name]) ?? "colour");
    const bare = now === "colour" && !can.colour;
    for (const button of tabs) {
      const name = /** @type {Page} */ (button.getAttribute("data-page"));
      button.hidden = !can[name];
      mark(button, "aria-pressed", String(name === (bare ? "channels" : now)));
    }
    undo.disabled = !rig.canUndo || !desk.may("light");
    const what = now === "channels" ? now : `${now} ${[...kinds].join(" ")} ${bare ? rig.chosen[0]?.id : ""}`;
    if (shown === what) return;
    shown = what;
    inner.abort();
    inner = new AbortController();
    mark(body, "data-page", now);
    turned(now);
    body.replaceChildren(...(now === "channels" ? [bank(inner.signal, true)] : kinds.size === 0 ? [h("p", { class: "quiet hint" }, t("rig.hint"))] : bare ? unknown(inner.signal) : one(now, kinds, inner.signal)));
    desk.changed();
  }, signal);
  return [h("div", { class: "tabs", role: "group", "aria-label": t("hands.label") }, tabs, undo), body];
}

/** Of fixtures whose channels say nothing: a fader each, below the fixtures, and the way to a type. @param {AbortSignal} signal */
function unknown(signal) {
  return [h("div", { class: "bare" }, h("p", { class: "quiet" }, t("hands.bare"), " ", h("a", { href: "#/patch" }, t("nav.patch"))), bank(signal, true, true))];
}

/** @returns {Set<Kind>} Every kind that the selection has. */
function kindsChosen() {
  return new Set(rig.chosen.flatMap(({ channels }) => channels.map(({ kind }) => kind)));
}

/**
 * @param {keyof typeof PAGES} page
 * @param {Set<Kind>} kinds
 * @param {AbortSignal} signal
 */
function one(page, kinds, signal) {
  // Black and white have no hue, and black no saturation: the last ones stay, so that nothing jumps.
  /** @type {Hsv} */
  let kept = { h: 30, s: 0.5, v: 1 };
  const left = page === "colour" && rig.chosen.some(hasColour) ? wheel(() => kept, (hsv) => (kept = hsv), signal) : page === "position" ? [pad(signal)] : [];
  const lit = kinds.has("intensity") || rig.chosen.some(hasColour);
  const level = fader(t("live.v"), t("rig.level"), (value, phase) => rig.moveLevel(value, phase, kept), { class: "v" });
  const faders = h("div", { class: "rgb" }, lit ? level : null);
  const own = kindsOf(page, kinds).map((kind) => {
    const element = fader(t(`kind.${kind}.name`), t(`kind.${kind}.name`), (value, phase) => rig.moveKind(kind, value, phase), { class: kind });
    faders.append(element);
    return { kind, element };
  });
  desk.paint(() => {
    const now = lit ? rig.level : null;
    level.paint(now && desk.known ? now.value : null, now?.ghost ?? null);
    level.style.setProperty("--colour", css(toRgb({ ...kept, v: 1 })));
    for (const { kind, element } of own) {
      const value = rig.kind(kind);
      element.paint(value && desk.known ? value.value : null, value?.ghost ?? null);
    }
  }, signal);
  return [...left, faders];
}

/** @param {() => Hsv} kept @param {(hsv: Hsv) => void} keepIt @param {AbortSignal} signal */
function wheel(kept, keepIt, signal) {
  const element = new DmxWheel();
  /** @param {Hsv} hsv @param {Phase} phase */
  const move = (hsv, phase) => {
    keepIt(hsv);
    rig.moveColour(hsv, phase);
  };
  element.addEventListener("move", (event) => {
    const { h: hue, s, phase } = /** @type {CustomEvent} */ (event).detail;
    move({ h: hue, s, v: kept().v }, phase);
  });
  const quick = h("div", { class: "quick", role: "group", "aria-label": t("rig.quick") }, QUICK.flatMap((hex) => {
    const rgb = fromHex(hex);
    if (!rgb) return [];
    const swatch = h("button", { type: "button", class: "swatch", "aria-label": t("live.recall", { hex }), onclick: () => move({ ...toHsv(rgb), v: kept().v }, "end") });
    swatch.style.setProperty("--colour", css(rgb));
    return [swatch];
  }));
  desk.paint(() => {
    const colour = rig.colour;
    const hsv = colour && toHsv(colour.value);
    const before = kept();
    if (hsv && hsv.v > 0) keepIt({ h: hsv.s > 0 ? hsv.h : before.h, s: hsv.s, v: rig.chosen.some((fixture) => hasColour(fixture) && !has(fixture, "intensity")) ? hsv.v : before.v });
    const ghost = colour?.ghost ? toHsv(colour.ghost) : null;
    element.paint(kept(), ghost && ghost.v > 0 ? ghost : null);
  }, signal);
  return [h("div", { class: "wheel" }, element), quick];
}

/** @param {AbortSignal} signal */
function pad(signal) {
  const element = new DmxPad();
  element.addEventListener("move", (event) => {
    const { pan, tilt, phase } = /** @type {CustomEvent} */ (event).detail;
    rig.movePosition({ pan, tilt }, phase);
  });
  desk.paint(() => {
    const at = rig.position;
    if (at) element.paint(at, at.ghost);
  }, signal);
  return element;
}
