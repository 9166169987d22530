// Node-RED with three flows: "ID R G B" on FROM/colour becomes a command; the light's state goes out on TO/light in capitals; what
// comes in on FROM/through goes out on TO/through with all that it carried. Its words at connect, farewell and death are on
// TO/presence. Ends when stdin does.
//
//     node_red.mjs MODULES HOST PORT VERSION FROM TO
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [modules, host, port, version, from, to] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "node-red-"));
const word = (kind, payload) => ({ [`${kind}Topic`]: `${to}/presence`, [`${kind}Qos`]: "1", [`${kind}Retain`]: "true", [`${kind}Payload`]: payload });
const place = { z: "tab", x: 100, y: 100 };
const hears = (id, topic, next) => ({ ...place, id, type: "mqtt in", topic, qos: "2", datatype: "utf8", broker: "broker", nl: false, rap: true, rh: 0, inputs: 0, wires: [[next]] });
const does = (id, func) => ({ ...place, id, type: "function", func, outputs: 1, wires: [["out"]] });
writeFileSync(join(folder, "flows.json"), JSON.stringify([
  { id: "tab", type: "tab", label: "Light" },
  {
    id: "broker", type: "mqtt-broker", name: "", broker: host, port, clientid: "", autoConnect: true, usetls: false, protocolVersion: version,
    keepalive: "60", cleansession: true, autoUnsubscribe: true, ...word("birth", "here"), ...word("close", "left"), ...word("will", "gone"),
  },
  hears("colour", `${from}/colour`, "command"),
  does("command", `const [cmdId, ...rgb] = msg.payload.split(" ");
    const [r, g, b] = rgb.map(Number);
    return { topic: "v1/demo/rgb/cmd", payload: { cmdId, src: "flow", r, g, b }, qos: 1 };`),
  hears("through", `${from}/through`, "rename"),
  does("rename", `msg.topic = "${to}/through"; return msg;`),
  hears("state", "v1/demo/rgb/state", "shout"),
  does("shout", `return { topic: "${to}/light", payload: msg.payload.toUpperCase(), qos: 1, retain: false };`),
  { ...place, id: "out", type: "mqtt out", topic: "", qos: "", retain: "", broker: "broker", wires: [] },
]));
writeFileSync(join(folder, "settings.js"), `module.exports = {
  uiPort: 0, uiHost: "127.0.0.1", httpAdminRoot: false, httpNodeRoot: false, flowFile: "flows.json", credentialSecret: false,
  telemetry: { enabled: false, updateNotification: false }, externalModules: { autoInstall: false },
};`);
const red = spawn(process.execPath, [join(modules, "node_modules/node-red/red.js"), "--userDir", folder, "--settings", join(folder, "settings.js")]);
red.stdout.on("data", (text) => process.stdout.write(text));
red.stderr.on("data", (text) => process.stderr.write(text));
red.on("exit", () => {
  rmSync(folder, { recursive: true });
  process.exit(0);
});
process.stdin.on("end", () => red.kill("SIGINT")).resume();
