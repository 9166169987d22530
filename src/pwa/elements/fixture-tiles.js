// Fixtures as tiles, with their light; groups, and all of one type, as chips above. A tap or a drag selects.

import { css } from "../core/colour.js";
import { h, keep, mark, say } from "../core/dom.js";
import { bunches, levelOf, lightOf, shortName } from "../core/patch.js";
import { count, percent, t } from "../core/words.js";
import { desk } from "../desk.js";
import { rig } from "../rig.js";
import { icon } from "./icons.js";
import { fixtureName, sayName } from "./fixture-name.js";

/** @import { Bunch } from "../core/patch.js" */
/** @import { Fixture } from "../core/types.js" */

/** How far a finger may slip within a tap, in pixels. */
const SLIP = 10;

/** From so many on they are small. */
const MANY = 15;

/** How long after a finger its click may come. */
const CLICK_MS = 700;

/** @param {AbortSignal} signal */
export function fixtureTiles(signal) {
  const chips = h("div", { class: "chips", role: "group", "aria-label": t("rig.bunches") });
  const tiles = h("div", { class: "fixtures", role: "group", "aria-label": t("rig.fixtures") });
  const none = h("button", { type: "button", class: "chip none", "data-here": true, "aria-label": t("rig.clear"), onclick: () => rig.select([]) }, icon("close"));
  /** How many are out of sight; a tap goes there. */
  const more = h("button", { type: "button", class: "chip more", "data-here": true, hidden: true, onclick: () => {
    const atEnd = tiles.scrollTop + tiles.clientHeight >= tiles.scrollHeight - 2;
    tiles.scrollTop = atEnd ? 0 : tiles.scrollTop + tiles.clientHeight;
  } });
  const look = () => {
    const [first] = tiles.children;
    const hidden = tiles.scrollHeight - tiles.clientHeight;
    more.hidden = !first || hidden < 2;
    if (!first || more.hidden) return;
    const { top, bottom } = tiles.getBoundingClientRect();
    const boxes = [...tiles.children].map((tile) => tile.getBoundingClientRect());
    const below = boxes.filter((box) => box.bottom > bottom + 2).length;
    const n = below || boxes.filter((box) => box.top < top - 2).length;
    say(more, `${below ? "↓" : "↑"} ${n}`);
    mark(more, "aria-label", count(below ? "rig.below" : "rig.above", n));
  };
  const well = h("div", { class: "well" }, tiles);
  const place = h("div", { class: "pick" }, h("div", { class: "bunches" }, chips, none, more), well);
  tiles.addEventListener("scroll", look, { passive: true });
  const sized = new ResizeObserver(look);
  sized.observe(tiles);
  signal.addEventListener("abort", () => sized.disconnect(), { once: true });
  /** @type {Bunch[]} */
  let known = [];
  /** @type {unknown[]} */
  let shown = [];
  /** @type {unknown[]} */
  let lit = [];
  let first = true;
  drags(place, (element, on) => {
    const one = element.getAttribute("data-fixture");
    rig.mark(one === null ? (known.find(({ id }) => id === element.getAttribute("data-bunch"))?.ids ?? []) : [one], on);
  });

  /** A group alone, or nothing if it was that. @param {string} id */
  const take = (id) => {
    const ids = known.find((bunch) => bunch.id === id)?.ids ?? [];
    rig.select(isAll(ids) ? [] : ids);
  };
  const makeChip = (/** @type {Bunch} */ { id }) => h("button", { type: "button", class: "chip", "data-here": true, "data-bunch": id, onclick: () => take(id) }, h("span", { class: "name" }), h("span", { class: "quiet" }));

  desk.paint(() => {
    if (shown[0] !== rig.patch || shown[1] !== rig.types) {
      known = rig.patch ? bunches(rig.patch, (type) => shortName(rig.typeName(type))) : [];
      keep(chips, known, ({ id }) => id, makeChip, (chip, { name, kind, ids }) => {
        say(/** @type {Element} */ (chip.firstElementChild), kind === "all" ? t("rig.all") : name);
        say(/** @type {Element} */ (chip.lastElementChild), String(ids.length));
      });
      keep(tiles, rig.fixtures, ({ id }) => id, makeTile, (tile, { name }) => sayName(/** @type {Element} */ (tile.lastElementChild), name));
      mark(tiles, "data-many", rig.fixtures.length >= MANY ? "" : null);
      lit = shown = [];
      requestAnimationFrame(look);
    }
    if (shown[2] !== rig.turn) {
      for (const tile of tiles.children) mark(tile, "aria-pressed", String(rig.isChosen(tile.getAttribute("data-fixture") ?? "")));
      for (const chip of chips.children) mark(chip, "aria-pressed", String(isAll(known.find(({ id }) => id === chip.getAttribute("data-bunch"))?.ids ?? [])));
      none.hidden = rig.chosen.length === 0;
      if (shown[2] !== undefined || first) requestAnimationFrame(() => inSight(tiles));
      first = false;
    }
    shown = [rig.patch, rig.types, rig.turn];
    if (lit[0] === desk.model.universes && lit[1] === rig.patch) return;
    lit = [desk.model.universes, rig.patch];
    rig.fixtures.forEach((fixture, n) => paintTile(/** @type {HTMLElement} */ (tiles.children[n]), fixture));
  }, signal);
  return place;
}

/** If no selected fixture is in sight, the first one comes. @param {HTMLElement} tiles */
function inSight(tiles) {
  const { top, bottom } = tiles.getBoundingClientRect();
  const chosen = [...tiles.querySelectorAll('[aria-pressed="true"]')].map((tile) => tile.getBoundingClientRect());
  const [one] = chosen;
  if (one && !chosen.some((box) => box.top >= top - 2 && box.bottom <= bottom + 2)) tiles.scrollTop += one.top - top;
}

/** Whether these, and no others, are selected. @param {string[]} ids */
const isAll = (ids) => ids.length > 0 && ids.length === rig.chosen.length && ids.every((id) => rig.isChosen(id));

/** @param {Fixture} fixture */
function makeTile({ id }) {
  return h("button", { type: "button", class: "fixture", "data-here": true, "data-fixture": id, onclick: () => rig.mark([id], !rig.isChosen(id)) },
    h("span", { class: "swatch" }), h("span", { class: "level" }), fixtureName());
}

/** What each tile was painted with: with hundreds of them each frame of a fade matters. @type {WeakMap<HTMLElement, string>} */
const painted = new WeakMap();

/** @param {HTMLElement} tile @param {Fixture} fixture */
function paintTile(tile, fixture) {
  const level = levelOf(fixture, rig.at);
  const colour = css(lightOf(fixture, rig.at));
  if (painted.get(tile) === `${colour} ${level}`) return;
  painted.set(tile, `${colour} ${level}`);
  const [swatch, share] = /** @type {HTMLElement[]} */ ([...tile.children]);
  swatch?.style.setProperty("--colour", colour);
  tile.style.setProperty("--level", String(level / 255));
  if (share) say(share, percent(level / 255));
}

/**
 * A finger that moves across tiles selects each of them, or if the first one was selected, none; up and down it scrolls.
 * A tap counts when the finger leaves the glass: after a quick stroke browsers give no click for the first one.
 * @param {HTMLElement} place
 * @param {(element: Element, on: boolean) => void} select
 */
function drags(place, select) {
  /** @type {{ id: number, x: number, y: number, from: HTMLElement, on: boolean, moved: boolean } | null} */
  let held = null;
  /** When a finger was here last: the browser's click for it is no second tap. */
  let doneAt = -Infinity;
  const under = (/** @type {EventTarget | Element | null} */ target) => /** @type {HTMLElement | null} */ (target instanceof Element ? target.closest("[data-fixture], [data-bunch]") : null);
  place.addEventListener("pointerdown", (event) => {
    const from = under(event.target);
    if (held || !from || event.button !== 0) return;
    held = { id: event.pointerId, x: event.clientX, y: event.clientY, from, on: from.getAttribute("aria-pressed") !== "true", moved: false };
  });
  place.addEventListener("pointermove", (event) => {
    if (held?.id !== event.pointerId) return;
    if (!held.moved && Math.hypot(event.clientX - held.x, event.clientY - held.y) < SLIP) return;
    const over = under(document.elementFromPoint(event.clientX, event.clientY));
    if (!held.moved) {
      if (over === held.from) return; // still a tap
      select(held.from, held.on);
      held.moved = true;
    }
    if (over && place.contains(over)) select(over, held.on);
  });
  place.addEventListener("pointerup", (event) => {
    if (held?.id !== event.pointerId) return;
    const { from, moved } = held;
    held = null;
    doneAt = -Infinity;
    if (!moved) from.click();
    doneAt = event.timeStamp;
  });
  place.addEventListener("pointercancel", (event) => {
    if (held?.id === event.pointerId) held = null; // it scrolls
  });
  place.addEventListener("click", (event) => under(event.target) && event.timeStamp - doneAt < CLICK_MS && event.stopPropagation(), true);
}
