// ULIDs, by getRandomValues: on plain http there is no crypto.randomUUID.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * @param {number} [now] Unix milliseconds
 * @param {(bytes: Uint8Array<ArrayBuffer>) => Uint8Array} [fill]
 */
export function ulid(now = Date.now(), fill = (bytes) => crypto.getRandomValues(bytes)) {
  let time = "";
  for (let rest = Math.max(0, now), n = 0; n < 10; n++, rest = Math.floor(rest / 32)) time = ALPHABET[rest % 32] + time;
  let chance = "";
  for (const byte of fill(new Uint8Array(16))) chance += ALPHABET[byte & 31];
  return time + chance;
}
