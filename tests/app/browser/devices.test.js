// Devices and outputs as people look after them: problems in words, who is there, and the widget plugged in again.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { symlinkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, barriers, eventually, launch, picture, settled, visit } from "./harness.js";
import { Widget } from "./widget.js";

let browser, widget;
before(async () => {
  browser = await launch();
  widget = await new Widget().plug();
});
after(async () => {
  await browser?.close();
  widget?.unplug();
});

test("a widget that is not there is said so, and is there once it is plugged in", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dmxd-usb-"));
  const port = join(folder, "widget");
  const appliance = await new Appliance({ ...widget.variables, DMX_USB_PORT: port }).start();
  try {
    await visit(browser, { appliance, host: PLAIN, path: "#/devices" }, async (page) => {
      const problem = page.getByRole("article").filter({ hasText: "The DMX USB PRO is not sending" });
      await problem.waitFor();
      const card = page.getByRole("article").filter({ hasText: "DMX USB PRO · Universe 0" });
      await card.getByText("down").waitFor();
      await settled(page);
      assert.deepEqual(await barriers(page), []);
      await picture(page, "devices-trouble");

      symlinkSync(widget.path, port);
      await page.getByRole("button", { name: "Reconnect output" }).click();
      await page.getByText(`Output opened: ${port}`).waitFor();
      await card.getByText(/^sending · \d+ frames? per second$/).waitFor();
      await eventually("nothing is wrong any more", () => problem.count(), (count) => count === 0);
      await card.getByText(/^Last error \d+ s ago/).waitFor();
    });
  } finally {
    await appliance.clear();
    rmSync(folder, { recursive: true });
  }
});

test("what could not be taken over is named until somebody takes notice", async () => {
  const root = mkdtempSync(join(tmpdir(), "dmxd-old-"));
  mkdirSync(join(root, "default"));
  writeFileSync(join(root, "projects.json"), JSON.stringify({ projects: [{ id: "default", name: "Hall" }] }));
  writeFileSync(join(root, "default", "scenes.json"), JSON.stringify([{ id: "a", name: "Torn" }]));
  const appliance = await new Appliance({ DMX_PROJECTS_ROOT: root }).start();
  try {
    await visit(browser, { appliance, host: PLAIN, path: "#/devices" }, async (page) => {
      const problem = page.getByRole("article").filter({ hasText: "The import is incomplete" });
      await problem.getByText("Details from the appliance").click();
      await problem.getByText(/scene "Torn"/).waitFor();
      await settled(page);
      assert.deepEqual(await barriers(page), []);
      await problem.getByRole("button", { name: "Got it" }).click();
      await eventually("it is gone", () => problem.count(), (count) => count === 0);
      await page.getByText("All good").waitFor();
    });
  } finally {
    await appliance.clear();
    rmSync(root, { recursive: true });
  }
});

test("lamps are listed with whether they are there, since when, and why not", async () => {
  const appliance = await new Appliance().start();
  // A client that stays, as a lamp does, and announces itself with each line.
  const lamp = spawn("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(appliance.mqttPort), "-i", "lamp-left", "-r", "-q", "1", "-t", "v1/devices/lamp-left/state", "-l"]);
  try {
    await visit(browser, { appliance, host: PLAIN, path: "#/devices" }, async (page) => {
      await page.getByText("No device has announced itself yet.").waitFor();
      lamp.stdin.write('{"online":true}\n');
      const card = page.getByRole("region", { name: "Lamps" }).getByRole("article").filter({ hasText: "lamp-left" });
      await card.getByText(/^online for \d+ s$/).waitFor();
      lamp.kill("SIGKILL");
      await card.getByText(/^offline for \d+ s$/).waitFor();
      await card.getByText(/^127\.0\.0\.1 · last seen \d+ s ago$/).waitFor();
      await card.getByText(/^last disconnect: ./).waitFor();
    });
  } finally {
    lamp.kill("SIGKILL");
    await appliance.clear();
  }
});

test("who was not let in is shown with the reason", async () => {
  const appliance = await new Appliance({ DMX_MQTT_USERNAME: "stage", DMX_MQTT_PASSWORD: "secret" }).start();
  const lamp = spawn("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(appliance.mqttPort), "-i", "lamp-left", "-u", "stage", "-P", "wrong", "-t", "a", "-m", "x"]);
  try {
    await new Promise((ended) => lamp.once("exit", ended));
    await visit(browser, { appliance, host: PLAIN, path: "#/devices" }, async (page) => {
      const card = page.getByRole("region", { name: "MQTT clients not let in" }).getByRole("article").filter({ hasText: "lamp-left" });
      await card.getByText(/^refused 1 time · last \d+ s ago$/).waitFor();
      await card.getByText("wrong user name or password").waitFor();
      await settled(page);
      assert.deepEqual(await barriers(page), []);
      await picture(page, "devices-refused");
    });
  } finally {
    await appliance.clear();
  }
});
