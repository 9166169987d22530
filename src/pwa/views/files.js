// The show as a file: out, and in after a look at what would change.

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { section, would } from "./parts.js";

/** @import { ListChanges } from "../core/types.js" */

export function files() {
  const plan = h("div", { class: "stack" });
  const chooser = h("input", { type: "file", accept: ".json,application/json", class: "unseen", id: "import", onchange: async () => {
    const file = chooser.files?.[0];
    chooser.value = "";
    if (file) await consider(await file.text(), plan);
  } });
  return section(t("files.title"), h("p", { class: "quiet" }, t("files.about")),
    h("div", { class: "row" }, h("button", { type: "button", onclick: exportShow }, t("files.export")),
      chooser, h("label", { for: "import", class: "button" }, t("files.import"))), plan);
}

async function exportShow() {
  const response = await desk.ask(api.call("GET", "/export"));
  if (!response?.ok) return;
  const url = URL.createObjectURL(await response.blob());
  const project = desk.projects?.activeId ?? "show";
  h("a", { href: url, download: `${project}-${new Date().toISOString().slice(0, 10)}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * Shows what an import would change, and offers it.
 * @param {string} raw
 * @param {HTMLElement} plan
 */
async function consider(raw, plan) {
  /** @type {"merge" | "replace"} */
  let mode = "merge";
  /** The show that the file was held against. */
  let seen = "";
  const changes = h("div", { role: "status" });
  const go = h("button", { type: "button", class: "main", disabled: true, onclick: async () => {
    const done = await desk.ask(api.json("POST", `/import?mode=${mode}`, { raw, match: seen, patience: 60_000 }), t("files.done"));
    if (!done) return void look(); // it may be another show by now
    plan.replaceChildren();
    void desk.loadScenes();
  } }, t("files.apply"));
  /** What is shown is what the button does: until it is known, the button does nothing. */
  const look = async () => {
    const looked = mode;
    go.disabled = true;
    /** @type {ReturnType<typeof api.tagged<{ changes: Record<string, ListChanges> }>>} */
    const asked = api.tagged("POST", `/import?mode=${mode}&dryRun=1`, { raw });
    const dry = await desk.ask(asked);
    if (looked !== mode) return true;
    if (dry) changes.replaceChildren(would(dry.value.changes));
    seen = dry?.tag ?? "";
    go.disabled = !dry || Object.keys(dry.value.changes).length === 0;
    return dry !== null;
  };
  const choice = (/** @type {"merge" | "replace"} */ value) => h("label", { class: "check" },
    h("input", { type: "radio", name: "mode", checked: value === mode, onchange: () => {
      mode = value;
      void look();
    } }), t(`files.${value}`));
  if (!(await look())) return plan.replaceChildren();
  plan.replaceChildren(
    h("fieldset", { class: "stack" }, h("legend", null, t("files.mode")), choice("merge"), choice("replace")), changes,
    h("div", { class: "row" }, go, h("button", { type: "button", onclick: () => plan.replaceChildren() }, t("cancel"))));
}
