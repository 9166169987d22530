"""A subscriber with a persistent session: paho-mqtt, clean_session off, QoS 1.

    session.py HOST PORT ID FILTER...

Prints "subscribed PRESENT" (or "resumed" without subscribing again when the session was present), then each message as
a JSON line {"topic", "payload", "qos", "retain"}; leaves politely, keeping its session, when stdin ends.
"""
import json
import sys

import paho.mqtt.client as mqtt

host, port, name, filters = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]


def on_connect(client, userdata, flags, reason, properties):
    if flags.session_present:
        print("resumed")
    else:
        client.subscribe([(each, 1) for each in filters])


def on_subscribe(client, userdata, mid, reasons, properties):
    print("subscribed", *[reason.value for reason in reasons])


def on_message(client, userdata, message):
    seen = {"topic": message.topic, "payload": message.payload.decode(), "qos": message.qos, "retain": message.retain}
    print(json.dumps(seen))


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, protocol=mqtt.MQTTv311)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect(host, port, keepalive=30)
client.loop_start()
sys.stdin.read()
client.disconnect()
client.loop_stop()
