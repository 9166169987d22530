// Makes the README's pictures of the app: DMXD and DMXD_STRANGERS as tests/run sets them, then `node tests/app/readme-pictures.mjs`.
import { spawn } from "node:child_process";
import { Appliance, PLAIN, SIZES, eventually, launch, live, painted } from "./browser/harness.js";

const LOOKS = [
  ["House lights", { 1: 255, 2: 200, 3: 120, 7: 255 }, 2000, true], ["Solo spot", { 5: 255 }, 0, true], ["Blue wash", { 1: 0, 2: 60, 3: 220, 4: 180, 5: 80 }, 30_000],
  ["Sunrise", { 1: 255, 2: 120, 3: 40 }, 8000], ["Forest", { 1: 20, 2: 160, 3: 60 }, 2500], ["Storm", { 1: 70, 2: 80, 3: 160, "1/1": 90 }, 400],
  ["Applause", { 1: 255, 2: 240, 3: 220 }, 1000], ["Audience", { 11: 120, 12: 120 }, 5000],
];

const appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true", DMX_USB_ENABLED: "true", DMX_USB_PORT: "/dev/serial/by-id/usb-ENTTEC_DMX_USB_PRO" }).start();
const browser = await launch();
const lamps = ["lamp-left", "lamp-right", "button-door"].map((id) =>
  spawn("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(appliance.mqttPort), "-i", id, "-r", "-q", "1", "-t", `v1/devices/${id}/state`, "-l"]));
try {
  await appliance.rest("/projects/default", { method: "PUT", body: { name: "Spring play" } });
  for (const [name, channelValues, fadeMs, favorite] of LOOKS) await appliance.rest("/scenes", { body: { name, channelValues, fadeMs, favorite } });
  for (const lamp of lamps) lamp.stdin.write('{"online":true}\n');
  await appliance.light([255, 150, 60]);
  const [width, height] = SIZES[0];
  const context = await browser.newContext({ viewport: { width, height }, locale: "en-GB" });
  await context.addInitScript(() => localStorage.setItem("dmxd.recent", '["#ff7828","#003cdc","#14a03c"]'));
  const page = await context.newPage();
  const take = (name) => page.screenshot({ path: new URL(`../../.readme/${name}.png`, import.meta.url).pathname });

  await page.goto(appliance.url(PLAIN));
  await live(page);
  await page.locator("dmx-tiles").getByRole("button", { name: "Blue wash" }).click();
  await eventually("the fade is half-way", async () => (await appliance.rest("/rgb")).b, (level) => level > 130);
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
