// Addresses that other devices can open. Pure.

/** Addresses that do not work from another machine. */
const LOOPBACK = /\/\/(localhost|127\.|\[::1)/;

/**
 * Of this page's own address and those that the appliance has, the ones that other devices can open; the page's own first, since it
 * certainly works.
 * @param {string} own
 * @param {readonly string[]} others
 */
export function reachable(own, others) {
  return [...new Set([own, ...others])].filter((address) => !LOOPBACK.test(address));
}

/**
 * The whole address of something on the appliance, as another device opens it.
 * @param {string} own
 * @param {readonly string[]} others
 * @param {string} path
 */
export function absolute(own, others, path) {
  return new URL(path, reachable(own, others)[0] ?? own).href;
}

/** Whether a page was opened on the appliance itself. @param {string} own */
export const isHere = (own) => LOOPBACK.test(own);

/**
 * Host and port of a broker, by its URL.
 * @param {string | undefined} url
 * @param {string} host If there is none.
 */
export function broker(url, host) {
  const [, name, port] = /^mqtts?:\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?/.exec(url ?? "") ?? [];
  return { host: name ?? host, port: Number(port ?? 1883) };
}
