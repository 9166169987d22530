// Starts the app: words, theme, frame, and the view that the address names.

import { away } from "./away.js";
import { opens } from "./core/api.js";
import { h, mark, reveal, say } from "./core/dom.js";
import * as prefs from "./core/prefs.js";
import { LANGUAGES, t, use } from "./core/words.js";
import { desk } from "./desk.js";
import { DmxBar } from "./elements/dmx-bar.js";
import { DmxChip } from "./elements/dmx-chip.js";
import { icon } from "./elements/icons.js";
import { Notices } from "./elements/notices.js";
import { loginAsk } from "./elements/login.js";
import { lookForNew } from "./install.js";
import { rights } from "./rights.js";
import { keepAwake } from "./wake.js";
import { lastName } from "./who.js";
import { live } from "./views/live.js";
import { login } from "./views/login.js";
import { looks } from "./views/looks.js";
import { later } from "./views/parts.js";
import { settings } from "./views/settings.js";

/** @import { Language } from "./core/words.js" */

/** @typedef {(signal: AbortSignal) => HTMLElement} View Listens and paints until the signal. */
// What nobody needs at once is read when it is opened; its file is here by then (index.html).
const devices = later(async () => (await import("./views/devices.js")).devices);
const lock = later(async () => (await import("./views/lock.js")).lock);
const panels = later(async () => (await import("./views/panels.js")).panels);
const patch = later(async () => (await import("./views/patch.js")).patch);
const people = later(async () => (await import("./views/people.js")).people);
const shows = later(async () => (await import("./views/shows.js")).shows);
const VIEWS = /** @type {const} */ ({ live, looks, patch, shows, devices, settings });
/** Views that Settings leads to. */
const BELOW = /** @type {const} */ ({ people, panels, lock, login });
/** @typedef {keyof typeof VIEWS} ViewName */
const NAMES = /** @type {ViewName[]} */ (Object.keys(VIEWS));

/** Colours of the browser's own bars, by theme; the style sheet's --ground. */
const GROUNDS = { dark: "#0b0d11", red: "#0a0202", light: "#f3f4f7" };

/** How long to wait for a file that does not come. */
const AGAIN_MS = 1000;

const notices = new Notices();
const main = h("main", { id: "view", tabindex: -1 });
/** Switches to a new version of the app, if there is one. @type {(() => void) | null} */
let fresh = null;
/** A key from a link that has not been checked yet: the appliance was out of reach. */
let offered = "";
/** Whether the appliance answers, even if it refuses the key in use. */
let answers = false;
let framing = new AbortController();
let showing = new AbortController();

start();

async function start() {
  const brought = keyFromAddress();
  if (brought && !isKnown()) prefs.write("key", brought); // the link's first attempt uses it
  applyTheme();
  desk.start(); // while the words load
  await loadWords();
  desk.notify = (words, detail) => notices.tell(words, detail);
  void offerKey(brought);
  frame();
  addEventListener("hashchange", () => {
    void offerKey(keyFromAddress());
    show();
  });
  document.addEventListener("settings", onSettings);
  main.addEventListener("toggle", ({ target }) => target instanceof HTMLDetailsElement && target.open && reveal(target), true);
  keepAwake();
  desk.onBack = () => void lookForNew(offer);
  void lookForNew(offer);
}

/** Whether this tablet has something that may work: a key, or a login, which only its cookie knows. */
function isKnown() {
  return desk.key !== "" || lastName() !== "";
}

/**
 * A link with `#key=…` (or, as earlier, `#token=…`) brings a key; it does not stay in the address.
 * @returns {string} Empty if there was none.
 */
function keyFromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const token = asked.get("key") ?? asked.get("token") ?? "";
  if (token) history.replaceState(null, "", location.pathname);
  return token;
}

/** A key from a link never replaces one that works, unless it works too. @param {string} token */
async function offerKey(token) {
  if (!token || token === desk.key) return;
  if (!isKnown()) {
    desk.key = token;
    void desk.loadMe();
    return;
  }
  offered = token;
  const known = await opens(token);
  if (known === null || offered !== token) return; // it waits for the link, or another link came after it
  offered = "";
  if (known) {
    desk.key = token;
    void desk.loadMe();
  } else desk.notify(t("key.link"));
}

/** @param {() => void} apply */
function offer(apply) {
  fresh = apply;
  desk.changed();
}

function applyTheme() {
  const theme = prefs.read("theme", "dark");
  const known = /** @type {keyof typeof GROUNDS} */ (theme in GROUNDS ? theme : "dark");
  document.documentElement.dataset.theme = known;
  document.querySelector("meta[name=theme-color]")?.setAttribute("content", GROUNDS[known]);
}

async function loadWords() {
  const wanted = prefs.read("language", navigator.language.slice(0, 2));
  const language = /** @type {Language} */ (wanted in LANGUAGES ? wanted : "en");
  for (;;) {
    try {
      use(language, await (await fetch(`/lang/${language}.json`)).json());
      break;
    } catch {
      await new Promise((again) => setTimeout(again, AGAIN_MS)); // the appliance is out of reach, and there is no app without words
    }
  }
  document.documentElement.lang = language;
}

/** The frame of every view. */
function frame() {
  framing.abort();
  framing = new AbortController();
  const tab = (/** @type {ViewName} */ name) =>
    h("a", { href: `#/${name}`, "data-view": name }, icon(name), h("span", null, t(`nav.${name}`)));
  const chip = new DmxChip();
  const spoken = h("span", { class: "unseen", role: "status" });
  const project = h("p", { class: "project" });
  const update = h("button", { type: "button", class: "small update", hidden: true, "aria-label": t("update.apply"), title: t("update.apply"), onclick: () => fresh?.() },
    icon("refresh"), h("span", null, t("update.new")));
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#view", onclick: skip }, t("nav.skip")),
    h("header", { class: "top" }, h("nav", { "aria-label": t("nav.label") }, NAMES.map(tab)), project, notices, update, chip, spoken),
    loginAsk(framing.signal), away(main, framing.signal), rights(framing.signal), main, new DmxBar());
  desk.paint(() => {
    const { standing } = desk;
    chip.paint(standing);
    const answered = answers;
    answers = standing.kind === "live" || standing.kind === "key";
    if (answers && !answered) void offerKey(offered);
    update.hidden = fresh === null;
    mark(document.body, "data-link", standing.kind);
    mark(document.body, "data-dark", desk.blackout ? "" : null);
    say(spoken, standing.kind === "live" || standing.kind === "connecting" ? "" : t("link.spoken"));
    const { projects } = desk;
    say(project, projects?.projects.find(({ id }) => id === projects.activeId)?.name ?? "");
  }, framing.signal);
  show();
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  main.focus();
}

function show() {
  const asked = location.hash.replace(/^#\//, "");
  const below = /** @type {(keyof typeof BELOW)[]} */ (Object.keys(BELOW)).find((known) => known === asked);
  const name = below ? "settings" : (NAMES.find((known) => known === asked) ?? "live");
  showing.abort();
  showing = new AbortController();
  main.replaceChildren((below ? BELOW[below] : VIEWS[name])(showing.signal));
  mark(main, "data-view", below ?? name);
  desk.changed(); // without a link its controls cannot work
  main.scrollTop = 0;
  document.title = `${t(`nav.${below ?? name}`)} · dmxd`;
  for (const link of document.querySelectorAll("header a")) {
    mark(link, "aria-current", link.getAttribute("data-view") === name ? "page" : null);
  }
}

/** Other words or colours: everything is made anew, and typing goes on where it was. */
async function onSettings() {
  const { id } = document.activeElement ?? {};
  applyTheme();
  await loadWords();
  frame();
  if (id) document.getElementById(id)?.focus();
}
