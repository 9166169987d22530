// The service worker: the shell from the cache, everything else from the appliance. Its address carries the version
// (`/sw.js?v=…`), so a new version is a new worker, which waits until the page tells it to take over.

/** @type {ServiceWorkerGlobalScope} */
// @ts-ignore: `self` is the worker's
const worker = self;
const version = new URL(worker.location.href).searchParams.get("v") ?? "";
const CACHE = `shell-${version}`;

worker.addEventListener("install", (event) => event.waitUntil(fill()));
worker.addEventListener("activate", (event) => event.waitUntil(tidy()));
worker.addEventListener("message", (event) => event.data === "take over" && worker.skipWaiting());
worker.addEventListener("fetch", (event) => {
  const { method, url, mode } = event.request;
  const path = new URL(url);
  if (method !== "GET" || path.origin !== worker.location.origin) return;
  if (mode === "navigate" && path.pathname === "/") event.respondWith(fromShell("/", event.request));
  else if (/^\/(core|css|elements|icons|lang|views)\/|^\/\w+\.(js|webmanifest)$/.test(path.pathname) && !/\/panel\.\w+$/.test(path.pathname)) {
    event.respondWith(fromShell(path.pathname, event.request));
  }
});

/** An update in between would mix two versions: then the install fails, and is tried again at the next visit. */
async function fill() {
  const files = await filesOfThis();
  const cache = await caches.open(CACHE);
  // guests' panels come from the appliance each time, and their addresses are kept nowhere
  const names = new Set(["/", ...files.filter((name) => !["/index.html", "/sw.js"].includes(name) && !/\/panel\.\w+$/.test(name))]);
  await cache.addAll([...names].map((name) => new Request(name, { cache: "reload" })));
  await filesOfThis().catch(async (error) => {
    await caches.delete(CACHE);
    throw error;
  });
}

/** The appliance's file, as long as its version is this worker's. */
async function filesOfThis() {
  const response = await fetch("/assets.json", { cache: "no-store" });
  /** @type {{ version: string, files: string[] }} */
  const assets = await response.json();
  if (assets.version !== version) throw new Error("the appliance has another version");
  return assets.files;
}

async function tidy() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await worker.clients.claim();
}

/**
 * @param {string} name
 * @param {Request} request
 */
async function fromShell(name, request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(name)) ?? fetch(request);
}
