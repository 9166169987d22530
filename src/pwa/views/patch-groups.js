// Groups: made of the fixtures that are selected, changed by selecting others.

import { h, keep, mark, say } from "../core/dom.js";
import { members } from "../core/patch.js";
import { count, t } from "../core/words.js";
import { desk } from "../desk.js";
import { dropGroup, newGroup, renameGroup, setMembers } from "../patching.js";
import { rig } from "../rig.js";
import { section, sure } from "./parts.js";

/** @import { Group } from "../core/types.js" */

/** @param {AbortSignal} signal */
export function groups(signal) {
  const list = h("ul", { class: "plain list" });
  const make = h("button", { type: "submit" });
  const name = h("input", { required: true, maxlength: 100, autocomplete: "off", "aria-label": t("groups.name"), placeholder: t("groups.name") });
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const ids = rig.chosen.map(({ id }) => id);
    if (ids.length === 0) return desk.notify(t("groups.none.chosen"));
    if (await newGroup(name.value.trim(), ids)) name.value = "";
  };
  desk.paint(() => {
    const n = rig.chosen.length;
    say(make, n > 0 ? count("groups.make", n) : t("groups.make.none"));
    keep(list, rig.patch?.groups ?? [], ({ id }) => id, row, paint);
  }, signal);
  return section(t("groups.title"), h("p", { class: "quiet" }, t("groups.about")), list,
    h("form", { class: "row grouping", "data-needs": "patch", onsubmit: submit }, name, make));
}

/** @param {Group} group */
function row({ id }) {
  const name = h("input", { maxlength: 100, autocomplete: "off", onchange: () => {
    const wanted = name.value.trim();
    if (wanted) void renameGroup(id, wanted);
  } });
  const ids = () => members(rig.fixtures, id);
  return h("li", { class: "item group" }, name, h("span", { class: "quiet meta" }),
    h("button", { type: "button", "data-here": true, onclick: () => rig.select(ids()) }, t("groups.select")),
    h("button", { type: "button", class: "set", "data-needs": "patch", onclick: () => void setMembers(id, rig.chosen.map((fixture) => fixture.id)) }, t("groups.set")),
    sureToDelete(id));
}

/** @param {string} id */
const sureToDelete = (id) => sure(t("looks.delete"), t("looks.delete.sure"), () => void dropGroup(id), { "data-needs": "patch" });

/** @param {HTMLElement} element @param {Group} group */
function paint(element, { id, name }) {
  const [input, meta] = element.children;
  const of = members(rig.fixtures, id);
  if (input instanceof HTMLInputElement) {
    if (document.activeElement !== input) input.value = name;
    input.readOnly = !desk.may("patch");
    mark(input, "aria-label", t("groups.name"));
  }
  if (meta) say(meta, count("rig.count", of.length));
  const set = /** @type {HTMLButtonElement | null} */ (element.querySelector(".set"));
  const same = of.length === rig.chosen.length && of.every((one) => rig.isChosen(one));
  if (set) set.disabled = same || rig.chosen.length === 0;
}
