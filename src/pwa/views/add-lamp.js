// "Add a lamp": a name and a key of its own, and the lines for what runs on it.

import * as api from "../core/api.js";
import { broker } from "../core/addresses.js";
import { h, reveal } from "../core/dom.js";
import { LINES, NAME, address } from "../core/lamps.js";
import { isOpen } from "../core/may.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { copyButton, secret } from "../elements/secret.js";
import { field } from "./parts.js";

/** @import { User } from "../core/types.js" */

/** @param {AbortSignal} signal */
export function addLamp(signal) {
  const place = h("div", { class: "stack" });
  const optional = h("p", { class: "quiet" }, t("lamp.optional"));
  /** @type {boolean | undefined} */
  let shown;
  desk.paint(() => {
    optional.hidden = !isOpen(desk.me);
    const may = desk.may("devices");
    if (shown === may) return;
    shown = may;
    place.replaceChildren(may ? form() : h("p", null, t("lamp.login"), " ", h("a", { href: "#/login" }, t("login.do")), " · ", h("a", { href: "#/lock" }, t("lock.do"))));
  }, signal);
  const all = h("details", null, h("summary", null, t("lamp.add")), h("div", { class: "stack" }, optional, place));
  desk.paint(() => (all.hidden = !desk.may("devices") && !isOpen(desk.me)), signal);
  return all;
}

function form() {
  const name = h("input", { required: true, pattern: NAME, maxlength: 64, autocomplete: "off", autocapitalize: "off", spellcheck: "false", title: t("lamp.name.hint") });
  const made = h("div", { class: "stack", role: "status" });
  const add = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const body = { name: name.value.trim(), role: "device", generate: true };
    const lamp = await desk.ask(/** @type {Promise<User>} */ (api.json("POST", "/users", { body })), t("people.added", { name: body.name }), { 409: t("people.taken") });
    if (!lamp?.key) return;
    const about = await desk.about();
    const { host, port } = broker(about?.mqtt[0], location.hostname);
    const data = { name: lamp.name, key: lamp.key, host, port };
    name.value = "";
    made.replaceChildren(
      secret(lamp.key, address(data), { title: t("people.key", { name: lamp.name }), line: t("lamp.once") }),
      ...Object.entries(LINES).map(([kind, lines]) => {
        const text = h("pre", { class: "lines" }, lines(data));
        return h("div", { class: "stack" }, h("h3", null, t(`lamp.for.${kind}`)), text, h("div", { class: "row" }, copyButton(text)));
      }));
    reveal(made);
  };
  return h("form", { class: "stack", onsubmit: add }, h("div", { class: "fields" }, field(t("lamp.name"), name, t("lamp.name.hint"))),
    h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, t("lamp.make"))), made);
}
