// The page about trust: whether this device trusts the box, the steps for this kind of device, the QR code.

import { qr } from "/trust/qr.js";

const main = document.querySelector("main");
const { port, plain } = main.dataset;
const secure = `https://${location.hostname}:${port}`;

for (const link of document.querySelectorAll(".open")) link.href = `${secure}/`;

/** The steps for this device are open. iPads call themselves Macs; they have fingers. */
function kind() {
  const said = navigator.userAgent;
  if (/iPad|iPhone/.test(said) || (/Macintosh/.test(said) && navigator.maxTouchPoints > 1)) return "ipad";
  return { Android: "android", Windows: "windows", Macintosh: "macos" }[/Android|Windows|Macintosh/.exec(said)?.[0]] ?? "programs";
}

/** A request that a device without trust does not even send. Its answer may not be read from here, and need not be. */
async function ask() {
  const answer = document.querySelector(".answer");
  const say = (word) => {
    answer.textContent = answer.dataset[word];
    answer.className = `answer ${word}`;
  };
  say("asks");
  const trusts = await fetch(`${secure}/healthz`, { mode: "no-cors", cache: "no-store" }).then(() => true, () => false);
  say(trusts ? "yes" : "no");
}

function draw(text) {
  const QUIET = 4;
  const rows = qr(text);
  const size = rows.length + 2 * QUIET;
  const part = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    return element;
  };
  const dark = rows.flatMap((row, y) => row.flatMap((on, x) => (on ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : [])));
  const place = document.querySelector("#qr");
  const code = part("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": `${place.dataset.label}: ${text}`, "shape-rendering": "crispEdges" });
  code.append(part("rect", { width: size, height: size, fill: "#fff" }), part("path", { d: dark.join(""), fill: "#000" }));
  place.append(code);
}

// A new device cannot open the encrypted page without a warning.
const here = location.protocol === "http:" ? location.origin : `http://${location.hostname}${plain === "80" ? "" : `:${plain}`}`;
draw(`${here}/trust`);
if (main.dataset.source === "authority") {
  document.getElementById(kind()).open = true;
  ask();
}
