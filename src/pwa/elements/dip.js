// The switches of a fixture for an address: up is on.

import { h, mark, say } from "../core/dom.js";
import { switches } from "../core/patch.js";
import { t } from "../core/words.js";

/** Nine switches that show an address. */
export function dip() {
  const keys = Array.from({ length: 9 }, (_, n) => h("span", null, h("i", null), h("b", null, n + 1)));
  const words = h("span", { class: "unseen" });
  const element = h("span", { class: "dip", title: t("patch.dip") }, h("span", { "aria-hidden": "true" }, keys), words);
  return {
    element,
    /** @param {number} address */
    paint(address) {
      const up = switches(address);
      mark(element, "data-none", up ? null : "");
      keys.forEach((key, n) => mark(key, "data-up", up?.[n] ? "" : null));
      const list = (up ?? []).flatMap((on, n) => (on ? [n + 1] : [])).join(", ");
      say(words, up ? t("patch.dip.on", { list }) : t("patch.dip.none"));
    },
  };
}
