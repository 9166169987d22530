//! Mosquitto as a bridge to dmxd, everything both ways, in both versions that it knows. In 3.1.1 it begins with the level 0x84.

use std::net::SocketAddr;

use crate::harness::{
    Appliance, CMD, Connect, FaultProxy, Link, Mosquitto, STATE, Weather, command, eventually, mosquitto_pub,
    mosquitto_sub, rgb_of,
};

/// Who hears everything at a broker.
async fn ear(broker: SocketAddr) -> Link {
    let mut ear = Link::join(broker, &Connect::new("ear")).await;
    ear.subscribe("stage/#", 1).await;
    ear
}

/// What a client that comes now finds on a topic: the payload, and whether it is marked as retained.
async fn found(broker: SocketAddr, topic: &str) -> (String, bool) {
    let mut late = Link::join(broker, &Connect::new("late")).await;
    late.subscribe(topic, 1).await;
    let message = late.message().await;
    (message.text(), message.retain)
}

async fn says(broker: SocketAddr, topic: &str, words: &[&str], retain: bool) {
    let mut mouth = Link::join(broker, &Connect::new("mouth")).await;
    for word in words {
        mouth.publish_at(topic, word.as_bytes(), 1, retain).await;
    }
    mouth.leave().await;
}

async fn hears(ear: &mut Link, topic: &str, words: &[&str]) {
    for word in words {
        let message = ear.message().await;
        assert_eq!((message.topic.as_str(), message.text().as_str()), (topic, *word), "once each, in order");
    }
}

/// A far Mosquitto whose bridge to the appliance stands, through a network that a test can cut.
struct Bridge {
    network: FaultProxy,
    far: Mosquitto,
    here: Link,
    there: Link,
}

impl Bridge {
    async fn between(near: SocketAddr, version: &str) -> Self {
        let network = FaultProxy::start(near).await;
        let far = Mosquitto::bridged(network.address, version).await;
        let (here, there) = (ear(near).await, ear(far.address).await);
        let bridge = Self { network, far, here, there };
        bridge.stands(near, "at first").await;
        bridge
    }

    /// Waits until it carries both ways, on topics that nobody hears.
    async fn stands(&self, near: SocketAddr, when: &str) {
        for (n, (from, to)) in [(near, self.far.address), (self.far.address, near)].into_iter().enumerate() {
            let topic = format!("probe/{n}");
            let mut hears = Link::join(to, &Connect::new("probe-ear")).await;
            hears.subscribe(&topic, 1).await;
            let mut says = Link::join(from, &Connect::new("probe-mouth")).await;
            eventually(&format!("the bridge to carry {when}"), async || {
                says.publish_at(&topic, b"?", 1, false).await;
                let heard = hears.messages().await;
                (!heard.is_empty()).then_some(())
            })
            .await;
        }
    }

    /// Messages of either side are heard once by both, in order.
    async fn carries_each_message_once(&mut self, near: SocketAddr) {
        let words: Vec<_> = (0..50).map(|n| n.to_string()).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        for (topic, from) in [("stage/from/here", near), ("stage/from/there", self.far.address)] {
            says(from, topic, &words, false).await;
            hears(&mut self.here, topic, &words).await;
            hears(&mut self.there, topic, &words).await;
        }
    }

    /// What is retained on either side, and changed, is there in its last form for those who come late to the other.
    async fn keeps_what_is_retained(&mut self, near: SocketAddr) {
        for (topic, from, to) in
            [("stage/kept/here", near, self.far.address), ("stage/kept/there", self.far.address, near)]
        {
            says(from, topic, &["first", "second"], true).await;
            hears(&mut self.here, topic, &["first", "second"]).await;
            hears(&mut self.there, topic, &["first", "second"]).await;
            assert_eq!(found(to, topic).await, ("second".to_owned(), true), "{topic}");
            assert_eq!(found(from, topic).await, ("second".to_owned(), true), "{topic}");
        }
    }

    /// What was retained on either side while the network was down comes when it is up. (Of a topic that both know, each would
    /// send the other what it has.)
    async fn comes_back(&mut self, near: SocketAddr) {
        self.network.set(Weather::CutRequest(0));
        says(near, "stage/new/here", &["new"], true).await;
        hears(&mut self.here, "stage/new/here", &["new"]).await;
        says(self.far.address, "stage/new/there", &["new"], true).await;
        hears(&mut self.there, "stage/new/there", &["new"]).await;
        self.network.set(Weather::Pass);
        self.stands(near, "again").await;
        assert_eq!(found(self.far.address, "stage/new/here").await, ("new".to_owned(), true));
        assert_eq!(found(near, "stage/new/there").await, ("new".to_owned(), true));
    }
}

async fn is_a_bridge(version: &str) {
    let appliance = Appliance::start().await;
    let near = appliance.mqtt;
    let mut bridge = Bridge::between(near, version).await;
    bridge.carries_each_message_once(near).await;
    bridge.keeps_what_is_retained(near).await;

    // the light, from the far side
    says(bridge.far.address, CMD, &[&command([9, 8, 7]).to_string()], false).await;
    eventually("the state on the far side", async || {
        let (state, retained) = found(bridge.far.address, STATE).await;
        let state = serde_json::from_str(&state).unwrap();
        (retained && rgb_of(&state) == [9, 8, 7]).then_some(())
    })
    .await;
    assert_eq!(rgb_of(&appliance.web().state().await), [9, 8, 7]);
    assert_eq!(appliance.web().state().await["seq"], 1, "the command has not come back");

    bridge.comes_back(near).await;
    assert_eq!(rgb_of(&appliance.web().state().await), [9, 8, 7], "what the far side kept of the light moves nothing");
}

#[tokio::test]
async fn a_mosquitto_bridge_of_3_1_1_carries_everything_both_ways_once() {
    is_a_bridge("mqttv311").await;
}

#[tokio::test]
async fn a_mosquitto_bridge_of_5_carries_everything_both_ways_once() {
    is_a_bridge("mqttv50").await;
}

#[tokio::test]
async fn a_mosquitto_bridge_of_5_carries_what_messages_carry() {
    let appliance = Appliance::start().await;
    let bridge = Bridge::between(appliance.mqtt, "mqttv50").await;
    let publish = ["-V", "5", "-q", "2", "-r", "-m", "hello", "-D", "publish", "content-type", "text/plain"];
    let property = ["-D", "publish", "user-property", "a", "1", "-t"];
    let listen = ["-V", "5", "-q", "2", "-C", "1", "-W", "20", "-F", "%q %C %P %p", "-t"];
    for (topic, from, to) in
        [("stage/here", appliance.mqtt, bridge.far.address), ("stage/there", bridge.far.address, appliance.mqtt)]
    {
        mosquitto_pub(from, &[&publish[..], &property, &[topic]].concat()).succeed().await;
        let heard = mosquitto_sub(to, &[&listen[..], &[topic]].concat()).succeed().await;
        assert_eq!(heard, ["1 text/plain a:1 hello"], "{topic}, at the QoS of the bridge");
    }
}
