#!/usr/bin/env bash
# rumqttc 0.25.1 (crates.io), MQTT 5: a client that sets `set_topic_alias_max` is handed messages without their topic.
#
# What runs: a server of 30 lines sends a client that takes three aliases, and has subscribed, three messages on the topic "stage": the
#   first gives it the alias 1, the others have the alias and no topic. rumqttc prints what its event loop yields; mqtt.js 5.14.1, as the
#   control, what its "message" event says.
# Expected: by MQTT 5.0 (section 3.3.2.3.4) a known alias stands for its topic, so who has allowed aliases takes the topic from the
#   alias. The library keeps the table for that.
# Seen: the event is a copy that is made before the alias is looked up; the topic goes into the other copy, which nobody gets.
# Output seen:
#   rumqttc: topic "stage", alias Some(1), payload "one"
#   rumqttc: topic "", alias Some(1), payload "two"
#   rumqttc: topic "", alias Some(1), payload "three"
#   mqtt.js: topic "stage", payload "one"
#   mqtt.js: topic "stage", payload "two"
#   mqtt.js: topic "stage", payload "three"
# Affected: consoles and bridges on rumqttc that allow aliases to save bytes: from the second message on, nothing matches "stage". Leave
#   the option unset, which is the default, or keep a table of aliases of your own.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi; rm -rf "$tmp"' EXIT
cd "$tmp"
cat > server.py <<'PY'
import socket


def packet(stream):
    first, shift, length = stream.read(1), 0, 0
    while first:
        byte = stream.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first[0] >> 4, stream.read(length)
    return 0, b""


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    stream = client.makefile("rb")
    while (got := packet(stream))[0]:
        if got[0] == 1:
            client.sendall(bytes([0x20, 3, 0, 0, 0]))  # CONNACK
        if got[0] == 8:
            client.sendall(bytes([0x90, 4, *got[1][:2], 0, 0]))  # SUBACK
            for topic, payload in ((b"stage", b"one"), (b"", b"two"), (b"", b"three")):
                body = bytes([0, len(topic)]) + topic + bytes([3, 0x23, 0, 1]) + payload
                client.sendall(bytes([0x30, len(body)]) + body)  # PUBLISH
PY
cat > control.mjs <<'JS'
import { createRequire } from 'node:module';
const mqtt = createRequire(import.meta.url)('mqtt');
let left = 3;
const options = { protocolVersion: 5, properties: { topicAliasMaximum: 3 } };
const client = mqtt.connect(`mqtt://127.0.0.1:${process.argv[2]}`, options);
client.on('connect', () => client.subscribe('stage'));
client.on('message', (topic, payload) => {
  console.log(`mqtt.js: topic "${topic}", payload "${payload}"`);
  if (--left === 0) process.exit(0);
});
JS
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "judge"
version = "0.0.0"
edition = "2021"

[dependencies]
rumqttc = { version = "=0.25.1", default-features = false }

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RS'
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{Client, Event, MqttOptions};

fn main() {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut options = MqttOptions::new("rumqttc", "127.0.0.1", port);
    options.set_topic_alias_max(Some(3));
    let (client, mut connection) = Client::new(options, 10);
    client.subscribe("stage", QoS::AtMostOnce).unwrap();
    let mut left = 3;
    for event in connection.iter() {
        if let Event::Incoming(Packet::Publish(publish)) = event.unwrap() {
            let topic = String::from_utf8_lossy(&publish.topic);
            let payload = String::from_utf8_lossy(&publish.payload);
            println!("rumqttc: topic {topic:?}, alias {:?}, payload {payload:?}", publish.properties.unwrap().topic_alias);
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
}
RS
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts mqtt@5.14.1 >/dev/null
export CARGO_TARGET_DIR="$tmp/target"
cargo build --quiet
python3 server.py > port &
server=$!
until [ -s port ]; do sleep 0.05; done
{
  timeout 60 target/debug/judge "$(cat port)"
  timeout 60 node control.mjs "$(cat port)"
} | tee seen
diff - seen <<'EXPECTED'
rumqttc: topic "stage", alias Some(1), payload "one"
rumqttc: topic "", alias Some(1), payload "two"
rumqttc: topic "", alias Some(1), payload "three"
mqtt.js: topic "stage", payload "one"
mqtt.js: topic "stage", payload "two"
mqtt.js: topic "stage", payload "three"
EXPECTED
