// Makes the README's pictures of the app: DMXD and DMXD_STRANGERS as tests/run sets them, then `node tests/app/readme-pictures.mjs`.
import { spawn } from "node:child_process";
import { Appliance, PLAIN, SIZES, eventually, launch, live, painted } from "./browser/harness.js";

/** Looks of a rig of twelve PARs and two heads: what each group gets, the fade, whether it is a favourite. */
const LOOKS = [
  ["House lights", { front: "#ffc878", back: "#000000", heads: "#000000" }, 2000, true], ["Solo spot", { front: "#000000", back: "#101828", heads: "#fff0dc" }, 0, true],
  ["Sunrise", { front: "#ff7828", back: "#c83c14", heads: "#ffb464" }, 8000], ["Forest", { front: "#1ea03c", back: "#0a5a28", heads: "#78c850" }, 2500],
  ["Storm", { front: "#4650a0", back: "#141e5a", heads: "#b4c8ff" }, 400], ["Party", { front: "#ff00c8", back: "#0000ff", heads: "#00e1ff" }, 1000],
  ["Applause", { front: "#fff0dc", back: "#ffc878", heads: "#ffffff" }, 1000], ["Blue wash", { front: "#003cdc", back: "#0078ff", heads: "#50a0ff" }, 30_000],
];
const RIG = [
  { type: "par-7", universe: 0, address: 1, count: 6, name: "Front", groups: ["front"] }, { type: "par-7", universe: 0, address: 43, count: 6, name: "Back", groups: ["back"] },
  { type: "moving-head", universe: 1, address: 1, count: 2, name: "Head", groups: ["heads"] },
];

const appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true", DMX_USB_ENABLED: "true", DMX_USB_PORT: "/dev/serial/by-id/usb-ENTTEC_DMX_USB_PRO" }).start();
const browser = await launch();
const lamps = ["lamp-left", "lamp-right", "button-door"].map((id) =>
  spawn("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(appliance.mqttPort), "-i", id, "-r", "-q", "1", "-t", `v1/devices/${id}/state`, "-l"]));
try {
  await appliance.rest("/projects/default", { method: "PUT", body: { name: "Spring play" } });
  for (const fixtures of RIG) await appliance.rest("/patch/fixtures", { body: fixtures });
  const groups = [["front", "Front"], ["back", "Back"], ["heads", "Heads"]].map(([id, name]) => ({ id, name }));
  await appliance.rest("/patch/groups", { method: "PUT", body: groups });
  for (const [name, colours, fadeMs, favorite] of LOOKS) {
    for (const [group, color] of Object.entries(colours)) {
      const values = { color, intensity: color === "#000000" ? 0 : 1 };
      await appliance.rest("/command", { body: { type: "fixture.set", id: `${name} ${group}`, targets: [group], values } });
    }
    await appliance.rest("/scenes", { body: { name, fadeMs, favorite } });
  }
  const first = (await appliance.rest("/scenes")).find(({ name }) => name === "Party");
  await appliance.rest(`/scenes/${first.id}/recall`, { body: { fadeMs: 0 } });
  for (const lamp of lamps) lamp.stdin.write('{"online":true}\n');
  const [width, height] = SIZES[0];
  const context = await browser.newContext({ viewport: { width, height }, locale: "en-GB" });
  await context.addInitScript(() => localStorage.setItem("dmxd.recent", '["#ff7828","#003cdc","#14a03c"]'));
  const page = await context.newPage();
  const take = (name) => page.screenshot({ path: new URL(`../../.readme/${name}.png`, import.meta.url).pathname });

  await page.goto(appliance.url(PLAIN));
  await live(page);
  await page.getByRole("button", { name: /^Front/ }).first().click();
  await painted(page);
  await take("live");

  await eventually("the lamps", () => appliance.rest("/devices"), ({ devices }) => devices.length === lamps.length);
  lamps[2].kill("SIGKILL");
  await page.goto(`${appliance.url(PLAIN)}#/devices`);
  await page.getByRole("region", { name: "Lamps" }).getByText(/^offline for \d+ s$/).waitFor();
  await page.getByText("No USB serial device is plugged in.").waitFor();
  await painted(page);
  await take("devices");
} finally {
  for (const lamp of lamps) lamp.kill("SIGKILL");
  await browser.close();
  await appliance.clear();
}
