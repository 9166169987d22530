"""What the Eclipse interoperability suite asks of a broker of MQTT 5, and some more, by clients of paho-mqtt.

    paho_v5.py HOST PORT [+websockets] [-SCENARIO...]
"""
import time


from paho_kit import Options, of, passes, props, run

SUCCESS, NO_MATCHING_SUBSCRIBERS, IMPLEMENTATION_SPECIFIC, PAYLOAD_FORMAT_INVALID = 0x00, 0x10, 0x83, 0x99
NO_SUBSCRIPTION_EXISTED, NOT_AUTHORIZED, BAD_AUTHENTICATION_METHOD = 0x11, 0x87, 0x8C
PROTOCOL_ERROR, SESSION_TAKEN_OVER, TOPIC_ALIAS_INVALID, PACKET_TOO_LARGE = 0x82, 0x8E, 0x94, 0x95
DISCONNECT_WITH_WILL = 0x04


# Sessions


def a_session_lives_as_long_as_its_expiry(house):
    for expiry, kept in ((None, False), (0, False), (1, False), (60, True), (0xFFFFFFFF, True)):
        how = {} if expiry is None else {"SessionExpiryInterval": expiry}
        house.client(f"lamp-{expiry}", **how).drop()
        passes(1.5 + 1 if expiry == 1 else 0)
        assert house.client(f"lamp-{expiry}", clean=False, **how).present == kept, expiry


def a_clean_start_forgets_and_a_farewell_may_change_the_expiry(house):
    lamp = house.client("lamp", SessionExpiryInterval=60)
    lamp.subscribe((house.topic(), 1))
    lamp.leave()
    assert house.client("lamp", clean=False, SessionExpiryInterval=60).present
    lamp = house.client("lamp", clean=True, SessionExpiryInterval=60)  # takes the place of the other
    assert not lamp.present
    for _ in range(20):  # who comes back at once comes behind its own farewell
        lamp.leave(SessionExpiryInterval=0)
        lamp = house.client("lamp", clean=False, SessionExpiryInterval=60)
        assert not lamp.present


def messages_wait_for_a_client_that_is_away(house):
    desk = house.client("desk")
    lamp = house.client("lamp", SessionExpiryInterval=60)
    lamp.subscribe((house.topic("#"), 2))
    lamp.leave()
    for qos in (1, 2):
        for n in range(10):
            desk.publish(house.topic(str(qos)), str(n), qos, UserProperty=("n", str(n)))
    lamp = house.client("lamp", clean=False, SessionExpiryInterval=60)
    heard = {1: [], 2: []}
    for _ in range(20):
        message = lamp.hear()
        heard[message.qos].append((message.topic, message.payload.decode(), of(message, "UserProperty")))
    for qos in (1, 2):
        assert heard[qos] == [(house.topic(str(qos)), str(n), [("n", str(n))]) for n in range(10)], heard[qos]


def what_was_not_acknowledged_comes_again_and_is_marked(house):
    desk = house.client("desk")
    lamp = house.client("lamp", acks=False, SessionExpiryInterval=60)
    lamp.subscribe((house.topic("#"), 1))
    for n in range(3):
        desk.publish(house.topic("x"), str(n))
    assert [lamp.hear().dup for _ in range(3)] == [False] * 3
    lamp.drop()
    desk.publish(house.topic("x"), "3")
    lamp = house.client("lamp", clean=False, SessionExpiryInterval=60)
    heard = [lamp.hear() for _ in range(4)]
    assert [m.payload for m in heard] == [b"0", b"1", b"2", b"3"], [m.payload for m in heard]
    assert all(m.dup for m in heard[:3]), "the last may have been sent before the broker noticed"


def a_client_without_an_id_is_told_the_one_it_was_given(house):
    one, other = house.client("", SessionExpiryInterval=60), house.client("")
    names = [client.granted.AssignedClientIdentifier for client in (one, other)]
    assert all(names) and names[0] != names[1], names
    one.drop()
    house.name = ""  # the id whole
    house.clients.append(again := type(one)(house, names[0], clean=False, SessionExpiryInterval=60))
    assert again.present and not hasattr(again.granted, "AssignedClientIdentifier")


def a_second_client_of_a_name_takes_the_place_of_the_first(house):
    first = house.client("lamp")
    second = house.client("lamp")
    reason, _ = first.end()
    assert reason == SESSION_TAKEN_OVER
    second.subscribe((house.topic(), 1))
    second.publish(house.topic(), "still here")
    assert second.words(1) == ["still here"]


# Wills


def a_will_waits_for_its_delay(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("will"), 1))
    lamp = house.client("lamp", will=(house.topic("will"), "gone", 1, False), SessionExpiryInterval=60,
                        will_properties=props("WILLMESSAGE", WillDelayInterval=2))
    lamp.drop()
    dropped = time.monotonic()
    assert watch.hear().payload == b"gone"
    assert time.monotonic() - dropped > 1.5


def a_client_that_comes_back_within_the_delay_is_not_mourned(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("will"), 1))
    how = dict(will=(house.topic("will"), "gone", 1, False), SessionExpiryInterval=60,
               will_properties=props("WILLMESSAGE", WillDelayInterval=1))
    house.client("lamp", **how).drop()
    house.client("lamp", clean=False, **how)
    passes(2.5)
    watch.hears_only(speaker=watch, topic=house.topic("will"))


def a_will_does_not_outlive_its_session(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("+"), 1))
    late = props("WILLMESSAGE", WillDelayInterval=100)

    def lamp(name, **how):
        house.client(name, will=(house.topic(name), name, 1, False), will_properties=late, **how).drop()

    lamp("never-kept")
    assert watch.words(1) == ["never-kept"], "a session that ends with its connection"
    lamp("ends", SessionExpiryInterval=1)
    assert watch.words(1) == ["ends"], "one that expires"
    lamp("begins", SessionExpiryInterval=60)
    house.client("begins", clean=True)
    assert watch.words(1) == ["begins"], "one that a clean start ends"


def a_will_carries_its_properties_and_a_farewell_may_ask_for_it(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("will"), 2))
    of_will = props("WILLMESSAGE", ContentType="text/plain", ResponseTopic="answers/here", CorrelationData=b"\x00\xff",
                    UserProperty=("who", "lamp"), PayloadFormatIndicator=1, MessageExpiryInterval=100)
    lamp = house.client("lamp", will=(house.topic("will"), "bye", 2, False), will_properties=of_will)
    lamp.leave(reason=DISCONNECT_WITH_WILL)
    heard = watch.hear()
    assert (heard.payload, heard.qos, of(heard, "ContentType"), of(heard, "ResponseTopic")) == (b"bye", 2, "text/plain", "answers/here")
    assert (of(heard, "CorrelationData"), of(heard, "UserProperty")) == (b"\x00\xff", [("who", "lamp")])
    assert of(heard, "PayloadFormatIndicator") == 1 and 90 <= of(heard, "MessageExpiryInterval") <= 100
    polite = house.client("polite", will=(house.topic("will"), "never", 1, False))
    polite.leave()
    watch.hears_only(speaker=watch, topic=house.topic("will"))


# Messages


def what_a_message_carries_arrives_as_it_was_sent(house):
    lamp, desk = house.client("lamp"), house.client("desk")
    lamp.subscribe((house.topic("#"), 2))
    said = [("a", "1"), ("b", ""), ("a", "2"), ("ü", "🎭")]
    for retain in (False, True):
        carried = props("PUBLISH", ContentType="application/json", ResponseTopic=house.topic("answer"), CorrelationData=bytes(range(256)),
                        PayloadFormatIndicator=1)
        for pair in said:
            carried.UserProperty = pair
        desk.answer(desk.paho.publish(house.topic("x"), "{}", 2, retain, carried).mid)
    late = house.client("late")
    late.subscribe((house.topic("x"), 2))
    for message in (lamp.hear(), lamp.hear(), late.hear()):
        assert of(message, "UserProperty") == said, message.properties
        assert (of(message, "ContentType"), of(message, "ResponseTopic")) == ("application/json", house.topic("answer"))
        assert (of(message, "CorrelationData"), of(message, "PayloadFormatIndicator")) == (bytes(range(256)), 1)
        assert of(message, "TopicAlias") is None and of(message, "SubscriptionIdentifier") is None


def a_request_finds_its_answer(house):
    desk, lamp = house.client("desk", RequestResponseInformation=1), house.client("lamp")
    lamp.subscribe((house.topic("ask"), 1))
    desk.subscribe((house.topic("answer/desk"), 1))
    desk.publish(house.topic("ask"), "how bright", ResponseTopic=house.topic("answer/desk"), CorrelationData=b"7")
    asked = lamp.hear()
    lamp.publish(of(asked, "ResponseTopic"), "very", CorrelationData=of(asked, "CorrelationData"))
    answer = desk.hear()
    assert (answer.payload, of(answer, "CorrelationData")) == (b"very", b"7")


def a_message_expires_and_says_how_long_it_still_lives(house):
    desk, lamp = house.client("desk"), house.client("lamp", acks=False, SessionExpiryInterval=60, ReceiveMaximum=1)
    lamp.subscribe((house.topic("#"), 1))
    desk.publish(house.topic("held"), "held")
    lamp.hear()  # and holds its one place, so nothing else is under way when it leaves
    lamp.leave()
    for kind in ("retained", "queued"):
        desk.publish(house.topic(f"{kind}/short"), "short", retain=kind == "retained", MessageExpiryInterval=1)
        desk.publish(house.topic(f"{kind}/long"), "long", retain=kind == "retained", MessageExpiryInterval=60)
        desk.publish(house.topic(f"{kind}/ever"), "ever", retain=kind == "retained")
    passes(2.5)
    late = house.client("late")
    late.subscribe((house.topic("#"), 1))
    lamp = house.client("lamp", clean=False, SessionExpiryInterval=60)
    assert lamp.words(1) == ["held"]
    for client, count in ((late, 2), (lamp, 4)):
        heard = sorted((client.hear() for _ in range(count)), key=lambda message: message.topic)
        assert [m.payload for m in heard] == [b"ever", b"long"] * (count // 2), [m.topic for m in heard]
        assert all(of(m, "MessageExpiryInterval") in ((55, 56, 57, 58) if m.payload == b"long" else (None,)) for m in heard)
        for kind in ("retained", "queued"):
            client.hears_only(speaker=desk, topic=house.topic(f"{kind}/short"))


def an_alias_stands_for_the_topic_that_it_was_given(house):
    lamp, desk = house.client("lamp"), house.client("desk")
    lamp.subscribe((house.topic("#"), 2))
    most = desk.granted.TopicAliasMaximum
    assert most > 0
    for alias, name in ((1, "a"), (most, "b"), (1, "c")):
        desk.publish(house.topic(name), "named", 2, TopicAlias=alias)
        for qos in (0, 1, 2):
            desk.publish("", str(qos), qos, TopicAlias=alias)
        heard = [lamp.hear() for _ in range(4)]
        assert {m.topic for m in heard} == {house.topic(name)}
        assert sorted(m.payload for m in heard) == [b"0", b"1", b"2", b"named"]
        assert all(of(m, "TopicAlias") is None for m in heard), "the alias is between those two"
    desk = house.client("desk")  # on a new connection it means nothing
    desk.send("", "of whom?", 1, TopicAlias=1)
    assert desk.end()[0] in (PROTOCOL_ERROR, TOPIC_ALIAS_INVALID)
    desk = house.client("too-many")
    desk.send(house.topic("x"), "too many", 1, TopicAlias=most + 1)
    assert desk.end()[0] == TOPIC_ALIAS_INVALID


def a_client_that_takes_aliases_is_sent_them(house):
    desk, lamp, plain = house.client("desk"), house.client("lamp", TopicAliasMaximum=2), house.client("plain")
    for client in (lamp, plain):
        client.subscribe((house.topic("+"), 1))
    sent = [("a", "b", "c", "a")[n % 4] for n in range(40)]
    for n, name in enumerate(sent):
        desk.publish(house.topic(name), str(n))
    known, saved = {}, 0
    for _ in sent:
        message = lamp.hear()
        alias = of(message, "TopicAlias")
        assert alias is None or alias in (1, 2)
        if message.topic:
            known[alias] = message.topic
        else:
            saved += 1
        topic = message.topic or known[alias]
        assert topic == house.topic(sent[int(message.payload)]), (topic, message.payload)
        message = plain.hear()
        assert message.topic and of(message, "TopicAlias") is None
    assert saved > 10, saved


# Flow


def no_more_is_sent_than_a_client_wants_to_hold(house):
    desk, lamp = house.client("desk"), house.client("lamp", acks=False, ReceiveMaximum=2)
    lamp.subscribe((house.topic(), 1))
    for n in range(6):
        desk.publish(house.topic(), str(n))
    held = [lamp.hear(), lamp.hear()]
    for n in range(2, 6):
        passes(0.2)
        assert lamp.heard.empty(), "more than it wants"
        lamp.paho.ack(held.pop(0).mid, 1)
        held.append(lamp.hear())
        assert held[-1].payload.decode() == str(n)


def a_message_too_large_for_a_client_is_left_out_and_holds_no_place(house):
    desk, lamp = house.client("desk"), house.client("lamp", MaximumPacketSize=200, ReceiveMaximum=1)
    lamp.subscribe((house.topic("#"), 1))
    for n in range(30):
        desk.publish(house.topic("x"), b"x" * 300)
        desk.publish(house.topic("x"), str(n))
    assert lamp.words(30) == [str(n) for n in range(30)]
    desk.publish(house.topic("large"), b"x" * 300, retain=True)
    lamp.subscribe((house.topic("large"), 1))
    lamp.hears_only(speaker=desk, topic=house.topic("large"))


def one_that_sends_more_at_once_than_the_broker_announced_is_served(house):
    desk, lamp = house.client("desk"), house.client("lamp")
    lamp.subscribe((house.topic(), 2))
    mids = [desk.send(house.topic(), str(n), 2) for n in range(300)]
    assert {desk.answer(mid)[0] for mid in mids} == {0}
    assert lamp.words(300) == [str(n) for n in range(300)]


# Subscriptions


def one_copy_carries_the_identifiers_of_all_filters(house):
    desk, lamp = house.client("desk"), house.client("lamp")
    for name, qos, number in (("#", 0, 1), ("a/+", 2, 268435455), ("a/b", 1, 3), ("other", 1, 4)):
        assert lamp.subscribe((house.topic(name), qos), SubscriptionIdentifier=number) == [qos]
    lamp.subscribe((house.topic("a/#"), 1))  # without one
    for n in range(3):
        desk.publish(house.topic("a/b"), str(n), 2)
    for n in range(3):
        message = lamp.hear()
        assert (message.payload.decode(), message.qos) == (str(n), 2)
        assert sorted(of(message, "SubscriptionIdentifier")) == [1, 3, 268435455]
    lamp.subscribe((house.topic("a/b"), 1), SubscriptionIdentifier=5)  # in place of 3
    lamp.unsubscribe(house.topic("#"))
    desk.publish(house.topic("a/b"), "after")
    message = lamp.hear()
    assert (message.payload, sorted(of(message, "SubscriptionIdentifier"))) == (b"after", [5, 268435455])
    lamp.hears_only(speaker=desk, topic=house.topic("a/b"))


def retained_messages_carry_the_identifier_that_asked_for_them(house):
    desk, lamp = house.client("desk"), house.client("lamp")
    for name in ("a", "b"):
        desk.publish(house.topic(name), name, retain=True)
    lamp.subscribe((house.topic("a"), 1), SubscriptionIdentifier=1)
    message = lamp.hear()
    assert (message.payload, of(message, "SubscriptionIdentifier")) == (b"a", [1])
    lamp.subscribe((house.topic("b"), 1), SubscriptionIdentifier=2)
    message = lamp.hear()
    assert (message.payload, of(message, "SubscriptionIdentifier")) == (b"b", [2])


def no_local_keeps_a_clients_own_words_from_it(house):
    desk = house.client("desk")
    for n, (name, topic) in enumerate((("a", "a"), ("w/+", "w/x"))):
        lamp, plain = house.client(f"lamp-{n}"), house.client(f"plain-{n}")
        lamp.subscribe((house.topic(name), Options(1, noLocal=True)))
        plain.subscribe((house.topic(name), Options(1, noLocal=False)))
        lamp.publish(house.topic(topic), "lamp's")
        plain.publish(house.topic(topic), "plain's")
        lamp.hears_only("plain's", speaker=desk, topic=house.topic(topic))
        plain.hears_only("lamp's", "plain's", speaker=plain, topic=house.topic(topic))


def the_mark_of_retained_messages_stays_where_it_is_asked_for(house):
    desk, bridge, lamp = house.client("desk"), house.client("bridge"), house.client("lamp")
    bridge.subscribe((house.topic("+"), Options(1, retainAsPublished=True)))
    lamp.subscribe((house.topic("+"), Options(1, retainAsPublished=False)))
    for retain in (True, False):
        desk.publish(house.topic("x"), "", retain=retain)
        desk.publish(house.topic("x"), "y", retain=retain)
        assert [bridge.hear().retain, bridge.hear().retain] == [retain] * 2
        assert [lamp.hear().retain, lamp.hear().retain] == [False] * 2


def retained_messages_come_always_once_or_never(house):
    desk = house.client("desk")
    desk.publish(house.topic("x"), "kept", retain=True)
    for how, (first, again) in ((0, (True, True)), (1, (True, False)), (2, (False, False))):
        for n, name in enumerate(("x", "#")):
            lamp = house.client(f"lamp-{how}-{n}")
            for expected in (first, again):
                lamp.subscribe((house.topic(name), Options(1, retainHandling=how)))
                if expected:
                    message = lamp.hear()
                    assert (message.payload, message.retain) == (b"kept", True)
            speak = props("PUBLISH")
            desk.answer(desk.paho.publish(house.topic("x"), "the end", 1, False, speak).mid)
            assert lamp.words(1) == ["the end"], (how, name)
            lamp.leave()


def members_of_a_group_share_what_comes(house):
    desk, watch = house.client("desk"), house.client("watch")
    watch.subscribe((house.topic("+"), 1))
    members = [house.client("one"), house.client("other"), house.client("old", version=4)]
    for member in members:
        assert member.subscribe(("$share/crew/" + house.topic("+"), 1)) == [1]
    for n in range(60):
        desk.publish(house.topic(str(n % 3)), str(n))
    assert sorted(watch.words(60), key=int) == [str(n) for n in range(60)], "who shares takes nothing from others"
    heard = gathered(members, 60)
    assert sorted(sum(heard, []), key=int) == [str(n) for n in range(60)], "each message once"
    assert all(len(some) > 5 for some in heard), [len(some) for some in heard]
    members.pop(0).leave()
    members.pop().unsubscribe("$share/crew/" + house.topic("+"))
    for n in range(20):
        desk.publish(house.topic("x"), str(n))
    assert members[0].words(20) == [str(n) for n in range(20)], "the last one gets all"


def gathered(clients, count):
    """So many messages, whoever hears them: the payloads, by client."""
    heard = [[] for _ in clients]
    until = time.monotonic() + 20
    while sum(map(len, heard)) < count:
        assert time.monotonic() < until, heard
        for client, some in zip(clients, heard):
            if not client.heard.empty():
                some += client.words(1)
        passes(0.001)
    return heard


def a_shared_filter_gets_no_retained_messages(house):
    desk, member = house.client("desk"), house.client("member")
    desk.publish(house.topic("x"), "kept", retain=True)
    member.subscribe(("$share/crew/" + house.topic("#"), 1))
    member.hears_only(speaker=desk, topic=house.topic("x"))


def overlapping_plain_and_shared_filters_are_two_subscriptions(house):
    desk, lamp = house.client("desk"), house.client("lamp")
    lamp.subscribe((house.topic("x"), 1), SubscriptionIdentifier=1)
    lamp.subscribe(("$share/crew/" + house.topic("x"), 1), SubscriptionIdentifier=2)
    desk.publish(house.topic("x"), "hello")
    heard = [lamp.hear(), lamp.hear()]
    assert sorted(of(m, "SubscriptionIdentifier")[0] for m in heard) == [1, 2]
    assert all(len(of(m, "SubscriptionIdentifier")) == 1 for m in heard)


# Answers


def an_unsubscribe_says_what_there_was(house):
    lamp, desk = house.client("lamp"), house.client("desk")
    lamp.subscribe((house.topic("a"), 1), (house.topic("b"), 1))
    assert lamp.unsubscribe(house.topic("a"), house.topic("never")) == [0, NO_SUBSCRIPTION_EXISTED]
    for n in range(3):
        desk.publish(house.topic("a"), str(n))
        desk.publish(house.topic("b"), str(n))
    assert lamp.words(3) == ["0", "1", "2"]
    lamp.hears_only(speaker=desk, topic=house.topic("b"))


def an_unknown_way_to_prove_who_one_is_is_refused(house):
    lamp = house.knock("lamp", AuthenticationMethod="SCRAM-SHA-1", AuthenticationData=b"n,,n=user,r=x")
    assert lamp.refused.value == BAD_AUTHENTICATION_METHOD, lamp.refused


def shared_and_no_local_together_are_an_error(house):
    lamp = house.client("lamp")
    lamp.paho.subscribe("$share/crew/" + house.topic("x"), options=Options(1, noLocal=True))
    assert lamp.end()[0] == PROTOCOL_ERROR


def topics_of_the_house_are_kept_from_wildcards(house):
    wild, exact, desk = house.client("wild"), house.client("exact"), house.client("desk")
    dollar = f"$own/{house.topic('x')}"
    wild.subscribe((f"+/{house.topic('#')}", 1))
    exact.subscribe((dollar, 1), ("$own/" + house.topic("#"), 1))
    for n in range(3):
        desk.publish(dollar, f"secret {n}")
        desk.publish(f"own/{house.topic('x')}", f"open {n}")
    heard = exact.words(3)
    assert sorted(set(heard)) == [f"secret {n}" for n in range(3)]
    assert wild.words(3) == [f"open {n}" for n in range(3)]


def a_silent_client_is_given_up_and_its_will_is_heard(house):
    watch = house.client("watch")
    watch.subscribe((house.topic("will"), 2))
    lamp = house.client("lamp", keepalive=2, will=(house.topic("will"), "gone", 1, False))
    lamp.silent()
    assert watch.hear().payload == b"gone"


def the_broker_says_what_it_can(house):
    granted = house.client("lamp").granted
    for name in ("RetainAvailable", "WildcardSubscriptionAvailable", "SubscriptionIdentifierAvailable", "SharedSubscriptionAvailable"):
        assert getattr(granted, name, 1) == 1, name
    assert getattr(granted, "MaximumQoS", 2) == 2
    assert getattr(granted, "ReceiveMaximum", 65535) >= 20 and granted.TopicAliasMaximum >= 10


def retained_messages_of_all_versions_are_one_memory(house):
    five, four = house.client("five"), house.client("four", version=4)
    five.publish(house.topic("5"), "from 5", retain=True, ContentType="text/plain")
    four.publish(house.topic("4"), "from 4", retain=True)
    for name, version in (("late-5", 5), ("late-4", 4)):
        late = house.client(name, version=version)
        late.subscribe((house.topic("+"), 1))
        assert sorted(late.words(2)) == ["from 4", "from 5"]


# What only dmxd promises


def a_command_is_answered_with_what_became_of_it(house):
    desk = house.client("desk")
    reason, properties = desk.answer(desk.send("v1/demo/rgb/cmd", "{}"))
    assert reason == IMPLEMENTATION_SPECIFIC and properties.ReasonString
    assert desk.publish("v1/demo/blackout/cmd", '{"on":false}') == SUCCESS, "there is who takes it: the broker itself"
    assert desk.publish(house.topic("nobody is here")) == NO_MATCHING_SUBSCRIBERS


def a_payload_that_is_not_the_text_it_is_said_to_be_is_refused(house):
    desk, lamp = house.client("desk"), house.client("lamp")
    lamp.subscribe((house.topic("x"), 1))
    assert desk.publish(house.topic("x"), b"\xff", PayloadFormatIndicator=1) == PAYLOAD_FORMAT_INVALID
    assert desk.publish(house.topic("x"), b"\xff", PayloadFormatIndicator=0) == SUCCESS
    assert desk.publish(house.topic("x"), "ü", PayloadFormatIndicator=1) == SUCCESS
    assert [lamp.hear().payload for _ in range(2)] == [b"\xff", "ü".encode()]


def who_has_no_keep_alive_is_asked_for_one(house):
    if house.transport == "tcp":  # over WebSocket paho cannot: it waits as long for the handshake, which is not at all
        assert house.client("without", keepalive=0).granted.ServerKeepAlive > 0
    assert not hasattr(house.client("with", keepalive=60).granted, "ServerKeepAlive"), "its own counts"


def a_topic_of_the_broker_alone_is_refused_with_its_reason(house):
    lamp = house.client("lamp")
    reason, properties = lamp.answer(lamp.send("v1/demo/rgb/state", "{}", retain=True))
    assert reason == NOT_AUTHORIZED and properties.ReasonString
    lamp.subscribe(("v1/demo/rgb/state", 1))
    assert b"demo.rgb.state.v1" in lamp.hear().payload, "its own word is untouched"
    quiet = house.client("quiet", RequestProblemInformation=0)
    reason, properties = quiet.answer(quiet.send("v1/demo/rgb/state", "{}"))
    assert reason == NOT_AUTHORIZED and not hasattr(properties, "ReasonString")


def every_end_by_the_broker_says_why(house):
    first = house.client("lamp")
    house.client("lamp")
    other = house.client("other")
    other.send(house.topic("x"), "too many", 1, TopicAlias=65535)
    shared = house.client("shared")
    shared.paho.subscribe("$share/crew/" + house.topic("x"), options=Options(1, noLocal=True))
    for client, expected in ((first, SESSION_TAKEN_OVER), (other, TOPIC_ALIAS_INVALID), (shared, PROTOCOL_ERROR)):
        reason, properties = client.end()
        assert reason == expected and properties.ReasonString, (reason, properties)


if __name__ == "__main__":
    run(5, [each for each in list(globals().values())
            if getattr(each, "__module__", "") == "__main__" and each is not gathered])
