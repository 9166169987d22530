// REST, with the key, and refusals as data.

/** @import { About, Role } from "./types.js" */

/** The answer to a call that failed. `status` 0: the appliance is out of reach. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {{ path: string, msg: string }[]} [errors]
   * @param {{ needs?: Role, after?: number }} [more] `needs`: the role that is missing; `after`: how many seconds to wait.
   */
  constructor(status, detail, errors = [], { needs, after } = {}) {
    super(detail);
    this.status = status;
    this.errors = errors;
    this.needs = needs;
    this.after = after;
  }
}

/** A call that takes longer has failed, since a person waits. Backups set their own `patience`. */
const PATIENCE_MS = 10_000;

/**
 * @typedef {{ body?: unknown, raw?: string | Blob, match?: string, known?: string, signal?: AbortSignal, patience?: number, own?: boolean }} How
 * `match`: the tag of the document to edit; `known`: of the one known already; `own`: a 401 is about what is in the body.
 */

/** @type {() => string} */
let key = () => "";
/** @type {() => void} */
let onRefusedKey = () => {};

/**
 * @param {() => string} keyNow
 * @param {() => void} refused
 */
export function authorise(keyNow, refused) {
  key = keyNow;
  onRefusedKey = refused;
}

/**
 * Whether a key other than the one in use is one of the appliance's. Where none is required any key gets an answer, so the
 * answer contains it. Null: nobody has answered.
 * @param {string} other
 * @returns {Promise<boolean | null>}
 */
export async function opens(other) {
  let headers;
  try {
    headers = new Headers({ "x-api-key": other });
  } catch {
    return false; // not text that a header can hold
  }
  try {
    const answer = await fetch("/about", { headers, cache: "no-store" });
    if (answer.ok) return /** @type {About} */ (await answer.json()).keyKnown;
    return answer.status === 401 ? false : null;
  } catch {
    return null;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {How} [how]
 * @returns {Promise<Response>}
 */
export async function call(method, path, { body, raw, match, known, signal, patience = PATIENCE_MS, own = false } = {}) {
  const headers = new Headers();
  if (key()) headers.set("x-api-key", key());
  if (match) headers.set("if-match", match);
  if (known) headers.set("if-none-match", known);
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  if (payload !== undefined) headers.set("content-type", raw instanceof Blob ? "application/octet-stream" : "application/json");
  // By hand: tablets of 2023 lack AbortSignal.any.
  const end = new AbortController();
  const abort = () => end.abort();
  const timer = setTimeout(abort, patience);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  let response;
  try {
    response = await fetch(path, { method, headers, body: payload, signal: end.signal, cache: "no-store" });
  } catch {
    throw new Refused(0, "");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
  if (response.status === 401 && !own) onRefusedKey();
  return response;
}

/**
 * The JSON of a successful answer.
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {How & { also?: number[] }} [how] `also`: further statuses that count as success
 * @returns {Promise<T>}
 */
export async function json(method, path, how = {}) {
  return value(await call(method, path, how), how.also);
}

/**
 * A document with its tag; null: it is still the known one.
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {How} [how]
 * @returns {Promise<{ value: T, tag: string } | null>}
 */
export async function tagged(method, path, how = {}) {
  const response = await call(method, path, how);
  if (response.status === 304) return null;
  return { value: await value(response), tag: response.headers.get("etag") ?? "" };
}

/**
 * @param {Response} response
 * @param {number[]} [also]
 */
async function value(response, also) {
  if (response.ok || also?.includes(response.status)) return response.json();
  throw await refused(response);
}

/**
 * An answer without a body.
 * @param {Response} response
 */
export async function done(response) {
  if (!response.ok) throw await refused(response);
  return true;
}

/** @param {Response} response */
async function refused(response) {
  const problem = await response.json().catch(() => ({}));
  const after = Number(response.headers.get("retry-after")) || undefined;
  return new Refused(response.status, problem.detail ?? problem.title ?? String(response.status), problem.errors, { needs: problem.needs, after });
}
