#!/usr/bin/env bash
# rumqttc 0.25.1 (crates.io), MQTT 5: of a PUBLISH with three subscription identifiers the third becomes part of the payload.
#
# What runs: a server of 30 lines sends each client that has subscribed to three filters, with the identifiers 1, 2 and 3, the
#   message "go" with one, with two and with all three of them. rumqttc and, beside it, paho-mqtt 2.1.0 print what they get.
# Expected: by MQTT 5.0 (sections 3.3.4 and 3.3.2.3.8) a server that sends one copy names all matching subscriptions in it, so there may
#   be any number of identifiers.
# Seen: the reader counts the byte of the property's name twice, so it takes the properties for read as soon as the sum is
#   reached: after two of three. What is left, 0b 03, is put before the payload. No error is reported.
# Output seen:
#   rumqttc: [1] "go"
#   rumqttc: [1, 2] "go"
#   rumqttc: [1, 2] "\u{b}\u{3}go"
#   paho: [1] 'go'
#   paho: [1, 2] 'go'
#   paho: [1, 2, 3] 'go'
# Affected: consoles and bridges on rumqttc whose filters overlap three times (stage/#, stage/+/cue, stage/left/cue), at brokers that
#   send one copy: JSON no longer parses, a level "255" is none. Give only two of a client's overlapping filters an identifier.
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
    stream, subscribed = client.makefile("rb"), 0
    while (got := packet(stream))[0]:
        if got[0] == 1:
            client.sendall(bytes([0x20, 3, 0, 0, 0]))  # CONNACK
        if got[0] == 8:
            client.sendall(bytes([0x90, 4, *got[1][:2], 0, 0]))  # SUBACK
            subscribed += 1
        if got[0] == 8 and subscribed == 3:
            for count in (1, 2, 3):
                properties = b"".join(bytes([0x0B, number]) for number in range(1, count + 1))
                body = b"\0\x05stage" + bytes([len(properties)]) + properties + b"go"
                client.sendall(bytes([0x30, len(body)]) + body)  # PUBLISH
PY
cat > control.py <<'PY'
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

heard = threading.Semaphore(0)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho", protocol=mqtt.MQTTv5)


def on_connect(client, *_):
    for number, name in enumerate(("stage/#", "+", "stage"), 1):
        properties = Properties(PacketTypes.SUBSCRIBE)
        properties.SubscriptionIdentifier = number
        client.subscribe(name, properties=properties)


def on_message(client, _, message):
    print("paho:", message.properties.SubscriptionIdentifier, repr(message.payload.decode()))
    heard.release()


client.on_connect, client.on_message = on_connect, on_message
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
for _ in range(3):
    assert heard.acquire(timeout=20)
PY
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
use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeProperties};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{Client, Event, MqttOptions};

fn main() {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    let (client, mut connection) = Client::new(MqttOptions::new("rumqttc", "127.0.0.1", port), 10);
    for (number, filter) in (1..).zip(["stage/#", "+", "stage"]) {
        let properties = SubscribeProperties { id: Some(number), user_properties: Vec::new() };
        client.subscribe_with_properties(filter, QoS::AtMostOnce, properties).unwrap();
    }
    let mut left = 3;
    for event in connection.iter() {
        if let Event::Incoming(Packet::Publish(publish)) = event.unwrap() {
            let identifiers = publish.properties.unwrap().subscription_identifiers;
            println!("rumqttc: {identifiers:?} {:?}", String::from_utf8_lossy(&publish.payload));
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
}
RS
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check paho-mqtt==2.1.0
export CARGO_TARGET_DIR="$tmp/target"
cargo build --quiet
python3 server.py > port &
server=$!
until [ -s port ]; do sleep 0.05; done
{
  timeout 60 target/debug/judge "$(cat port)"
  timeout 60 venv/bin/python control.py "$(cat port)"
} | tee seen
diff - seen <<'EXPECTED'
rumqttc: [1] "go"
rumqttc: [1, 2] "go"
rumqttc: [1, 2] "\u{b}\u{3}go"
paho: [1] 'go'
paho: [1, 2] 'go'
paho: [1, 2, 3] 'go'
EXPECTED
