#!/usr/bin/env bash
# aedes 1.2.0 (npm): a client whose filters overlap is sent a message at QoS 0 as soon as one of them is, not at the highest.
#
# What runs: the broker with its store in memory on a free loopback port; paho-mqtt 2.1.0 publishes `stage/lamp` at QoS 2 to clients
#   that have subscribed to two filters, in either order, in one SUBSCRIBE or in two.
# Expected: MQTT 3.1.1, section 3.3.5: with overlapping subscriptions "the Server MUST deliver the message to the Client respecting
#   the maximum QoS of all the matching subscriptions".
# Seen: one copy is sent, at QoS 0 when one of the filters has QoS 0; between QoS 1 and 2 the higher one counts.
# Output seen:
#   stage/# at 0, stage/lamp at 2: arrives at 0
#   stage/lamp at 2, stage/# at 0: arrives at 0
#   stage/# at 0, then stage/+ at 1: arrives at 0
#   stage/# at 1, stage/lamp at 2: arrives at 2
# Affected: flows that have a debug node on `stage/#` at QoS 0 and a cue trigger at QoS 2 in one client (Node-RED shares one connection
#   among all its nodes): the cue is sent once and may be lost. Give all filters of one connection the same QoS.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check paho-mqtt==2.1.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts aedes@1.2.0 >/dev/null
cat > broker.mjs <<'JS'
import { createServer } from 'node:net';
import { Aedes } from 'aedes';
const broker = await Aedes.createBroker();
const server = createServer(broker.handle);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
JS
cat > run.py <<'PY'
import os
import subprocess
import threading

import paho.mqtt.client as paho

broker = subprocess.Popen(["node", "broker.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
port = int(broker.stdout.readline())


def client(name):
    c = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name)
    connected, c.subscribed, c.arrived = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)
    c.copies = []
    c.on_connect = lambda *_: connected.set()
    c.on_subscribe = lambda *_: c.subscribed.release()

    def message(_, __, m):
        if m.topic == "stage/lamp":
            c.copies.append(str(m.qos))
        c.arrived.release()

    c.on_message = message
    c.connect("127.0.0.1", port)
    c.loop_start()
    assert connected.wait(10)
    return c


desk = client("desk")
for number, packets in enumerate([
    [[("stage/#", 0), ("stage/lamp", 2)]],
    [[("stage/lamp", 2), ("stage/#", 0)]],
    [[("stage/#", 0)], [("stage/+", 1)]],
    [[("stage/#", 1), ("stage/lamp", 2)]],
]):
    page = client(f"page-{number}")
    for filters in [*packets, [("end", 0)]]:
        page.subscribe(filters)
        assert page.subscribed.acquire(timeout=10)
    desk.publish("stage/lamp", "go", qos=2).wait_for_publish(10)
    assert page.arrived.acquire(timeout=10)
    desk.publish("end", "", qos=0)  # behind it, so that a second copy would be seen
    assert page.arrived.acquire(timeout=10)
    words = ", then ".join(", ".join(f"{name} at {qos}" for name, qos in filters) for filters in packets)
    print(f"{words}: arrives at {' and '.join(page.copies)}", flush=True)
broker.stdin.close()
os._exit(0)
PY
timeout 60 venv/bin/python run.py 2>log | tee seen || { cat log >&2; exit 1; }
diff - seen <<'EXPECTED'
stage/# at 0, stage/lamp at 2: arrives at 0
stage/lamp at 2, stage/# at 0: arrives at 0
stage/# at 0, then stage/+ at 1: arrives at 0
stage/# at 1, stage/lamp at 2: arrives at 2
EXPECTED
