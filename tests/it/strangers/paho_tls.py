# A device with paho over TLS: publishes a command and waits for the state that follows. Prints a line for each thing that held.
#
#     paho_tls.py HOST PORT CA
import json
import queue
import ssl
import sys

import paho.mqtt.client as mqtt

host, port, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ULID = "01J9Z3K2M4N5P6Q7R8S9T0V1W2"

for name, version in [("3.1.1", mqtt.MQTTv311), ("5", mqtt.MQTTv5)]:
    heard = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"paho-{version}", protocol=version)
    client.tls_set(ca)
    client.on_message = lambda client, userdata, message: heard.put(json.loads(message.payload))
    client.connect("localhost", port)
    client.subscribe("v1/demo/rgb/state", 1)
    client.loop_start()
    first = heard.get(timeout=20)
    wanted = [version, first["seq"] % 256, 9]
    command = {"cmdId": ULID[:-1] + str(version), "src": "paho", **dict(zip("rgb", wanted))}
    client.publish("v1/demo/rgb/cmd", json.dumps(command), 1).wait_for_publish(20)
    state = heard.get(timeout=20)
    assert [state[c] for c in "rgb"] == wanted, state
    client.disconnect()
    client.loop_stop()
    print(f"holds: a command in MQTT {name} over TLS is answered by its state")

stranger = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho-stranger")
stranger.tls_set()
try:
    stranger.connect(host, port)
    sys.exit("it trusts whoever answers")
except ssl.SSLCertVerificationError:
    print("holds: without the authority it does not connect")
