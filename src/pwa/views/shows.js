// Projects: which show is in use, what is known about it, its backups and its file.

import { h } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { backups } from "./backups.js";
import { files } from "./files.js";
import { projectList, projectForm } from "./projects.js";
import { section } from "./parts.js";

/** @param {AbortSignal} signal */
export function shows(signal) {
  const page = h("div", { class: "page columns" });
  const title = h("h1", { class: "unseen" }, t("shows.title"));
  const off = section(t("shows.off.title"), h("p", null, t("shows.off")), h("pre", null, "[projects]\nenabled = true"));
  /** @type {string | null | undefined} What the page was made for. */
  let made;
  let within = new AbortController();
  const make = (/** @type {string | null | undefined} */ active) => {
    within.abort();
    within = new AbortController();
    const inside = within.signal;
    if (active === undefined) return page.replaceChildren(title, h("p", { class: "quiet" }, t("loading")));
    page.replaceChildren(title, ...(active === null
      ? [off, files()]
      : [h("div", { class: "stack" }, projectList(inside), backups(active, inside)), h("div", { class: "stack" }, projectForm(active, inside), files())]));
  };
  signal.addEventListener("abort", () => within.abort(), { once: true });
  void desk.loadProjects();
  desk.paint(() => {
    const active = desk.projects === undefined ? undefined : (desk.projects?.activeId ?? null);
    if (page.firstChild && made === active) return;
    made = active;
    make(active);
  }, signal);
  return page;
}
