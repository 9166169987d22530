// A bank of channel faders: as many as fit, of any universe, in pages or from any channel on.

import { h, keep, say } from "../core/dom.js";
import * as prefs from "../core/prefs.js";
import { CHANNELS } from "../core/state.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { DmxFader, fader } from "./dmx-fader.js";
import { icon } from "./icons.js";

const UNIVERSES = 64;

/** Width of one fader in pixels; and how many a page may have. */
const ROOM = 60;
const PAGES = [16, 12, 10, 8, 6, 5, 4];

/** @param {AbortSignal} signal */
export function bank(signal) {
  let universe = number(prefs.read("universe", "0"), 0, UNIVERSES - 1);
  let first = number(prefs.read("channel", "1"), 1, CHANNELS);
  let many = 8;
  /** Marked universes. @type {unknown} */
  let marked = null;

  const faders = h("div", { class: "faders" });
  const from = h("input", { class: "number", inputmode: "numeric", maxlength: 3, autocomplete: "off", "aria-label": t("bank.first"), onchange: () => {
    go(universe, number(from.value, 1, CHANNELS));
    from.blur();
    paint();
  } });
  const to = h("output", null);
  const options = Array.from({ length: UNIVERSES }, (_, n) => h("option", { value: n }));
  const chooser = h("select", { "aria-label": t("bank.universe"), onchange: () => go(Number(chooser.value), 1) }, options);
  const page = (/** @type {number} */ way) => go(universe, first + way * many);
  const back = h("button", { type: "button", class: "square", "aria-label": t("bank.back"), "data-here": true, onclick: () => page(-1) }, icon("left"));
  const on = h("button", { type: "button", class: "square", "aria-label": t("bank.on"), "data-here": true, onclick: () => page(1) }, icon("right"));

  /**
   * @param {number} toUniverse
   * @param {number} toChannel
   */
  const go = (toUniverse, toChannel) => {
    universe = toUniverse;
    first = Math.max(1, Math.min(toChannel, CHANNELS - many + 1));
    prefs.write("universe", String(universe));
    prefs.write("channel", String(first));
    paint();
  };

  /**
   * A fader under a finger stays with its own universe, wherever the bank goes.
   * @param {{ universe: number, channel: number }} what
   */
  const make = (what) => fader(String(what.channel), t("bank.channel", { n: what.channel }), (value, phase) => desk.moveChannel(what.universe, what.channel, value, phase));

  const paint = () => {
    const channels = Array.from({ length: Math.min(many, CHANNELS - first + 1) }, (_, n) => ({ universe, channel: first + n }));
    keep(faders, channels, (what) => `${what.universe}/${what.channel}`, make, (element, { channel }) => {
      if (element instanceof DmxFader) element.paint(desk.known ? desk.level(universe, channel) : null, desk.ghost(universe, channel));
    });
    if (document.activeElement !== from) from.value = String(first);
    say(to, t("bank.to", { to: first + channels.length - 1 }));
    if (document.activeElement !== chooser) chooser.value = String(universe);
    back.disabled = first <= 1;
    on.disabled = first + many > CHANNELS;
    const known = [...desk.model.universes.keys()].join();
    if (marked === known) return;
    marked = known;
    // Universes that were ever commanded are marked: only there can light be.
    options.forEach((option, n) => say(option, t(desk.model.universes.has(n) ? "bank.u.known" : "bank.u", { n })));
  };

  const fit = new ResizeObserver(([entry]) => {
    const room = (entry?.contentRect.width ?? 0) / ROOM;
    many = PAGES.find((size) => size <= room) ?? 4;
    go(universe, first);
  });
  fit.observe(faders);
  signal.addEventListener("abort", () => fit.disconnect(), { once: true });

  const panel = h("div", { class: "bank" },
    h("div", { class: "which" }, h("h2", { id: "h-channels" }, t("live.channels")), chooser, h("div", { class: "pager" }, back, h("span", { class: "range" }, from, to), on)), faders);
  desk.paint(paint, signal);
  return panel;
}

/**
 * @param {string} text
 * @param {number} least
 * @param {number} most
 */
function number(text, least, most) {
  const n = Number.parseInt(text, 10);
  return Number.isFinite(n) ? Math.min(most, Math.max(least, n)) : least;
}
