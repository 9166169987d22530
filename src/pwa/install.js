// The service worker, where a page may have one. A new version waits until somebody takes it.

/**
 * @param {(apply: () => void) => void} offer Called when a new version is ready.
 */
export async function installed(offer) {
  if (!("serviceWorker" in navigator)) return; // plain http
  const workers = navigator.serviceWorker;
  const version = await versionNow();
  const registration = version === null ? await workers.getRegistration() : await workers.register(`/sw.js?v=${version}`);
  if (!registration) return;
  let asked = false;
  workers.addEventListener("controllerchange", () => asked && location.reload());
  const ready = () => {
    const next = registration.waiting;
    if (!next || !workers.controller) return;
    offer(() => {
      asked = true;
      next.postMessage("take over");
    });
  };
  ready();
  registration.addEventListener("updatefound", () => {
    const next = registration.installing;
    next?.addEventListener("statechange", () => next.state === "installed" && ready());
  });
}

/** The version of the files that the appliance has, null without an appliance. */
export async function versionNow() {
  try {
    const response = await fetch("/assets.json", { cache: "no-store" });
    return response.ok ? String((await response.json()).version) : null;
  } catch {
    return null;
  }
}
