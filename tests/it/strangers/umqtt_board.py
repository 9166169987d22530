"""A controller board: MicroPython's umqtt.robust, as it runs on an ESP8266, over this machine's sockets.

    umqtt_board.py FOLDER HOST PORT ID FILTER

FOLDER holds the package `umqtt`. Connects with a session to be kept and "offline" as its last will, says that it is "online",
subscribes at QoS 1. Prints each message as a JSON line {"topic", "payload"}. The line "cut" on stdin ends its socket: it comes
back by itself. Leaves politely when stdin ends.
"""
import binascii
import json
import select
import socket
import struct
import sys
import time
import types


class Stream:
    """A socket as a board's interpreter has it: what is read is whole, what is written may be text and a part."""

    def __init__(self):
        self.socket = socket.socket()
        self.blocks = True

    def connect(self, address):
        self.socket.connect(address)

    def setblocking(self, blocks):
        self.blocks = blocks

    def read(self, count):
        if not self.blocks and not select.select([self.socket], [], [], 0)[0]:
            return None
        found = b""
        while len(found) < count and (some := self.socket.recv(count - len(found))):
            found += some
        return found

    def write(self, data, count=None):
        data = data.encode() if isinstance(data, str) else bytes(data)
        self.socket.sendall(data[:count])

    def close(self):
        self.socket.close()


folder, host, port, device, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
sys.path.insert(0, folder)
sys.modules["usocket"] = types.SimpleNamespace(socket=Stream, getaddrinfo=socket.getaddrinfo)
sys.modules["ustruct"], sys.modules["ubinascii"], sys.modules["utime"] = struct, binascii, time

from umqtt.robust import MQTTClient  # noqa: E402

topic = f"v1/devices/{device}/state"
client = MQTTClient(device, host, port, keepalive=30)
client.DELAY = 0
client.set_callback(lambda topic, payload: print(json.dumps({"topic": topic.decode(), "payload": payload.decode()})))
client.set_last_will(topic, '{"online":false}', retain=True, qos=1)
client.connect(clean_session=False)
client.publish(topic, '{"online":true}', retain=True, qos=1)
client.subscribe(wanted, 1)
print("online")
while True:
    if select.select([sys.stdin], [], [], 0)[0]:
        if sys.stdin.readline().strip() != "cut":
            break
        client.sock.socket.shutdown(socket.SHUT_RDWR)
        print("cut")
    select.select([client.sock.socket], [], [], 0.05)
    client.check_msg()
client.disconnect()
