//! Topics that are dmxd's alone: nobody receives anybody else's messages there.

use serde_json::Value;

use crate::harness::{Appliance, Connect, Link, PRESENCE, REJECTED, STATE, command, rgb_of};

const OWN: [&str; 5] = [STATE, PRESENCE, REJECTED, "dmx/ack", "dmx/state"];
const FORGED: &[u8] = br#"{"forged":true}"#;

fn is_forged(payload: &[u8]) -> bool {
    payload == FORGED
}

#[tokio::test]
async fn a_forged_publish_is_acknowledged_and_never_heard() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe_all(&[("#", 1), (STATE, 1), (PRESENCE, 1)]).await;
    let mut forger = Link::join(appliance.mqtt, &Connect::new("forger")).await;
    for topic in OWN {
        forger.publish(topic, FORGED).await; // waits for the PUBACK
        forger.retain(topic, FORGED).await;
        forger.retain(topic, b"").await;
    }
    forger.publish("marker", b"").await;
    let heard = listener.until("marker").await;
    assert!(heard.iter().any(|message| message.topic == STATE), "the listener hears the real state");
    assert!(heard.iter().all(|message| !is_forged(&message.payload) && !message.payload.is_empty()), "{heard:?}");
    assert_eq!(appliance.web().metric("dmx_broker_publishes_denied_total").await, 15.0, "counted");
    let logged = |line: &Value| line.to_string().contains("forger") && line.to_string().contains(STATE);
    appliance.log.wait("a line that names the forger and the topic", logged).await;
    assert_eq!(appliance.web().seq().await, 0);

    let appliance = appliance.restart().await;
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[("#", 1), ("marker", 1)]).await;
    late.publish("marker", b"").await;
    let kept = late.until("marker").await;
    let mut topics: Vec<_> = kept.iter().map(|message| message.topic.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, [STATE, PRESENCE], "only these two are retained: {kept:?}");
    assert!(kept.iter().all(|message| !is_forged(&message.payload)), "{kept:?}");
}

#[tokio::test]
async fn a_forged_will_is_never_heard() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe_all(&[("#", 1)]).await;
    for topic in OWN {
        let forger = Connect::new("forger").will(topic, r#"{"forged":true}"#, true);
        // a broker may also refuse such a CONNECT
        if let (link, Ok(_)) = Link::connect(appliance.mqtt, &forger).await {
            link.reset();
        }
        // Taking over the id publishes the will before the CONNACK, unless it has been published already.
        Link::join(appliance.mqtt, &Connect::new("forger")).await.leave().await;
    }
    let mut honest = Link::join(appliance.mqtt, &Connect::new("honest")).await;
    honest.publish("marker", b"").await;
    let heard = listener.until("marker").await;
    assert!(heard.iter().all(|message| !is_forged(&message.payload)), "{heard:?}");
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe(STATE, 1).await;
    assert_eq!(rgb_of(&late.message().await.json()), [0, 0, 0]);
}

#[tokio::test]
async fn the_state_goes_on_after_a_forgery() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.subscribe(STATE, 1).await;
    assert_eq!(esp.message().await.json()["seq"], 0);
    esp.retain(STATE, FORGED).await;
    appliance.web().accepted(&command([5, 6, 7])).await;
    let next = esp.message().await.json();
    assert_eq!((next["seq"].as_u64(), rgb_of(&next)), (Some(1), [5, 6, 7]));
}

#[tokio::test]
async fn presence_of_devices_is_anybodys_to_publish() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("v1/devices/esp/state", br#"{"online":true}"#).await;
    esp.subscribe("v1/devices/+/state", 1).await;
    let mut topics = [esp.message().await.topic, esp.message().await.topic];
    topics.sort();
    assert_eq!(topics, ["v1/devices/esp/state", PRESENCE]);
}
