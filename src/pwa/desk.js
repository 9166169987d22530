// The desk: link, state, fingers and sender, put together once. Views read from it and give orders through it; it owns what is known.

import * as api from "./core/api.js";
import { Link } from "./core/link.js";
import { allowed } from "./core/may.js";
import * as prefs from "./core/prefs.js";
import { LATE_MS, Sender, isFixtures } from "./core/sender.js";
import { empty, fold, level, opened } from "./core/state.js";
import { Touch } from "./core/touch.js";
import { ulid } from "./core/ulid.js";
import { knows, t } from "./core/words.js";

/** @import { What } from "./core/may.js" */
/** @import { About, Me, Message, Projects, Rgb, Scene } from "./core/types.js" */
/** @import { Fields, Group, Once } from "./core/sender.js" */
/** @import { Phase } from "./core/touch.js" */

/** Scenes may be edited elsewhere without a message: while somebody looks, they are fetched this often. */
const SCENES_EVERY_MS = 15_000;

/** A key that REST refuses makes the link ask again, but not with each call of a polling view. */
const KEY_AGAIN_MS = 5000;

/** While nobody here is known, the appliance is asked this often whether that has changed: it may have been opened. */
const ME_EVERY_MS = 5000;

/** @type {readonly Scene[]} */
const NONE = [];

const now = () => performance.now();

class Desk {
  model = empty();
  /** Null while unknown. @type {readonly Scene[] | null} */
  looks = null;
  /** Null: switched off. Undefined: unknown. @type {Projects | null | undefined} */
  projects = undefined;
  /** The appliance's last `/about`. @type {About | null} */
  appliance = null;
  /** Who this is to the appliance, by its last word; null while unknown. @type {Me | null} */
  me = null;
  /** Names the content of the list of projects. */
  projectsTag = "";
  /** Names the content of the list of looks. */
  #looksTag = "";
  /** Name of this page: a connection uses it to replace an older one. */
  #session = ulid();
  #touch = new Touch((key, a, b) => a === b || (isFixtures(/** @type {Group} */ (key)) && alike(key, a, b)));
  #link;
  #sender;
  /** @type {Set<() => void>} */
  #painters = new Set();
  #frame = 0;
  #scenesAt = -Infinity;
  #refusedAt = -Infinity;
  #meAt = -Infinity;
  /** Whether the appliance had refused this page when the link was looked at last. */
  #shut = false;
  /** When the link was tried again because of what `/me` said. */
  #letInAt = -Infinity;
  /** @type {(words: string, detail?: string) => void} Tells people something; the app sets it. */
  notify = () => {};
  /** A connection has come up, and everything is known again. */
  onBack = () => {};
  /** What was fetched by REST may be of another project by now. */
  onWhole = () => {};
  /** Another patch is in force. */
  onPatch = () => {};
  /** What a value of fixtures is by the levels; the rig sets it. @type {(group: Group, name: string) => number} */
  fixtureValue = () => 0;

  constructor() {
    this.#link = new Link({
      open: (url) => new WebSocket(url),
      url: () => this.#url(),
      now,
      wall: () => Date.now(),
      stamp: () => Math.round(performance.timeOrigin + performance.now()),
      later: (run, ms) => setTimeout(run, ms),
      never: (timer) => clearTimeout(timer),
      opened: () => (this.model = opened(this.model)),
      hear: (message) => this.#hear(message),
      changed: () => this.#linkChanged(),
    });
    this.#sender = new Sender({
      put: (message) => this.#link.put(message),
      now,
      later: (run, ms) => setTimeout(run, ms),
      source: () => this.source,
      newId: ulid,
      sent: (group, fields) => each(group, fields, (key, value) => this.#touch.sent(key, value)),
      taken: (group, fields) => each(group, fields, (key) => this.#touch.taken(key)),
      lost: (group, fields, reason) => {
        each(group, fields, (key) => this.#touch.drop(key));
        this.notify(t(reason === "LATE" ? "notice.late" : "notice.refused"));
        this.changed();
      },
      refused: () => {
        this.notify(t("notice.refused"));
        void this.loadScenes(); // only recalls have ids among commands without a drag: somebody may have deleted the look
      },
    });
  }

  start() {
    api.authorise(() => this.key, () => this.#keyRefused());
    this.#link.connect();
    void this.loadMe();
    setInterval(() => this.#tick(), 1000);
    for (const event of ["visibilitychange", "pageshow"]) {
      addEventListener(event, () => document.visibilityState === "visible" && this.#link.wake());
    }
  }

  // What it knows

  /** Whether there are any values, old or new. */
  get known() {
    return this.model.desk !== null;
  }

  /** The known looks. */
  get scenes() {
    return this.looks ?? NONE;
  }

  get standing() {
    return this.#link.standing();
  }

  /** Whether fingers can reach the light: in a short break their values wait for the link, no longer than LATE_MS. */
  get usable() {
    const { kind } = this.standing;
    return kind === "live" || (kind === "connecting" && this.known);
  }

  /**
   * A level as it should be shown: under a finger the finger's.
   * @param {number} universe
   * @param {number} channel
   */
  level(universe, channel) {
    return this.#touch.value(`${universe}/${channel}`, level(this.model, universe, channel));
  }

  /**
   * Another person's value of a channel that is under a finger.
   * @param {number} universe
   * @param {number} channel
   */
  ghost(universe, channel) {
    return this.#touch.ghost(`${universe}/${channel}`);
  }

  /** @returns {Rgb} The lamp's levels. */
  get lamp() {
    return { r: this.level(0, 1), g: this.level(0, 2), b: this.level(0, 3) };
  }

  /** @returns {Rgb | null} */
  get lampGhost() {
    const [r, g, b] = [this.ghost(0, 1), this.ghost(0, 2), this.ghost(0, 3)];
    if (r === null && g === null && b === null) return null;
    const { lamp } = this;
    return { r: r ?? lamp.r, g: g ?? lamp.g, b: b ?? lamp.b };
  }

  /**
   * What a finger holds of a value of fixtures, else what it is by the levels.
   * @param {Group} group
   * @param {string} name
   */
  ofFixtures(group, name) {
    return this.#touch.value(`${group}/${name}`, this.fixtureValue(group, name));
  }

  /** @param {Group} group @param {string} name */
  ghostOfFixtures(group, name) {
    return this.#touch.ghost(`${group}/${name}`);
  }

  get master() {
    return this.#touch.value("master", this.model.desk?.master ?? 255);
  }

  get masterGhost() {
    return this.#touch.ghost("master");
  }

  get blackout() {
    return this.#touch.value("blackout", this.model.desk?.blackout ? 1 : 0) === 1;
  }

  get source() {
    return `ui-${prefs.slug(this.name)}`;
  }

  get name() {
    return prefs.read("name", "") || firstName();
  }

  get key() {
    return prefs.read("key", "");
  }

  set key(key) {
    prefs.write("key", key);
    this.#link.retry();
  }

  /** Whether this person may do something here. @param {What} what */
  may(what) {
    return allowed(this.me, what);
  }

  // What it orders

  /**
   * All three levels: another hand's change to one of them meanwhile is lost.
   * @param {Rgb} rgb
   * @param {Phase} phase
   */
  moveLamp(rgb, phase) {
    this.#move("lamp", { ...rgb }, phase);
  }

  /**
   * @param {number} universe
   * @param {number} channel
   * @param {number} value
   * @param {Phase} phase
   */
  moveChannel(universe, channel, value, phase) {
    this.#move(`u${universe}`, { [channel]: value }, phase);
  }

  /**
   * @param {number} level
   * @param {Phase} phase
   */
  moveMaster(level, phase) {
    this.#move("master", { level }, phase);
  }

  /**
   * Fixtures' values; the group is `f` and the JSON of who is meant.
   * @param {Group} group
   * @param {Fields} fields
   * @param {Phase} phase
   */
  moveFixtures(group, fields, phase) {
    this.#move(group, fields, phase);
  }

  /** @param {boolean} on */
  setBlackout(on) {
    if (!this.once({ type: "blackout", on })) return;
    this.#touch.hold("blackout", on ? 1 : 0, this.#truth("blackout"));
    this.#touch.sent("blackout", on ? 1 : 0);
    this.#touch.release("blackout", now());
    this.changed();
  }

  /** @param {string} id */
  recall(id) {
    this.once({ type: "scene.recall", id: ulid(), src: this.source, name: id });
  }

  async stopFades() {
    if (this.#watches()) return;
    if (!this.usable) return this.#unusable();
    await this.ask(api.json("POST", "/fades/stop", { patience: LATE_MS })); // what takes longer is cancelled
  }

  // Documents

  async loadScenes() {
    this.#scenesAt = now();
    /** @type {ReturnType<typeof api.tagged<Scene[]>>} */
    const asked = api.tagged("GET", "/scenes", { known: this.looks ? this.#looksTag : "" });
    const scenes = await this.ask(asked, null);
    if (!scenes) return;
    this.looks = scenes.value;
    this.#looksTag = scenes.tag;
    this.changed();
  }

  /**
   * Edits a look if it is still as it was shown: another tablet's change is not overwritten unseen.
   * @param {string} method
   * @param {Scene} shown
   * @param {object | undefined} body
   * @param {string} words Shown when it is done.
   * @param {string} [below] The rest of the path.
   * @returns {Promise<{ look: Scene, done: boolean }>} The look as it is now; not done: it was no longer as shown.
   */
  async editLook(method, shown, body, words, below = "") {
    await this.loadScenes(); // without a link, the edit itself will report it
    const find = () => this.scenes.find(({ id }) => id === shown.id);
    const now = find();
    if (now && differs(now, shown, body)) {
      this.notify(t("changed.look", { name: now.name }));
      return { look: now, done: false };
    }
    const path = `/scenes/${encodeURIComponent(shown.id)}${below}`;
    const answer = await this.ask(/** @type {Promise<Scene>} */ (api.json(method, path, { body, match: this.#looksTag })), words);
    await this.loadScenes();
    // The answer, not the list: another tablet may have changed that meanwhile.
    return { look: answer?.id === shown.id ? answer : (find() ?? shown), done: true };
  }

  /** Asks who this is. If the appliance would let it in by now, the link comes back. */
  async loadMe() {
    this.#meAt = now();
    const me = await this.ask(/** @type {Promise<Me>} */ (api.json("GET", "/me")), null);
    if (!me) return;
    this.me = me;
    const again = now() - this.#letInAt > ME_EVERY_MS; // something between us may take the cookie away: no storm
    if (this.standing.kind === "key" && (this.may("watch") || me.kind === "panel") && again) {
      this.#letInAt = now();
      this.#link.retry();
    }
    this.changed();
  }

  /**
   * What the appliance is and has; null if it does not answer. Fetched before features that may be off: a 404
   * looks like a fault in a browser's console.
   * @param {AbortSignal} [signal]
   */
  async about(signal) {
    const about = await this.ask(/** @type {Promise<About>} */ (api.json("GET", "/about", { signal })), null);
    if (about) this.appliance = about;
    return about;
  }

  /** Where people write settings, in a sentence. */
  get settingsFile() {
    const { settings } = this.appliance ?? {};
    return settings?.onCard ? t("setting.card") : (settings?.file ?? t("setting.unknown"));
  }

  async loadProjects() {
    const about = await this.about();
    if (!about) return;
    /** @type {ReturnType<typeof api.tagged<Projects>> | null} */
    const asked = about.projects ? api.tagged("GET", "/projects") : null;
    const projects = asked && (await this.ask(asked, null));
    if (asked && !projects) return;
    this.projects = projects && projects.value;
    this.projectsTag = projects?.tag ?? "";
    this.changed();
  }

  /**
   * Does something by REST, and tells people the outcome. Null if it failed.
   * @template T
   * @param {Promise<T>} promise
   * @param {string | null} [done] Words for success; null: no words in either case.
   * @param {Record<number, string>} [known] Words for failure, by status; otherwise those of `why`.
   * @returns {Promise<T | null>}
   */
  async ask(promise, done = "", known = {}) {
    if (done !== null) this.notify(""); // the words about an earlier attempt
    try {
      const answer = await promise;
      if (done) this.notify(done);
      return answer;
    } catch (error) {
      const own = error instanceof api.Refused ? known[error.status] : undefined;
      if (done !== null) this.notify(t("failed", { why: own ?? why(error) }), own ? "" : detail(error));
      return null;
    }
  }

  // Painting: once a frame, whatever has happened

  /**
   * Calls `paint` in the frame after each change until the signal, and once now.
   * @param {() => void} paint
   * @param {AbortSignal} signal
   */
  paint(paint, signal) {
    this.#painters.add(paint);
    signal.addEventListener("abort", () => this.#painters.delete(paint), { once: true });
    paint();
  }

  changed() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      for (const paint of this.#painters) paint();
    });
  }

  // Inside

  #url() {
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("session", this.#session);
    if (this.key) url.searchParams.set("token", this.key);
    return url.href;
  }

  /** @param {Message} message */
  #hear(message) {
    const { generation, desk, greeting } = this.model;
    this.model = fold(this.model, message, Date.now());
    this.#touch.heard((key) => this.#truth(key), (key) => message.type === "desk" && ["master", "blackout"].includes(key));
    this.#sender.heard();
    if ("ack" in message) this.#sender.answered(message.ack ?? "", message.accepted ? null : (message.reason ?? "INTERNAL"));
    else if (message.type === "err" && message.cmdId) this.#sender.answered(message.cmdId, String(message.code));
    if (this.model.generation !== generation) void this.#loadAll();
    if (message.type === "patch") this.onPatch();
    if (greeting && !this.model.greeting) {
      void this.loadMe(); // another role, or the appliance has been locked or opened
      this.onBack();
    }
    const scene = this.model.desk?.scene;
    if (scene && scene !== desk?.scene && !this.looks?.some(({ id }) => id === scene)) void this.loadScenes();
    if (message.type !== "pong") this.changed();
  }

  async #loadAll() {
    this.onWhole();
    await Promise.all([this.loadScenes(), this.loadProjects()]);
  }

  /**
   * @param {Group} group
   * @param {Fields} fields
   * @param {Phase} phase
   */
  #move(group, fields, phase) {
    if (this.#watches(phase === "drag" || phase === "end")) return;
    const last = phase === "end";
    if (phase === "drop") each(group, fields, (key) => this.#touch.letGo(key, now()));
    else if (last && !this.usable) each(group, fields, (key) => this.#touch.drop(key)); // none of it is on its way
    else if (this.usable) each(group, fields, (key, value) => this.#touch.hold(key, value, this.#truth(key)));
    if (phase === "drag" || last) {
      if (!this.usable) return this.#unusable();
      this.#sender.move(group, fields, last);
      if (last) each(group, fields, (key) => this.#touch.release(key, now()));
    }
    this.changed();
  }

  /** A command without a drag; false: it is not on its way, and people were told. @param {Once} message */
  once(message) {
    if (this.#watches()) return false;
    const gone = this.usable && this.#sender.once(message);
    if (!gone) this.#unusable();
    return gone;
  }

  /** Whether this person may only watch; says so. */
  #watches(aloud = true) {
    if (this.may("light") || !this.may("watch")) return false;
    if (aloud) this.notify(t("may.watch"));
    this.changed();
    return true;
  }

  #unusable() {
    this.notify(t("notice.nolink"));
    this.changed();
  }

  /** @param {string} key */
  #truth(key) {
    if (key === "master") return this.model.desk?.master ?? 255;
    if (key === "blackout") return this.model.desk?.blackout ? 1 : 0;
    if (isFixtures(/** @type {Group} */ (key))) {
      const cut = key.lastIndexOf("/");
      return this.fixtureValue(/** @type {Group} */ (key.slice(0, cut)), key.slice(cut + 1));
    }
    const [universe, channel] = key.split("/").map(Number);
    return level(this.model, universe ?? 0, channel ?? 1);
  }

  /** REST answers 401: the link asks again, gets 4401, and the key is asked for in one place. */
  #keyRefused() {
    if (this.standing.kind === "key" || now() - this.#refusedAt < KEY_AGAIN_MS) return;
    this.#refusedAt = now();
    this.#link.retry();
  }

  #linkChanged() {
    if (!this.usable) {
      this.#sender.giveUp();
      this.#sweep(Infinity);
    }
    const asked = this.standing.kind === "key";
    if (asked && !this.#shut) void this.loadMe();
    this.#shut = asked;
    this.changed();
  }

  /** @param {number} time */
  #sweep(time) {
    if (!this.#touch.busy) return;
    if (this.#touch.sweep(time)) this.notify(t("notice.unsure"));
    this.changed();
  }

  #tick() {
    this.#link.tick();
    this.#sweep(now());
    if (this.standing.kind === "key" && now() - this.#meAt > ME_EVERY_MS) void this.loadMe();
    const seen = document.visibilityState === "visible";
    if (seen && this.usable && now() - this.#scenesAt > SCENES_EVERY_MS) void this.loadScenes();
  }
}

/**
 * The keys under which fingers hold the fields of a group.
 * @param {Group} group
 * @param {Fields} fields
 * @param {(key: string, value: number) => void} run
 */
function each(group, fields, run) {
  if (isFixtures(group)) return Object.entries(fields).forEach(([name, value]) => run(`${group}/${name}`, value));
  const names = /** @type {Record<string, string>} */ ({ r: "0/1", g: "0/2", b: "0/3", level: "master" });
  for (const [name, value] of Object.entries(fields)) run(names[name] ?? `${group.slice(1)}/${name}`, value);
}

/** How far a fixture's colour may be from what was asked for, for each part: its emitters round it. */
const SLACK = 12;

/** The same for everything else, of 65535: what 8 bits may round away. */
const STEP = 300;

/**
 * Whether one value of fixtures may be the echo of the other.
 * @param {string} key
 * @param {number} a
 * @param {number} b
 */
function alike(key, a, b) {
  if (!key.endsWith("/color")) return Math.abs(a - b) <= STEP;
  return [16, 8, 0].every((shift) => Math.abs(((a >> shift) & 255) - ((b >> shift) & 255)) <= SLACK);
}

/**
 * Whether somebody else has changed these fields, or without any the whole look, before an edit.
 * @param {Scene} now
 * @param {Scene} shown
 * @param {object | undefined} body
 */
function differs(now, shown, body) {
  if (!body) return JSON.stringify(now) !== JSON.stringify(shown);
  const [theirs, before] = /** @type {Record<string, unknown>[]} */ ([now, shown]);
  return Object.entries(body).some(([key, mine]) => (theirs?.[key] ?? null) !== (before?.[key] ?? null) && theirs?.[key] !== mine);
}

/**
 * Why something did not work.
 * @param {unknown} error
 */
export function why(error) {
  if (!(error instanceof api.Refused) || error.status === 0) return t("failed.nolink");
  if (error.needs) return t("failed.needs", { needs: t(`role.${error.needs}`), role: t(`role.${desk.me?.role ?? "none"}`) });
  const key = `failed.${error.status}`;
  return t(knows(key) ? key : "failed.fault");
}

/** Statuses for which the app's own words say everything. */
const SAID = [0, 401, 412, 413];

/**
 * The appliance's own English beyond that, which is shown apart; may be empty.
 * @param {unknown} error
 */
export const detail = (error) => (error instanceof api.Refused && !SAID.includes(error.status) && !error.needs ? error.message : "");

/** The name until somebody sets one: the kind of device, and two letters that tell two tablets apart. */
function firstName() {
  const agent = navigator.userAgent;
  const kind = /iPhone|Android.*Mobile/.test(agent) ? "phone" : /iPad|Android|Macintosh/.test(agent) ? "tablet" : "desk";
  const name = `${kind}-${ulid().slice(-2).toLowerCase()}`;
  prefs.write("name", name);
  return name;
}

export const desk = new Desk();
