// The bar that is always there: grand master and blackout. One tap is dark, one tap is back, without a question. In the dark
// the whole bar shows it, and without a link it looks lost: nobody should trust a button that reaches nothing.

import { h, mark, say } from "../core/dom.js";
import { percent, t } from "../core/words.js";
import { desk } from "../desk.js";
import { fader } from "./dmx-fader.js";

export class DmxBar extends HTMLElement {
  #gone = new AbortController();

  connectedCallback() {
    this.#gone = new AbortController();
    const master = fader(t("master.name"), t("master.label"), (value, phase) => desk.moveMaster(value, phase), { lies: true, guarded: true, class: "master" });
    master.addEventListener("missed", () => desk.notify(t("master.missed")));
    master.words = (value) => percent(value / 255);
    const share = h("strong", null);
    const word = h("span", { class: "word" });
    const hint = h("span", { class: "hint" });
    const button = h("button", { class: "blackout", type: "button", onclick: () => desk.setBlackout(!desk.blackout) }, word, hint);
    const head = h("div", { class: "share", "aria-hidden": "true" }, h("span", { class: "quiet" }, t("master.name")), share);
    mark(this, "role", "region");
    mark(this, "aria-label", t("bar.label"));
    this.replaceChildren(head, master, button);
    desk.paint(() => {
      master.paint(desk.known ? desk.master : null, desk.masterGhost);
      say(share, desk.known ? percent(desk.master / 255) : t("unknown.short"));
      const dark = desk.blackout;
      mark(button, "aria-pressed", String(dark));
      say(word, t("blackout.word"));
      const { kind } = desk.standing;
      say(hint, kind === "lost" || kind === "key" ? t(`blackout.${kind}`) : dark && desk.may("light") ? t("blackout.back") : "");
    }, this.#gone.signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }
}

customElements.define("dmx-bar", DmxBar);
