// Who may do what in the app, where others can open it, and what a lamp's program is given.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { absolute, broker, isHere, reachable } from "../../src/pwa/core/addresses.js";
import { LINES, NAME, address } from "../../src/pwa/core/lamps.js";
import { ROLES, WHATS, allowed, isOpen, may } from "../../src/pwa/core/may.js";
import { qr } from "../../src/pwa/core/qr.js";

test("each role may do all that the one before may, and one thing more", () => {
  const sets = ROLES.map((role) => WHATS.filter((what) => may(role, what)));
  assert.deepEqual(sets[0], ["watch"]);
  for (const [n, set] of sets.entries()) {
    const before = sets[n - 1] ?? [];
    assert.ok(before.every((what) => set.includes(what)) && set.length > before.length, ROLES[n]);
  }
  assert.deepEqual(sets.at(-1), WHATS);
  for (const nobody of [null, "device"]) assert.deepEqual(WHATS.filter((what) => may(nobody, what)), []);
});

test("on an open box everybody does everything but manage people and keys", () => {
  const open = { name: "anonymous", kind: "anonymous", role: "admin", mode: "audit", lockedBySettings: false, hasAdmin: false };
  assert.deepEqual(WHATS.filter((what) => !allowed(open, what)), ["devices", "people"]);
  assert.ok(WHATS.every((what) => allowed({ ...open, kind: "user" }, what)));
  assert.ok(isOpen(open) && !isOpen({ ...open, mode: "required" }) && !isOpen(null));
});

test("as long as nobody has said who it is, nothing is held back that the appliance would refuse anyway", () => {
  assert.deepEqual(WHATS.filter((what) => !allowed(null, what)), ["devices", "people"]);
});

test("whatever a view marks as needing a right is hidden by the style sheet without it", () => {
  const root = new URL("../../src/pwa/", import.meta.url).pathname;
  const sources = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js")).map((name) => readFileSync(root + name, "utf8")).join("\n");
  const css = readFileSync(`${root}css/shell.css`, "utf8");
  const marked = new Set([...sources.matchAll(/"data-needs": "(\w+)"/g), ...sources.matchAll(/link\("\w+", "(\w+)"\)/g)].map(([, what]) => what));
  assert.ok(marked.size >= 6 && [...marked].every((what) => WHATS.includes(what)), [...marked].join());
  for (const what of marked) assert.ok(css.includes(`[data-cannot~="${what}"] [data-needs="${what}"]`), what);
});

test("what the app hides is what the appliance's own table refuses", () => {
  const routes = new URL("../../src/http/routes/", import.meta.url).pathname;
  const rows = readdirSync(routes).map((name) => readFileSync(routes + name, "utf8")).join("\n");
  const needs = Object.fromEntries([...rows.matchAll(/(get|post|put|patch|delete)\("([^"]+)", "\w+", Needs::(\w+)/g)].map(([, verb, path, role]) => [`${verb} ${path}`, role.toLowerCase()]));
  for (const [row, what] of [["post /rgb", "light"], ["post /usb/refresh", "usb"], ["patch /scenes/{id}", "looks"], ["put /patch/groups", "patch"], ["post /patch/fixtures", "patch"], ["put /projects/{id}", "projects"],
    ["post /projects/{id}/backups", "backups"], ["post /panels", "panels"], ["post /projects/{id}/restore", "restore"], ["post /users", "people"], ["post /users", "devices"], ["get /rgb", "watch"]]) {
    assert.ok(needs[row], row);
    assert.deepEqual(ROLES.filter((role) => may(role, what)), ROLES.slice(ROLES.indexOf(needs[row])), row);
  }
});

test("a code for others holds an address that they can open: this page's own if it is one, else the appliance's", () => {
  const others = ["http://10.0.0.5:8080/", "http://dmx.local/"];
  assert.deepEqual(reachable("http://dmx.local/", others), ["http://dmx.local/", "http://10.0.0.5:8080/"]);
  for (const here of ["http://localhost:8080/", "http://127.0.0.1/", "http://[::1]:8080/"]) {
    assert.ok(isHere(here));
    assert.equal(absolute(here, others, "/panel/ab"), "http://10.0.0.5:8080/panel/ab");
    assert.equal(absolute(here, [], "/#key=ab"), `${here}#key=ab`, "better than nothing");
  }
  assert.equal(absolute("https://dmx.local:8443/", others, "/#key=ab"), "https://dmx.local:8443/#key=ab");
});

test("the broker's host and port are those of its URL, else the page's host", () => {
  assert.deepEqual(broker("mqtt://10.0.0.5:1884", "x"), { host: "10.0.0.5", port: 1884 });
  assert.deepEqual(broker("mqtt://[2001:db8::7]:1883", "x"), { host: "[2001:db8::7]", port: 1883 });
  assert.deepEqual(broker(undefined, "dmx.local"), { host: "dmx.local", port: 1883 });
});

test("a lamp's lines name it as client id and user, and its key as password", () => {
  const lamp = { name: "lamp-1", key: "0123456789abcdef0123456789abcdef", host: "10.0.0.5", port: 1883 };
  assert.equal(LINES.arduino(lamp), 'client.setServer("10.0.0.5", 1883);\nclient.connect("lamp-1", "lamp-1", "0123456789abcdef0123456789abcdef"); // client id, user, password');
  assert.match(LINES.esphome(lamp), /^mqtt:\n {2}broker: "10.0.0.5"\n {2}port: 1883\n {2}client_id: "lamp-1"\n {2}username: "lamp-1"\n {2}password: "0123456789abcdef0123456789abcdef"$/);
  assert.equal(LINES.tasmota(lamp), "Backlog MqttHost 10.0.0.5; MqttPort 1883; MqttClient lamp-1; MqttUser lamp-1; MqttPassword 0123456789abcdef0123456789abcdef");
  for (const name of ["lamp-1", "x".repeat(64)]) assert.ok(qr(address({ ...lamp, name })).length > 20, "it fits a code");
  const named = new RegExp(`^${NAME}$`);
  for (const bad of ["a b", "a;b", "a/b", "ž", ""]) assert.ok(!named.test(bad), bad);
});
