// Settings of this device, not of the appliance; and where to find the appliance.

import { reachable } from "../core/addresses.js";
import { h } from "../core/dom.js";
import * as prefs from "../core/prefs.js";
import { LANGUAGES, inUse, t } from "../core/words.js";
import { desk } from "../desk.js";
import { qrCode } from "../elements/qr.js";
import { mayKeepAwake } from "../wake.js";
import { access } from "./access.js";
import { clock } from "./clock.js";
import { field, section } from "./parts.js";

const THEMES = ["dark", "red", "light"];

/** @param {AbortSignal} signal */
export function settings(signal) {
  return h("div", { class: "page columns" }, h("h1", { class: "unseen" }, t("nav.settings")), access(signal), look(), device(), about(signal));
}

const applied = () => document.dispatchEvent(new Event("settings"));

/**
 * A row of choices, one of which is selected.
 * @param {string} name
 * @param {string} title
 * @param {[string, string][]} choices
 * @param {string} taken
 */
function choices(name, title, choices, taken) {
  const take = (/** @type {string} */ value) => {
    prefs.write(name, value);
    applied();
  };
  return h("fieldset", { class: "choices" }, h("legend", null, title), choices.map(([value, words]) =>
    h("label", null, h("input", { type: "radio", id: `${name}-${value}`, name, value, checked: value === taken, onchange: () => take(value) }), words)));
}

function look() {
  return section(t("settings.look"),
    choices("language", t("settings.language"), Object.entries(LANGUAGES), inUse()),
    choices("theme", t("settings.theme"), THEMES.map((theme) => [theme, t(`settings.theme.${theme}`)]), prefs.read("theme", "dark")));
}

function device() {
  const hint = h("span", null, t("settings.name.hint", { source: desk.source }));
  const name = h("input", { value: desk.name, maxlength: 40, autocomplete: "off", spellcheck: "false", onchange: () => {
    prefs.write("name", name.value.trim());
    name.value = desk.name;
    hint.textContent = t("settings.name.hint", { source: desk.source });
  } });
  const awake = h("input", { type: "checkbox", checked: prefs.read("awake", "1") === "1", disabled: !mayKeepAwake(), onchange: () => {
    prefs.write("awake", awake.checked ? "1" : "0");
    applied();
  }, id: "awake" });
  return section(t("settings.device"), field(t("settings.name"), name, hint),
    h("label", { class: "check" }, awake, t("settings.awake")),
    mayKeepAwake() ? null : h("p", { class: "quiet" }, t("settings.awake.cannot")), key());
}

function key() {
  const secret = h("input", { type: "password", autocomplete: "current-password" });
  const use = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (secret.value.trim()) desk.key = secret.value.trim();
    applied();
  };
  const forget = () => {
    desk.key = "";
    applied();
  };
  return h("form", { class: "stack", onsubmit: use },
    h("input", { name: "username", value: "dmxd", autocomplete: "username", hidden: true }),
    field(t("settings.key"), secret, t(desk.key ? "settings.key.set" : "settings.key.hint")),
    h("div", { class: "row" }, h("button", { type: "submit" }, t("settings.key.save")),
      desk.key ? h("button", { type: "button", onclick: forget }, t("settings.key.forget")) : null));
}

/** @param {AbortSignal} signal */
function about(signal) {
  const version = h("p", { class: "quiet" });
  const name = h("p", { class: "quiet" });
  const codes = h("div", { class: "codes" });
  const trust = h("p");
  const show = (/** @type {string[]} */ addresses) => {
    const others = reachable(own, addresses).slice(0, 4);
    codes.replaceChildren(...others.map((address) =>
      h("figure", null, qrCode(address, t("settings.qr", { address })), h("figcaption", null, address))));
    if (others.length === 0) codes.replaceChildren(h("p", null, t("settings.address.here", { address: own })));
  };
  const own = `${location.origin}/`;
  show([]);
  const load = async () => {
    const about = await desk.about(signal);
    if (!about || signal.aborted) return;
    version.textContent = t("settings.version", { version: about.version });
    name.textContent = about.name ? t("settings.mdns", { name: about.name }) : "";
    if (about.addresses.some((address) => address.startsWith("https:"))) trust.replaceChildren(h("a", { href: "/trust" }, t("settings.trust")));
    show(about.addresses);
  };
  void load();
  // A link sends no header, so the key is in the address.
  const token = desk.key ? `?${new URLSearchParams({ token: desk.key })}` : "";
  const link = (/** @type {string} */ path, /** @type {string} */ words) => h("li", null, h("a", { href: path + token }, words));
  return h("div", { class: "wide" }, section(t("settings.about"), version, name, clock(signal), h("h3", null, t("settings.addresses")), codes, trust,
    h("h3", null, t("settings.documents")),
    h("ul", { class: "plain links" }, link("/openapi.json", t("settings.openapi")), link("/metrics", t("settings.metrics")), link("/readyz", t("settings.readyz")))));
}
