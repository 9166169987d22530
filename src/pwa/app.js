// The plain page's program: the lamp's light over /ws, and the truth about the link.
// It shows what the server said last and for how long that has been old; it never guesses.

const PING_EVERY_MS = 5000;
const SILENT_AFTER_MS = 12000; // two pings and a bit: the socket is dead though nobody said so
const QUIET_MS = 1500; // a shorter break is not worth a word
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;
const KEY_REFUSED = 4401;

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const link = at("link");
const disc = at("lamp");
const ask = /** @type {HTMLFormElement} */ (at("ask"));
const keyField = /** @type {HTMLInputElement} */ (at("key"));

/** @type {WebSocket | undefined} */
let socket;
let retries = 0;
let retryTimer = 0;
let heardAt = 0; // performance.now() of the last message, 0 before the first
let triedAt = 0; // when the present socket was made
let lostAt = performance.now();
/** @type {number | undefined} */
let roundTripMs;
let refused = false;

/** The key lives as long as the tab. Storage may be forbidden; then it lives as long as the page. */
let key = new URLSearchParams(location.hash.slice(1)).get("token") ?? stored() ?? "";

function stored() {
  try {
    return sessionStorage.getItem("key");
  } catch {
    return null;
  }
}

function connect() {
  clearTimeout(retryTimer);
  if (refused || (socket && socket.readyState <= WebSocket.OPEN)) return;
  const url = new URL("/ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (key) url.search = `?token=${encodeURIComponent(key)}`;
  const opened = new WebSocket(url);
  socket = opened;
  triedAt = performance.now();
  opened.onmessage = (event) => socket === opened && hear(JSON.parse(event.data));
  opened.onclose = (event) => socket === opened && lose(event.code);
}

/** @param {{type: string, r: number, g: number, b: number, seq: number, ts: number}} message */
function hear(message) {
  heardAt = performance.now();
  if (message.type === "state") {
    retries = 0;
    if (lostAt) ping();
    lostAt = 0;
    show(message);
  } else if (message.type === "pong") {
    roundTripMs = heardAt - message.ts;
  }
  tell();
}

/** @param {{r: number, g: number, b: number, seq: number, ts: number}} state */
function show({ r, g, b, seq, ts }) {
  disc.dataset.known = "";
  disc.style.setProperty("--light", `rgb(${r} ${g} ${b})`);
  for (const [id, level] of Object.entries({ r, g, b })) at(id).textContent = String(level);
  at("seq").textContent = String(seq);
  at("time").textContent = seq === 0 ? "–" : new Date(ts).toLocaleTimeString();
}

/** @param {number} code */
function lose(code) {
  socket = undefined;
  roundTripMs = undefined;
  lostAt ||= performance.now();
  refused = code === KEY_REFUSED;
  if (refused) {
    ask.hidden = false;
    keyField.focus();
  } else {
    const pause = Math.min(FIRST_RETRY_MS * 2 ** retries++, LONGEST_RETRY_MS);
    retryTimer = setTimeout(connect, pause * (0.75 + Math.random() / 4));
  }
  tell();
}

function ping() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "ping", ts: performance.now() }));
}

/** Says how the link is. */
function tell() {
  const now = performance.now();
  let [state, words] = ["live", roundTripMs === undefined ? "Live" : `Live · ${Math.max(1, Math.round(roundTripMs))} ms`];
  if (refused) {
    [state, words] = ["lost", "A key is needed"];
  } else if (lostAt && now - lostAt > QUIET_MS) {
    const age = Math.round((now - heardAt) / 1000);
    [state, words] = ["lost", heardAt ? `No link – values ${age} s old` : "No link"];
  } else if (lostAt && !heardAt) {
    [state, words] = ["waiting", "Connecting…"];
  }
  if (link.textContent !== words) link.textContent = words;
  link.dataset.link = document.body.dataset.link = state;
}

ask.addEventListener("submit", (event) => {
  event.preventDefault();
  key = keyField.value;
  try {
    sessionStorage.setItem("key", key);
  } catch {
    // kept for this page only
  }
  refused = false;
  ask.hidden = true;
  connect();
});

// A tablet that wakes up has a dead socket and does not know it.
for (const event of ["visibilitychange", "pageshow"]) {
  addEventListener(event, () => {
    if (document.visibilityState !== "visible") return;
    if (lostAt) connect();
    else ping();
  });
}

setInterval(ping, PING_EVERY_MS);
setInterval(() => {
  if (socket && performance.now() - Math.max(heardAt, triedAt) > SILENT_AFTER_MS) {
    const dead = socket;
    lose(0);
    dead.close();
  }
  tell();
}, 1000);

connect();
tell();
