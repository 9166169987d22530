// Asks for the key when the appliance wants one; the bar below stays where it is.

import { h, say } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";

/** @param {AbortSignal} signal */
export function keyAsk(signal) {
  const field = h("input", { id: "key-ask", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "key-wrong" });
  const wrong = h("span", { id: "key-wrong", class: "wrong", role: "status" });
  let given = desk.key !== "";
  const give = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    given = true;
    say(wrong, "");
    desk.key = field.value.trim();
    field.value = "";
  };
  const form = h("form", { class: "key-ask", hidden: true, onsubmit: give },
    h("label", { for: "key-ask" }, t("key.ask")),
    h("input", { name: "username", value: "dmxd", autocomplete: "username", hidden: true }),
    field, wrong, h("button", { type: "submit", class: "main" }, t("key.give")));
  desk.paint(() => {
    const asked = desk.standing.kind === "key";
    if (form.hidden === !asked) return;
    form.hidden = !asked;
    if (!asked) return;
    say(wrong, given ? t("key.wrong") : "");
    if (document.activeElement === document.body) field.focus(); // unless somebody is typing elsewhere
  }, signal);
  return form;
}
