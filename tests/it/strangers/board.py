"""A controller board: CircuitPython's MiniMQTT, as it runs on an ESP32, over this machine's sockets.

    board.py HOST PORT ID [FILTER...]

Connects with a session to be kept and "offline" as its last will, subscribes to the filters, if any, and says that it is
"online" once the broker has acknowledged its presence. Prints each message as a JSON line {"topic", "payload"}; leaves
politely when stdin ends.
"""
import json
import select
import socket
import sys
import types

sys.modules["micropython"] = types.SimpleNamespace(const=lambda value: value)  # what a board's interpreter has built in

from adafruit_minimqtt.adafruit_minimqtt import MQTT

host, port, device, filters = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
topic = f"v1/devices/{device}/state"


def on_message(client, topic, payload):
    print(json.dumps({"topic": topic, "payload": payload}))


client = MQTT(broker=host, port=port, client_id=device, socket_pool=socket, socket_timeout=0.05)
client.on_message = on_message
client.will_set(topic, '{"online":false}', qos=1, retain=True)
client.connect(clean_session=False)
if filters:
    client.subscribe([(each, 1) for each in filters])
client.publish(topic, '{"online":true}', qos=1, retain=True)
print("online")
while not select.select([sys.stdin], [], [], 0)[0]:
    client.loop(0.05)
client.disconnect()
