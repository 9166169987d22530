// A DMX widget at the far end of a pty: what really leaves the appliance, and when.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { eventually } from "./harness.js";

export class Widget {
  /** @type {{ at: number, rgb: number[] }[]} */
  frames = [];
  #child;
  path = "";

  async plug() {
    const script = new URL("widget.py", import.meta.url).pathname;
    this.#child = spawn("python3", ["-u", script], { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => this.#child.kill());
    createInterface(this.#child.stdout).on("line", (line) => {
      if (line.startsWith("/")) this.path = line;
      else this.frames.push(JSON.parse(line));
    });
    await eventually("the widget is there", () => this.path, (path) => path !== "");
    return this;
  }

  /** Settings of an appliance with this widget. */
  get variables() {
    return { DMX_USB_ENABLED: "true", DMX_USB_PORT: this.path };
  }

  /** Channels 1 to 3 of the newest frame. */
  get light() {
    return this.frames.at(-1)?.rgb ?? [];
  }

  unplug() {
    this.#child.kill();
  }
}
