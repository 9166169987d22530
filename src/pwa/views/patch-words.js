// What the forms of the patch say: who is in the way, what was refused, where a lamp listens, and what is wrong with the whole.

import { h, say } from "../core/dom.js";
import { conflicts, nextFree, otherWarnings, sizeOf } from "../core/patch.js";
import { t } from "../core/words.js";
import { icon } from "../elements/icons.js";
import { change, remove } from "../patching.js";
import { rig } from "../rig.js";
import { field, sure } from "./parts.js";

/** @import { Why } from "../patching.js" */
/** @import { Fixture, Unplaced } from "../core/types.js" */

/** Of topics: one level of MQTT, as the appliance takes it. */
const TOPIC = "[A-Za-z0-9_\\-]{1,64}";

/** A fixture's place is taken: both names. @param {string} a @param {number} first @param {number} last @param {Fixture} b */
export const taken = (a, first, last, b) => t("patch.taken", { a, first, last, b: b.name, from: b.footprint[0], to: b.footprint[1] });

/** A refusal, whole: in the app's words, and what the appliance says. @param {Why} why @param {string} known The app's own reason, if it has one. */
export const refused = ({ words, detail }, known) => [h("p", { class: "wrong" }, t("failed", { why: known || words })), ...(detail ? [h("small", { class: "quiet detail", lang: "en" }, detail)] : [])];

/** A lamp's topic, with all of it below. @param {string} value @param {() => void} typed @param {() => void} [changed] */
export function topicField(value, typed, changed) {
  const whole = h("small", { class: "quiet detail" });
  const input = h("input", { value, pattern: TOPIC, maxlength: 64, autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: t("patch.topic.own"), title: t("patch.topic.hint"),
    oninput: typed, onchange: changed ?? (() => {}) });
  const parent = field(t("patch.topic"), input);
  parent.append(whole);
  return { input, field: parent, say: (/** @type {string} */ topic) => say(whole, topicOf(topic || "…")) };
}

/** @param {string} topic */
export const topicOf = (topic) => `<prefix>/lamps/${topic}/state`;

/** Everything that is wrong with the patch, each with what may be done. */
export function wrongs() {
  const pairs = conflicts(rig.fixtures);
  const left = new Set(rig.unplaced.map(({ id }) => id));
  const others = otherWarnings(rig.warnings, pairs).filter(({ fixture }) => !fixture || !left.has(fixture));
  const line = (/** @type {string} */ words, /** @type {string} */ detail = "", /** @type {HTMLElement[]} */ ways = []) =>
    h("li", null, icon("warn"), h("span", null, words, detail ? [" ", h("small", { class: "quiet", lang: "en" }, detail)] : []), ...ways);
  return [
    ...pairs.map(([a, b]) => line(b ? t("patch.overlap", { a: a.name, b: b.name }) : t("patch.outside", { a: a.name, last: a.footprint[1] }), "", mover(b ?? a))),
    ...rig.unplaced.map((one) => {
      const { message = "" } = rig.warnings.find(({ fixture }) => fixture === one.id) ?? {};
      const twice = rig.fixtureOf(one.id) !== undefined;
      return line(t("patch.unplaced", { name: one.name || one.id }), message, [...(twice ? [] : mover(one)),
        ...(one.id ? [sure(t("looks.delete"), t("looks.delete.sure"), () => void remove([one.id]), { "data-needs": "patch" })] : [])]);
    }),
    ...others.map(({ fixture, message }) => line(fixture ? `${rig.fixtureOf(fixture)?.name ?? fixture}:` : "", message)),
  ];
}

/** A button that gives a fixture the next free place, where there is one. @param {Fixture | Unplaced} fixture */
function mover({ id, name, universe = 0, channels, channelCount, type, mode, footprint }) {
  const size = footprint ? footprint[1] - footprint[0] + 1 : Math.max(channels?.length ?? 0, channelCount ?? 0, sizeOf(rig.types?.find((known) => known.id === type), mode));
  const known = rig.patch?.universes.map(({ number }) => number).filter(Number.isInteger) ?? [];
  for (const of of new Set([universe, ...known, 0])) {
    const first = nextFree(rig.fixtures, of, size);
    if (first === null) continue;
    const words = t("patch.move", { name: name || id, universe: of, first });
    return [h("button", { type: "button", class: "small", "data-needs": "patch", onclick: () => void change(id, { universe: of, address: first }, t("shows.saved")) }, words)];
  }
  return [];
}
