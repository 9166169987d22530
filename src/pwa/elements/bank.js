// A bank of channel faders: as many as fit, of any universe, in pages or from any channel on. A wide one has sixteen, in rows if
// need be, and says above each what its channel does.

import { h, keep, mark, say } from "../core/dom.js";
import { whoseChannel } from "../core/patch.js";
import * as prefs from "../core/prefs.js";
import { CHANNELS } from "../core/state.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { rig } from "../rig.js";
import { DmxFader, fader } from "./dmx-fader.js";
import { fixtureName, sayName } from "./fixture-name.js";
import { icon } from "./icons.js";

const UNIVERSES = 64;

/** Width of one fader in pixels; and how many a page may have. */
const ROOM = 60;
const PAGES = [16, 12, 10, 8, 6, 5, 4];

/** The same of a wide one: how many stand side by side, and how many there are. */
const WIDE_ROOM = 56;
const ROWS = [[16, 16], [8, 16], [6, 12], [4, 8]];

/** @param {AbortSignal} signal @param {boolean} [wide] @param {boolean} [low] One row of a wide one. */
export function bank(signal, wide = false, low = false) {
  let universe = number(prefs.read("universe", "0"), 0, UNIVERSES - 1);
  let first = number(prefs.read("channel", "1"), 1, CHANNELS);
  const [chosen] = wide ? rig.chosen : [];
  if (chosen) [universe, first] = [chosen.universe, chosen.footprint[0]];
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
  const make = (what) => fader(String(what.channel), t("bank.channel", { n: what.channel }), (value, phase) => rig.moveChannel(what.universe, what.channel, value, phase));
  const cell = (/** @type {{ universe: number, channel: number }} */ what) => h("div", { class: "cell" }, h("strong", null), fixtureName(), make(what));

  const paint = () => {
    const channels = Array.from({ length: Math.min(many, CHANNELS - first + 1) }, (_, n) => ({ universe, channel: first + n }));
    keep(faders, channels, (what) => `${what.universe}/${what.channel}`, wide ? cell : make, (element, { channel }) => {
      const own = wide ? element.lastElementChild : element;
      if (!(own instanceof DmxFader)) return;
      own.paint(desk.known ? desk.level(universe, channel) : null, desk.ghost(universe, channel));
      if (wide) name(element, own, universe, channel);
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
    const width = entry?.contentRect.width ?? 0;
    if (wide) {
      const [side = 4, all = 8] = ROWS.find(([columns = 0]) => columns * WIDE_ROOM <= width) ?? [];
      many = low ? side : all;
      faders.style.setProperty("--columns", String(side));
    } else many = PAGES.find((size) => size <= width / ROOM) ?? 4;
    go(universe, first);
  });
  fit.observe(faders);
  signal.addEventListener("abort", () => fit.disconnect(), { once: true });

  const panel = h("div", { class: wide ? "bank wide" : "bank" },
    h("div", { class: "which" }, h("h2", { id: "h-channels" }, t("live.channels")), chooser, h("div", { class: "pager" }, back, h("span", { class: "range" }, from, to), on)), faders);
  desk.paint(paint, signal);
  return panel;
}

/**
 * What a channel does, above its fader.
 * @param {HTMLElement} cell
 * @param {DmxFader} element
 * @param {number} universe
 * @param {number} channel
 */
function name(cell, element, universe, channel) {
  const whose = whoseChannel(rig.fixtures, universe, channel);
  const [kind, of] = cell.children;
  const known = whose ? whose.own || t(`kind.${whose.kind}.name`) : "";
  const words = whose?.fine ? t("kind.fine", { kind: known }) : known;
  if (kind) {
    say(kind, words || " ");
    mark(kind, "title", words || null);
  }
  if (of) sayName(of, whose?.fixture.name ?? " ");
  element.className = whose?.kind ?? "";
  element.called(String(channel), [t("bank.channel", { n: channel }), words, whose?.fixture.name].filter(Boolean).join(", "));
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
