// zigbee2mqtt as a broker sees it: mqtt.js with its defaults, so it comes back for ever; publishes a retained message of so
// many bytes whenever it is connected. Prints "connected", "published" and "closed"; ends when stdin does.
//
//     bridge.mjs MODULES HOST PORT TOPIC BYTES
import { createRequire } from "node:module";

const [modules, host, port, topic, bytes] = process.argv.slice(2);
const mqtt = createRequire(`${modules}/`)("mqtt");

const client = mqtt.connect({ host, port: Number(port), protocol: "mqtt", protocolVersion: 4, reconnectPeriod: 100 });
client.on("error", (error) => console.error(error));
client.on("close", () => console.log("closed"));
client.on("connect", async () => {
  console.log("connected");
  await client.publishAsync(topic, "x".repeat(Number(bytes)), { qos: 1, retain: true });
  console.log("published");
});
process.stdin.on("end", () => client.end(false, () => process.exit(0))).resume();
