// The show as a file: export it, and import one after seeing what would change.

import * as api from "../core/api.js";
import { h, reveal } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk, detail, why } from "../desk.js";
import { section, would } from "./parts.js";

/** @import { ListChanges } from "../core/types.js" */

/** Why a file is not a project file, by the status of the refusal. */
const KNOWN = /** @type {const} */ ({ 400: "unread", 413: "large", 422: "strange" });

/** @param {() => void} then Called after an import: what was there may be a backup now. */
export function files(then) {
  const plan = h("div", { class: "stack" });
  const chooser = h("input", { "data-needs": "projects", type: "file", accept: ".json,application/json", class: "unseen", id: "import", onchange: async () => {
    const file = chooser.files?.[0];
    chooser.value = "";
    if (file) await consider(await file.text(), plan, then);
  } });
  return section(t("files.title"), h("p", { class: "quiet" }, t("files.about")),
    h("div", { class: "row" }, h("button", { type: "button", onclick: exportShow }, t("files.export")),
      chooser, h("label", { for: "import", class: "button", "data-needs": "projects" }, t("files.import"))), plan);
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
 * @param {() => void} then
 */
async function consider(raw, plan, then) {
  desk.notify(""); // of the previous file
  plan.replaceChildren();
  // Anything can be added to what is there; to replace the show, a file has to be one.
  const refusal = await refused(api.json("POST", "/import?mode=replace&dryRun=1", { raw }));
  if (refusal) {
    plan.replaceChildren(refusal);
    return reveal(plan);
  }
  /** @type {"merge" | "replace"} */
  let mode = "merge";
  /** The tag of the show that the file was compared with. */
  let seen = "";
  const changes = h("div", { role: "status" });
  const go = h("button", { type: "button", class: "main", disabled: true, onclick: async () => {
    /** @type {Promise<{ notKept?: string }>} */
    const asked = api.json("POST", `/import?mode=${mode}`, { raw, match: seen, patience: 60_000 });
    const done = await desk.ask(asked);
    if (!done) return void look(); // it may be another show by now
    desk.notify(t(done.notKept ? "files.notKept" : "files.done"), done.notKept);
    plan.replaceChildren();
    void desk.loadScenes();
    then();
  } }, t("files.apply"));
  /** The button does what is shown: until that is known, it does nothing. */
  const look = async () => {
    const looked = mode;
    go.disabled = true;
    /** @type {ReturnType<typeof api.tagged<{ changes: Record<string, ListChanges> }>>} */
    const asked = api.tagged("POST", `/import?mode=${mode}&dryRun=1`, { raw });
    const dry = await asked.catch((error) => {
      desk.notify(t("failed", { why: why(error) }), detail(error)); // or the earlier words would stay
      return null;
    });
    if (looked !== mode) return true;
    if (dry) changes.replaceChildren(would(dry.value.changes));
    if (plan.firstChild) reveal(plan);
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
    h("div", { class: "row answers" }, go, h("button", { type: "button", "data-here": true, onclick: () => plan.replaceChildren() }, t("cancel"))));
  reveal(plan);
}

/**
 * Why the appliance rejects a file, in people's words; its own are in the details. Null: it accepts it, or something else is wrong
 * and will be reported.
 * @param {Promise<unknown>} asked
 */
async function refused(asked) {
  const error = await asked.then(() => null, (reason) => reason);
  if (!(error instanceof api.Refused) || !(error.status in KNOWN)) return null;
  const known = KNOWN[/** @type {keyof typeof KNOWN} */ (error.status)];
  return h("div", { class: "stack", role: "alert" }, h("p", { class: "wrong" }, t(`files.${known}`)),
    h("details", null, h("summary", { class: "quiet" }, t("problem.detail")), h("p", { class: "quiet detail", lang: "en" }, error.message)));
}
