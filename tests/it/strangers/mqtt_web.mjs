// A dashboard in JavaScript: mqtt.js over WebSocket, with its defaults but for the version. Takes a retained topic, publishes
// so many bytes there, and leaves; prints "connected", "retained BYTES" for each message, then "published".
//
//     mqtt_web.mjs MODULES HOST PORT VERSION TOPIC BYTES
import { createRequire } from "node:module";

const [modules, host, port, version, topic, bytes] = process.argv.slice(2);
const mqtt = createRequire(`${modules}/`)("mqtt");

const client = mqtt.connect(`ws://${host}:${port}/mqtt`, {
  protocolVersion: Number(version),
  clientId: `web-${version}-${bytes}`,
  reconnectPeriod: 0,
});
client.on("error", (error) => {
  console.error(error);
  process.exitCode = 1;
});
client.on("close", () => console.log("closed"));
client.on("message", (_, payload, packet) => console.log(packet.retain ? "retained" : "live", payload.length));
client.on("connect", async () => {
  console.log("connected");
  await client.subscribeAsync(topic, { qos: 1 });
  await client.publishAsync(topic, "x".repeat(Number(bytes)), { qos: 1, retain: true });
  console.log("published");
  await client.publishAsync(`${topic}/after`, "", { qos: 1 });
  await client.endAsync();
  console.log("left");
});
