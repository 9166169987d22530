// Who this tablet is to the appliance: logging in and out, locking, opening. What is known of it is the desk's (`desk.me`).

import * as api from "./core/api.js";
import * as prefs from "./core/prefs.js";
import { age, t } from "./core/words.js";
import { desk, why } from "./desk.js";

/** @import { Locked } from "./core/types.js" */

/** A wait that short, in seconds, is for the turn of others. */
const BUSY_S = 1;

/** How often to ask again then. */
const TURNS = 20;

/** Who logged in here last: the name is offered again. */
export const lastName = () => prefs.read("user", "");

/**
 * @param {string} name
 * @param {string} secret
 * @returns {Promise<string>} Why not; empty: it worked.
 */
export async function logIn(name, secret) {
  let token;
  for (let turn = 1; token === undefined; turn++) {
    try {
      ({ token } = /** @type {{ token: string }} */ (await api.json("POST", "/login", { body: { name, secret }, own: true })));
    } catch (error) {
      // the box looks at one secret of a name at a time: with many tablets of one user it takes a turn or two
      const busy = error instanceof api.Refused && error.status === 429 && (error.after ?? 0) <= BUSY_S;
      if (!busy || turn > TURNS) return refusal(error, "login.wrong");
      await new Promise((go) => setTimeout(go, 1000 * Math.random()));
    }
  }
  prefs.write("user", name);
  desk.key = ""; // the cookie says who it is, and a key would overrule it
  await desk.loadMe();
  // who was here by https has a cookie that http may neither read nor replace (RFC 6265bis, 5.7)
  if (desk.me?.kind === "anonymous") {
    desk.key = token;
    await desk.loadMe();
  }
  return "";
}

/** Ends the login, and forgets the key. */
export async function logOut() {
  const done = await desk.ask(api.call("POST", "/logout").then(api.done), t("who.out"));
  if (!done) return;
  desk.key = "";
  await desk.loadMe();
}

/**
 * @param {object} body
 * @returns {Promise<Locked | string>} Why not, in words; or what was made.
 */
export async function lock(body) {
  try {
    const locked = await api.json("POST", "/lock", { body, own: true });
    await desk.loadMe();
    return /** @type {Locked} */ (locked);
  } catch (error) {
    return refusal(error, "lock.code.wrong");
  }
}

export async function unlock() {
  if (await desk.ask(api.call("POST", "/unlock").then(api.done), t("lock.opened"))) await desk.loadMe();
}

/**
 * Why a secret was not taken, in people's words.
 * @param {unknown} error
 * @param {string} wrong The key of the words for a wrong one.
 */
function refusal(error, wrong) {
  if (!(error instanceof api.Refused)) return why(error);
  if (error.status === 401) return t(wrong);
  if (error.status === 429) return t("login.wait", { wait: age((error.after ?? 1) * 1000) });
  return t("failed", { why: why(error) });
}
