// Panels: pages for guests, which do exactly what they have. A panel's address is its key, so it is shown when it is made or renewed.

import * as api from "../core/api.js";
import { absolute } from "../core/addresses.js";
import { h, keep, reveal, say } from "../core/dom.js";
import { count, t } from "../core/words.js";
import { desk } from "../desk.js";
import { secret } from "../elements/secret.js";
import { back, choice, field, section, sure } from "./parts.js";

/** @import { Panel } from "../core/types.js" */

/** Addresses that this page has seen made: they can be shown again until it is closed. @type {Map<string, string>} */
const addresses = new Map();

/** @param {AbortSignal} signal */
export function panels(signal) {
  const rows = h("ul", { class: "plain list" });
  const none = h("p", { class: "quiet", hidden: true }, t("panels.none"));
  const load = async () => {
    const all = await desk.ask(/** @type {Promise<{ panels: Panel[] }>} */ (api.json("GET", "/panels", { signal })), null);
    if (!all || signal.aborted) return;
    none.hidden = all.panels.length > 0;
    keep(rows, all.panels, (panel) => JSON.stringify(panel), (panel) => row(panel, load), () => {});
  };
  void desk.about(signal);
  void desk.loadScenes().then(load);
  const made = h("div", { class: "stack", role: "status" });
  const create = panelForm(null, t("panels.make"), async (body) => {
    const panel = await desk.ask(/** @type {Promise<Panel>} */ (api.json("POST", "/panels", { body })), t("panels.made", { name: body.name }));
    if (!panel) return false;
    noted(panel);
    made.replaceChildren(...address(panel));
    reveal(made);
    await load();
    return true;
  }, signal);
  return h("div", { class: "page columns" }, back(), section(t("nav.panels"), h("p", { class: "quiet" }, t("panels.about")), none, rows),
    section(t("panels.new"), create, made));
}

/** @param {Panel} panel */
function noted({ id, url }) {
  if (url) addresses.set(id, absolute(`${location.origin}/`, desk.appliance?.addresses ?? [], url));
}

/** The panel's address, if this page knows it. @param {Panel} panel */
function address({ id, name }) {
  const url = addresses.get(id);
  return url ? [secret(url, url, { title: name, line: t("panels.line"), print: true })] : [];
}

/**
 * @param {Panel} panel
 * @param {() => Promise<void>} load
 */
function row(panel, load) {
  const { id, name, looks, master, blackout } = panel;
  const path = `/panels/${encodeURIComponent(id)}`;
  const more = h("div", { class: "editor", hidden: true });
  const shown = h("div", { class: "stack" }, address(panel));
  const renew = async () => {
    const next = await desk.ask(/** @type {Promise<Panel>} */ (api.json("PATCH", path, { body: { renew: true } })), t("panels.renewed", { name }));
    if (!next) return;
    noted(next);
    shown.replaceChildren(...address(panel));
    reveal(shown);
  };
  const remove = async () => {
    if (await desk.ask(api.call("DELETE", path).then(api.done), t("panels.deleted", { name }))) await load();
  };
  const change = async (/** @type {object} */ body) => {
    const done = await desk.ask(/** @type {Promise<Panel>} */ (api.json("PATCH", path, { body })), t("panels.changed", { name }));
    if (done) await load();
    return done !== null;
  };
  const open = h("button", { type: "button", "aria-expanded": "false", "data-here": true, "aria-label": t("people.change.label", { name }), onclick: () => {
    more.hidden = !more.hidden;
    open.setAttribute("aria-expanded", String(!more.hidden));
    if (more.hidden) return;
    more.replaceChildren(shown, h("div", { class: "row" }, sure(t("panels.renew"), t("panels.renew.sure"), renew), sure(t("panels.delete"), t("panels.delete.sure"), remove)),
      panelForm(panel, t("panels.save"), change));
    reveal(more);
  } }, t("people.change"));
  const meta = [count("panels.looks", looks.length), master ? t("panels.master") : "", t(`panels.blackout.${blackout}`)].filter(Boolean).join(" · ");
  return h("li", { class: "item" }, h("div", { class: "what" }, h("strong", null, name), h("span", { class: "quiet meta" }, meta)), open, more);
}

/**
 * @param {Panel | null} panel Null: a new one.
 * @param {string} words
 * @param {(body: { name: string }) => Promise<boolean>} send
 * @param {AbortSignal} [signal] The looks come later.
 */
function panelForm(panel, words, send, signal) {
  const name = h("input", { required: true, maxlength: 64, autocomplete: "off", value: panel?.name ?? "" });
  const looks = h("div", { class: "picks" });
  const none = h("p", { class: "quiet" }, t("panels.nolooks"));
  const chosen = new Set(panel?.looks ?? []);
  const fill = () => {
    none.hidden = desk.scenes.length > 0;
    keep(looks, desk.scenes, ({ id }) => id, ({ id }) => h("label", { class: "check" },
      h("input", { type: "checkbox", checked: chosen.has(id), "data-here": true, onchange: (/** @type {any} */ { target }) => (target.checked ? chosen.add(id) : chosen.delete(id)) }), h("span", null)),
    (element, { name }) => say(/** @type {Element} */ (element.lastElementChild), name));
  };
  const master = h("input", { type: "checkbox", checked: panel?.master ?? false, "data-here": true });
  const dark = choice("panel-dark", t("panels.blackout"), ["on", "both", "none"].map((one) => [one, t(`panels.blackout.${one}`)]), panel?.blackout ?? "on");
  if (signal) desk.paint(fill, signal);
  else fill();
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const ordered = desk.scenes.map(({ id }) => id).filter((id) => chosen.has(id)); // as the list of looks has them
    const body = { name: name.value.trim(), looks: ordered, master: master.checked, blackout: dark.value() };
    if (!(await send(body)) || panel) return;
    name.value = "";
    chosen.clear();
    for (const box of looks.querySelectorAll("input")) box.checked = false;
  };
  return h("form", { class: "stack", onsubmit: submit }, field(t("panels.name"), name),
    h("fieldset", null, h("legend", null, t("panels.choose")), looks, none),
    h("label", { class: "check" }, master, t("panels.master.give")), dark.element, h("button", { type: "submit", class: panel ? "" : "main" }, words));
}
