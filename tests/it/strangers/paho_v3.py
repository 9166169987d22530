"""What the Eclipse interoperability suite asks of a broker of MQTT 3.1.1, and some more, by clients of paho-mqtt.

    paho_v3.py HOST PORT [+websockets] [-SCENARIO...]
"""
from paho_kit import run


def a_message_of_each_quality_arrives_as_it_was_sent(house):
    lamp, desk = house.client("lamp"), house.client("desk")
    assert lamp.subscribe((house.topic("+"), 2)) == [2]
    for qos in (0, 1, 2):
        desk.publish(house.topic(str(qos)), f"at {qos}", qos)
    heard = sorted((m.topic, m.payload.decode(), m.qos, m.retain) for m in (lamp.hear() for _ in range(3)))
    assert heard == [(house.topic(str(qos)), f"at {qos}", qos, False) for qos in (0, 1, 2)], heard


def a_subscription_lowers_what_it_is_sent(house):
    desk = house.client("desk")
    for granted in (0, 1):
        lamp = house.client(f"lamp-{granted}")
        assert lamp.subscribe((house.topic("x"), granted)) == [granted]
        desk.publish(house.topic("x"), "high", 2)
        assert lamp.hear().qos == granted


def retained_messages_reach_late_subscribers_until_an_empty_one_takes_them_away(house):
    desk, late = house.client("desk"), house.client("late")
    names = ["plain", "with space", "ünïcode/🎭"]
    for qos, name in enumerate(names):
        desk.publish(house.topic(name), name, qos, retain=True)
    late.subscribe((house.topic("#"), 2))
    heard = sorted((m.topic, m.payload.decode(), m.qos, m.retain) for m in (late.hear() for _ in names))
    assert heard == sorted((house.topic(name), name, qos, True) for qos, name in enumerate(names)), heard
    for name in names:
        desk.publish(house.topic(name), "", 1, retain=True)
        message = late.hear()
        assert (message.payload, message.retain) == (b"", False), "who listens is told, without the mark"
    later = house.client("later")
    for name in names:
        later.subscribe((house.topic(name), 2))
        later.hears_only(speaker=desk, topic=house.topic(name))


def a_client_without_an_id_is_given_one(house):
    one, other = house.client(""), house.client("")
    one.subscribe((house.topic(), 1))
    other.publish(house.topic(), "hello")
    assert one.words(1) == ["hello"], "the second has not taken the place of the first"


def messages_wait_for_a_client_that_is_away(house):
    desk = house.client("desk")
    lamp = house.client("lamp", clean=False)
    assert not lamp.present
    lamp.subscribe((house.topic("#"), 2))
    lamp.leave()
    for qos in (1, 2):
        for n in range(10):
            desk.publish(house.topic(str(qos)), str(n), qos)
    lamp = house.client("lamp", clean=False)
    assert lamp.present
    heard = {1: [], 2: []}
    for _ in range(20):
        message = lamp.hear()
        heard[message.qos].append((message.topic, message.payload.decode()))
    for qos in (1, 2):
        assert heard[qos] == [(house.topic(str(qos)), str(n)) for n in range(10)], heard[qos]
    lamp.leave()
    house.client("lamp").leave()  # a clean session forgets
    assert not house.client("lamp", clean=False).present


def overlapping_filters_give_one_copy_at_the_highest_quality(house):
    desk, lamp = house.client("desk"), house.client("lamp")
    assert lamp.subscribe((house.topic("+/x"), 1), (house.topic("#"), 0), (house.topic("a/x"), 2)) == [1, 0, 2]
    desk.publish(house.topic("a/x"), "once", 2)
    message = lamp.hear()
    assert (message.payload, message.qos) == (b"once", 2)
    lamp.hears_only(speaker=desk, topic=house.topic("a/x"))


def a_silent_client_is_given_up_and_its_will_is_heard(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("will"), 2))
    lamp = house.client("lamp", keepalive=2, will=(house.topic("will"), "gone", 1, False))
    lamp.silent()
    assert watch.hear().payload == b"gone"


def what_was_not_acknowledged_comes_again_and_is_marked(house):
    desk = house.client("desk")
    lamp = house.client("lamp", clean=False, acks=False)
    lamp.subscribe((house.topic("#"), 1))
    for n in range(3):
        desk.publish(house.topic("x"), str(n))
    assert [lamp.hear().dup for _ in range(3)] == [False] * 3
    lamp.drop()
    desk.publish(house.topic("x"), "3")
    lamp = house.client("lamp", clean=False)
    heard = [lamp.hear() for _ in range(4)]
    assert [m.payload for m in heard] == [b"0", b"1", b"2", b"3"], [m.payload for m in heard]
    assert all(m.dup for m in heard[:3]), "the last may have been sent before the broker noticed"


def a_will_is_heard_when_a_socket_ends_and_not_after_a_farewell(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("will"), 2))
    polite = house.client("polite", will=(house.topic("will"), "never", 1, False))
    polite.leave()
    lamp = house.client("lamp", will=(house.topic("will"), "gone", 2, True))
    lamp.drop()
    message = watch.hear()
    assert (message.payload, message.qos, message.retain) == (b"gone", 2, False)
    late = house.client("late")
    late.subscribe((house.topic("will"), 1))
    message = late.hear()
    assert (message.payload, message.qos, message.retain) == (b"gone", 1, True)
    watch.hears_only(speaker=late, topic=house.topic("will"))


def topics_of_the_house_are_kept_from_wildcards(house):
    wild, exact, desk = house.client("wild"), house.client("exact"), house.client("desk")
    dollar = f"$own/{house.topic('x')}"
    wild.subscribe((f"+/{house.topic('#')}", 1))
    exact.subscribe((dollar, 1), ("$own/" + house.topic("#"), 1))
    for n in range(3):
        desk.publish(dollar, f"secret {n}")
        desk.publish(f"own/{house.topic('x')}", f"open {n}")
    assert exact.words(3) == [f"secret {n}" for n in range(3)]
    assert wild.words(3) == [f"open {n}" for n in range(3)]


def after_an_unsubscribe_nothing_of_that_filter_comes(house):
    lamp, desk = house.client("lamp"), house.client("desk")
    a, b, c = (house.topic(name) for name in "abc")
    lamp.subscribe((a, 1), (b, 1), (c + "/#", 1))
    lamp.unsubscribe(a, c + "/#")
    lamp.unsubscribe(house.topic("never subscribed"))
    for n in range(3):
        for topic in (a, c + "/x", b):
            desk.publish(topic, str(n))
    assert lamp.words(3) == ["0", "1", "2"]
    lamp.subscribe((a, 1), (c + "/#", 1))
    for topic in (a, b, c + "/x"):
        lamp.hears_only(speaker=desk, topic=topic)


def a_second_client_of_a_name_takes_the_place_of_the_first(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("will"), 1))
    first = house.client("lamp", will=(house.topic("will"), "taken over", 1, False))
    second = house.client("lamp")
    first.end()
    assert watch.hear().payload == b"taken over"
    second.subscribe((house.topic("x"), 1))
    watch.publish(house.topic("x"), "you there")
    assert second.words(1) == ["you there"]


def five_hundred_messages_keep_their_order(house):
    desk = house.client("desk")
    for qos in (1, 2):
        lamp = house.client(f"lamp-{qos}")
        lamp.subscribe((house.topic(f"+/{qos}"), qos))
        mids = [desk.send(house.topic(f"x/{qos}"), str(n), qos) for n in range(500)]
        for mid in mids:
            desk.answer(mid)
        assert lamp.words(500) == [str(n) for n in range(500)]


def a_large_message_arrives_whole(house):
    lamp, desk = house.client("lamp"), house.client("desk")
    lamp.subscribe((house.topic("x"), 1))
    payload = bytes(range(256)) * 1200  # what zigbee2mqtt says of its devices
    desk.publish(house.topic("x"), payload, retain=True)
    assert lamp.hear().payload == payload
    late = house.client("late")
    late.subscribe((house.topic("#"), 0))
    assert late.hear().payload == payload


def three_point_one_and_three_point_one_point_one_hear_each_other(house):
    old, new = house.client("old", version=3), house.client("new", version=4)
    for client in (old, new):
        client.subscribe((house.topic(), 1))
    old.publish(house.topic(), "from the old")
    assert (old.words(1), new.words(1)) == (["from the old"], ["from the old"])
    new.publish(house.topic(), "from the new")
    assert (old.words(1), new.words(1)) == (["from the new"], ["from the new"])


def what_is_said_while_nobody_listens_is_not_kept(house):
    desk, lamp = house.client("desk"), house.client("lamp")
    desk.publish(house.topic(), "into the void")
    lamp.subscribe((house.topic(), 1))
    lamp.hears_only(speaker=desk, topic=house.topic())


if __name__ == "__main__":
    run(4, [each for each in list(globals().values()) if getattr(each, "__module__", "") == "__main__"])
