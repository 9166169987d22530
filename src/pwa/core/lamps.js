// The lines that a lamp's own program needs, with its name and key. Pure.
//
// Names of fields: PubSubClient's connect(clientID, username, password), ESPHome's `mqtt:` (esphome.io/components/mqtt), Tasmota's
// MqttHost, MqttPort, MqttClient, MqttUser and MqttPassword behind Backlog (tasmota.github.io/docs/Commands).

/** @typedef {{ name: string, key: string, host: string, port: number }} Lamp */

/** @type {Record<"arduino" | "esphome" | "tasmota", (lamp: Lamp) => string>} */
export const LINES = {
  arduino: ({ name, key, host, port }) =>
    `client.setServer(${quoted(host)}, ${port});\nclient.connect(${quoted(name)}, ${quoted(name)}, ${quoted(key)}); // client id, user, password`,
  esphome: ({ name, key, host, port }) =>
    `mqtt:\n  broker: ${quoted(host)}\n  port: ${port}\n  client_id: ${quoted(name)}\n  username: ${quoted(name)}\n  password: ${quoted(key)}`,
  tasmota: ({ name, key, host, port }) =>
    `Backlog MqttHost ${host}; MqttPort ${port}; MqttClient ${name}; MqttUser ${name}; MqttPassword ${key}`,
};

/** A lamp's name as each of these programs can hold it: Tasmota ends a command at a space or semicolon. */
export const NAME = "[A-Za-z0-9._\\-]{1,64}";

/** The longest text that our codes hold (core/qr.js). */
const LONGEST = 106;

/** What a program on a phone can read from a code: the whole address, or the key alone where a name is too long. @param {Lamp} lamp */
export function address({ name, key, host, port }) {
  const whole = `mqtt://${encodeURIComponent(name)}:${key}@${host}:${port}`;
  return whole.length <= LONGEST ? whole : key;
}

/** As C++ and YAML both write a text. @param {string} text */
const quoted = (text) => JSON.stringify(text);
