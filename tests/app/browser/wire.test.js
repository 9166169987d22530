// The shapes that the app assumes are those that the appliance describes: openapi.json and schemas/ must fit
// the types of core/types.js.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Appliance, strangers } from "./harness.js";

const root = new URL("../../../", import.meta.url).pathname;
const { compile } = strangers("json-schema-to-typescript");

/** The app's types that come over the wire, and their descriptions. */
const REST = {
  About: "About", FixtureType: "FixtureTypeLine", BackupStatus: "Status", Client: "MqttClient", Device: "Device", ListChanges: "ListChanges", Port: "PortStatus", Project: "Project",
  Projects: "Projects", Ready: "Ready", RestoreDryRun: "RestoreDryRun", Scene: "Scene", UsbDevice: "UsbDevice", Version: "Version",
};
const MESSAGES = { AckMessage: "dmx.ack", Desk: "desk", UpdateMessage: "state.update" };

/** TypeScript of the components of an OpenAPI document. */
async function components({ components: { schemas } }) {
  const definitions = JSON.parse(JSON.stringify(schemas).replaceAll("#/components/schemas/", "#/definitions/"));
  const properties = Object.fromEntries(Object.keys(schemas).map((name) => [name, { $ref: `#/definitions/${name}` }]));
  return compile({ type: "object", properties, required: Object.keys(schemas), additionalProperties: false, definitions }, "Wire", { bannerComment: "" });
}

test("what the appliance describes is what the app takes it for", async () => {
  const appliance = await new Appliance().start();
  const folder = mkdtempSync(join(tmpdir(), "dmxd-wire-"));
  try {
    const lines = ['import type { Wire } from "./wire.js";'];
    writeFileSync(join(folder, "wire.ts"), await components(await appliance.rest("/openapi.json")));
    for (const [mine, theirs] of Object.entries(REST)) {
      lines.push(`export const of${mine} = (wire: Wire["${theirs}"]): import("${root}src/pwa/core/types.js").${mine} => wire;`);
    }
    for (const [mine, file] of Object.entries(MESSAGES)) {
      const schema = JSON.parse(readFileSync(join(root, "schemas", `${file}.json`), "utf8"));
      const module = file.replace(".", "-");
      writeFileSync(join(folder, `${module}.ts`), await compile({ ...schema, title: mine }, mine, { bannerComment: "" }));
      lines.push(`export const of${mine} = (wire: import("./${module}.js").${mine}): import("${root}src/pwa/core/types.js").${mine} => wire;`);
    }
    writeFileSync(join(folder, "check.ts"), lines.join("\n"));
    const options = ["--strict", "--noEmit", "--allowJs", "--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2023,dom,dom.iterable"];
    const said = await new Promise((done) => execFile(strangers.resolve("typescript/package.json").replace("package.json", "bin/tsc"), [...options, join(folder, "check.ts")],
      (error, stdout, stderr) => done(error ? stdout + stderr : "")));
    assert.equal(said, "");
  } finally {
    await appliance.clear();
    rmSync(folder, { recursive: true });
  }
});
