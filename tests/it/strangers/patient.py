"""A client that comes back for ever: paho-mqtt as it is.

    patient.py HOST PORT ID VERSION

Prints "refused: REASON" each time that it is refused and "in" once it is let in; then it ends. What it comes back with is what
it came with: after a CONNACK with code 1, paho would ask for MQTT 3.1 from then on.
"""
import sys

import paho.mqtt.client as mqtt

host, port, name, version = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])


def on_connect(client, userdata, flags, reason, properties):
    if reason.is_failure:
        print(f"refused: {reason}")
    else:
        print("in")
        client.disconnect()


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
client.reconnect_delay_set(1, 1)
client.on_connect = on_connect
client.connect(host, port)
client.loop_forever()
