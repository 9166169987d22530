// What every browser test needs: the real dmxd in a home of its own, Debian's Chromium, and a page whose complaints fail
// the test. Nothing here knows what the app looks like.
//
// tests/run sets DMXD (the binary), DMXD_STRANGERS (where npm installed the peers) and DMXD_SCREENSHOTS.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = new URL("../../../", import.meta.url).pathname;
const DMXD = resolve(process.env.DMXD ?? join(root, "target/debug/dmxd"));
const STRANGERS = resolve(process.env.DMXD_STRANGERS ?? join(root, "target/strangers"));
const SCREENSHOTS = resolve(process.env.DMXD_SCREENSHOTS ?? join(root, "target/screenshots"));

export const strangers = createRequire(join(STRANGERS, "node", "package.json"));
const { chromium } = strangers("playwright-core");
const AXE = strangers.resolve("axe-core/axe.min.js");

/** Tablets in landscape and portrait, and a phone. */
export const SIZES = [[1024, 768], [1280, 800], [768, 1024], [390, 844]];

/** A name that is not a secure context, like an appliance's own on a stage: no worker, no wake lock. */
export const PLAIN = "dmx.local";

/** How long anything may take on two busy cores before it counts as not happening. */
export const PATIENCE_MS = 20_000;

/** The real binary on free ports in a temporary folder. */
export class Appliance {
  #folder = mkdtempSync(join(tmpdir(), "dmxd-app-"));
  #variables;
  #args;
  #child;
  #said = "";
  port = 0;
  mqttPort = 0;
  httpsPort = 0;

  /**
   * @param {Record<string, string>} variables settings, as `DMX_` variables
   * @param {string[]} args of its command line
   */
  constructor(variables = {}, args = []) {
    this.#variables = variables;
    this.#args = args;
  }

  /** Starts it, again on the same port, and waits until its doors are open. */
  async start() {
    const own = {
      DMX_HOST: "127.0.0.1", DMX_PORT: String(this.port), DMX_MQTT_BIND: "127.0.0.1", DMX_MQTT_PORT: "0", DMX_DATA_DIR: "data",
    };
    // nothing in the developer's own environment may decide a test
    const child = spawn(DMXD, this.#args, { cwd: this.#folder, env: { ...own, ...this.#variables }, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    process.once("exit", () => child.kill("SIGKILL")); // whatever ends the test, it must not stay behind
    child.stderr.on("data", (text) => (this.#said += text));
    const ended = once(child, "exit");
    await new Promise((opened, failed) => {
      const open = new Set();
      child.on("error", failed);
      ended.then(([code]) => failed(new Error(`the appliance ended with ${code}\n${this.#said}`)));
      createInterface(child.stdout).on("line", (line) => {
        this.#said += `${line}\n`;
        const { message, door, address } = JSON.parse(line);
        if (message !== "listening") return;
        open.add(door);
        const port = Number(address.split(":").at(-1));
        if (door === "http") this.port = port;
        if (door === "mqtt") this.mqttPort = port;
        if (door === "https") this.httpsPort = port;
        if (open.size === (this.#variables.DMX_TLS_ENABLED ? 4 : 2)) opened(undefined);
      });
    });
    return this;
  }

  /** @param {"SIGTERM" | "SIGKILL"} signal */
  async stop(signal = "SIGTERM") {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Freezes or continues it; its doors stay open. @param {boolean} still */
  freeze(still) {
    this.#child.kill(still ? "SIGSTOP" : "SIGCONT");
  }

  /** Ends it, and deletes its data. */
  async clear() {
    await this.stop("SIGKILL");
    rmSync(this.#folder, { recursive: true });
  }

  /** Its output so far. */
  get log() {
    return this.#said;
  }

  /** Its data folder. */
  get data() {
    return join(this.#folder, "data");
  }

  /** The address of a page. @param {string} host */
  url(host = "127.0.0.1") {
    return `http://${host}:${this.port}/`;
  }

  /**
   * REST, as scripts use it.
   * @param {string} path
   * @param {{ method?: string, body?: unknown, headers?: Record<string, string> }} [request]
   */
  async rest(path, { method, body, headers } = {}) {
    const answer = await fetch(this.url() + path.slice(1), {
      method: method ?? (body === undefined ? "GET" : "POST"), body: body === undefined ? undefined : JSON.stringify(body), headers,
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return text && JSON.parse(text);
  }

  /** Commands the lamp. @param {[number, number, number]} rgb @param {string} src */
  light([r, g, b], src = "script") {
    return this.rest("/rgb", { body: { cmdId: ulid(), src, r, g, b } });
  }
}

let made = 0;

/** A unique id. */
export function ulid() {
  return `01${process.pid.toString().padStart(10, "0")}${(made++).toString().padStart(14, "0")}`;
}

/**
 * Debian's Chromium, which can reach this machine only.
 * @param {string} rules where names lead
 * @param {string[]} more arguments
 */
export function launch(rules = `MAP ${PLAIN} 127.0.0.1, EXCLUDE localhost, EXCLUDE 127.0.0.1, MAP * ~NOTFOUND`, more = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--disable-gpu", "--disable-quic", `--host-resolver-rules=${rules}`, ...more],
  });
}

/**
 * Runs a test with a page of its own, and checks that the page complained of nothing.
 * @param {any} browser
 * @param {{ appliance: Appliance, host?: string, size?: number[], path?: string, expects?: RegExp, context?: object }} how
 *   `expects`: complaints that the test provokes
 * @param {(page: any, sent: { at: number, message: any }[]) => Promise<unknown>} body `sent`: what the page has sent on its WebSockets
 */
export async function visit(browser, { appliance, host, size: [width, height] = SIZES[0], path = "", expects, context: more }, body) {
  const context = await browser.newContext({ viewport: { width, height }, locale: "en-GB", hasTouch: true, ...more });
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints = [];
  const sent = [];
  try {
    // in every document, before anything of the app runs
    await context.addInitScript(() => addEventListener("securitypolicyviolation", (event) => {
      console.error(`the policy forbids ${event.violatedDirective}: ${event.blockedURI} in ${event.sourceFile}:${event.lineNumber}`);
    }));
    const page = await context.newPage();
    listen(page, complaints);
    const open = new Set();
    asking.set(page, open);
    page.on("request", (request) => open.add(request));
    for (const end of ["requestfinished", "requestfailed"]) page.on(end, (request) => open.delete(request));
    page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push({ at: performance.now(), message: JSON.parse(payload) })));
    await page.goto(appliance.url(host) + path);
    await body(page, sent);
    assert.deepEqual(complaints.filter((words) => !expects?.test(words)), [], "the page complains of nothing");
  } finally {
    await context.close();
  }
}

/** Requests that are on their way, by page. */
const asking = new WeakMap();

/** Waits until everything that the page has requested is on the screen. @param {any} page */
export async function settled(page) {
  do {
    await eventually("no request is open", () => [...asking.get(page)].map((request) => request.url()), (urls) => urls.length === 0);
    await painted(page);
  } while (asking.get(page).size > 0);
}

/** Notes whatever a page complains of. @param {any} page @param {string[]} complaints */
export function listen(page, complaints) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.stack ?? error}`));
  page.on("crash", () => complaints.push("the page crashed"));
}

/**
 * Takes a picture, named after its content and size.
 * @param {any} page
 * @param {string} name
 */
export async function picture(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const { width, height } = page.viewportSize();
  await page.screenshot({ path: join(SCREENSHOTS, `${name}-${width}x${height}.png`) });
}

/** Serious findings of axe, in words. @param {any} page */
export async function barriers(page) {
  // by the debugger, not as a script element, which the page's policy would rightly block
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n  ")}`);
}

/** Waits until the page shows that the link is there. @param {any} page */
export function live(page) {
  return eventually("the link is there", () => page.getByText("Connected", { exact: true }).count(), (count) => count > 0);
}

/** Waits until the page tells that the link is lost; the words for a whole view stand in it hidden until then. @param {any} page */
export function lost(page) {
  return page.getByText(/^No connection(?! to)/).waitFor();
}

/** Waits for two frames, so that the screen shows what the page knows. @param {any} page */
export function painted(page) {
  return page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/**
 * Asks until the answer is right, or time is up.
 * @template T
 * @param {string} what
 * @param {() => Promise<T> | T} ask
 * @param {(answer: T) => boolean} right
 * @returns {Promise<T>}
 */
export async function eventually(what, ask, right) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (right(answer)) return answer;
    assert.ok(performance.now() < deadline, `${what}: still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20)); // the only pause of these tests
  }
}

/** A level as a person or a screen reader perceives it: of a slider, else of a term. @param {any} page @param {string} name */
export async function level(page, name) {
  const slider = page.getByRole("slider", { name, exact: true });
  const term = page.getByRole("term").filter({ hasText: new RegExp(`^${name}$`) });
  const said = slider.or(term.locator("+ dd"));
  return Number(await said.evaluate((element) => element.ariaValueNow ?? element.textContent));
}
