// Fixture types that people have brought: files of QLC+ and GDTF.

import * as api from "../core/api.js";
import { h, keep, mark, say } from "../core/dom.js";
import { count, t } from "../core/words.js";
import { desk } from "../desk.js";
import { rig } from "../rig.js";
import { section, sure } from "./parts.js";

/** @import { FixtureType } from "../core/types.js" */

/** A large file over a slow radio. */
const PATIENCE_MS = 60_000;

/** @param {AbortSignal} signal */
export function types(signal) {
  const list = h("ul", { class: "plain list" });
  const chooser = h("input", { "data-needs": "patch", type: "file", accept: ".qxf,.gdtf,.xml,.zip", class: "unseen", id: "type-file", onchange: async () => {
    const file = chooser.files?.[0];
    chooser.value = "";
    if (!file) return;
    const known = { 413: t("types.large") };
    const type = await desk.ask(/** @type {Promise<FixtureType>} */ (api.json("POST", "/fixture-types", { raw: file, patience: PATIENCE_MS })), "", known);
    if (!type) return;
    rig.brought = type.id;
    await rig.loadTypes();
    desk.notify(count("types.done", type.modes.length, { name: type.name }));
  } });
  desk.paint(() => keep(list, (rig.types ?? []).filter(({ builtIn }) => !builtIn), ({ id }) => id, row, paint), signal);
  return section(t("types.title"), h("p", { class: "quiet" }, t("types.about")), list,
    h("div", { class: "row" }, chooser, h("label", { for: "type-file", class: "button", "data-needs": "patch" }, t("types.import"))));
}

/** @param {FixtureType} type */
function row({ id }) {
  const drop = async () => {
    await desk.ask(api.call("DELETE", `/fixture-types/${encodeURIComponent(id)}`).then(api.done), t("types.gone"), { 409: t("types.used") });
    await rig.loadTypes();
  };
  return h("li", { class: "item" }, h("div", { class: "what" }, h("strong", null), h("span", { class: "quiet meta" })),
    sure(t("looks.delete"), t("looks.delete.sure"), () => void drop(), { "data-needs": "patch" }));
}

/** @param {HTMLElement} element @param {FixtureType} type */
function paint(element, { name, manufacturer, modes }) {
  say(/** @type {Element} */ (element.querySelector("strong")), [manufacturer, name].filter(Boolean).join(" "));
  say(/** @type {Element} */ (element.querySelector(".meta")), count("types.modes", modes.length));
  mark(/** @type {Element} */ (element.lastElementChild), "aria-label", t("types.delete", { name }));
}
