// What this device remembers. If storage is forbidden or full, it is remembered for this page only.

/** @type {Map<string, string>} */
const memory = new Map();

/**
 * @param {string} name
 * @param {string} fallback
 */
export function read(name, fallback) {
  const kept = memory.get(name);
  if (kept !== undefined) return kept;
  try {
    return localStorage.getItem(`dmxd.${name}`) ?? fallback;
  } catch {
    return fallback;
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
export function write(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(`dmxd.${name}`, value);
  } catch {
    // for this page only
  }
}

/**
 * A list of texts; a damaged value is no list.
 * @param {string} name
 * @returns {string[]}
 */
export function readList(name) {
  try {
    const list = JSON.parse(read(name, "[]"));
    return Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
  } catch {
    return [];
  }
}

/** Part of an id that programs read: a short name made safe. Names in other scripts become a number. */
export function slug(/** @type {string} */ name) {
  const plain = name.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const safe = plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 40);
  return safe || `app-${[...name].reduce((sum, sign) => (sum * 31 + (sign.codePointAt(0) ?? 0)) % 46656, 7).toString(36)}`;
}
