// Projects: which one is active, its details, its backups and its file.

import { h, reveal, say } from "../core/dom.js";
import { t } from "../core/words.js";
import { desk } from "../desk.js";
import { backups } from "./backups.js";
import { files } from "./files.js";
import { projectList, projectForm } from "./projects.js";
import { section, switchOn } from "./parts.js";

/** The only project while they are switched off. */
const ONE = "default";

/** @param {AbortSignal} signal */
export function shows(signal) {
  const page = h("div", { class: "page columns" });
  const title = h("h1", { class: "unseen" }, t("shows.title"));
  const waiting = h("p", { class: "quiet" }, t("loading"));
  /** @type {string | null | undefined} The project that the page was made for. */
  let made;
  let within = new AbortController();
  const make = (/** @type {string | null | undefined} */ active) => {
    within.abort();
    within = new AbortController();
    const inside = within.signal;
    if (active === undefined) return page.replaceChildren(title, waiting);
    const kept = backups(active ?? ONE, inside);
    const file = files(() => void kept.load());
    const off = () => section(t("shows.off.title"), h("p", null, t("shows.off")), switchOn("projects"));
    if (active === null) return page.replaceChildren(title, h("div", { class: "stack" }, off(), file), h("div", { class: "stack" }, kept.panel));
    const about = h("div", null);
    let shown = new AbortController();
    inside.addEventListener("abort", () => shown.abort(), { once: true });
    let chosen = active;
    const show = (/** @type {string} */ id) => {
      chosen = id;
      shown.abort();
      shown = new AbortController();
      about.replaceChildren(projectForm(id, shown.signal));
    };
    const showHere = (/** @type {string} */ id) => {
      show(id);
      about.querySelector("input")?.focus();
      reveal(about);
    };
    show(active);
    desk.paint(() => {
      if (!desk.projects?.projects.some(({ id }) => id === chosen)) show(active); // it was deleted
    }, inside);
    page.replaceChildren(title, h("div", { class: "stack" }, projectList(showHere, inside), kept.panel), h("div", { class: "stack" }, about, file));
  };
  signal.addEventListener("abort", () => within.abort(), { once: true });
  void desk.loadProjects();
  desk.paint(() => {
    const active = desk.projects === undefined ? undefined : (desk.projects?.activeId ?? null);
    say(waiting, t(desk.standing.kind === "lost" ? "away.unread" : "loading"));
    if (page.firstChild && made === active) return;
    made = active;
    make(active);
  }, signal);
  return page;
}
