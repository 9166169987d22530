// Devices: what is wrong and what to do about it, where the light goes, who is there.

import * as api from "../core/api.js";
import { h, keep, mark, say } from "../core/dom.js";
import { age, count, knows, t } from "../core/words.js";
import { desk, why } from "../desk.js";
import { icon } from "../elements/icons.js";
import { openLine } from "./access.js";
import { addLamp } from "./add-lamp.js";
import { poll, section, sure, switchOn } from "./parts.js";

/** @import { Client, Device, Port, Ready, Refused, UsbDevice } from "../core/types.js" */

const EVERY_MS = 2000;

/** Sections of the settings that switch a port on. */
const SECTIONS = /** @type {const} */ ({ enttec: "usb", ola: "ola", input: "input" });

/** How the appliance's words for the end of a connection begin. */
const GONE = /** @type {const} */ ({
  disconnect: "goodbye", "taken over": "taken", silent: "silent", socket: "socket", closed: "closed", protocol: "protocol", "too slow": "slow",
  "took nothing": "stalled", stopping: "stopping",
});

/** @param {AbortSignal} signal */
export function devices(signal) {
  const noProblems = h("p", { class: "quiet" });
  const problems = h("div", { class: "problems" }, noProblems);
  const ports = h("div", { class: "cards" });
  const noPorts = h("p", { class: "quiet" });
  const lamps = h("div", { class: "cards" });
  const off = h("details", { hidden: true }, h("summary", null, t("devices.off")));
  const noLamps = h("p", { class: "quiet" });
  const clients = h("div", { class: "cards" });
  const noClients = h("p", { class: "quiet" });
  const refused = h("div", { class: "cards" });
  const turnedAway = h("div", { class: "wide", hidden: true }, section(t("devices.refused"), refused));
  const noUsb = h("li", { class: "quiet" });
  const usb = h("ul", { class: "plain links" }, noUsb);
  /** Places that are still empty. */
  const waiting = new Set(/** @type {HTMLElement[]} */ ([noProblems, noPorts, noLamps, noClients, noUsb]));
  const come = (/** @type {HTMLElement} */ place, words = "") => waiting.delete(place) && say(place, words);

  const failed = h("p", { class: "wrong", role: "status" });
  /** Shows how to switch these on. @param {string[]} names */
  const offered = (names) => {
    const missing = desk.appliance ? names.filter((name) => name in SECTIONS) : [];
    off.hidden = missing.length === 0;
    const [summary, ...others] = off.children;
    if (!summary || others.length === missing.length) return; // only a restart changes them
    off.replaceChildren(summary, ...missing.map((name) =>
      h("div", { class: "stack off" }, h("h3", null, t(`devices.name.${name}`)), switchOn(SECTIONS[/** @type {keyof typeof SECTIONS} */ (name)]))));
  };
  const look = async () => {
    if (!desk.appliance) await desk.about(signal); // the words name its file of settings
    const [ready, outputs, presence, plugged] = await all(failed, [
      /** @type {Promise<Ready>} */ (api.json("GET", "/readyz", { signal, also: [503] })),
      /** @type {Promise<{ outputs: Port[], inputs: Port[] }>} */ (api.json("GET", "/outputs", { signal })),
      /** @type {Promise<{ devices: Device[], clients: Client[], refused: Refused[] }>} */ (api.json("GET", "/devices", { signal })),
      /** @type {Promise<{ devices: UsbDevice[] }>} */ (api.json("GET", "/usb/devices", { signal })),
    ]);
    const now = Date.now() + desk.model.ahead;
    if (ready) come(noProblems);
    if (ready) keep(problems, worded(ready), (problem) => problem.code + problem.message, makeProblem, () => {});
    if (outputs) {
      const both = [...outputs.outputs, ...outputs.inputs.map((input) => ({ ...input, input: true }))].filter(({ enabled }) => enabled);
      keep(ports, both, ({ name }) => name, makeCard, (card, port) => paintPort(card, port, now));
      come(noPorts, t("devices.outputs.none"));
      noPorts.hidden = outputs.outputs.some(({ enabled }) => enabled);
      offered([...outputs.outputs, ...outputs.inputs].filter(({ enabled }) => !enabled).map(({ name }) => name));
    }
    if (presence) {
      const behind = new Map(presence.clients.map((client) => [client.clientId, client]));
      keep(lamps, presence.devices, ({ id }) => id, makeCard, (card, device) => paintDevice(card, device, behind.get(device.clientId ?? ""), now));
      come(noLamps, t("devices.lamps.none"));
      noLamps.hidden = presence.devices.length > 0;
      keep(clients, presence.clients, ({ clientId }) => clientId, makeCard, (card, client) => paintClient(card, client, now));
      come(noClients, t("devices.clients.none"));
      noClients.hidden = presence.clients.length > 0;
      keep(refused, presence.refused, ({ clientId, address }) => `${address} ${clientId}`, makeCard, (card, one) => paintRefused(card, one, now));
      turnedAway.hidden = presence.refused.length === 0;
    }
    if (!plugged) return;
    come(noUsb);
    keep(usb, plugged.devices, ({ port }) => port, ({ port }) => h("li", null, h("span", null, port), h("span", { class: "quiet" })),
      (item, device) => say(/** @type {Element} */ (item.lastElementChild), [device.manufacturer, device.product, device.serialNumber].filter(Boolean).join(" · ")));
    if (plugged.devices.length === 0) usb.replaceChildren(h("li", { class: "quiet" }, t("devices.usb.none")));
  };
  poll(look, EVERY_MS, signal);
  desk.paint(() => {
    for (const place of waiting) say(place, t(desk.standing.kind === "lost" ? "away.unread" : "loading"));
  }, signal);

  const refresh = async () => {
    await desk.ask(api.json("POST", "/usb/refresh"));
    await look().catch(() => {});
  };
  const reconnect = async () => {
    const opened = await desk.ask(/** @type {Promise<{ port: string }>} */ (api.json("POST", "/usb/reconnect", { patience: 15_000 })), "", { 404: t("devices.usb.absent"), 502: t("devices.usb.failed") });
    if (opened) desk.notify(t("devices.usb.opened", { port: opened.port }));
  };
  return h("div", { class: "page columns" }, h("h1", { class: "unseen" }, t("nav.devices")),
    h("div", { class: "wide" }, section(t("devices.problems"), failed, problems, openLine(signal))),
    section(t("devices.outputs"), noPorts, ports, off,
      h("div", { class: "row usb" }, h("h3", null, t("devices.usb")), h("button", { type: "button", "data-needs": "usb", onclick: refresh }, icon("refresh"), t("devices.usb.refresh")),
        h("button", { type: "button", "data-needs": "usb", onclick: reconnect }, t("devices.usb.reconnect"))), usb),
    section(t("devices.lamps"), noLamps, lamps, addLamp(signal)),
    turnedAway,
    h("details", { class: "panel wide" }, h("summary", null, h("h2", null, t("devices.clients"))), noClients, clients));
}

/**
 * The answers; null for failed ones, and words about that.
 * @template T, U, V, W
 * @param {HTMLElement} failed
 * @param {[Promise<T>, Promise<U>, Promise<V>, Promise<W>]} asked
 * @returns {Promise<[T | null, U | null, V | null, W | null]>}
 */
async function all(failed, asked) {
  const [a, b, c, d] = await Promise.allSettled(asked);
  const bad = [a, b, c, d].find((one) => one.status === "rejected");
  say(failed, bad && desk.usable ? t("devices.unread", { why: why(bad.reason) }) : "");
  const value = (/** @type {PromiseSettledResult<any>} */ one) => (one.status === "fulfilled" ? one.value : null);
  return [value(a), value(b), value(c), value(d)];
}

/**
 * The problems, or the words that there are none.
 * @param {Ready} ready
 */
function worded({ problems }) {
  return problems.length > 0 ? problems : [{ code: "", message: "" }];
}

/** @param {{ code: string, message: string }} problem */
function makeProblem({ code, message }) {
  if (!code) return h("p", { class: "well" }, t("devices.well"));
  const port = /^(ola|enttec)\b/.exec(message)?.[1];
  const key = [`problem.${code}.${port}`, `problem.${code}`].find(knows) ?? "problem.OTHER";
  return h("article", { class: "problem" }, icon("warn"),
    h("div", null, h("h3", null, t(key)), h("p", null, t(`${key}.do`, { file: desk.settingsFile })),
      code === "IMPORT_INCOMPLETE" ? acknowledgement() : null,
      code === "BACKUP_MEDIUM_CHANGED" ? acceptance() : null,
      h("details", null, h("summary", { class: "quiet" }, t("problem.detail")), h("p", { class: "quiet", lang: "en" }, message))));
}

/** Acknowledges what a predecessor's files lack; the problem goes with the next look, or shows what is left of it. */
function acknowledgement() {
  const button = h("button", { type: "button", "data-needs": "projects", onclick: async () => {
    button.disabled = true;
    await desk.ask(api.json("POST", "/takeover/acknowledge"));
    button.disabled = false;
  } }, t("problem.acknowledge"));
  return button;
}

/** Accepts the medium that backups go to now. */
function acceptance() {
  const accept = () => desk.ask(api.json("POST", `/projects/${encodeURIComponent(desk.projects?.activeId ?? "default")}/backups/medium`, { patience: 15_000 }));
  return sure(t("problem.medium"), t("problem.medium.sure"), () => void accept(), { "data-needs": "restore" });
}

const makeCard = () => h("article", { class: "card" }, h("h3", null), h("p", { class: "state" }), h("p", { class: "quiet" }), h("p", { class: "quiet" }), h("p", { class: "quiet detail", lang: "en" }));

/**
 * Why a client left, in people's words.
 * @param {string} why
 */
function gone(why) {
  const known = Object.entries(GONE).find(([begin]) => why.startsWith(begin));
  return known ? t(`devices.gone.${known[1]}`) : why;
}

/**
 * @param {HTMLElement} card
 * @param {"good" | "bad" | "off"} how
 * @param {string[]} words Name, state, and up to three further lines, the last one in the appliance's own English.
 */
function paintCard(card, how, words) {
  mark(card, "data-how", how);
  [...card.children].forEach((child, n) => {
    say(child, words[n] ?? "");
    child.toggleAttribute("hidden", !words[n]);
  });
}

/**
 * @param {HTMLElement} card
 * @param {Port & { input?: boolean }} port
 * @param {number} now
 */
function paintPort(card, port, now) {
  const kind = port.name.replace(/-\d+$/, "");
  const name = knows(`devices.name.${kind}`) ? t(`devices.name.${kind}`) : port.name;
  const rate = count(port.input ? "devices.commands" : "devices.fps", Math.round(port.fps));
  const state = port.connected ? `${t(port.input ? "devices.listening" : "devices.running")} · ${rate}` : t("devices.down");
  const fault = port.lastError && port.lastErrorAt ? t("devices.error.before", { age: age(now - port.lastErrorAt) }) : "";
  paintCard(card, port.connected ? "good" : "bad", [`${name} · ${t("devices.universe", { n: port.universe })}`, state, port.target, fault, fault && (port.lastError ?? "")]);
}

/**
 * @param {HTMLElement} card
 * @param {Device} device
 * @param {Client | undefined} client
 * @param {number} now
 */
function paintDevice(card, device, client, now) {
  const state = t("devices.for", { state: t(device.online ? "devices.online" : "devices.offline"), age: age(now - device.since) });
  const seen = [device.ip, client && !device.online ? t("devices.seen", { age: age(now - client.lastSeen) }) : ""].filter(Boolean).join(" · ");
  const why = !device.online && client?.lastDisconnect ? t("devices.why", { why: gone(client.lastDisconnect.why) }) : "";
  paintCard(card, device.online ? "good" : "bad", [device.id, state, seen, why]);
}

/**
 * @param {HTMLElement} card
 * @param {Client} client
 * @param {number} now
 */
function paintClient(card, client, now) {
  const state = t("devices.for", { state: t(client.connected ? "devices.online" : "devices.offline"), age: age(now - client.since) });
  const figures = [client.peer, count("devices.connections", client.connections), t("devices.rate", { in: Math.round(client.messagesIn), out: Math.round(client.messagesOut) }),
    client.rejected ? count("devices.rejected", client.rejected) : ""].filter(Boolean).join(" · ");
  const why = client.lastDisconnect ? t("devices.why", { why: gone(client.lastDisconnect.why) }) : "";
  paintCard(card, client.connected ? "good" : "off", [client.clientId, state, figures, why]);
}

/**
 * @param {HTMLElement} card
 * @param {Refused} refused
 * @param {number} now
 */
function paintRefused(card, refused, now) {
  const often = [count("devices.refused.times", refused.count), t("devices.refused.last", { age: age(now - refused.at) })].join(" · ");
  paintCard(card, "bad", [refused.clientId || refused.address, often, refused.clientId ? refused.address : "", "", refused.why]);
}
