import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const root = new URL("../../src/pwa/", import.meta.url).pathname;
const names = readdirSync(root, { recursive: true, encoding: "utf8", withFileTypes: true })
  .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length));
const html = readFileSync(join(root, "index.html"), "utf8");

test("every module that runs in the page is asked for at once", () => {
  const listed = [...html.matchAll(/modulepreload" href="\/([^"]+)"/g)].map(([, name]) => name);
  const modules = names.filter((name) => name.endsWith(".js") && !["app.js", "panel.js", "sw.js", "core/types.js"].includes(name));
  assert.deepEqual(listed.toSorted(), modules.toSorted());
});

test("everything that page and manifest name is there", () => {
  const manifest = JSON.parse(readFileSync(join(root, "manifest.webmanifest"), "utf8"));
  const named = [...html.matchAll(/(?:href|src)="\/([^"]+\.\w+)"/g)].map(([, name]) => name);
  const served = ["openapi.json"]; // by the appliance itself
  for (const name of [...named, ...manifest.icons.map(({ src }) => src.slice(1))]) {
    assert.ok(served.includes(name) || existsSync(join(root, name)), name);
  }
});

test("nothing stands in the page that its policy would block", () => {
  for (const inline of [/<script>/, /<style/, / style=/, / on\w+=/, /javascript:/, /https?:\/\//]) assert.doesNotMatch(html, inline);
});

test("the shell is 150 kB at the most, packed, in either language", () => {
  // a tablet shows one language, and guests' panels are a page of their own
  const served = names.filter((name) => !name.endsWith("types.js")); // http/assets/kind.rs
  const shell = (language) => served.filter((name) => !name.startsWith("lang/") || name === `lang/${language}.json`).filter((name) => !/(^|\/)panel\.\w+$/.test(name));
  const packed = Math.max(...["en", "cs"].map((language) => shell(language).reduce((sum, name) => {
    const bytes = readFileSync(join(root, name));
    return sum + (name.endsWith(".png") ? bytes.length : gzipSync(bytes, { level: 9 }).length);
  }, 0)));
  assert.ok(packed <= 150_000, `${packed} bytes`);
});

test("no code makes HTML from text, and none sets a style attribute", () => {
  for (const name of names.filter((name) => name.endsWith(".js"))) {
    assert.doesNotMatch(readFileSync(join(root, name), "utf8"), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|setAttribute\("style"|\beval\(/, name);
  }
});
