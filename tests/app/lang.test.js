import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { LANGUAGES } from "../../src/pwa/core/words.js";

const root = new URL("../../src/pwa/", import.meta.url).pathname;
const texts = Object.fromEntries(Object.keys(LANGUAGES).map((language) => [language, JSON.parse(readFileSync(join(root, "lang", `${language}.json`), "utf8"))]));
const sources = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"))
  .map((name) => readFileSync(join(root, name), "utf8")).join("\n");

const FORMS = /\.(one|few|many|other)$/;
const base = (key) => key.replace(FORMS, "");
const bases = (language) => new Set(Object.keys(texts[language]).map(base));

test("every language has every text", () => {
  for (const language of Object.keys(texts)) assert.deepEqual([...bases(language)].sort(), [...bases("en")].sort(), language);
});

test("every counted text has every form that its language counts in", () => {
  for (const [language, words] of Object.entries(texts)) {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    for (const key of new Set(Object.keys(words).filter((key) => FORMS.test(key)).map(base))) {
      for (const form of forms) assert.ok(`${key}.${form}` in words, `${language}: ${key}.${form}`);
    }
  }
});

test("a text names the same values in every language", () => {
  const values = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort().join();
  for (const [language, words] of Object.entries(texts)) {
    for (const [key, text] of Object.entries(words)) {
      const other = texts.en[key] ?? texts.en[`${base(key)}.other`];
      assert.equal(values(text), values(other), `${language}: ${key}`);
    }
  }
});

test("every text that the code names is there, and every text is used", () => {
  const named = [...sources.matchAll(/\b(?:t|count)\(\s*(?:[\w.!?() ]+\? )?"([\w.]+)"(?: : "([\w.]+)")?/g)].flatMap(([, a, b]) => (b ? [a, b] : [a]));
  for (const key of named) assert.ok(bases("en").has(base(key)) || key in texts.en, `missing: ${key}`);
  const families = [...sources.matchAll(/`([\w.]+\.)\$\{/g)].map(([, family]) => family);
  for (const key of bases("en")) {
    const used = sources.includes(`"${key}"`) || families.some((family) => key.startsWith(family));
    assert.ok(used, `not used: ${key}`);
  }
});

test("every problem that the appliance raises has its words, what it is and what to do", () => {
  const source = new URL("../../src/", import.meta.url).pathname;
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".rs") && !/tests?(\.rs|\/)/.test(name))
    .map((name) => readFileSync(join(source, name), "utf8").split("#[cfg(test)]\nmod tests {")[0]);
  const codes = new Set();
  for (const text of files) {
    if (!/\b(raise(_for)?\(|health::Problem \{)/.test(text)) continue;
    // a code is a constant of the file that raises it, or a literal there; `health.rs` alone passes any on
    for (const [, code] of text.replace(/rename_all = "\w+"/g, "").matchAll(/"([A-Z][A-Z_]{4,})"/g)) codes.add(code);
  }
  for (const code of ["MEMORY_FULL", "WEB_ALSO_PORT", "SETUP_FAULT", "BROKER_DOWN", "STORAGE_IN_RAM", "STOPPING"]) assert.ok(codes.has(code), `not found: ${code}`);
  for (const [language, words] of Object.entries(texts)) {
    for (const code of codes) for (const key of [`problem.${code}`, `problem.${code}.do`]) assert.ok(key in words, `${language}: ${key}`);
    for (const key of Object.keys(words)) {
      const [, code] = /^problem\.([A-Z_]+)/.exec(key) ?? [];
      assert.ok(!code || code === "OTHER" || codes.has(code), `${language}: nobody raises ${key}`);
    }
  }
});

test("no text is empty or left in another language", () => {
  for (const words of Object.values(texts)) for (const [key, text] of Object.entries(words)) assert.ok(text.trim(), key);
  const same = Object.keys(texts.cs).filter((key) => texts.cs[key] === texts.en[key] && /[a-z]{4}/i.test(texts.cs[key].replace(/\{\w+\}/g, "")));
  const meant = ["people.role", "kind.gobo.name", "devices.online", "devices.offline", "devices.name.enttec", "setting.unknown"];
  assert.deepEqual(same.filter((key) => !meant.includes(key)), []);
});
