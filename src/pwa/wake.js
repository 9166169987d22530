// Keeps the screen on, where a page may.

import * as prefs from "./core/prefs.js";

/** @type {WakeLockSentinel | null} */
let lock = null;

export const mayKeepAwake = () => "wakeLock" in navigator;

/** Follows the setting, and the page's visibility: a browser releases the lock when the page is hidden. */
export function keepAwake() {
  if (!mayKeepAwake()) return;
  const follow = async () => {
    const wanted = prefs.read("awake", "1") === "1" && document.visibilityState === "visible";
    if (wanted && !lock) lock = await navigator.wakeLock.request("screen").catch(() => null);
    else if (!wanted && lock) await lock.release();
    lock?.addEventListener("release", () => (lock = null), { once: true });
  };
  document.addEventListener("visibilitychange", follow);
  document.addEventListener("settings", follow);
  void follow();
}
