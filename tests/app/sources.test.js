// The app's sources as a whole: nothing from elsewhere, and everything that a style sheet names exists.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const root = new URL("../../src/pwa/", import.meta.url).pathname;
const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(html|css|js|svg|json|webmanifest)$/.test(name))
  .map((name) => ({ name, text: readFileSync(join(root, name), "utf8") }));

/** Names that stand for an XML language and are never fetched. */
const NAMESPACES = /https?:\/\/www\.w3\.org\/(1999|2000)\/[\w/]+/g;

test("nothing comes from another server: a stage has no internet", () => {
  assert.ok(sources.length > 3, "the sources are here");
  for (const { name, text } of sources) {
    assert.doesNotMatch(text.replace(NAMESPACES, ""), /(["'(]|src=|href=)\s*(https?:)?\/\/[a-z0-9]/i, name);
  }
});

test("every file that a style sheet names is there", () => {
  for (const { name, text } of sources.filter(({ name }) => name.endsWith(".css"))) {
    for (const [, named] of text.matchAll(/(?:url\(|@import )["']?([^"')]+)/g)) {
      const path = named.startsWith("/") ? join(root, named) : join(root, dirname(name), named);
      assert.ok(named.startsWith("data:") || existsSync(path), `${name}: ${named}`);
    }
  }
});
