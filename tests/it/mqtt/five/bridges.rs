//! Bridges of other brokers, which say so by the level of their CONNECT.

use crate::harness::{Appliance, Connect, Link};

#[tokio::test]
async fn a_bridge_sees_retain_flags_as_published_and_nothing_of_its_own() {
    let appliance = Appliance::start().await;
    for connect in [Connect::new("bridge").v3(), Connect::new("bridge")] {
        let connect = connect.bridge().persistent();
        let mut bridge = Link::join(appliance.mqtt, &connect).await;
        bridge.subscribe_all(&[("w/#", 2), ("x", 1)]).await;
        bridge.messages().await;
        let mut local = Link::join(appliance.mqtt, &Connect::new("local")).await;
        local.subscribe("#", 1).await;
        local.messages().await;
        for topic in ["w/1", "x"] {
            local.retain(topic, b"here").await;
            local.publish(topic, b"now").await;
            bridge.retain(topic, b"there").await;
        }
        let came: Vec<_> =
            bridge.messages().await.into_iter().map(|it| (it.topic.clone(), it.text(), it.retain)).collect();
        let all = [("w/1", "here", true), ("w/1", "now", false), ("x", "here", true), ("x", "now", false)];
        assert_eq!(came, all.map(|(topic, text, retain)| (topic.to_owned(), text.to_owned(), retain)), "{connect:?}");
        assert!(local.messages().await.iter().all(|message| !message.retain), "others see what 3.1.1 says");
        bridge.leave().await;
        local.retain("x", b"meanwhile").await;
        let mut bridge = Link::join(appliance.mqtt, &connect).await;
        let came = bridge.message().await;
        assert_eq!((came.text().as_str(), came.retain), ("meanwhile", true), "{connect:?}");
        let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
        late.subscribe("w/#", 1).await;
        assert_eq!(late.message().await.text(), "there", "what a bridge brought is kept");
        bridge.leave().await;
    }
}

#[tokio::test]
async fn an_empty_retained_message_of_a_bridge_deletes_and_passes() {
    let appliance = Appliance::start().await;
    let mut bridge = Link::join(appliance.mqtt, &Connect::new("bridge").bridge()).await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other").bridge()).await;
    other.subscribe("x", 1).await;
    bridge.retain("x", b"kept").await;
    bridge.retain("x", b"").await;
    let came: Vec<_> = other.messages().await.into_iter().map(|it| (it.text(), it.retain)).collect();
    assert_eq!(came, [("kept".to_owned(), true), (String::new(), true)]);
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("x", 1).await;
    assert_eq!(late.messages().await, []);
}
