"""paho-mqtt over WebSocket: subscribes, publishes so many bytes retained, and prints the length of what it is sent.

    web_session.py HOST PORT TOPIC BYTES
"""
import sys

import paho.mqtt.client as mqtt

host, port, topic, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])


def on_connect(client, userdata, flags, reason, properties):
    print("connected", reason.value)
    client.subscribe(topic, 1)


def on_subscribe(client, userdata, mid, reasons, properties):
    client.publish(topic, b"x" * size, qos=1, retain=True)


def on_message(client, userdata, message):
    print("retained" if message.retain else "live", len(message.payload))
    if not message.retain:
        client.disconnect()


def on_disconnect(client, userdata, flags, reason, properties):
    print("disconnected", reason.value)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho-web", transport="websockets")
client.ws_set_options(path="/mqtt")
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.on_disconnect = on_disconnect
client.connect(host, port, keepalive=30)
client.loop_forever()
