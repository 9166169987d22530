"""What Home Assistant 2026.11 sends by paho-mqtt: MQTT 5, clean start, will and birth on `homeassistant/status`, five hundred
filters in one SUBSCRIBE with identifier 1, then wildcards one by one, each with an identifier of its own. After a while its
connection breaks, and all of it comes again. Prints a line for each thing that held.

    home_assistant.py HOST PORT
"""
from paho_kit import of, run

EXACT = 500
WILDCARDS = {2: "homeassistant/+/+/config", 3: "homeassistant/+/+/+/config", 4: "tasmota/discovery/#", 5: "homeassistant/event/#"}
STATUS = "homeassistant/status"


def lamp_topic(n):
    return f"zigbee2mqtt/lamp-{n}/state"


def joins(house):
    """Connects as it does; its filters are those of its entities, then those of discovery."""
    home = house.client("home", will=(STATUS, "offline", 0, False))
    asked = [(lamp_topic(n), 0) for n in range(EXACT - 1)] + [(STATUS, 0)]
    assert set(home.subscribe(*asked, SubscriptionIdentifier=1)) == {0}
    for number, name in WILDCARDS.items():
        assert home.subscribe((name, 0), SubscriptionIdentifier=number) == [0]
    return home


def discovered(home):
    """The retained configurations and states that are there for it, by topic: identifiers and payload."""
    heard = [home.hear() for _ in range(2 + 20)]
    assert all(message.retain for message in heard)
    found = {message.topic: (of(message, "SubscriptionIdentifier"), message.payload) for message in heard}
    assert len(found) == len(heard), "each once"
    assert found["homeassistant/light/kitchen/config"] == ([2], b"{}")
    assert found["homeassistant/light/0x01/lamp/config"] == ([3], b"{}")
    for n in range(20):
        assert found[lamp_topic(n)] == ([1], b"ON"), found[lamp_topic(n)]


def every_message_comes_once_with_the_identifiers_of_its_filters(house):
    bridge = house.client("bridge", version=4)
    bridge.subscribe((STATUS, 0))
    bridge.publish("homeassistant/light/kitchen/config", "{}", retain=True)
    bridge.publish("homeassistant/light/0x01/lamp/config", "{}", retain=True)
    for n in range(20):
        bridge.publish(lamp_topic(n), "ON", retain=True)
    for _ in range(2):
        home = joins(house)
        discovered(home)
        home.publish(STATUS, "online", 0)
        assert bridge.words(1) == ["online"]
        own = home.hear()
        assert (own.payload, of(own, "SubscriptionIdentifier")) == (b"online", [1])
        said = [lamp_topic(n) for n in range(EXACT - 1)]
        said += ["homeassistant/switch/desk/config", "homeassistant/switch/0x02/relay/config", "tasmota/discovery/AA/config"]
        said += ["homeassistant/event/x/config", "homeassistant/event/0x03/y/config", "zigbee2mqtt/stranger/state"]
        expected = {topic: [1] for topic in said[: EXACT - 1]} | {
            "homeassistant/switch/desk/config": [2], "homeassistant/switch/0x02/relay/config": [3], "tasmota/discovery/AA/config": [4],
            "homeassistant/event/x/config": [2, 5], "homeassistant/event/0x03/y/config": [3, 5]}
        for _ in range(2):
            for mid in [bridge.send(topic, "OFF") for topic in said]:
                bridge.answer(mid)
            heard = [home.hear() for _ in expected]
            assert {m.topic: sorted(of(m, "SubscriptionIdentifier")) for m in heard} == expected
            assert {(m.payload, m.retain) for m in heard} == {(b"OFF", False)}
        home.drop()
        assert bridge.words(1) == ["offline"]
        for n in range(20):
            bridge.publish(lamp_topic(n), "ON", retain=True)


if __name__ == "__main__":
    run(5, [every_message_comes_once_with_the_identifiers_of_its_filters])
