// What pages and Node programs do: mqtt.js by TCP or WebSocket, in MQTT 3.1.1 or 5. Prints a line for each thing that held.
//
//     mqttjs.mjs MODULES URL VERSION
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";

const [modules, url, version] = process.argv.slice(2);
const mqtt = createRequire(`${modules}/`)("mqtt");
const five = version === "5";
const unique = `mqttjs-${version}-${url.split(":")[0]}`;
const clients = [];

// Messages wait here until they are asked for.
function join(name, options = {}) {
  const client = mqtt.connect(url, { protocolVersion: Number(version), clientId: `${unique}-${name}`, reconnectPeriod: 50, ...options });
  const heard = [];
  client.on("error", (error) => console.error(name, error));
  client.on("message", (topic, payload, packet) => {
    heard.push({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain, ...packet.properties });
    client.emit("heard");
  });
  client.hear = async () => {
    while (!heard.length) await once(client, "heard");
    return heard.shift();
  };
  clients.push(client);
  return once(client, "connect").then(([connack]) => Object.assign(client, { connack }));
}

const scenarios = {
  async "what is published at each quality arrives"() {
    const lamp = await join("lamp");
    const granted = await lamp.subscribeAsync(`${unique}/#`, { qos: 2, ...(five && { properties: { subscriptionIdentifier: 7 } }) });
    assert.equal(granted[0].qos, 2);
    const properties = { contentType: "text/plain", userProperties: { a: ["1", "2"], b: "3" }, correlationData: Buffer.from([0, 255]) };
    for (const qos of [0, 1, 2]) {
      await lamp.publishAsync(`${unique}/x`, `at ${qos}`, { qos, ...(five && { properties }) });
      const message = await lamp.hear();
      const plain = { topic: `${unique}/x`, payload: `at ${qos}`, qos, retain: false };
      const carried = { ...properties, userProperties: { ...properties.userProperties }, subscriptionIdentifier: 7 };
      if (five) message.userProperties = { ...message.userProperties };
      assert.deepEqual(message, five ? { ...plain, ...carried } : plain);
    }
  },

  async "a retained message of three hundred kilobytes is there for a late page"() {
    const bridge = await join("bridge");
    await bridge.publishAsync(`${unique}/devices`, "x".repeat(300_000), { qos: 1, retain: true });
    const page = await join("page");
    await page.subscribeAsync(`${unique}/devices`);
    const message = await page.hear();
    assert.deepEqual([message.payload.length, message.retain], [300_000, true]);
  },

  async "one whose socket ends comes back, finds its session, and its will was heard"() {
    const watch = await join("watch");
    await watch.subscribeAsync(`${unique}/will`, { qos: 1 });
    const will = { topic: `${unique}/will`, payload: "gone", qos: 1, retain: false };
    const lamp = await join("lost", { clean: false, will, ...(five && { properties: { sessionExpiryInterval: 60 } }) });
    assert.equal(lamp.connack.sessionPresent, false);
    await lamp.subscribeAsync(`${unique}/news`, { qos: 1 });
    const back = once(lamp, "connect");
    lamp.stream.destroy();
    assert.equal((await watch.hear()).payload, "gone");
    await watch.publishAsync(`${unique}/news`, "while you were away", { qos: 1 });
    const [connack] = await back;
    assert.equal(connack.sessionPresent, true);
    assert.equal((await lamp.hear()).payload, "while you were away");
  },

  async "after an unsubscribe nothing comes"() {
    const lamp = await join("leaver");
    await lamp.subscribeAsync([`${unique}/a`, `${unique}/b`], { qos: 1 });
    await lamp.unsubscribeAsync(`${unique}/a`);
    await lamp.publishAsync(`${unique}/a`, "not wanted", { qos: 1 });
    await lamp.publishAsync(`${unique}/b`, "wanted", { qos: 1 });
    assert.equal((await lamp.hear()).payload, "wanted");
  },

  async "aliases both ways are taken for their topics"() {
    if (!five) return;
    const options = { autoUseTopicAlias: true, autoAssignTopicAlias: true, properties: { topicAliasMaximum: 5 } };
    const lamp = await join("alias", options);
    await lamp.subscribeAsync(`${unique}/alias/+`, { qos: 1 });
    for (let n = 0; n < 30; n++) {
      await lamp.publishAsync(`${unique}/alias/${n % 7}`, String(n), { qos: 1 });
      const message = await lamp.hear();
      assert.deepEqual([message.topic, message.payload], [`${unique}/alias/${n % 7}`, String(n)]);
    }
  },
};

const late = setTimeout(() => {
  console.error("not done after 25 s");
  process.exit(1);
}, 25_000);
for (const [name, scenario] of Object.entries(scenarios)) {
  await scenario();
  console.log(`holds: ${name}`);
}
clearTimeout(late);
await Promise.all(clients.map((client) => client.endAsync(true)));
