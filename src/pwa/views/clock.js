// The time of a box that has no time server: whoever has it may tell it.

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { moment, t } from "../core/words.js";
import { desk } from "../desk.js";

/** Off by more than this it is worth a word: backups and certificates go by days. */
const OFF_MS = 60_000;

/** @param {AbortSignal} signal */
export function clock(signal) {
  const place = h("div", { class: "stack", id: "clock", hidden: true });
  const load = async () => {
    const found = await desk.ask(/** @type {Promise<{ now: number, sure: boolean }>} */ (api.json("GET", "/clock", { signal })), null);
    if (!found || signal.aborted) return;
    place.hidden = found.sure || Math.abs(found.now - Date.now()) < OFF_MS;
    place.replaceChildren(h("p", null, t("clock.off", { time: moment(found.now) })),
      desk.may("projects") ? h("button", { type: "button", onclick: tell }, t("clock.tell")) : "");
  };
  const tell = async () => {
    if (await desk.ask(api.json("POST", "/clock", { body: { now: Date.now() } }), t("clock.told"))) await load();
  };
  void load();
  return place;
}
