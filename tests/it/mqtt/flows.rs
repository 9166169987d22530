//! Node-RED between topics and the light.

use serde_json::Value;

use crate::harness::{
    Appliance, Connect, Link, Message, Stranger, eventually_within, fresh_id, mosquitto_pub, mosquitto_sub, node_red,
    rgb_of,
};
use std::time::Duration;

/// It takes a few seconds to start, more on a loaded machine.
const START: Duration = Duration::from_secs(60);

/// A flow that makes commands of colours, and one that shouts the state; both have heard something when this ends.
async fn flows(appliance: &Appliance, version: u8) -> (Stranger, Link) {
    let order = format!("{} 9 8 7", fresh_id());
    mosquitto_pub(appliance.mqtt, &["-q", "1", "-r", "-t", "nr/in/colour", "-m", &order]).succeed().await;
    let mut watch = Link::join(appliance.mqtt, &Connect::new("watch")).await;
    watch.subscribe("nr/out/#", 1).await;

    let red = node_red(appliance.mqtt, version, "nr/in", "nr/out");
    eventually_within(START, "Node-RED to connect", async || {
        red.lines.all().iter().any(|line| line.contains("Connected to broker")).then_some(())
    })
    .await;
    hear(&mut watch, |message| message.topic == "nr/out/light" && message.text().contains(r#""UPDATEDBY":"FLOW""#))
        .await;
    let state = appliance.web().state().await;
    assert_eq!((rgb_of(&state), &state["updatedBy"]), ([9, 8, 7], &Value::from("flow")));
    (red, watch)
}

async fn hear(watch: &mut Link, like: impl Fn(&Message) -> bool) -> Message {
    loop {
        let message = watch.message().await;
        if like(&message) {
            return message;
        }
    }
}

/// Its word on the topic of its presence, for one that comes late.
async fn presence(appliance: &Appliance) -> String {
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("nr/out/presence", 1).await;
    late.message().await.text()
}

#[tokio::test]
async fn node_red_commands_the_light_and_hears_it_in_mqtt_3_1_1() {
    let appliance = Appliance::start().await;
    let (red, mut watch) = flows(&appliance, 4).await;
    assert_eq!(presence(&appliance).await, "here");
    red.leave().await;
    hear(&mut watch, |message| message.topic == "nr/out/presence" && message.text() == "left").await;
    assert_eq!(presence(&appliance).await, "left");
}

#[tokio::test]
async fn node_red_passes_on_what_a_message_carries_in_mqtt_5() {
    let appliance = Appliance::start().await;
    let carried = ["-D", "publish", "user-property", "a", "1", "-D", "publish", "content-type", "text/plain"];
    let publish = ["-V", "5", "-q", "2", "-r", "-t", "nr/in/through", "-m", "hello"];
    mosquitto_pub(appliance.mqtt, &[&publish[..], &carried].concat()).succeed().await;
    let (red, mut watch) = flows(&appliance, 5).await;
    let listen = ["-V", "5", "-q", "2", "-t", "nr/out/through", "-C", "1", "-W", "20", "-F", "%q|%r|%C|%P|%p"];
    assert_eq!(mosquitto_sub(appliance.mqtt, &listen).succeed().await, ["2|1|text/plain|a:1|hello"]);
    red.leave().await;
    hear(&mut watch, |message| message.topic == "nr/out/presence" && message.text() == "left").await;
}
