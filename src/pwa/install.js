// The service worker, where a page may have one. A new version waits until somebody accepts it.

/** @type {ServiceWorkerRegistration | null} */
let registration = null;

const workers = () => ("serviceWorker" in navigator ? navigator.serviceWorker : null); // there is none on plain http

/**
 * Checks whether the appliance has newer files than this page, and has them fetched. Call it at the start, and
 * when the appliance is back: it may have been updated.
 * @param {(apply: () => void) => void} offer Called when a new version is ready.
 */
export async function lookForNew(offer) {
  const all = workers();
  if (!all) return;
  const version = await versionNow();
  const known = registration;
  const next = version === null ? await all.getRegistration() : await all.register(`/sw.js?v=${version}`).catch(() => null);
  if (!next) return;
  registration = next;
  if (next.waiting && all.controller) offer(apply);
  if (known === next) return; // it is already listened to
  next.addEventListener("updatefound", () => {
    const fresh = next.installing;
    fresh?.addEventListener("statechange", () => fresh.state === "installed" && all.controller && offer(apply));
  });
}

/** Switches to the new version; another page may have done so before. */
function apply() {
  const waiting = registration?.waiting;
  if (!waiting) return location.reload();
  workers()?.addEventListener("controllerchange", () => location.reload());
  waiting.postMessage("take over");
}

/** The version of the appliance's files; null without an appliance. */
async function versionNow() {
  try {
    const response = await fetch("/assets.json", { cache: "no-store" });
    return response.ok ? String((await response.json()).version) : null;
  } catch {
    return null;
  }
}
