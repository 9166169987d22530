// Logging in: a name with a PIN, password or key; or a key alone. It comes by itself when the appliance lets nobody in who is not known;
// the last light and the bar below stay where they are.

import { h, mark, say } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { lastName, logIn } from "../who.js";

/**
 * @param {() => void} [done] Somebody is in.
 */
export function loginForm(done = () => {}) {
  const name = h("input", { id: "login-name", name: "username", autocomplete: "username", autocapitalize: "off", spellcheck: "false", required: true, maxlength: 64, value: lastName() });
  const secret = h("input", { id: "login-secret", name: "password", type: "password", inputmode: "numeric", autocomplete: "current-password", required: true, maxlength: 128,
    "aria-describedby": "login-wrong" });
  const wrong = h("p", { id: "login-wrong", class: "wrong", role: "alert" });
  const go = h("button", { type: "submit", class: "main" }, t("login.do"));
  const letters = h("button", { type: "button", class: "small", "data-here": true, "aria-pressed": "false", onclick: () => {
    const digits = secret.inputMode !== "numeric";
    secret.inputMode = digits ? "numeric" : "text";
    mark(letters, "aria-pressed", String(!digits));
    secret.focus();
  } }, t("login.letters"));
  const enter = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    say(wrong, "");
    go.disabled = true;
    const why = await logIn(name.value.trim(), secret.value.trim());
    go.disabled = false;
    secret.value = "";
    say(wrong, why);
    if (why) secret.focus();
    else done();
  };
  return h("form", { class: "stack login", onsubmit: enter },
    h("label", { class: "field" }, h("span", null, t("login.name")), name),
    h("div", { class: "field" }, h("label", { for: "login-secret" }, t("login.secret")), h("div", { class: "with" }, secret, letters)),
    wrong, go);
}

/**
 * @param {(key: string) => void} given
 */
function keyForm(given) {
  const field = h("input", { id: "key-ask", type: "password", autocomplete: "off", required: true });
  return h("form", { class: "stack", onsubmit: (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    given(field.value.trim());
    field.value = "";
  } }, h("label", { class: "field" }, h("span", null, t("key.ask")), field), h("button", { type: "submit" }, t("key.give")));
}

/**
 * The whole question; shown while the appliance refuses this page.
 * @param {AbortSignal} signal
 */
export function loginAsk(signal) {
  const wrong = h("p", { class: "wrong", role: "status" });
  let given = desk.key !== "";
  const form = loginForm();
  const stale = h("p", { class: "wrong" }, t("login.stale"));
  const claim = h("p", null, t("login.claim"), " ", h("a", { href: "#/lock" }, t("login.claim.do")));
  const ask = h("section", { class: "ask", hidden: true, "aria-labelledby": "h-login" }, h("div", { class: "panel" },
    h("h2", { id: "h-login" }, t("login.title")), h("p", { class: "quiet" }, t("login.why")), stale, claim, form,
    h("details", null, h("summary", null, t("login.key")), keyForm((key) => {
      given = true;
      say(wrong, "");
      desk.key = key;
    })), wrong));
  const paint = () => {
    const unclaimed = desk.me?.hasAdmin === false;
    // who makes the first admin has nothing to log in with
    const asked = desk.standing.kind === "key" && desk.me !== null && !(unclaimed && location.hash === "#/lock");
    claim.hidden = !unclaimed;
    mark(document.body, "data-ask", !asked ? null : desk.known ? "over" : "page");
    stale.hidden = !desk.known;
    if (ask.hidden === !asked) return;
    ask.hidden = !asked;
    if (!asked) return;
    say(wrong, given && desk.key ? t("key.wrong") : "");
    if (document.activeElement !== document.body) return; // somebody is typing elsewhere
    const [name, secret] = form.querySelectorAll("input");
    (name?.value ? secret : name)?.focus();
  };
  desk.paint(paint, signal);
  addEventListener("hashchange", paint, { signal });
  return ask;
}
