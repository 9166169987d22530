// Looks: the current light becomes a scene; scenes get names, times and places.

import * as api from "../core/api.js";
import { h, keep, mark, reveal, say } from "../core/dom.js";
import { lit } from "../core/looks.js";
import { count, seconds, t } from "../core/words.js";
import { desk } from "../desk.js";
import { paintSwatch } from "../elements/dmx-tiles.js";
import { icon } from "../elements/icons.js";
import { proposed } from "../elements/look-names.js";
import { rig } from "../rig.js";
import { beside, field, sure } from "./parts.js";

/** @import { Scene } from "../core/types.js" */

/** @param {AbortSignal} signal */
export function looks(signal) {
  const list = h("ul", { class: "plain list" });
  const none = h("p", { class: "quiet", hidden: true }, t("looks.none"));
  /** @type {readonly Scene[] | null} */
  let known = null;
  /** @type {unknown} */
  let patch = null;
  void desk.loadScenes();
  desk.paint(() => {
    if ((known !== desk.looks || patch !== rig.patch) && desk.looks) {
      known = desk.looks;
      patch = rig.patch;
      keep(list, known, ({ id }) => id, row, paintRow);
      none.hidden = known.length > 0;
    }
    for (const element of list.children) {
      mark(element, "data-on", element.getAttribute("data-key") === desk.model.desk?.scene ? "" : null);
    }
  }, signal);
  return h("div", { class: "page" }, h("h1", { class: "unseen" }, t("looks.title")), captureForm(signal), list, none);
}

/** @param {AbortSignal} signal */
function captureForm(signal) {
  /** A proposed name goes with the light; a typed one stays. */
  let own = false;
  const name = h("input", { required: true, maxlength: 200, autocomplete: "off", oninput: () => (own = name.value !== ""), onfocus: () => own || name.select() });
  const fade = h("input", { type: "number", min: 0, max: 86400, step: 0.1, value: 2, inputmode: "decimal" });
  const only = h("input", { type: "checkbox", "data-here": true, onchange: () => desk.changed() });
  const part = h("label", { class: "check" }, only, h("span", null));
  /** Whose light is captured; null: everybody's. */
  const whose = () => (only.checked && rig.chosen.length > 0 ? rig.chosen : null);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const of = whose();
    const body = { name: name.value.trim(), fadeMs: Math.round(Number(fade.value) * 1000), ...(of ? { only: of.map(({ id }) => id) } : {}) };
    if (taken(body.name)) return desk.notify(t("looks.taken", { name: body.name }));
    if (!(await desk.ask(api.json("POST", "/scenes", { body }), t("looks.captured", { name: body.name })))) return;
    own = false;
    await desk.loadScenes();
  };
  desk.paint(() => {
    part.hidden = rig.chosen.length === 0;
    say(/** @type {Element} */ (part.lastElementChild), count("looks.only", rig.chosen.length));
    if (own || document.activeElement === name || !desk.known || !desk.looks) return;
    const words = proposed(whose() ?? undefined);
    if (name.value !== words) name.value = words;
  }, signal);
  return h("form", { class: "panel capture", "data-needs": "looks", onsubmit: submit },
    h("h2", null, t("looks.capture.title")),
    h("div", { class: "fields" }, field(t("looks.capture.name"), name), field(t("looks.fade"), fade),
      h("button", { type: "submit", class: "main" }, t("looks.capture"))), part);
}

/**
 * Whether another look has that name, which is how looks are found.
 * @param {string} name
 * @param {string} [id]
 */
function taken(name, id) {
  return desk.scenes.some((scene) => scene.id !== id && scene.name.trim() === name);
}

/** @param {Scene} scene */
function row({ id }) {
  const details = h("div", { class: "editor", hidden: true });
  const edit = h("button", { type: "button", class: "square", "aria-expanded": "false", "data-needs": "looks", onclick: toggle }, icon("settings"));
  const element = h("li", { class: "item" },
    h("span", { class: "swatch" }),
    h("div", { class: "what" }, h("div", null, h("strong", null), " ", h("span", { class: "on" }, t("looks.effective"))), h("span", { class: "quiet meta" })),
    h("button", { type: "button", class: "recall", onclick: () => desk.recall(id) }, icon("play"), h("span", null, t("looks.recall"))),
    edit, details);
  function toggle() {
    const open = details.hidden;
    details.hidden = !open;
    mark(edit, "aria-expanded", String(open));
    const scene = desk.scenes.find((other) => other.id === id);
    if (!open || !scene) return;
    details.replaceChildren(...editor(scene));
    reveal(details);
  }
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {Scene} scene
 */
function paintRow(element, scene) {
  const [swatch, what, recall, edit] = /** @type {HTMLElement[]} */ ([...element.children]);
  if (!swatch || !what || !recall || !edit) return;
  paintSwatch(swatch, scene);
  say(/** @type {Element} */ (what.querySelector("strong")), scene.name);
  const time = scene.fadeMs ? seconds(scene.fadeMs) : t("tiles.cut");
  const light = count("looks.lit", lit(scene));
  const scope = scene.universes?.length ? [t("looks.whole"), light] : [light, t("looks.partial")];
  say(/** @type {Element} */ (what.lastElementChild), [scene.favorite ? "★" : "", time, ...scope].filter(Boolean).join(" · "));
  mark(recall, "aria-label", t("looks.recall.label", { name: scene.name }));
  mark(edit, "aria-label", t("looks.edit", { name: scene.name }));
}

/**
 * The values in an editor's fields.
 * @param {Scene} scene
 * @returns {Record<string, string>}
 */
const texts = ({ name, fadeMs }) => ({ name, fadeMs: String((fadeMs ?? 0) / 1000) });

/**
 * @param {Scene} scene As shown.
 */
function editor(scene) {
  const { id, name, fadeMs, favorite } = scene;
  let shown = scene;
  /** One after the other: each edit builds on the one before. */
  let turn = Promise.resolve();
  const edit = (/** @type {string} */ method, /** @type {object | undefined} */ body, words = "", below = "") => {
    turn = turn.then(async () => {
      const before = shown;
      const { look, done } = await desk.editLook(method, shown, body, words, below);
      shown = look;
      renew(before, done ? {} : (body ?? {}));
    });
    return turn;
  };
  const change = (/** @type {object} */ body, words = "") => edit("PATCH", body, words);
  /** The requested place while a move is under way: taps come faster than answers. @type {number | null} */
  let asked = null;
  const move = (/** @type {number} */ way, /** @type {Event} */ { currentTarget }) => {
    const from = asked ?? desk.scenes.findIndex((scene) => scene.id === id);
    const place = Math.min(desk.scenes.length - 1, Math.max(0, from + way));
    if (place === from) return;
    asked = place;
    void change({ position: place }).then(() => {
      if (asked === place) asked = null;
      // A row that moves loses the focus; after the next frame it is given back for the next press.
      requestAnimationFrame(() => currentTarget instanceof HTMLElement && currentTarget.focus());
    });
  };
  const overwrite = () => edit("POST", undefined, t("looks.overwritten", { name: nameField.value }), "/capture");
  const remove = () => edit("DELETE", undefined, t("looks.undone", { name: nameField.value }));
  const nameField = h("input", { value: name, required: true, maxlength: 200, autocomplete: "off",
    onchange: () => rename(nameField.value.trim()) });
  const rename = (/** @type {string} */ name) => {
    if (taken(name, id)) desk.notify(t("looks.taken", { name }));
    else if (name) void change({ name });
  };
  const fadeField = h("input", { type: "number", min: 0, max: 86400, step: 0.1, inputmode: "decimal", value: (fadeMs ?? 0) / 1000,
    onchange: () => fadeField.reportValidity() && change({ fadeMs: Math.round(Number(fadeField.value) * 1000) }) });
  /**
   * Shows other people's changes; typed text stays, with theirs beside it.
   * @param {Scene} before
   * @param {object} refused The changes that were refused.
   */
  const renew = (before, refused) => {
    const was = texts(before);
    const now = texts(shown);
    for (const [key, control] of Object.entries({ name: nameField, fadeMs: fadeField })) {
      const [old, theirs] = [was[key] ?? "", now[key] ?? ""];
      if (key in refused) {
        beside(control, t("changed.theirs", { value: theirs }),
          h("button", { type: "button", class: "small", onclick: () => control.dispatchEvent(new Event("change")) }, t("changed.mine")),
          h("button", { type: "button", class: "small", "data-here": true, onclick: () => {
            control.value = theirs;
            beside(control, "");
          } }, t("changed.take")));
      } else if (control.value === theirs) beside(control, "");
      else if (control.value === old) control.value = theirs;
    }
    star.checked = Boolean(shown.favorite);
  };
  const star = h("input", { type: "checkbox", checked: Boolean(favorite), onchange: () => change({ favorite: star.checked }) });
  return [
    h("div", { class: "fields" }, field(t("looks.name"), nameField), field(t("looks.fade"), fadeField)),
    h("label", { class: "check" }, star, t("looks.favorite")),
    h("div", { class: "row" },
      h("button", { type: "button", class: "square", "aria-label": t("looks.top", { name }), onclick: (/** @type {Event} */ event) => move(-Infinity, event) }, icon("top")),
      h("button", { type: "button", class: "square", "aria-label": t("looks.up", { name }), onclick: (/** @type {Event} */ event) => move(-1, event) }, icon("up")),
      h("button", { type: "button", class: "square", "aria-label": t("looks.down", { name }), onclick: (/** @type {Event} */ event) => move(1, event) }, icon("down")),
      sure(t("looks.overwrite"), t("looks.overwrite.sure"), overwrite),
      sure(t("looks.delete"), t("looks.delete.sure"), remove)),
  ];
}
