// Pieces that several views are made of.

import { h, reveal } from "../core/dom.js";
import { count, knows, t } from "../core/words.js";
import { desk } from "../desk.js";
import { icon } from "../elements/icons.js";
import { copyButton } from "../elements/secret.js";

/** @import { Child } from "../core/dom.js" */
/** @import { ListChanges } from "../core/types.js" */

/** How long a question waits before the button changes back. */
const ASK_MS = 4000;

/** Looks named in a line of changes; the rest is an ellipsis. */
const NAMED = 8;

/** The lines that switch a feature on, by section of the settings. */
const LINES = /** @type {const} */ ({
  projects: "enabled = true", backup: "enabled = true", usb: "enabled = true", ola: "enabled = true", input: 'enabled = true\nport = "/dev/ttyUSB0"',
});

let sections = 0;
let controls = 0;

/**
 * @param {string} title
 * @param {...(Child | Child[])} children
 */
export function section(title, ...children) {
  const id = `s${sections++}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

/**
 * How to switch a feature on where this appliance runs: which lines go into which file.
 * @param {keyof typeof LINES} name A section of the settings.
 */
export function switchOn(name) {
  const head = `[${name}]`;
  const lines = h("pre", null, `${head}\n${LINES[name]}`);
  return h("div", { class: "stack" },
    h("p", null, t(desk.appliance?.settings.onCard ? "setting.on.card" : "setting.on.file", { file: desk.settingsFile })), lines,
    h("div", { class: "row" }, copyButton(lines), h("small", { class: "quiet" }, t("setting.section", { head }))));
}

/**
 * A control below its name.
 * @param {string} name
 * @param {HTMLElement} control
 * @param {Child} [hint]
 */
export function field(name, control, hint) {
  return h("label", { class: "field" }, h("span", null, name), control, hint ? h("small", { class: "quiet" }, hint) : null);
}

/**
 * A button that asks once, in its place, before it does something that cannot be undone.
 * @param {string} words
 * @param {string} question
 * @param {() => void} run
 * @param {Record<string, any>} [props]
 */
export function sure(words, question, run, props = {}) {
  const button = h("button", { type: "button", ...props, onclick: press }, words);
  let timer = 0;
  function calm() {
    clearTimeout(timer);
    button.textContent = words;
    button.classList.remove("danger");
    if (props["aria-label"]) button.setAttribute("aria-label", props["aria-label"]);
  }
  function press() {
    if (button.classList.contains("danger")) {
      calm();
      return run();
    }
    button.textContent = question;
    button.removeAttribute("aria-label");
    button.classList.add("danger");
    reveal(button); // its words may need a line of their own
    timer = setTimeout(calm, ASK_MS);
  }
  return button;
}

/**
 * The value on another device, beside the control that keeps the typed one; `words` empty: nothing.
 * @param {HTMLElement} control
 * @param {string} words
 * @param {...HTMLElement} ways Buttons for what to do about it.
 */
export function beside(control, words, ...ways) {
  const place = control.closest(".field");
  place?.parentElement?.querySelector(`[data-beside="${control.id}"]`)?.remove();
  if (!words) return;
  control.id ||= `c${controls++}`;
  const note = h("div", { class: "beside", role: "status", "data-beside": control.id }, h("span", null, words), ...ways);
  place?.after(note);
  reveal(note);
}

/**
 * What would change: by list of the show, and how many channels of the light.
 * @param {Record<string, ListChanges>} changes
 * @param {number} [channels]
 */
export function would(changes, channels = 0) {
  const lines = channels ? [count("change.channels", channels)] : [];
  for (const [list, change] of Object.entries(changes)) {
    const name = knows(`change.list.${list}`) ? t(`change.list.${list}`) : list;
    for (const what of /** @type {const} */ (["added", "changed", "removed"])) {
      const n = change[what].length;
      if (n) lines.push(t(`change.${what}`, { list: name, n }) + (list === "scenes" ? names(change[what]) : ""));
    }
  }
  if (lines.length === 0) return h("p", null, t("change.none"));
  return h("div", null, h("p", null, t("change.would")), h("ul", null, lines.map((line) => h("li", null, line))));
}

/**
 * The names of the looks with these ids, as far as known.
 * @param {readonly string[]} ids
 */
function names(ids) {
  const known = desk.scenes.filter(({ id }) => ids.includes(id)).map(({ name }) => name);
  if (known.length === 0) return "";
  return ` (${known.slice(0, NAMED).join(", ")}${known.length > NAMED ? ", …" : ""})`;
}

/**
 * Repeats while the page is visible, each time after the last run has ended, and at once when the link is back, until
 * the signal.
 * @param {() => Promise<unknown>} run
 * @param {number} everyMs
 * @param {AbortSignal} signal
 */
export function poll(run, everyMs, signal) {
  let timer = 0;
  let running = false;
  let { usable } = desk;
  const turn = async () => {
    clearTimeout(timer);
    running = true;
    if (document.visibilityState === "visible") await run().catch(() => {});
    running = false;
    if (!signal.aborted) timer = setTimeout(turn, everyMs);
  };
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  void turn();
  desk.paint(() => {
    const back = desk.usable && !usable;
    usable = desk.usable;
    if (back && !running) void turn();
  }, signal);
}

/** The way back to Settings, from the views that it leads to. */
export const back = () => h("a", { class: "back", href: "#/settings" }, icon("left"), t("nav.settings"));

/**
 * Several answers, of which one is taken.
 * @param {string} name
 * @param {string} title
 * @param {[string, string][]} answers
 * @param {string} taken
 * @param {() => void} [changed]
 */
export function choice(name, title, answers, taken, changed = () => {}) {
  const group = `${name}${controls++}`;
  const element = h("fieldset", { class: "choices" }, h("legend", null, title), answers.map(([value, words]) =>
    h("label", null, h("input", { type: "radio", name: group, value, checked: value === taken, "data-here": true, onchange: changed }), words)));
  const value = () => element.querySelector("input:checked")?.getAttribute("value") ?? taken;
  return { element, value };
}

/** A new PIN, readable: it is told to somebody. */
export function pinField() {
  const input = h("input", { inputmode: "numeric", pattern: "[0-9]{6,12}", minlength: 6, maxlength: 12, autocomplete: "off", title: t("pin.hint") });
  return { input, parent: field(t("pin.new"), input, t("pin.hint")) };
}

/**
 * A view that the first paint does not wait for. Its modules are fetched at once, with all others; they run when it is opened.
 * @param {() => Promise<(signal: AbortSignal) => HTMLElement>} load
 * @returns {(signal: AbortSignal) => HTMLElement}
 */
export function later(load) {
  /** @type {((signal: AbortSignal) => HTMLElement) | null} */
  let view = null;
  return (signal) => {
    if (view) return view(signal);
    const place = h("div", { class: "through" });
    load().then((loaded) => {
      view = loaded;
      if (signal.aborted) return;
      place.append(view(signal));
      desk.changed();
    }, () => desk.notify(t("away.unread")));
    return place;
  };
}
