// Who may do what here: the one place where the app knows it. The appliance has the last word, and its table is in
// http/routes; what a role may not do is not shown as doable. Pure.

/** @import { Me, Role } from "./types.js" */

/** Each has all rights of the one before. */
export const ROLES = /** @type {const} */ (["view", "operate", "edit", "admin"]);

/** The role that something needs. */
const NEEDS = /** @type {const} */ ({
  watch: "view", light: "operate", usb: "operate", looks: "edit", patch: "edit", projects: "edit", backups: "edit", panels: "edit", devices: "admin", restore: "admin",
  people: "admin",
});

/** @typedef {keyof typeof NEEDS} What */

/** Everything that needs a role. */
export const WHATS = /** @type {What[]} */ (Object.keys(NEEDS));

/** What an open appliance lets only somebody do whom it knows by name. @type {readonly string[]} */
const KNOWN = ["people", "devices"];

/**
 * @param {Role | null} role Null: nobody who is known here.
 * @param {What} what
 */
export function may(role, what) {
  return role !== null && role !== "device" && ROLES.indexOf(role) >= ROLES.indexOf(NEEDS[what]);
}

/**
 * The same for who asks: on an open appliance everybody is an admin, but only who has logged in manages people and keys.
 * @param {Me | null} me Null: the appliance has not said it yet; then nothing is held back that it would refuse anyway.
 * @param {What} what
 */
export function allowed(me, what) {
  if (me === null) return !KNOWN.includes(what);
  return may(me.role, what) && !(me.kind === "anonymous" && KNOWN.includes(what));
}

/** Whether anybody in the network may do everything. @param {Me | null} me */
export const isOpen = (me) => me?.mode === "audit";
