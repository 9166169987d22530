"""What the scripts of paho-mqtt share: a client that keeps what it hears, and a runner that says which scenarios held.

A scenario is a function of one argument, the house; its name says what a broker has to do. All of them run at once: each has
topics and client ids of its own.
"""
import queue
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE = 20  # seconds for what has no deadline

Options = SubscribeOptions


def props(packet, **values):
    """Properties of a packet: props("PUBLISH", TopicAlias=1)."""
    made = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(made, name, value)
    return made


def of(message, name):
    """A property of a message, or None."""
    return getattr(message.properties, name, None)


class Client:
    """One paho client that never comes back by itself."""

    def __init__(self, house, name, version=5, clean=True, keepalive=60, will=None, will_properties=None, acks=True, **connect):
        protocol = {3: mqtt.MQTTv31, 4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version]
        v5 = version == 5
        self.name, self.version = name, version
        self.heard, self.refused = queue.Queue(), None
        self._connacks, self._answers, self._ends = queue.Queue(), {}, queue.Queue()
        self._changed = threading.Condition()
        self.paho = paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol, clean_session=None if v5 else clean,
            manual_ack=not acks, reconnect_on_failure=False, transport=house.transport)
        if house.transport == "websockets":
            paho.ws_set_options(path="/mqtt")
        paho.on_connect = lambda c, u, flags, reason, properties: self._connacks.put((flags, reason, properties))
        paho.on_disconnect = lambda c, u, flags, reason, properties: self._ends.put((flags, reason, properties))
        paho.on_message = lambda c, u, message: self.heard.put(message)
        paho.on_subscribe = lambda c, u, mid, reasons, properties: self._answer(("sub", mid), reasons, properties)
        paho.on_unsubscribe = lambda c, u, mid, reasons, properties: self._answer(("unsub", mid), reasons, properties)
        paho.on_publish = lambda c, u, mid, reason, properties: self._answer(("pub", mid), reason, properties)
        paho.max_inflight_messages_set(0)  # the broker's limits are the broker's to keep
        paho.max_queued_messages_set(0)
        if will:
            topic, payload, qos, retain = will
            paho.will_set(topic, payload, qos, retain, will_properties)
        extra = {"clean_start": clean, "properties": props("CONNECT", **connect)} if v5 else {}
        paho.connect(house.host, house.port, keepalive, **extra)
        paho.loop_start()
        flags, self.reason, self.granted = self._connacks.get(timeout=PATIENCE)
        self.present = flags.session_present
        if self.reason.is_failure:
            self.refused = self.reason

    def _answer(self, key, *answer):
        with self._changed:
            self._answers[key] = answer
            self._changed.notify_all()

    def _wait(self, key):
        with self._changed:
            assert self._changed.wait_for(lambda: key in self._answers, PATIENCE), f"{self.name}: no answer to {key}"
            return self._answers.pop(key)

    def subscribe(self, *filters, **properties):
        """Filters as (filter, QoS or options); gives the reason codes as numbers."""
        if self.version == 5:
            filters = [(name, Options(how) if isinstance(how, int) else how) for name, how in filters]
            _, mid = self.paho.subscribe(list(filters), properties=props("SUBSCRIBE", **properties))
        else:
            _, mid = self.paho.subscribe(list(filters))
        return [reason.value for reason in self._wait(("sub", mid))[0]]

    def unsubscribe(self, *filters):
        """The reason codes as numbers; none before MQTT 5."""
        _, mid = self.paho.unsubscribe(list(filters))
        return [reason.value for reason in self._wait(("unsub", mid))[0]]

    def send(self, topic, payload="", qos=1, retain=False, **properties):
        """Publishes without waiting for the answer."""
        extra = {"properties": props("PUBLISH", **properties)} if properties else {}
        return self.paho.publish(topic, payload, qos, retain, **extra).mid

    def answer(self, mid):
        """The reason code of a publish, and its properties."""
        reason, properties = self._wait(("pub", mid))
        return reason.value, properties

    def publish(self, topic, payload="", qos=1, retain=False, **properties):
        """Publishes and waits for the answer, the reason code of which it gives."""
        return self.answer(self.send(topic, payload, qos, retain, **properties))[0]

    def hear(self, within=PATIENCE):
        """The next message."""
        try:
            return self.heard.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"{self.name} heard nothing for {within} s") from None

    def words(self, count):
        """The payloads of so many messages."""
        return [self.hear().payload.decode() for _ in range(count)]

    def hears_only(self, *words, speaker, topic):
        """Has heard these on the topic, and nothing else until now: what is said last is the next that it hears."""
        speaker.publish(topic, "the end")
        heard = self.words(1)
        while heard[-1] != "the end":
            heard += self.words(1)
        assert heard == [*words, "the end"], heard

    def silent(self):
        """Falls silent with its socket open."""
        self.paho.loop_stop()

    def drop(self):
        """Its socket ends without a DISCONNECT."""
        stream = self.paho.socket()
        getattr(stream, "_socket", stream).shutdown(socket.SHUT_RDWR)  # that of a WebSocket is inside
        self._ends.get(timeout=PATIENCE)
        self.paho.loop_stop()

    def leave(self, reason=None, **properties):
        """DISCONNECT."""
        if self.version == 5:
            code = None if reason is None else mqtt.ReasonCode(PacketTypes.DISCONNECT, identifier=reason)
            self.paho.disconnect(code, props("DISCONNECT", **properties) if properties else None)
        else:
            self.paho.disconnect()
        self._ends.get(timeout=PATIENCE)
        self.paho.loop_stop()

    def end(self):
        """What ended it: the reason code, or None after a bare close; and its properties."""
        flags, reason, properties = self._ends.get(timeout=PATIENCE)
        return (reason.value if flags.is_disconnect_packet_from_server else None), properties


class House:
    """The broker under test, seen by one scenario."""

    def __init__(self, host, port, version, transport, name):
        self.host, self.port, self.version, self.transport, self.name = host, port, version, transport, name
        self.clients = []

    def topic(self, rest=""):
        """A topic of this scenario."""
        return f"{self.name}/{rest}" if rest else self.name

    def client(self, name, version=None, **how):
        """A client that is let in."""
        client = self.knock(name, version, **how)
        assert not client.refused, f"{name}: {client.refused}"
        return client

    def knock(self, name, version=None, **how):
        """A client that may be refused."""
        client = Client(self, f"{self.name}-{name}" if name else "", version or self.version, **how)
        self.clients.append(client)
        return client


def passes(seconds):
    """Time that a scenario is about: what it waits for leaves no other trace."""
    time.sleep(seconds)


def run(version, scenarios):
    """Runs them all, less those named, by TCP or WebSocket: `SCRIPT HOST PORT [+websockets] [-NAME...]`. A line for each."""
    host, port = sys.argv[1], int(sys.argv[2])
    transport = "websockets" if "+websockets" in sys.argv else "tcp"
    left_out = {name[1:] for name in sys.argv[3:] if name.startswith("-")}
    failed = []

    def one(scenario):
        house = House(host, port, version, transport, f"{scenario.__name__}_{version}")
        begun = time.monotonic()
        try:
            scenario(house)
            print(f"holds: {scenario.__name__.replace('_', ' ')}\n", end="")
        except BaseException:
            failed.append(scenario.__name__)
            took = time.monotonic() - begun
            sys.stderr.write(f"{scenario.__name__} after {took:.1f} s: {traceback.format_exc(limit=-2)}\n")
        for client in house.clients:
            client.paho.disconnect()
            client.paho.loop_stop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, [each for each in scenarios if each.__name__ not in left_out]))
    sys.exit(1 if failed else 0)
