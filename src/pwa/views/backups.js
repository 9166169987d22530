// Backups of the project in use: make one and see it happen, and go back to one, knowing what that changes.

import * as api from "../core/api.js";
import { h, keep, mark, say } from "../core/dom.js";
import { moment, percent, size, t } from "../core/words.js";
import { desk } from "../desk.js";
import { field, section } from "./parts.js";

/** @import { BackupStatus, Scene, Version } from "../core/types.js" */

const WATCH_MS = 300;
const PATIENCE_MS = 600_000;

/** Names that a list of changes has at the most; the rest is counted by an ellipsis. */
const NAMES = 8;

/**
 * @param {string} project
 * @param {AbortSignal} signal
 */
export function backups(project, signal) {
  const base = `/projects/${encodeURIComponent(project)}`;
  const list = h("ul", { class: "plain list" });
  const body = h("div", { class: "stack" }, h("p", { class: "quiet" }, t("loading")));
  const panel = section(t("backups.title"), body);
  const work = h("div", { class: "work", role: "status", hidden: true }, h("p", null), h("progress", { max: 1 }));
  const none = h("p", { class: "quiet", hidden: true }, t("backups.none"));

  const load = async () => {
    const about = await desk.about(signal);
    if (signal.aborted || !about) return;
    if (!about.backups) {
      body.replaceChildren(h("p", null, t("backups.off")), h("pre", null, "[backup]\nenabled = true"));
      return;
    }
    const response = await desk.ask(api.call("GET", `${base}/backups`, { signal }), null);
    if (signal.aborted || !response) return;
    if (!response.ok) {
      body.replaceChildren(h("p", null, t("failed", { why: (await response.json()).detail })));
      return;
    }
    /** @type {{ versions: Version[] }} */
    const { versions } = await response.json();
    keep(list, versions, ({ versionId }) => versionId, (version) => row(version, base, watch), () => {});
    none.hidden = versions.length > 0;
    if (!work.isConnected) body.replaceChildren(form(base, watch), work, none, list);
  };

  /**
   * Shows how a job fares until it has ended.
   * @param {Promise<unknown>} job
   * @param {string} done
   */
  const watch = async (job, done) => {
    work.hidden = false;
    const timer = setInterval(async () => {
      const status = await desk.ask(/** @type {Promise<BackupStatus>} */ (api.json("GET", `${base}/backups/status`, { signal })), null);
      if (status) paintWork(work, status);
    }, WATCH_MS);
    paintWork(work, { running: true, phase: null, bytesDone: 0, bytesTotal: 0, lastError: null });
    await desk.ask(job, done);
    clearInterval(timer);
    work.hidden = true;
    void load();
    void desk.loadScenes();
  };
  void load();
  return panel;
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
  return h("form", { class: "fields", onsubmit: make }, field(t("backups.label"), label), go);
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
  const open = h("button", { type: "button", "aria-expanded": "false", "aria-label": t("backups.restore.label", { when }), onclick: ask }, t("backups.restore"));
  function close() {
    asking.hidden = true;
    mark(open, "aria-expanded", "false");
  }
  function ask() {
    if (!asking.hidden) return close();
    const name = desk.projects?.projects.find(({ id }) => id === desk.projects?.activeId)?.name ?? "";
    const changes = h("div", { class: "quiet" }, h("p", null, t("backups.change.looking")));
    const restore = () => {
      close();
      void watch(api.json("POST", `${base}/restore`, { body: { versionId: version.versionId }, patience: PATIENCE_MS }), t("backups.restored"));
    };
    asking.replaceChildren(h("p", null, t("backups.warning", { name, when })), changes, h("div", { class: "row" },
      h("button", { type: "button", class: "danger", onclick: restore }, t("backups.restore.sure")),
      h("button", { type: "button", onclick: close }, t("cancel"))));
    asking.hidden = false;
    mark(open, "aria-expanded", "true");
    void describe(version, base).then((lines) => changes.replaceChildren(...lines.map((line) => h("p", null, line))));
  }
  return h("li", { class: "item" },
    h("div", { class: "what" }, h("strong", null, when), h("span", { class: "quiet meta" }, [version.label, ...facts].filter(Boolean).join(" · "))),
    open, asking);
}

/**
 * What a restore would change in the looks, as far as the version can be read here.
 * @param {Version} version
 * @param {string} base
 */
async function describe({ versionId, encrypted }, base) {
  if (encrypted) return [t("backups.change.sealed")];
  try {
    const response = await api.call("GET", `${base}/backups/${encodeURIComponent(versionId)}`);
    /** @type {{ scenes?: Scene[] | null }} */
    const { scenes } = await response.json();
    return compare(desk.scenes, scenes ?? []);
  } catch {
    return [t("backups.change.sealed")];
  }
}

/**
 * @param {readonly Scene[]} now
 * @param {readonly Scene[]} then
 */
function compare(now, then) {
  const [here, there] = [now, then].map((list) => new Map(list.map((scene) => [scene.id, scene])));
  const come = then.filter(({ id }) => !here?.has(id));
  const go = now.filter(({ id }) => !there?.has(id));
  const other = then.filter((scene) => here?.has(scene.id) && JSON.stringify(here.get(scene.id)) !== JSON.stringify(scene));
  const line = (/** @type {string} */ key, /** @type {readonly Scene[]} */ list) =>
    list.length ? [t(key, { names: list.slice(0, NAMES).map(({ name }) => name).join(", ") + (list.length > NAMES ? ", …" : "") })] : [];
  const lines = [...line("backups.change.come", come), ...line("backups.change.go", go), ...line("backups.change.differ", other)];
  return lines.length ? lines : [t("backups.change.none")];
}
