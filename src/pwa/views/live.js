// Live: the lamp's colour, any channel's fader, and the looks, within reach.

import { css, fromHex, same, toHex, toHsv, toRgb } from "../core/colour.js";
import { h, mark } from "../core/dom.js";
import * as prefs from "../core/prefs.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { bank } from "../elements/bank.js";
import { fader } from "../elements/dmx-fader.js";
import { DmxFades } from "../elements/dmx-fades.js";
import { DmxTiles } from "../elements/dmx-tiles.js";
import { DmxWheel } from "../elements/dmx-wheel.js";
import { rig } from "../rig.js";
import { later, poll } from "./parts.js";

/** @import { Phase } from "../core/touch.js" */
/** @import { Hsv, Rgb } from "../core/types.js" */

const RECENT = 8;

/** A colour left alone for this long is worth remembering. */
const LIKED_MS = 1500;

/** How often to look whether somebody has patched something elsewhere. */
const PATCH_MS = 15_000;

const stage = later(async () => (await import("./stage.js")).stage);

/** With fixtures it is about them; until there are any, about the one lamp. @param {AbortSignal} signal */
export function live(signal) {
  const place = h("div", { class: "through" });
  let inner = new AbortController();
  /** @type {boolean | undefined} */
  let shown;
  signal.addEventListener("abort", () => inner.abort(), { once: true });
  desk.paint(() => {
    if (shown === rig.patched) return;
    shown = rig.patched;
    inner.abort();
    inner = new AbortController();
    place.replaceChildren(h("h1", { class: "unseen" }, t("nav.live")), shown ? stage(inner.signal) : lamp(inner.signal));
    desk.changed();
  }, signal);
  poll(() => rig.renew(), PATCH_MS, signal);
  return place;
}

/** @param {AbortSignal} signal */
function lamp(signal) {
  return h("div", { class: "live" },
    h("section", { class: "colour", "aria-labelledby": "h-colour" }, h("h2", { id: "h-colour", class: "unseen" }, t("live.colour")), ...colour(signal)),
    h("section", { class: "channels", "aria-labelledby": "h-channels" }, bank(signal)),
    h("section", { class: "looks", "aria-labelledby": "h-looks" }, h("div", { class: "head" }, h("h2", { id: "h-looks" }, t("live.looks")), new DmxFades()), new DmxTiles()));
}

/** @param {AbortSignal} signal */
function colour(signal) {
  // Black and white have no hue, and black no saturation: the last ones stay, so that nothing jumps.
  /** @type {Hsv} */
  let kept = { h: 30, s: 0.5, v: 0 };
  let bright = 1; // the last brightness above 0, which the wheel uses for a dark lamp
  const wheel = new DmxWheel();
  const light = h("div", { class: "light" });
  const hex = h("input", { class: "hex", maxlength: 7, autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-label": t("live.hex") });
  const recent = h("div", { class: "recent", role: "group", "aria-label": t("live.recent") });

  /**
   * @param {Hsv} hsv
   * @param {Phase} phase
   */
  const moveHsv = (hsv, phase) => {
    kept = hsv;
    desk.moveLamp(toRgb(hsv), phase);
    like(phase);
  };
  // Each for itself: another hand may be at the next one.
  const part = (/** @type {"r" | "g" | "b"} */ name, /** @type {number} */ channel) => fader(t(`live.${name}`), t(`live.${name}.label`), (value, phase) => {
    desk.moveChannel(0, channel, value, phase);
    like(phase);
  }, { class: name });
  const [r, g, b] = [part("r", 1), part("g", 2), part("b", 3)];
  const v = fader(t("live.v"), t("live.v.label"), (value, phase) => moveHsv({ ...kept, v: value / 255 }, phase), { class: "v" });

  wheel.addEventListener("move", (event) => {
    const { h: hue, s, phase } = /** @type {CustomEvent} */ (event).detail;
    moveHsv({ h: hue, s, v: kept.v || bright }, phase);
  });
  hex.addEventListener("change", () => {
    const rgb = fromHex(hex.value);
    if (rgb) {
      desk.moveLamp(rgb, "end");
      remember(rgb);
    }
    hex.blur();
    desk.changed();
  });
  hex.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hex.value = toHex(desk.lamp); // nothing has changed then
    if (event.key === "Enter" || event.key === "Escape") hex.blur();
  });

  let liking = 0;
  /** @param {Phase} phase */
  const like = (phase) => {
    if (phase === "drop") return;
    clearTimeout(liking);
    const chosen = desk.lamp; // by then it may be a look's
    if (phase === "end") liking = setTimeout(() => remember(chosen), LIKED_MS);
  };
  signal.addEventListener("abort", () => clearTimeout(liking), { once: true });

  /** @param {Rgb} rgb */
  const remember = (rgb) => {
    if (rgb.r + rgb.g + rgb.b === 0) return;
    const name = toHex(rgb);
    prefs.write("recent", JSON.stringify([name, ...prefs.readList("recent").filter((other) => other !== name)].slice(0, RECENT)));
    paintRecent();
  };
  const paintRecent = () => {
    recent.replaceChildren(...prefs.readList("recent").slice(0, RECENT).flatMap((name) => {
      const rgb = fromHex(name);
      if (!rgb) return [];
      const swatch = h("button", { type: "button", class: "swatch", "aria-label": t("live.recall", { hex: name }), onclick: () => desk.moveLamp(rgb, "end") });
      swatch.style.setProperty("--colour", css(rgb));
      return [swatch];
    }));
  };

  paintRecent();
  desk.paint(() => {
    const rgb = desk.lamp;
    if (!same(rgb, toRgb(kept))) {
      const hsv = toHsv(rgb);
      kept = { h: hsv.s > 0 ? hsv.h : kept.h, s: hsv.v > 0 ? hsv.s : kept.s, v: hsv.v };
    }
    if (kept.v > 0) bright = kept.v;
    const ghost = desk.lampGhost;
    const ghostHsv = ghost && toHsv(ghost);
    wheel.paint(kept, ghostHsv && ghostHsv.v > 0 ? ghostHsv : null);
    v.paint(desk.known ? Math.round(kept.v * 255) : null, ghost ? Math.max(ghost.r, ghost.g, ghost.b) : null);
    v.style.setProperty("--colour", css(toRgb({ ...kept, v: 1 })));
    r.paint(desk.known ? rgb.r : null, desk.ghost(0, 1));
    g.paint(desk.known ? rgb.g : null, desk.ghost(0, 2));
    b.paint(desk.known ? rgb.b : null, desk.ghost(0, 3));
    if (document.activeElement !== hex) hex.value = desk.known ? toHex(rgb) : "";
    const lit = desk.model.light;
    mark(light, "data-known", lit ? "" : null);
    light.style.setProperty("--colour", lit ? css(lit) : "transparent");
  }, signal);

  return [
    h("div", { class: "wheel" }, wheel),
    h("div", { class: "rgb" }, v, r, g, b),
    h("div", { class: "under" }, h("label", { class: "out" }, light, h("span", { class: "unseen" }, t("live.out")), hex), recent),
  ];
}
