// Adds fixtures: as many as there are of a type, one behind the other, from the next free place on.

import * as api from "../core/api.js";
import { h, mark, say } from "../core/dom.js";
import { ON_MQTT, inTheWay, listens, nextFree, shortName, sizeOf } from "../core/patch.js";
import * as prefs from "../core/prefs.js";
import { CHANNELS } from "../core/state.js";
import { count, t } from "../core/words.js";
import { desk } from "../desk.js";
import { dip } from "../elements/dip.js";
import { icon } from "../elements/icons.js";
import { attempt, dropGroup, newGroup } from "../patching.js";
import { rig } from "../rig.js";
import { refused, taken, topicField } from "./patch-words.js";
import { field, section } from "./parts.js";

/** @import { Fixture, FixtureType } from "../core/types.js" */

const UNIVERSES = 64;

/** Most that are added at once. */
const MOST = 128;

/** What a stage has most of. */
const USUAL = "par-7";

/** @param {AbortSignal} signal */
export function addForm(signal) {
  const type = h("select", { required: true, onchange: () => pick() });
  const mode = h("select", { onchange: () => renew(true) });
  const many = h("input", { type: "number", class: "number", min: 1, max: MOST, value: 1, inputmode: "numeric", required: true, oninput: () => renew(true), onfocus: () => many.select(), "aria-label": t("patch.count") });
  const universe = h("select", { onchange: () => {
    stays = true;
    renew(true);
  } }, Array.from({ length: UNIVERSES }, (_, n) => h("option", { value: n }, n)));
  const address = h("input", { type: "number", min: 1, max: CHANNELS, inputmode: "numeric", required: true, onfocus: () => address.select(), oninput: () => {
    own = address.value !== "";
    renew();
  } });
  const name = h("input", { maxlength: 100, autocomplete: "off", oninput: () => renew() });
  const grouped = h("input", { type: "checkbox", checked: true });
  const group = h("label", { class: "check" }, grouped, t("patch.group.too"));
  const where = h("output", { class: "where" });
  const stop = h("p", { class: "wrong", role: "status" });
  const failed = h("div", { class: "notes", role: "status" });
  const switchesNow = dip();
  const add = h("button", { type: "submit", class: "main" });
  /** Whether somebody has typed an address, or chosen a universe: then it stays. */
  let own = false;
  let stays = false;
  let adding = false;
  /** @type {readonly FixtureType[] | null} */
  let known = null;
  const step = (/** @type {number} */ way) => {
    many.value = String(Math.min(MOST, Math.max(1, (Number(many.value) || 1) + way)));
    renew(true);
  };
  const modeField = field(t("patch.mode"), mode);
  const topic = topicField("", () => renew());

  /** Another type: its modes, and the next place. */
  const pick = () => {
    prefs.write("fixture-type", type.value);
    const modes = chosen()?.modes ?? [];
    mode.replaceChildren(...modes.map((one) => h("option", { value: one.name }, `${one.name || t("patch.mode.only")} (${count("patch.channels", sizeOf(chosen(), one.name))})`)));
    modeField.hidden = modes.length < 2;
    own = false;
    renew(true);
  };
  const chosen = () => known?.find(({ id }) => id === type.value);
  /** As it is typed; 0: it cannot be done. */
  const copies = () => (/^\d{1,3}$/.test(many.value) && Number(many.value) <= MOST ? Number(many.value) : 0);

  /** @param {boolean} [place] Whether the next free place is looked for, if nobody has typed one. */
  const renew = (place = false) => {
    const size = sizeOf(chosen(), mode.value);
    const n = copies();
    if (place && !own && n > 0) {
      const free = (/** @type {number} */ of) => nextFree(rig.fixtures, of, size * n);
      let of = Number(universe.value);
      while (!stays && free(of) === null && of < UNIVERSES - 1) of++;
      const found = free(of);
      if (found !== null) universe.value = String(of);
      address.value = String(found ?? "");
    }
    const first = Number(address.value);
    const last = first + size * n - 1;
    switchesNow.paint(first);
    const lamp = type.value === ON_MQTT && n === 1;
    topic.field.hidden = !lamp;
    topic.say(topic.input.value);
    const other = size > 0 && n > 0 && first >= 1 ? inTheWay(rig.fixtures, { universe: Number(universe.value), first, size, type: type.value, mode: mode.value }, n, known ?? []) : null;
    const heard = lamp ? listens(rig.fixtures, topic.input.value) : null;
    const why = n === 0 ? t("patch.limit", { most: MOST }) : other ? taken(name.value.trim() || name.placeholder, first, last, other) : heard ? t("patch.topic.taken", { name: heard.name }) : "";
    say(stop, why);
    say(add, n > 0 ? count("patch.add", n) : t("patch.add.none"));
    add.disabled = adding || why !== "" || !(first >= 1 && last <= CHANNELS);
    group.hidden = n < 2;
    name.placeholder = shortName(chosen() ? rig.typeName(type.value) : "");
    mark(where, "data-bad", first < 1 || last > CHANNELS ? "" : null);
    where.hidden = n === 0;
    say(where, first < 1 ? t("patch.full") : last > CHANNELS ? t("patch.beyond", { last }) : t("patch.range", { first, last }));
  };

  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const of = chosen();
    if (!of || add.disabled) return;
    adding = add.disabled = true;
    failed.replaceChildren();
    const n = copies();
    const called = name.value.trim() || shortName(rig.typeName(of.id));
    const group = n > 1 && grouped.checked ? await newGroup(called) : null;
    const body = { type: of.id, ...(of.modes.length > 1 ? { mode: mode.value } : {}), universe: Number(universe.value), address: Number(address.value), count: n,
      name: called, ...(of.id === ON_MQTT && n === 1 && topic.input.value ? { topic: topic.input.value } : {}), ...(group ? { groups: [group] } : {}) };
    /** @type {Promise<{ fixtures: Fixture[] }>} */
    const asked = api.json("POST", "/patch/fixtures", { body });
    const { made, why } = await attempt(asked, count("patch.added", n));
    if (!made && group) await dropGroup(group);
    adding = false;
    renew();
    if (why) failed.replaceChildren(...refused(why, stop.textContent ?? ""));
    if (!made) return;
    topic.input.value = "";
    rig.select(made.fixtures.map(({ id }) => id)); // the next tap is probably for them
    name.value = "";
    own = false;
    renew(true);
  };

  desk.paint(() => {
    if (known !== rig.types && rig.types) {
      known = rig.types;
      const before = rig.brought || type.value || prefs.read("fixture-type", USUAL);
      type.replaceChildren(...options(known));
      type.value = known.some(({ id }) => id === before) ? before : (known[0]?.id ?? "");
      rig.brought = "";
      pick();
    }
  }, signal);
  /** @type {unknown} */
  let patch = null;
  desk.paint(() => {
    if (patch === rig.patch) return;
    patch = rig.patch;
    renew(true);
  }, signal);
  const stepper = h("div", { class: "stepper" },
    h("button", { type: "button", class: "square", "aria-label": t("patch.less"), "data-here": true, onclick: () => step(-1) }, icon("minus")), many,
    h("button", { type: "button", class: "square", "aria-label": t("patch.more"), "data-here": true, onclick: () => step(1) }, icon("plus")));
  return section(t("patch.add.title"), h("form", { class: "stack adding", onsubmit: submit },
    h("div", { class: "fields" }, field(t("patch.type"), type), modeField, h("div", { class: "field few" }, h("span", null, t("patch.count")), stepper)),
    h("div", { class: "fields" }, h("div", { class: "short" }, field(t("bank.universe"), universe)), h("div", { class: "short" }, field(t("patch.address"), address)),
      h("div", { class: "says" }, switchesNow.element, where), field(t("patch.name.all"), name), topic.field),
    stop, failed, h("div", { class: "row" }, add, group)));
}

/** By maker, generic ones first. @param {readonly FixtureType[]} types */
function options(types) {
  /** @type {Map<string, FixtureType[]>} */
  const makers = new Map();
  for (const type of types) makers.set(type.manufacturer ?? "", [...(makers.get(type.manufacturer ?? "") ?? []), type]);
  return [...makers].map(([maker, list]) => h("optgroup", { label: maker || t("patch.generic") }, list.map(({ id }) => h("option", { value: id }, rig.typeName(id)))));
}
