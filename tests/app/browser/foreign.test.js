// Foreign web pages: what a page from elsewhere can do to an appliance in this network, in a real browser, on addresses that
// are not loopback. Each attack also runs against an appliance that lets everybody in: there it must succeed, or
// it would prove nothing.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, launch, live, ulid, visit } from "./harness.js";

/** Marks the run inside. */
const INSIDE = "DMXD_TEST_IN_ITS_OWN_NETWORK";

/** The appliance, another machine in its network, and a public one (RFC 5737). */
const [STAGE, NEIGHBOUR, WORLD] = ["192.168.77.1", "192.168.77.2", "203.0.113.9"];

/** A public name that leads to the appliance once its owner wants it. */
const REBOUND = "rebound.evil.example";

if (!process.env[INSIDE]) {
  test("in a network of its own", () => {
    const addresses = [STAGE, NEIGHBOUR, WORLD].map((address) => `ip address add ${address}/24 dev lo`).join(" && ");
    const script = `PATH="$PATH:/usr/sbin"; ip link set lo up && ${addresses} && exec "$0" "$@"`;
    const own = process.getuid?.() === 0 ? ["--net"] : ["--user", "--map-current-user", "--keep-caps", "--net"];
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout } = spawnSync("setpriv",
      ["--pdeathsig", "KILL", "unshare", ...own, "--", "sh", "-c", script, process.execPath, new URL(import.meta.url).pathname],
      { env: { ...env, [INSIDE]: "1" }, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
    assert.equal(status, 0, stdout);
  });
} else {
  inside();
}

function inside() {
  let browser, world, neighbour;
  const appliances = [];
  const appliance = async (variables = {}) => {
    const one = await new Appliance({ DMX_HOST: "0.0.0.0", ...variables }).start();
    appliances.push(one);
    return one;
  };
  const open = { DMX_ALLOW_ORIGINS: "*", DMX_HTTP_ALLOW_HOSTS: "*" };
  before(async () => {
    const rules = [`MAP ${PLAIN} ${STAGE}`, `MAP ${REBOUND} ${STAGE}`, ...[STAGE, NEIGHBOUR, WORLD].map((a) => `EXCLUDE ${a}`), "MAP * ~NOTFOUND"];
    // Newer versions ask the person before a public page may call this network; others ask nobody.
    browser = await launch(rules.join(", "), ["--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets,BlockInsecurePrivateNetworkRequests"]);
    world = await page("<!doctype html><title>A page of the world</title>", WORLD);
    neighbour = await page("<!doctype html><title>The predecessor's app</title>", NEIGHBOUR);
  });
  after(async () => {
    await browser?.close();
    world?.close();
    neighbour?.close();
    await Promise.all(appliances.map((one) => one.clear()));
  });

  /** What a page at `from` achieves. */
  const attack = async (one, from, route) => {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      if (route) await page.route(from, (request) => request.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
      await page.goto(from);
      const target = new URL(from).hostname === REBOUND ? new URL(from).origin : `http://${STAGE}:${one.port}`;
      const achieved = await page.evaluate(attempt, { target, form: ulid() });
      const frames = page.frames().map((frame) => frame.url());
      const { rgb, seq } = await one.rest("/rgb").then(({ r, g, b, seq }) => ({ rgb: [r, g, b], seq }));
      const { blackout } = await one.rest("/desk");
      return { ...achieved, framed: frames.includes(`${target}/`), rgb, seq, blackout };
    } finally {
      await context.close();
    }
  };
  const nothing = { read: null, preflighted: null, heard: null, mqtt: null, framed: false, rgb: [0, 0, 0], seq: 0, blackout: false };

  test("a page of the world has no effect and reads nothing", async () => {
    const from = `http://${WORLD}:${world.address().port}/`;
    assert.deepEqual(await attack(await appliance(), from), nothing);
    const got = await attack(await appliance(open), from);
    assert.ok(got.read?.includes('"fixtures"') && got.preflighted === 200 && got.heard === "state" && got.mqtt === 0, JSON.stringify(got));
    assert.deepEqual([got.blackout, got.framed], [true, false], "in a frame it is never shown");
    assert.ok(got.seq >= 2, "form and fetch changed something");
  });

  test("a page whose name suddenly leads here has no effect and reads nothing", async () => {
    const from = (one) => `http://${REBOUND}:${one.port}/attack`;
    const ours = await appliance();
    const { read, preflighted, ...rest } = await attack(ours, from(ours), true);
    const { read: _, preflighted: __, ...none } = nothing;
    assert.deepEqual(rest, none);
    assert.deepEqual([JSON.parse(read).status, preflighted], [421, 421], "it reads the refusal and nothing else");
    const loose = await appliance(open);
    const got = await attack(loose, from(loose), true);
    assert.ok(got.read?.includes('"fixtures"') && got.blackout && got.heard === "state" && got.mqtt === 0, JSON.stringify(got));
  });

  test("a person is told how a name is allowed", async () => {
    const one = await appliance();
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`http://${REBOUND}:${one.port}/`);
    await page.getByText(`allow_hosts = ["${REBOUND}"]`).waitFor();
    await context.close();
  });

  test("the app works by address and by name, and the predecessor's from another port of this network", async () => {
    const one = await appliance();
    for (const host of [STAGE, PLAIN]) await visit(browser, { appliance: one, host }, (page) => live(page));
    const from = `http://${NEIGHBOUR}:${neighbour.address().port}/`;
    const got = await attack(one, from);
    assert.ok(got.read?.includes('"fixtures"') && got.preflighted === 200 && got.heard === "state" && got.mqtt === 0 && got.blackout, JSON.stringify(got));
  });
}

/** Runs in the page. */
async function attempt({ target, form }) {
  const wait = (ready) => new Promise((done) => { ready(done); setTimeout(() => done(null), 3000); });
  // A form, as any page can send one: the `=` between name and value is put where it does no harm.
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.name = "sink";
  const sender = document.body.appendChild(document.createElement("form"));
  Object.assign(sender, { method: "post", enctype: "text/plain", action: `${target}/rgb`, target: "sink" });
  const field = sender.appendChild(document.createElement("input"));
  field.name = `{"cmdId":"${form}","r":9,"g":9,"b":9,"src":"form`;
  field.value = '"}';
  await wait((done) => { frame.onload = done; sender.submit(); });
  await fetch(`${target}/blackout`, { method: "POST", mode: "no-cors", body: '{"on":true}' }).catch(() => null);
  const read = await fetch(`${target}/export`).then((answer) => answer.text()).catch(() => null);
  const preflighted = await fetch(`${target}/scenes`, { method: "PUT", headers: { "content-type": "application/json" }, body: "[]" })
    .then((answer) => answer.status).catch(() => null);
  const heard = await wait((done) => {
    const socket = new WebSocket(`${target.replace("http", "ws")}/ws`);
    socket.onmessage = ({ data }) => done(JSON.parse(data).type);
    socket.onclose = () => done(null);
  });
  const mqtt = await wait((done) => {
    const socket = new WebSocket(`${target.replace("http", "ws")}/mqtt`, "mqtt");
    socket.binaryType = "arraybuffer";
    // CONNECT of client "x", clean session; CONNACK's last byte says whether it is in
    socket.onopen = () => socket.send(new Uint8Array([0x10, 13, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 1, 120]));
    socket.onmessage = ({ data }) => done(new Uint8Array(data)[3]);
    socket.onclose = () => done(null);
  });
  const shown = document.body.appendChild(document.createElement("iframe"));
  await wait((done) => { shown.onload = done; shown.src = `${target}/`; });
  return { read, preflighted, heard, mqtt };
}

/** A web server with one page. @param {string} body @param {string} address */
async function page(body, address) {
  const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(body));
  await new Promise((listening) => server.listen(0, address, () => listening(undefined)));
  return server;
}
