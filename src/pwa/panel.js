// The page of a panel, for guests: its looks, blackout and master as it has them. Its address is its key, which goes to the appliance
// and nowhere else. Link, sender and touch are the app's own, so it is as honest as the app about what has arrived.

import { h, keep, mark, say } from "./core/dom.js";
import { Link } from "./core/link.js";
import { Sender } from "./core/sender.js";
import { Touch } from "./core/touch.js";
import { ulid } from "./core/ulid.js";
import { LANGUAGES, percent, t, use } from "./core/words.js";
import { fader } from "./elements/dmx-fader.js";

/** @import { Language } from "./core/words.js" */
/** @import { Desk, Me, Message, PanelScene } from "./core/types.js" */
/** @import { Phase } from "./core/touch.js" */

/** How long words about something that did not work stay. */
const STAY_MS = 5000;

/** How long to wait before the appliance is asked again. */
const AGAIN_MS = 1000;

const secret = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const session = ulid();
const now = () => performance.now();
const touch = new Touch();
/** @type {NonNullable<Me["panel"]> | null} */
let panel = null;
/** @type {Desk | null} Null: not known yet. */
let desk = null;
let frame = 0;

const name = h("h1", null);
const standing = h("p", { class: "link", role: "status" });
const looks = h("main", null);
const said = h("p", { class: "said", role: "alert" });
const share = h("strong", null);
let saidTimer = 0;

const link = new Link({
  open: (url) => new WebSocket(url),
  url: () => {
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = String(new URLSearchParams({ session, token: secret }));
    return url.href;
  },
  now,
  wall: () => Date.now(),
  stamp: () => Math.round(performance.timeOrigin + performance.now()),
  later: (run, ms) => setTimeout(run, ms),
  never: (timer) => clearTimeout(timer),
  opened: () => {},
  hear,
  changed: linkChanged,
});
const sender = new Sender({
  put: (message) => link.put(message),
  now,
  later: (run, ms) => setTimeout(run, ms),
  source: () => "panel",
  newId: ulid,
  sent: (_, { level = 0 }) => touch.sent("master", level),
  taken: () => touch.taken("master"),
  lost: () => {
    touch.drop("master");
    tell(t("notice.late"));
  },
  refused: () => tell(t("panel.refused")),
});

void start();

async function start() {
  const language = /** @type {Language} */ (navigator.languages.map((one) => one.slice(0, 2)).find((one) => one in LANGUAGES) ?? "en");
  use(language, await patiently(`/lang/${language}.json`));
  document.documentElement.lang = language;
  await ask();
  setInterval(() => {
    link.tick();
    if (touch.busy && touch.sweep(now())) tell(t("notice.unsure"));
  }, 1000);
  for (const event of ["visibilitychange", "pageshow"]) addEventListener(event, () => document.visibilityState === "visible" && panel && link.wake());
}

/** Asks for a file or answer until the appliance gives one. @param {string} path */
async function patiently(path) {
  for (;;) {
    try {
      const answer = await fetch(path, { cache: "no-store" });
      if (answer.ok) return await answer.json();
    } catch {
      // out of reach
    }
    await new Promise((again) => setTimeout(again, AGAIN_MS));
  }
}

/** Asks what this panel is: at first, and whenever the appliance has ended its connection. */
async function ask() {
  /** @type {Me} */
  const me = await patiently(`/me?${new URLSearchParams({ token: secret })}`);
  panel = me.panel ?? null;
  if (!panel) return invalid();
  build(panel);
  link.retry();
}

function invalid() {
  document.title = t("panel.invalid");
  document.body.replaceChildren(h("div", { class: "invalid" }, h("h1", null, t("panel.invalid")), h("p", { class: "quiet" }, t("panel.invalid.do"))));
}

/** @param {NonNullable<Me["panel"]>} made */
function build({ name: title, scenes, master, blackout }) {
  document.title = title;
  say(name, title);
  const control = fader(t("panel.master"), t("panel.master"), moveMaster, { lies: true, guarded: true, class: "master" });
  control.words = (value) => percent(value / 255);
  const button = h("button", { type: "button", class: "blackout", onclick: () => order({ type: "blackout", on: !isDark() }) });
  keep(looks, scenes, ({ id }) => id, look, (element, scene) => say(element, scene.name));
  const empty = scenes.length === 0 && !master && blackout === "none";
  if (empty) looks.replaceChildren(h("p", null, t("panel.empty")));
  document.body.replaceChildren(h("header", { class: "head" }, name, standing), looks,
    h("footer", null, said, master ? h("div", { class: "fader" }, share, control) : null, blackout === "none" ? null : button));
  paint = () => {
    const { kind } = link.standing();
    mark(document.body, "data-link", kind === "connecting" && !desk ? "lost" : kind === "key" ? "lost" : kind);
    mark(document.body, "data-dark", isDark() ? "" : null);
    say(standing, kind === "lost" ? t("panel.away") : t(`link.${kind === "key" ? "connecting" : kind}`));
    for (const element of looks.querySelectorAll("button")) mark(element, "aria-pressed", String(element.getAttribute("data-key") === desk?.scene));
    control.paint(desk ? touch.value("master", desk.master) : null, desk ? touch.ghost("master") : null);
    say(share, desk ? percent(touch.value("master", desk.master) / 255) : t("unknown.short"));
    say(button, !isDark() ? t("panel.dark") : blackout === "both" ? t("panel.light") : `${t("panel.isdark")}. ${t("panel.nolift")}`);
    button.disabled = isDark() && blackout === "on";
  };
  changed();
}

let paint = () => {};

/** Once a frame, whatever has happened. */
function changed() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paint();
  });
}

const isDark = () => desk?.blackout ?? false;

/** @param {PanelScene} scene */
const look = ({ id }) => h("button", { type: "button", onclick: () => order({ type: "scene.recall", id: ulid(), src: "panel", name: id }) });

/** @param {import("./core/sender.js").Once} message */
function order(message) {
  if (link.standing().kind === "lost" || !sender.once(message)) tell(t("notice.nolink"));
}

/**
 * @param {number} level
 * @param {Phase} phase
 */
function moveMaster(level, phase) {
  const truth = desk?.master ?? 255;
  if (phase === "drop") touch.letGo("master", now());
  else if (link.standing().kind === "lost") {
    touch.drop("master");
    if (phase === "end") tell(t("notice.nolink"));
  } else {
    touch.hold("master", level, truth);
    if (phase !== "hold") sender.move("master", { level }, phase === "end");
    if (phase === "end") touch.release("master", now());
  }
  changed();
}

/** @param {Message} message */
function hear(message) {
  if (message.type === "desk") {
    desk = message;
    touch.heard(() => message.master, () => true);
  }
  sender.heard();
  if ("ack" in message) sender.answered(message.ack ?? "", message.accepted ? null : (message.reason ?? "INTERNAL"));
  else if (message.type === "err" && message.code === "FORBIDDEN") tell(t("panel.refused"));
  else if (message.type === "err") tell(t("notice.refused"));
  changed();
}

function linkChanged() {
  const { kind } = link.standing();
  if (kind === "lost" || kind === "key") {
    sender.giveUp();
    touch.sweep(Infinity);
  }
  if (kind === "key" && panel) {
    panel = null; // it has changed, or is gone
    setTimeout(() => void ask(), AGAIN_MS);
  }
  changed();
}

/** @param {string} words */
function tell(words) {
  clearTimeout(saidTimer);
  say(said, words);
  saidTimer = setTimeout(() => say(said, ""), STAY_MS);
}
