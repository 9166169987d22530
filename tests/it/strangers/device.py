"""A device as the field has them: paho-mqtt, its presence retained, "offline" as its last will.

    device.py HOST PORT ID

Prints "online" once the broker has acknowledged the presence; leaves politely when stdin ends.
"""
import sys

import paho.mqtt.client as mqtt

host, port, device = sys.argv[1], int(sys.argv[2]), sys.argv[3]
topic = f"v1/devices/{device}/state"

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device, protocol=mqtt.MQTTv311)
client.will_set(topic, '{"online":false}', qos=1, retain=True)
client.connect(host, port, keepalive=30)
client.loop_start()
client.publish(topic, '{"online":true}', qos=1, retain=True).wait_for_publish(20)
print("online")
sys.stdin.read()
client.disconnect()
client.loop_stop()
