// The list of projects, a new one, and details of the active one.

import * as api from "../core/api.js";
import { h, keep, mark, say } from "../core/dom.js";
import { beginning, moment, t } from "../core/words.js";
import { desk } from "../desk.js";
import { beside, field, section, sure } from "./parts.js";

/** @import { Project } from "../core/types.js" */

const path = (/** @type {string} */ id) => `/projects/${encodeURIComponent(id)}`;

/**
 * @param {(id: string) => void} show Shows the details of a project.
 * @param {AbortSignal} signal
 */
export function projectList(show, signal) {
  const list = h("ul", { class: "plain list" });
  /** @type {unknown} */
  let known = null;
  const template = h("select", null);
  desk.paint(() => {
    if (known === desk.projects || !desk.projects) return;
    known = desk.projects;
    const { activeId, projects } = desk.projects;
    keep(list, projects, ({ id }) => id, (project) => row(project, show), (element, project) => paintRow(element, project, project.id === activeId));
    template.replaceChildren(h("option", { value: "" }, t("shows.new.empty")),
      ...projects.map(({ id, name }) => h("option", { value: id }, t("shows.new.copy", { name }))));
  }, signal);
  return section(t("shows.title"), list, h("details", { "data-needs": "projects" }, h("summary", null, t("shows.new")), newProject(template)));
}

/** @param {HTMLSelectElement} template */
function newProject(template) {
  const name = h("input", { required: true, maxlength: 120, autocomplete: "off" });
  const create = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const body = { name: name.value.trim(), ...(template.value ? { templateId: template.value } : {}) };
    if (!(await desk.ask(api.json("POST", "/projects", { body }), t("shows.created", { name: body.name })))) return;
    name.value = "";
    void desk.loadProjects();
  };
  return h("form", { class: "stack", onsubmit: create }, field(t("shows.new.name"), name), field(t("shows.new.template"), template),
    h("button", { type: "submit", class: "main" }, t("shows.create")));
}

/**
 * @param {Project} project
 * @param {(id: string) => void} show
 */
function row({ id, name }, show) {
  const then = async (/** @type {Promise<unknown>} */ asked) => {
    await desk.ask(asked);
    void desk.loadProjects();
  };
  return h("li", { class: "item" },
    h("div", { class: "what" }, h("div", null, h("strong", null), " ", h("span", { class: "on" }, t("shows.active"))), h("span", { class: "quiet meta" })),
    h("div", { class: "row" }, h("button", { type: "button", "aria-label": t("shows.about.label", { name }), "data-here": true, onclick: () => show(id) }, t("shows.about")),
    sure(t("shows.select"), t("shows.select.sure"), () => then(api.json("POST", `${path(id)}/select`)), { "aria-label": t("shows.select.label", { name }), "data-needs": "projects" }),
    sure(t("shows.delete"), t("shows.delete.sure"), () => then(api.json("DELETE", path(id))), { "aria-label": t("shows.delete.label", { name }), "data-needs": "projects" })));
}

/**
 * @param {HTMLElement} element
 * @param {Project} project
 * @param {boolean} active
 */
function paintRow(element, project, active) {
  const what = /** @type {Element} */ (element.firstElementChild);
  say(/** @type {Element} */ (what.querySelector("strong")), project.name);
  const since = project.updatedAt ? t("shows.since", { when: moment(project.updatedAt) }) : "";
  say(/** @type {Element} */ (what.lastElementChild), [beginning(project.venue ?? ""), beginning(project.eventDate ?? ""), since].filter(Boolean).join(" · "));
  mark(element, "data-on", active ? "" : null);
  const [, ...others] = element.querySelectorAll("button");
  for (const button of others) button.hidden = active; // the active one can be neither opened nor deleted
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 */
export function projectForm(id, signal) {
  const mine = () => desk.projects?.projects.find((other) => other.id === id);
  const project = mine();
  const name = h("input", { required: true, maxlength: 120, autocomplete: "off", value: project?.name ?? "" });
  const venue = h("input", { maxlength: 2000, autocomplete: "off", value: project?.venue ?? "" });
  const date = h("input", { type: /^(\d{4}-\d\d-\d\d)?$/.test(project?.eventDate ?? "") ? "date" : "text", value: project?.eventDate ?? "" });
  const notes = h("textarea", { rows: 3, maxlength: 2000 }, project?.notes ?? "");
  const fields = /** @type {const} */ ([["name", name], ["venue", venue], ["eventDate", date], ["notes", notes]]);
  /** The values as read: only what was changed here is sent, since others may have changed the rest. @type {Record<string, string>} */
  const read = Object.fromEntries(fields.map(([key]) => [key, project?.[key] ?? ""]));
  const changed = () => fields.filter(([key, field]) => field.value.trim() !== (read[key] ?? "").trim());
  const save = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const body = Object.fromEntries(changed().map(([key, field]) => [key, field.value.trim()]));
    const before = { ...read };
    await desk.loadProjects();
    const now = mine();
    const theirs = now && Object.keys(body).filter((key) => (now[/** @type {keyof Project} */ (key)] ?? "") !== before[key]);
    for (const [, field] of fields) beside(field, "");
    if (now && theirs?.length) {
      // seen now: saving once more is deliberate
      for (const [key] of fields) read[key] = now[key] ?? "";
      for (const [key, field] of fields) if (theirs.includes(key)) compare(field, now[key] ?? "");
      const list = theirs.map((key) => `“${now[/** @type {keyof Project} */ (key)] ?? ""}”`).join(", ");
      return desk.notify(t("changed.project", { list }));
    }
    const put = api.json("PUT", path(id), { body, match: desk.projectsTag });
    const saved = await desk.ask(/** @type {Promise<Project>} */ (put), t("shows.saved"));
    if (saved) for (const key of Object.keys(body)) read[key] = body[key] ?? "";
    void desk.loadProjects();
  };
  /**
   * @param {HTMLInputElement | HTMLTextAreaElement} field Keeps the typed text.
   * @param {string} value The other person's value.
   */
  const compare = (field, value) => beside(field, t("changed.theirs", { value }), h("button", { type: "button", class: "small", "data-here": true, onclick: () => {
    field.value = value;
    beside(field, "");
  } }, t("changed.take")));
  desk.paint(() => {
    const now = mine();
    if (!now) return;
    const mineToo = new Set(changed().map(([key]) => key));
    for (const [key, field] of fields) {
      const known = now[key] ?? "";
      if (read[key] === known || mineToo.has(key)) continue;
      read[key] = field.value = known;
    }
  }, signal);
  return section(t("shows.details", { name: project?.name ?? "" }), h("form", { class: "stack", onsubmit: save },
    field(t("shows.name"), name), h("div", { class: "fields" }, field(t("shows.venue"), venue), field(t("shows.date"), date)),
    field(t("shows.notes"), notes), h("button", { type: "submit", "data-needs": "projects" }, t("shows.save"))));
}
