// Over https, in a Chromium that trusts the appliance's authority as a tablet does, and in one that does not: what browsers allow
// a secure page only, and the page about trust. No flag makes it overlook anything.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Appliance, PATIENCE_MS, barriers, listen, live, lost, strangers } from "./harness.js";

const { chromium } = strangers("playwright-core");
const NAME = `${hostname().split(".")[0]}.local`.toLowerCase();
const rules = `MAP ${NAME} 127.0.0.1, MAP bank.example 127.0.0.1, MAP other.local 127.0.0.1, EXCLUDE localhost, EXCLUDE 127.0.0.1, MAP * ~NOTFOUND`;

let appliance;
const folder = mkdtempSync(join(tmpdir(), "dmxd-secure-"));
before(async () => {
  const variables = { DMX_TLS_ENABLED: "true", DMX_TLS_PORT: "0", DMX_TLS_MQTT_PORT: "0" };
  appliance = await new Appliance(variables).start();
});
after(async () => {
  await appliance?.clear();
  rmSync(folder, { recursive: true });
});

/** A Chromium with a home of its own, and in it the authority, if it is to be trusted. Not a private window: those install nothing. */
async function open(name, { trusts }) {
  const home = join(folder, name);
  const database = join(home, ".pki/nssdb");
  mkdirSync(database, { recursive: true });
  const certutil = (...args) => execFileSync("certutil", ["-d", `sql:${database}`, ...args]);
  certutil("-N", "--empty-password");
  if (trusts) {
    const answer = await fetch(`${appliance.url()}trust/ca.crt`);
    writeFileSync(join(home, "ca.crt"), await answer.text());
    certutil("-A", "-t", "C,,", "-n", "dmxd", "-i", join(home, "ca.crt"));
  }
  const context = await chromium.launchPersistentContext(join(home, "profile"), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", env: { ...process.env, HOME: home }, locale: "en-GB",
    args: ["--disable-gpu", "--disable-quic", `--host-resolver-rules=${rules}`],
  });
  context.setDefaultTimeout(PATIENCE_MS);
  return context;
}

const secure = () => `https://${NAME}:${appliance.httpsPort}/`;

test("a browser that trusts the authority allows everything, and starts the app without the network at once", async () => {
  const context = await open("trusting", { trusts: true });
  try {
    const page = await context.newPage();
    const complaints = [];
    listen(page, complaints);
    await page.goto(secure());
    await live(page);
    assert.ok(await page.evaluate(() => isSecureContext));
    const scope = await page.evaluate(async () => (await navigator.serviceWorker.ready).scope);
    assert.equal(scope, secure());
    const awake = await page.evaluate(async () => {
      const lock = await navigator.wakeLock.request("screen");
      const held = !lock.released;
      await lock.release();
      return held;
    });
    assert.ok(awake, "the screen stays on");
    await page.evaluate(async () => {
      const { active } = await navigator.serviceWorker.ready;
      if (active.state !== "activated") await new Promise((resolve) => active.addEventListener("statechange", resolve, { once: true }));
    });
    const debug = await context.newCDPSession(page);
    const { installabilityErrors } = await debug.send("Page.getInstallabilityErrors");
    assert.deepEqual(installabilityErrors, [], "it can be installed");
    assert.deepEqual(complaints, []);

    await appliance.stop();
    const begun = performance.now();
    await page.reload({ waitUntil: "domcontentloaded" });
    await page.getByRole("main").waitFor();
    const took = performance.now() - begun;
    console.log(`shell without network: ${took.toFixed(0)} ms`);
    assert.ok(took < 1000, `${took} ms`);
    await lost(page);
    await appliance.start(); // for the next test
  } finally {
    await context.close();
  }
});

test("a browser without trust opens nothing, and the page about trust says so in both languages", async () => {
  const context = await open("stranger", { trusts: false });
  try {
    await assert.rejects((await context.newPage()).goto(secure()), /ERR_CERT_AUTHORITY_INVALID/);
    const page = await context.newPage();
    const plain = `http://${NAME}:${appliance.port}/trust`;
    for (const [lang, words] of [["en", /does not trust the box yet/], ["cs", /zatím nedůvěřuje/]]) {
      await page.goto(`${plain}?lang=${lang}`);
      await page.locator(".answer.no").waitFor();
      assert.match(await page.locator(".answer").textContent(), words);
      assert.equal(await page.locator("details[open]").count(), 1, "the steps for this device are open");
      assert.deepEqual(await barriers(page), []);
    }
  } finally {
    await context.close();
  }
});

test("the page about trust says yes where it is trusted, and its QR code leads there", async () => {
  const context = await open("trusting-page", { trusts: true });
  try {
    const page = await context.newPage();
    const complaints = [];
    listen(page, complaints);
    for (const from of [`http://${NAME}:${appliance.port}/`, secure()]) {
      await page.goto(`${from}trust`);
      await page.locator(".answer.yes").waitFor();
      assert.equal(await page.getByRole("img").getAttribute("aria-label"), `Address of this page: http://${NAME}:${appliance.port}/trust`);
    }
    const [file] = await Promise.all([page.waitForEvent("download"), page.locator(".files a").first().click()]);
    assert.equal(file.suggestedFilename(), "dmxd-ca.crt");
    assert.deepEqual(complaints, [], "its policy blocks nothing of it");
    await page.getByRole("link", { name: "Open the app encrypted" }).click();
    await live(page);
    assert.equal(page.url().split("#")[0], secure());
  } finally {
    await context.close();
  }
});

/** A server whose certificate is signed with the authority's key. */
async function forged(name) {
  const at = (file) => join(folder, `${name}.${file}`);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("key"), "-subj", "/CN=x", "-out", at("csr")];
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  openssl("req", ...key);
  writeFileSync(at("ext"), `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth\n`);
  const stolen = join(appliance.data, "tls/authority.pem");
  openssl("x509", "-req", "-in", at("csr"), "-CA", stolen, "-CAkey", stolen, "-CAcreateserial", "-CAserial", at("serial"),
    "-days", "30", "-extfile", at("ext"), "-out", at("crt"));
  const server = createServer({ key: readFileSync(at("key")), cert: readFileSync(at("crt")) }, (_, answer) => answer.end("forged"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

test("whoever steals the authority's key can pretend to be another box, and no bank", async () => {
  const servers = [await forged("other.local"), await forged("bank.example")];
  const context = await open("robbed", { trusts: true });
  try {
    const [box, bank] = servers.map((server) => server.address().port);
    const page = await context.newPage();
    assert.equal((await page.goto(`https://other.local:${box}/`)).status(), 200, "the theft itself works");
    await assert.rejects((await context.newPage()).goto(`https://bank.example:${bank}/`), /ERR_CERT_INVALID/);
  } finally {
    await context.close();
    for (const server of servers) server.close();
  }
});
