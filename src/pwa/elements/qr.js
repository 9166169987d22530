// A QR code, drawn as one path. Dark on white in every theme, as cameras need it.

import { svg } from "../core/dom.js";
import { qr } from "../core/qr.js";

/** The white margin that readers need, in modules. */
const QUIET = 4;

/**
 * @param {string} text
 * @param {string} label
 */
export function qrCode(text, label) {
  const rows = qr(text);
  const size = rows.length + 2 * QUIET;
  const dark = rows.flatMap((row, y) => row.flatMap((on, x) => (on ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : [])));
  return svg("svg", { viewBox: `0 0 ${size} ${size}`, class: "qr", role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("rect", { width: size, height: size, fill: "#fff" }), svg("path", { d: dark.join(""), fill: "#000" }));
}
