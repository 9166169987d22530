// A fixture's name where room is short: the beginning may be cut off, the number at its end never.

import { h, mark, say } from "../core/dom.js";
import { splitName } from "../core/patch.js";

export const fixtureName = () => h("span", { class: "name of" }, h("span", null, h("bdi", null)), h("span", null));

/** @param {Element} element @param {string} name */
export function sayName(element, name) {
  const [stem, number] = splitName(name);
  say(/** @type {Element} */ (element.querySelector("bdi")), stem);
  say(/** @type {Element} */ (element.lastElementChild), number);
  mark(element, "title", name);
}
