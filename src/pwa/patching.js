// Edits of the patch: one after the other, each followed by what the patch has become.

import * as api from "./core/api.js";
import { ulid } from "./core/ulid.js";
import { desk, detail, why } from "./desk.js";
import { rig } from "./rig.js";

/** @import { Group } from "./core/types.js" */

/** @param {string} id */
const path = (id) => `/patch/fixtures/${encodeURIComponent(id)}`;

/** @typedef {{ words: string, detail: string }} Why Why not: in the app's words, and in the appliance's own English. */

/**
 * What a form orders: a refusal is for whoever shows it beside the form, where it stays until the next try.
 * @template T
 * @param {Promise<T>} asked
 * @param {string} [done]
 * @returns {Promise<{ made: T | null, why: Why | null }>}
 */
export async function attempt(asked, done = "") {
  desk.notify("");
  try {
    const made = await asked;
    if (done) desk.notify(done);
    return { made, why: null };
  } catch (error) {
    return { made: null, why: { words: why(error), detail: detail(error) } };
  } finally {
    await rig.load(true);
  }
}

/** Changes a fixture; what is given back says why not. @param {string} id @param {object} body @param {string} [done] */
export async function change(id, body, done = "") {
  return (await attempt(api.json("PATCH", path(id), { body }), done)).why;
}

/** @param {readonly string[]} ids */
export async function remove(ids) {
  for (const id of ids) if (!(await desk.ask(api.call("DELETE", path(id)).then(api.done)))) break;
  await rig.load(true);
}

/** Makes a group; its id, or null if there is none. @param {string} name @param {readonly string[]} [fixtures] */
export async function newGroup(name, fixtures = []) {
  const id = `group-${ulid().toLowerCase()}`;
  return (await groupsAre([...groups(), { id, name: freeName(name), fixtures }])) ? id : null;
}

/** @param {string} id @param {string} name */
export function renameGroup(id, name) {
  return groupsAre(groups().map((group) => (group.id === id ? { ...group, name } : group)));
}

/** @param {string} id */
export function dropGroup(id) {
  return groupsAre(groups().filter((group) => group.id !== id));
}

/** @param {string} group @param {readonly string[]} fixtures */
export function setMembers(group, fixtures) {
  return groupsAre(groups().map((one) => (one.id === group ? { ...one, fixtures } : one)));
}

const groups = () => rig.patch?.groups ?? [];

/** Of those that name no fixtures the members stay. @param {(Group & { fixtures?: readonly string[] })[]} list */
async function groupsAre(list) {
  const done = await desk.ask(api.json("PUT", "/patch/groups", { body: list }));
  await rig.load(true);
  return done !== null;
}

/** @param {string} name */
function freeName(name) {
  const taken = new Set(groups().map((group) => group.name));
  for (let n = 1; ; n++) {
    const wanted = n === 1 ? name : `${name} ${n}`;
    if (!taken.has(wanted)) return wanted;
  }
}
