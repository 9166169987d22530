//! Properties that publishers give to whoever gets the message.

use crate::harness::{Appliance, Connect, Connect5, Link, Link5, Message, Message5, Property, property};

/// User properties keep their order, and may stand there twice.
fn all() -> Vec<Property> {
    vec![
        property::payload_format(1),
        property::user("b", "1"),
        property::content_type("text/plain; charset=utf-8"),
        property::user("a", "2"),
        property::response_topic("answers/é"),
        property::user("b", "1"),
        property::correlation_data(&[0, 0xff, 7]),
        property::user("", ""),
    ]
}

fn told(topic: &str, payload: &str) -> Message5 {
    Message5 { properties: all(), ..Message5::new(topic, payload) }
}

#[tokio::test]
async fn properties_come_as_they_were_given_live_and_retained() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("a")).await;
    link.subscribe_all(&[("a", 2), ("w/#", 2)], &[]).await;
    let mut old = Link::join(appliance.mqtt, &Connect::new("old")).await;
    old.subscribe_all(&[("a", 2), ("r", 1)]).await;
    for qos in 0..=2 {
        for topic in ["a", "w/x"] {
            link.publish(&told(topic, "x").qos(qos)).await;
            let came = link.message().await;
            assert_eq!((came.qos, came.retain, came.text().as_str()), (qos, false, "x"));
            assert_eq!(came.properties, all(), "{topic} at QoS {qos}");
        }
    }
    link.publish(&told("r", "kept").retained()).await;
    let mut late = Link5::join(appliance.mqtt, &Connect5::new("late")).await;
    for filter in ["r", "r/#"] {
        late.subscribe(filter, 1).await;
        let came = late.message().await;
        assert_eq!((came.retain, came.properties), (true, all()), "{filter}");
    }
    let came: Vec<Message> = old.messages().await;
    assert_eq!(
        came.iter().map(Message::text).collect::<Vec<_>>(),
        ["x", "x", "x", "kept"],
        "3.1.1 has the message alone"
    );
}

#[tokio::test]
async fn properties_wait_with_their_message_and_survive_a_kill() {
    let appliance = Appliance::start().await;
    let connect = Connect5::kept("away", 600);
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe_all(&[("a", 2), ("w/#", 2)], &[]).await;
    link.leave().await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    let sent = [("a", 1), ("a", 2), ("w/x", 1), ("w/x", 2)];
    for (topic, qos) in sent {
        sender.publish(&told(topic, topic).qos(qos)).await;
    }
    sender.publish(&told("r", "kept").retained()).await;

    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.acknowledge(false);
    for (topic, qos) in sent {
        let came = link.message().await;
        assert_eq!((came.topic.as_str(), came.qos, came.dup, came.properties), (topic, qos, false, all()));
    }
    link.leave().await; // nothing was answered

    let appliance = appliance.kill9().await.start().await;
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    for (topic, qos) in sent {
        let came = link.message().await;
        assert_eq!((came.topic.as_str(), came.qos, came.dup, came.properties), (topic, qos, true, all()));
    }
    link.subscribe("r", 1).await;
    assert_eq!(link.message().await.properties, all());
}
