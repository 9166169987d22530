// Asks for the key when the appliance wants one; the bar below stays where it is.

import { h } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";

/** @param {AbortSignal} signal */
export function keyAsk(signal) {
  const field = h("input", { id: "key-ask", type: "password", autocomplete: "current-password", required: true });
  const give = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    desk.key = field.value.trim();
    field.value = "";
  };
  const form = h("form", { class: "key-ask", hidden: true, onsubmit: give },
    h("label", { for: "key-ask" }, t("key.ask")),
    h("input", { name: "username", value: "dmxd", autocomplete: "username", hidden: true }),
    field, h("button", { type: "submit", class: "main" }, t("key.give")));
  desk.paint(() => {
    const asked = desk.standing.kind === "key";
    if (form.hidden === !asked) return;
    form.hidden = !asked;
    if (asked) field.focus();
  }, signal);
  return form;
}
