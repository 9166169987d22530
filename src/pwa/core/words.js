// Every word that people read, from lang/<language>.json, and nowhere else in the app.

/** The languages, by their own names. */
export const LANGUAGES = { en: "English", cs: "Čeština" };

/** @typedef {keyof typeof LANGUAGES} Language */

/** Characters of other people's text in a line of facts. */
const LONGEST = 80;

/** @type {Record<string, string>} */
let words = {};
/** @type {Language} */
let language = "en";
let plural = new Intl.PluralRules("en");
/** Numbers and times as people here write them: British English is not American. */
let locale = "en";

/**
 * @param {Language} next
 * @param {Record<string, string>} texts
 */
export function use(next, texts) {
  words = texts;
  language = next;
  percents = null;
  plural = new Intl.PluralRules(next);
  locale = navigator.languages?.find((known) => known.startsWith(next)) ?? next;
}

/** @returns {Language} */
export const inUse = () => language;

/**
 * The text of a key, `{name}` replaced. A missing key is shown as it is, but the test of the languages finds it first.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * A text with a count: `key.one`, `key.few`, `key.many`, `key.other`.
 * @param {string} key
 * @param {number} n
 * @param {Record<string, string | number>} [values]
 */
export function count(key, n, values = {}) {
  const form = `${key}.${plural.select(n)}`;
  return t(form in words ? form : `${key}.other`, { n, ...values });
}

/**
 * The beginning of a text, where a whole page would push the rest away.
 * @param {string} text
 */
export const beginning = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST).trimEnd()}…` : text);

/** @param {string} key */
export const knows = (key) => key in words;

/**
 * A time that has passed, in its largest unit.
 * @param {number} ms
 */
export function age(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return t("age.s", { n: s });
  if (s < 7200) return t("age.min", { n: Math.round(s / 60) });
  if (s < 172800) return t("age.h", { n: Math.round(s / 3600) });
  return t("age.d", { n: Math.round(s / 86400) });
}

/**
 * A length of a fade.
 * @param {number} ms
 */
export function seconds(ms) {
  return t("time.s", { n: new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(ms / 1000) });
}

/** @param {number} ts Unix milliseconds */
export function moment(ts) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(ts);
}

/** @param {number} bytes */
export function size(bytes) {
  const [n, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  const style = /** @type {const} */ ({ style: "unit", maximumFractionDigits: 1, unitDisplay: "short" });
  return new Intl.NumberFormat(locale, { ...style, unit }).format(n);
}

/** Made once: a hundred tiles say their level in each frame of a fade. @type {Intl.NumberFormat | null} */
let percents = null;

/** @param {number} share 0..1 */
export function percent(share) {
  percents ??= new Intl.NumberFormat(locale, { style: "percent" });
  return percents.format(share);
}
