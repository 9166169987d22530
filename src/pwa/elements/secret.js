// A key or an address that is shown once: as a code to scan, as text to copy, and to print.

import { h } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { qrCode } from "./qr.js";

/**
 * Copies what an element shows. Pages on plain http have no navigator.clipboard; if this fails too, the text is selected.
 * @param {HTMLElement} lines
 */
export function copyButton(lines) {
  const copy = () => {
    getSelection()?.selectAllChildren(lines);
    if (document.execCommand("copy")) desk.notify(t("setting.copied"));
  };
  return h("button", { type: "button", "data-here": true, onclick: copy }, t("setting.copy"));
}

/**
 * @param {string} text What is copied.
 * @param {string} scanned What the code carries.
 * @param {{ title: string, line: string, print?: boolean }} words For a person; `line` also stands below a printed code.
 */
export function secret(text, scanned, { title, line, print }) {
  const shown = h("pre", { class: "secret" }, text);
  const paper = () => printed(title, scanned, line);
  return h("div", { class: "once" },
    h("figure", null, qrCode(scanned, title)),
    h("div", { class: "stack" }, h("p", null, line), shown,
      h("div", { class: "row" }, copyButton(shown), print ? h("button", { type: "button", "data-here": true, onclick: paper }, t("print")) : null)));
}

/**
 * Prints a name, its code and one line, and nothing else of the page.
 * @param {string} title
 * @param {string} scanned
 * @param {string} line
 */
function printed(title, scanned, line) {
  const sheet = h("section", { class: "sheet" }, h("h1", null, title), qrCode(scanned, title), h("p", null, line));
  document.body.append(sheet);
  addEventListener("afterprint", () => sheet.remove(), { once: true });
  print();
}
