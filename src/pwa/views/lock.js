// "Lock this box": one step from open to locked. It makes the first admin, shows the key once, and says what is covered.

import { absolute, isHere } from "../core/addresses.js";
import { h, say } from "../core/dom.js";
import { isOpen } from "../core/may.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { secret } from "../elements/secret.js";
import { lastName, lock as lockNow } from "../who.js";
import { back, choice, field, pinField, section } from "./parts.js";

/** @import { Locked } from "../core/types.js" */

/** @param {AbortSignal} signal */
export function lock(signal) {
  const place = h("div", { class: "stack" });
  let made = false;
  /** What the form was made for. @type {string | undefined} */
  let shown;
  const done = (/** @type {Locked} */ locked) => {
    made = true;
    place.replaceChildren(section(t("lock.done"), ...after(locked)));
  };
  desk.paint(() => {
    const { me } = desk;
    if (made || me === null) return;
    const now = !me.hasAdmin ? "first" : !isOpen(me) ? "locked" : desk.may("people") ? "again" : "login";
    if (shown === now) return;
    shown = now;
    const inside = now === "first" ? form(done) : now === "again" ? again(done)
      : h("p", null, t(now === "login" ? "lock.login" : "lock.state"), " ", now === "login" ? h("a", { href: "#/login" }, t("login.do")) : null);
    place.replaceChildren(section(t("lock.title"), h("p", null, t("lock.about")), inside));
  }, signal);
  return h("div", { class: "page narrow" }, back(), place);
}

/** @param {(locked: Locked) => void} done */
function form(done) {
  const name = h("input", { required: true, maxlength: 64, autocomplete: "username", spellcheck: "false", value: lastName() });
  const here = isHere(location.origin);
  const key = desk.me?.kind === "key";
  const code = h("input", { maxlength: 64, autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: !here && !key });
  const how = choice("lock-how", t("lock.how"), [["key", t("how.key")], ["pin", t("how.pin")]], "key", () => {
    pin.parent.hidden = how.value() !== "pin";
    pin.input.required = !pin.parent.hidden;
  });
  const pin = pinField();
  pin.parent.hidden = true;
  return sending(done, () => ({
    name: name.value.trim(), ...(code.value.trim() ? { code: code.value.trim() } : {}),
    ...(how.value() === "pin" ? { pin: pin.input.value.trim() } : { generate: true }),
  }), field(t("lock.name"), name, t("lock.name.hint")),
  key ? null : field(t("lock.code"), code, t(here ? "lock.code.here" : "lock.code.hint")), how.element, pin.parent);
}

/** An admin locks it again: there is nothing to ask. @param {(locked: Locked) => void} done */
const again = (done) => sending(done, () => ({}));

/**
 * @param {(locked: Locked) => void} done
 * @param {() => object} body
 * @param {...(HTMLElement | null)} fields
 */
function sending(done, body, ...fields) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const go = h("button", { type: "submit", class: "main", "data-here": true }, t("lock.do")); // also while nobody is let in
  return h("form", { class: "stack", onsubmit: async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    say(wrong, "");
    go.disabled = true;
    const locked = await lockNow(body());
    go.disabled = false;
    if (typeof locked === "string") say(wrong, locked);
    else done(locked);
  } }, fields, wrong, go);
}

/** @param {Locked} locked */
function after({ admin }) {
  const { addresses = [] } = desk.appliance ?? {};
  const link = admin?.key ? absolute(`${location.origin}/`, addresses, `/#key=${admin.key}`) : "";
  return [
    h("p", null, t("lock.covers")),
    admin ? h("p", null, t("lock.in", { name: admin.name })) : null,
    admin?.key ? secret(admin.key, link, { title: t("people.key", { name: admin.name }), line: t("people.once"), print: true }) : null,
    h("div", { class: "row" }, h("a", { class: "button", href: "#/people" }, t("lock.next")), h("a", { class: "button", href: "#/devices" }, t("lock.lamps"))),
  ];
}
