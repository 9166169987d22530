// A controller: mqtt.js. Subscribes to the state, publishes one command at QoS 1, prints each state until it has the
// command's colour.
//
//     sketch.mjs MODULES HOST PORT COMMAND_ID R G B
import { createRequire } from "node:module";

const [modules, host, port, cmdId, ...rgb] = process.argv.slice(2);
const mqtt = createRequire(`${modules}/`)("mqtt");
const [r, g, b] = rgb.map(Number);

const client = mqtt.connect({ host, port: Number(port), protocol: "mqtt", protocolVersion: 4, reconnectPeriod: 0 });
client.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
client.on("message", (topic, payload) => {
  console.log(payload.toString());
  const state = JSON.parse(payload);
  if (state.r === r && state.g === g && state.b === b) client.end(false, () => process.exit(0));
});
client.on("connect", async () => {
  await client.subscribeAsync("v1/demo/rgb/state", { qos: 1 });
  const body = JSON.stringify({ schema: "demo.rgb.cmd.v1", cmdId, src: "sketch", r, g, b, ts: Date.now() });
  await client.publishAsync("v1/demo/rgb/cmd", body, { qos: 1 });
});
