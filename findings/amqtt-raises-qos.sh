#!/usr/bin/env bash
# amqtt 0.12.1 (PyPI): this broker delivers every message at the QoS of the subscription, even if it was published at a lower one.
#
# What runs: the broker with its anonymous login on a free loopback port; paho-mqtt 2.1.0 publishes at QoS 0 and 1 to subscriptions of
#   QoS 0, 1 and 2.
# Expected: MQTT 3.1.1, section 3.8.4: "The QoS of Payload Messages sent in response to a Subscription MUST be the minimum of the QoS of
#   the originally published message and the maximum QoS granted by the Server".
# Seen: the QoS of the PUBLISH is forgotten in the broker's queue. A QoS 0 message to a QoS 2 subscriber costs four packets.
# Output seen:
#   published at 0: subscribed at 0 gets 0, subscribed at 1 gets 1, subscribed at 2 gets 2
#   published at 1: subscribed at 0 gets 0, subscribed at 1 gets 1, subscribed at 2 gets 2
# Affected: fader values at QoS 0 to dashboards that subscribe at QoS 2 "to be safe": each value is acknowledged twice, and old
#   values are repeated after a reconnect, which QoS 0 was chosen to avoid. Subscribe at the QoS that you want at most.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check amqtt==0.12.1 paho-mqtt==2.1.0
cat > run.py <<'PY'
import asyncio
import logging
import os
import socket
import threading

import paho.mqtt.client as paho
from amqtt.broker import Broker

logging.disable(logging.CRITICAL)
free = socket.socket()
free.bind(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
up = threading.Event()


async def broker():
    await Broker({
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }).start()
    up.set()
    await asyncio.Event().wait()


def client(name):
    c = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name)
    connected, c.subscribed, c.arrived = threading.Event(), threading.Event(), threading.Event()
    c.on_connect = lambda *_: connected.set()
    c.on_subscribe = lambda *_: c.subscribed.set()

    def message(_, __, m):
        c.qos = m.qos
        c.arrived.set()

    c.on_message = message
    c.connect("127.0.0.1", port)
    c.loop_start()
    assert connected.wait(10)
    return c


threading.Thread(target=asyncio.run, args=(broker(),), daemon=True).start()
assert up.wait(20)
desk = client("desk")
for published in (0, 1):
    seen = []
    for subscribed in (0, 1, 2):
        topic = f"fader/{published}/{subscribed}"
        page = client(f"page-{published}-{subscribed}")
        page.subscribe(topic, subscribed)
        assert page.subscribed.wait(10)
        desk.publish(topic, "x", qos=published)
        assert page.arrived.wait(10)
        seen.append(f"subscribed at {subscribed} gets {page.qos}")
    print(f"published at {published}: {', '.join(seen)}", flush=True)
os._exit(0)
PY
timeout 60 venv/bin/python run.py 2>log | tee seen || { cat log >&2; exit 1; }
diff - seen <<'EXPECTED'
published at 0: subscribed at 0 gets 0, subscribed at 1 gets 1, subscribed at 2 gets 2
published at 1: subscribed at 0 gets 0, subscribed at 1 gets 1, subscribed at 2 gets 2
EXPECTED
