import assert from "node:assert/strict";
import { test } from "node:test";
import { ulid } from "../../src/pwa/core/ulid.js";

test("ULIDs are of their alphabet, carry the time, and differ", () => {
  const ids = Array.from({ length: 1000 }, () => ulid());
  assert.equal(new Set(ids).size, 1000);
  for (const id of ids) assert.match(id, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  assert.ok(ulid(1) < ulid(2) && ulid(2) < ulid(40));
  assert.equal(ulid(1469918176385).slice(0, 10), "01ARYZ6S41"); // the specification's example
  assert.match(ulid(2 ** 48 - 1), /^7ZZZZZZZZZ/);
});
