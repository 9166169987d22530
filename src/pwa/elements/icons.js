// Icons: strokes on a grid of 24, in the colour of the text.

import { svg } from "../core/dom.js";

const PATHS = {
  live: "M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M18.4 5.6l-2.2 2.2M7.8 16.2l-2.2 2.2M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  looks: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  shows: "M4 6.5h6l2 2.5h8v9.5H4zM4 12h16",
  devices: "M4 16.5h16M7 20h10M6 4h12v9H6zM12 13v3.5",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.5v5M9 14.5v5M4 12h16",
  star: "M12 3.8l2.5 5.2 5.7.8-4.1 4 1 5.7-5.1-2.7-5.1 2.7 1-5.7-4.1-4 5.7-.8z",
  top: "M6 5h12M6 17l6-6 6 6",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  play: "M8 5.5l10.5 6.5L8 18.5z",
  stop: "M7 7h10v10H7z",
  warn: "M12 4l9 16H3zM12 10v4.5M12 17.2v.3",
  undo: "M9 5L4 10l5 5M4 10h10.5a4.75 4.75 0 0 1 0 9.500H11",
  patch: "M4 5h16M8 5v3M16 5v3M6 8h4l1.500 5h-7zM14 8h4l1.500 5h-7zM8 16v3M16 16v3M4.500 17.500l-.7 1.500M12 16v2",
  find: "M12 4v2M12 18v2M4 12h2M18 12h2M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 11.500v1",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  refresh: "M19 8.5A8 8 0 1 0 20 13M19 4v5h-5",
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  const path = svg("path", { d: PATHS[name] });
  return svg("svg", { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true", focusable: "false" }, path);
}
