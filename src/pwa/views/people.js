// People: who may do what here, and what happened. Admins only.

import * as api from "../core/api.js";
import { absolute } from "../core/addresses.js";
import { h, keep, reveal, say } from "../core/dom.js";
import { ROLES } from "../core/may.js";
import { count, knows, moment, t } from "../core/words.js";
import { desk } from "../desk.js";
import { secret } from "../elements/secret.js";
import { back, choice, field, pinField, section, sure } from "./parts.js";

/** @import { Deed, Role, User } from "../core/types.js" */

/** Deeds shown at first; and all that are kept. */
const SOME = 30;
const ALL = 1000;

/** @param {AbortSignal} signal */
export function people(signal) {
  const page = h("div", { class: "page columns" });
  let shown = false;
  desk.paint(() => {
    const may = desk.may("people");
    if (page.firstChild && shown === may) return;
    shown = may;
    page.replaceChildren(back(), ...(may ? [list(signal), log(signal)] : [section(t("nav.people"), h("p", null, t("people.login")),
      h("div", { class: "row" }, h("a", { class: "button", href: "#/login" }, t("login.do")), h("a", { class: "button", href: "#/lock" }, t("lock.do"))))]));
  }, signal);
  return page;
}

/** @param {AbortSignal} signal */
function list(signal) {
  const rows = h("ul", { class: "plain list" });
  const load = async () => {
    const all = await desk.ask(/** @type {Promise<{ users: User[] }>} */ (api.json("GET", "/users", { signal })), null);
    if (all && !signal.aborted) keep(rows, all.users, ({ id, role, secret, name }) => [id, role, secret, name].join(), (user) => row(user, load), paint);
  };
  void load();
  void desk.about(signal); // a key's link needs an address
  return section(t("nav.people"), rows, h("details", { "data-here": true }, h("summary", null, t("people.add")), newcomer(load)));
}

/**
 * @param {HTMLElement} element
 * @param {User} user
 */
function paint(element, { role, secret, logins }) {
  const meta = element.querySelector(".meta");
  if (meta) say(meta, [t(`role.${role}`), t(`people.by.${secret}`), logins ? count("people.logins", logins) : ""].filter(Boolean).join(" · "));
}

/**
 * What a role is for, below its name.
 * @param {Role} taken
 * @param {readonly Role[]} [roles]
 */
function roleChoice(taken, roles = ROLES) {
  const control = h("select", { onchange: () => say(hint, t(`role.${control.value}.can`)) },
    roles.map((role) => h("option", { value: role, selected: role === taken }, t(`role.${role}`))));
  const hint = h("small", { class: "quiet" }, t(`role.${taken}.can`));
  return { control, element: h("label", { class: "field" }, h("span", null, t("people.role")), control, hint) };
}

/** @param {() => Promise<void>} load */
function newcomer(load) {
  const name = h("input", { required: true, maxlength: 64, autocomplete: "off", spellcheck: "false" });
  const role = roleChoice("operate");
  const pin = pinField();
  pin.input.required = true;
  const how = choice("people-how", t("how.title"), [["pin", t("how.pin")], ["key", t("how.key")]], "pin", () => {
    pin.parent.hidden = how.value() !== "pin";
    pin.input.required = !pin.parent.hidden;
  });
  const made = h("div", { class: "stack", role: "status" });
  const add = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const body = { name: name.value.trim(), role: role.control.value, ...(how.value() === "pin" ? { pin: pin.input.value.trim() } : { generate: true }) };
    const user = await desk.ask(/** @type {Promise<User>} */ (api.json("POST", "/users", { body })), t("people.added", { name: body.name }), TAKEN());
    if (!user) return;
    name.value = pin.input.value = "";
    made.replaceChildren(...keyOf(user));
    await load();
    if (user.key) reveal(made);
  };
  return h("form", { class: "stack", onsubmit: add }, h("div", { class: "fields even" }, field(t("people.name"), name), role.element), how.element, pin.parent,
    h("button", { type: "submit", class: "main" }, t("people.add")), made);
}

const TAKEN = () => ({ 409: t("people.taken") });

/** A new key, shown once. @param {User} user */
function keyOf({ name, key }) {
  if (!key) return [];
  const link = absolute(`${location.origin}/`, desk.appliance?.addresses ?? [], `/#key=${key}`);
  return [secret(key, link, { title: t("people.key", { name }), line: t("people.once"), print: true })];
}

/**
 * @param {User} user
 * @param {() => Promise<void>} load
 */
function row(user, load) {
  const { id, name } = user;
  const more = h("div", { class: "editor", hidden: true });
  const edit = h("button", { type: "button", "aria-expanded": "false", "data-here": true, "aria-label": t("people.change.label", { name }), onclick: () => {
    more.hidden = !more.hidden;
    edit.setAttribute("aria-expanded", String(!more.hidden));
    if (more.hidden) return;
    more.replaceChildren(...editor(user, load));
    reveal(more);
  } }, t("people.change"));
  const me = desk.me?.kind === "user" && desk.me.name === name ? h("span", { class: "on you" }, t("people.you")) : null;
  return h("li", { class: "item", "data-user": id }, h("div", { class: "what" }, h("div", null, h("strong", null, name), " ", me), h("span", { class: "quiet meta" })), edit, more);
}

/**
 * @param {User} user
 * @param {() => Promise<void>} load
 */
function editor({ id, name, role }, load) {
  const path = `/users/${encodeURIComponent(id)}`;
  const made = h("div", { class: "stack", role: "status" });
  const device = role === "device";
  const roles = roleChoice(role, device ? ["device"] : ROLES);
  const change = async (/** @type {object} */ body, /** @type {string} */ words) => {
    const user = await desk.ask(/** @type {Promise<User>} */ (api.json("PATCH", path, { body })), words, { 409: t("people.last") });
    if (user?.key) made.replaceChildren(...keyOf(user)); // it is shown in this row: the list is read again when it closes
    else await load();
    return user;
  };
  const pin = pinField();
  pin.input.required = true;
  const remove = async () => {
    if (await desk.ask(api.call("DELETE", path).then(api.done), t("people.removed", { name }), { 409: t("people.last") })) await load();
  };
  return [
    device ? null : h("div", { class: "fields even" }, roles.element, h("button", { type: "button", onclick: () => change({ role: roles.control.value }, t("people.changed", { name })) }, t("people.role.set"))),
    device ? null : h("form", { class: "fields even", onsubmit: (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void change({ pin: pin.input.value.trim() }, t("people.renewed", { name }));
    } }, pin.parent, h("button", { type: "submit" }, t("pin.set"))),
    h("div", { class: "row" }, sure(t("people.newkey"), t("people.newkey.sure"), () => change({ generate: true }, t("people.renewed", { name }))),
      sure(t("people.remove"), t("people.remove.sure"), remove)),
    made,
  ].filter((child) => child !== null);
}

/** What happened: who, what, when, from where. @param {AbortSignal} signal */
function log(signal) {
  const rows = h("ol", { class: "plain deeds" });
  const all = h("button", { type: "button", hidden: true, onclick: () => load(ALL) }, t("deeds.all"));
  const load = async (/** @type {number} */ limit) => {
    const found = await desk.ask(/** @type {Promise<{ entries: Deed[] }>} */ (api.json("GET", `/audit?limit=${limit}`, { signal })), null);
    if (!found || signal.aborted) return;
    rows.replaceChildren(...found.entries.map(deed));
    all.hidden = limit === ALL || found.entries.length < SOME;
  };
  void load(SOME);
  return section(t("deeds.title"), rows, all);
}

/** @param {Deed} deed */
function deed({ ts, who, what, from, refused }) {
  return h("li", { "data-refused": refused },
    h("span", null, h("strong", null, who === "anonymous" ? t("deeds.anyone") : who), " ", worded(what), refused ? ` – ${t("deeds.refused")}` : ""),
    h("small", { class: "quiet" }, [moment(ts), from].filter(Boolean).join(" · ")));
}

/**
 * A deed in people's words; what has none is shown as the appliance says it.
 * @param {string} what A method and a path, or words.
 */
function worded(what) {
  const [, method = "", path = "", of = ""] = /^([A-Z]+) (\/\S*)(?: (\(.*\)))?$/.exec(what) ?? [];
  const [, first = "", , third = ""] = path.split("/");
  const key = path ? [method, first, third].filter(Boolean).join(".") : what.replace(/\(.*$/, "").replaceAll(" ", ".");
  return knows(`deed.${key}`) ? [t(`deed.${key}`), of].filter(Boolean).join(" ") : h("span", { lang: "en" }, what);
}
