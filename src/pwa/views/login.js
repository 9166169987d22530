// Logging in where nobody has to: an open appliance, or a role that may do more.

import { h } from "../core/dom.js";
import { t } from "../core/words.js";
import { loginForm } from "../elements/login.js";
import { back, section } from "./parts.js";

/** @param {AbortSignal} _ */
export function login(_) {
  return h("div", { class: "page narrow" }, back(), section(t("login.title"), loginForm(() => (location.hash = "#/settings"))));
}
