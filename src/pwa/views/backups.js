// Backups of the active project: make one and watch it, and go back to one, knowing what that changes.

import * as api from "../core/api.js";
import { h, keep, mark, reveal, say } from "../core/dom.js";
import { beginning, moment, percent, size, t } from "../core/words.js";
import { desk, detail, why } from "../desk.js";
import { field, poll, section, switchOn, would } from "./parts.js";

/** @import { BackupStatus, RestoreDryRun, Version } from "../core/types.js" */

const EVERY_MS = 15_000;
const WATCH_MS = 300;
const PATIENCE_MS = 600_000;

/**
 * @param {string} project
 * @param {AbortSignal} signal
 * @returns {{ panel: HTMLElement, load: () => Promise<void> }} `load` refreshes the list.
 */
export function backups(project, signal) {
  const base = `/projects/${encodeURIComponent(project)}`;
  const list = h("ul", { class: "plain list" });
  const waiting = h("p", { class: "quiet" }, t("loading"));
  const body = h("div", { class: "stack" }, waiting);
  const panel = section(t("backups.title"), body);
  const work = h("div", { class: "work", role: "status", hidden: true }, h("p", null), h("progress", { max: 1 }));
  const none = h("p", { class: "quiet", hidden: true }, t("backups.none"));

  const load = async () => {
    const about = await desk.about(signal);
    if (signal.aborted || !about) return;
    if (!about.backups) {
      body.replaceChildren(h("p", null, t("backups.off")), switchOn("backup"), h("p", { class: "quiet" }, t("backups.off.kept")));
      return;
    }
    const response = await desk.ask(api.call("GET", `${base}/backups`, { signal }), null);
    if (signal.aborted || !response) return;
    if (!response.ok && list.isConnected) return; // what is known is better than a passing fault
    if (!response.ok) {
      const error = new api.Refused(response.status, (await response.json().catch(() => ({}))).detail ?? "");
      body.replaceChildren(h("p", null, t("failed", { why: why(error) })), h("p", { class: "quiet detail", lang: "en" }, detail(error)));
      return;
    }
    /** @type {{ versions: Version[] }} */
    const { versions } = await response.json();
    keep(list, versions, ({ versionId }) => versionId, (version) => row(version, base, watch), () => {});
    none.hidden = versions.length > 0;
    if (!work.isConnected) body.replaceChildren(form(base, watch), work, none, list);
  };

  /**
   * Shows the progress of a job until it has ended.
   * @param {Promise<unknown>} job
   * @param {string} done
   */
  const watch = async (job, done) => {
    work.hidden = false;
    const follow = async () => {
      const status = await desk.ask(/** @type {Promise<BackupStatus>} */ (api.json("GET", `${base}/backups/status`, { signal })), null);
      if (status) paintWork(work, status);
    };
    const timer = setInterval(follow, WATCH_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    paintWork(work, { running: true, phase: null, bytesDone: 0, bytesTotal: 0, lastError: null });
    await desk.ask(job, done);
    clearInterval(timer);
    work.hidden = true;
    void load();
    void desk.loadScenes();
  };
  desk.paint(() => say(waiting, t(desk.standing.kind === "lost" ? "away.unread" : "loading")), signal);
  poll(load, EVERY_MS, signal); // the schedule and other tablets make some too
  return { panel, load };
}

/** @typedef {(job: Promise<unknown>, done: string) => Promise<void>} Watch */

/**
 * @param {string} base
 * @param {Watch} watch
 */
function form(base, watch) {
  const label = h("input", { maxlength: 200, autocomplete: "off" });
  const go = h("button", { type: "submit", class: "main" }, t("backups.now"));
  const make = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    go.disabled = true;
    const body = label.value.trim() ? { label: label.value.trim() } : {};
    await watch(api.json("POST", `${base}/backups`, { body, patience: PATIENCE_MS }), t("backups.made"));
    label.value = "";
    go.disabled = false;
  };
  return h("form", { class: "fields", "data-needs": "backups", onsubmit: make }, field(t("backups.label"), label), go);
}

/**
 * @param {HTMLElement} work
 * @param {BackupStatus} status
 */
function paintWork(work, { phase, bytesDone, bytesTotal }) {
  const bar = /** @type {HTMLProgressElement} */ (work.lastElementChild);
  const share = bytesTotal > 0 ? bytesDone / bytesTotal : null;
  say(/** @type {Element} */ (work.firstElementChild), t(`backups.phase.${phase}`) + (share === null ? "" : ` ${percent(share)}`));
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

/**
 * @param {Version} version
 * @param {string} base
 * @param {Watch} watch
 */
function row(version, base, watch) {
  const when = moment(version.createdAt);
  const facts = [size(version.size), t(`backups.${version.provider}`), t(version.encrypted ? "backups.sealed" : "backups.open")];
  const asking = h("div", { class: "editor", hidden: true });
  const open = h("button", { type: "button", "aria-expanded": "false", "data-needs": "restore", "aria-label": t("backups.restore.label", { when }), onclick: ask }, t("backups.restore"));
  function close() {
    asking.hidden = true;
    mark(open, "aria-expanded", "false");
  }
  function ask() {
    if (!asking.hidden) return close();
    const name = desk.projects?.projects.find(({ id }) => id === desk.projects?.activeId)?.name;
    const warning = name === undefined ? t("backups.alone", { when }) : t("backups.warning", { name, when });
    const changes = h("div", { class: "quiet", role: "status" }, h("p", null, t("change.looking")));
    const body = { versionId: version.versionId };
    const restore = () => {
      close();
      // After the look, which has the one turn: people in a hurry need not wait for it, nor learn that something is in the way.
      void watch(looking.then(() => api.json("POST", `${base}/restore`, { body, patience: PATIENCE_MS })), t("backups.restored"));
    };
    const look = async () => {
      /** @type {Promise<RestoreDryRun>} */
      const asked = api.json("POST", `${base}/restore?dryRun=1`, { body, patience: PATIENCE_MS });
      const dry = await desk.ask(asked);
      if (!dry) return close(); // the restore would fail for the same reason, which was shown
      const hidden = dry.universesLeftOut?.join(", ");
      changes.replaceChildren(would(dry.changes, dry.channels), hidden ? h("p", null, t("backups.leftout", { list: hidden })) : "");
      reveal(asking);
    };
    const looking = look();
    asking.replaceChildren(h("p", null, warning), changes, h("div", { class: "row answers" },
      h("button", { type: "button", class: "danger", onclick: restore }, t("backups.restore.sure")),
      h("button", { type: "button", "data-here": true, onclick: close }, t("cancel"))));
    asking.hidden = false;
    reveal(asking);
    mark(open, "aria-expanded", "true");
  }
  return h("li", { class: "item" },
    h("div", { class: "what" }, h("strong", null, when), h("span", { class: "quiet meta" }, [beginning(version.label ?? ""), ...facts].filter(Boolean).join(" · "))),
    open, asking);
}
