"""A service as asyncio has them: aiomqtt, MQTT 5. Prints a line for each thing that held.

    aiomqtt_both_ways.py HOST PORT
"""
import asyncio
import sys

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

host, port = sys.argv[1], int(sys.argv[2])


def client(name, **options):
    return aiomqtt.Client(host, port, identifier=f"aiomqtt-{name}", protocol=aiomqtt.ProtocolVersion.V5, **options)


def properties(packet, **values):
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


async def next_of(messages):
    return await asyncio.wait_for(anext(messages), 20)


async def in_and_out():
    async with client("in") as lamp, client("out") as desk:
        await lamp.subscribe("aiomqtt/x/#", options=SubscribeOptions(2), properties=properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=9))
        messages = aiter(lamp.messages)
        for qos in (0, 1, 2):
            carried = properties(PacketTypes.PUBLISH, UserProperty=("n", str(qos)), ResponseTopic="aiomqtt/answer", MessageExpiryInterval=60)
            await desk.publish(f"aiomqtt/x/{qos}", f"at {qos}", qos=qos, properties=carried)
            message = await next_of(messages)
            assert (str(message.topic), message.payload, message.qos, message.retain) == (f"aiomqtt/x/{qos}", b"at %d" % qos, qos, False)
            seen = message.properties
            assert (seen.UserProperty, seen.ResponseTopic, seen.SubscriptionIdentifier) == ([("n", str(qos))], "aiomqtt/answer", [9])
            assert 50 <= seen.MessageExpiryInterval <= 60
    print("holds: what goes in comes out with its properties")


async def colours_the_lamp():
    async with client("lamp") as lamp:
        await lamp.subscribe("v1/demo/rgb/state", qos=1)
        messages = aiter(lamp.messages)
        first = await next_of(messages)
        assert first.retain and b"demo.rgb.state.v1" in first.payload
        command = '{"schema":"demo.rgb.cmd.v1","cmdId":"01JD0000000000000000000009","src":"aio","r":1,"g":2,"b":3}'
        await lamp.publish("v1/demo/rgb/cmd", command, qos=1)
        second = await next_of(messages)
        assert not second.retain and b'"updatedBy":"aio"' in second.payload
    print("holds: a command changes the light and the state is heard")


async def is_told_when_another_takes_its_place():
    try:
        async with client("twin") as first:
            async with client("twin"):
                await next_of(aiter(first.messages))
    except aiomqtt.MqttError as error:
        assert "taken over" in str(error.__cause__ or error).lower(), repr(error.__cause__ or error)
        print("holds: who loses its place is told why")


async def main():
    await in_and_out()
    await colours_the_lamp()
    await is_told_when_another_takes_its_place()


asyncio.run(main())
