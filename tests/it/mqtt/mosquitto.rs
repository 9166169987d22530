//! mosquitto's clients in MQTT 5, and in all versions beside one another: what they carry, what they are told, and how they end.

use std::net::TcpListener;

use crate::harness::{
    Appliance, CMD, Home, STATE, command, eventually, fresh_id, mosquitto_pub, mosquitto_rr, mosquitto_sub,
};

/// A free port that is the same after a restart.
fn same_port() -> Home {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Home::new().set("DMX_MQTT_PORT", free.port().to_string())
}

/// Says something on a topic until a client that has just begun to listen hears it.
async fn says_until(appliance: &Appliance, topic: &str, heard: impl Fn() -> bool) {
    eventually("the client to hear", async || {
        mosquitto_pub(appliance.mqtt, &["-V", "5", "-q", "1", "-t", topic, "-m", "hello"]).succeed().await;
        heard().then_some(())
    })
    .await;
}

#[tokio::test]
async fn mosquitto_sub_prints_each_property_that_mosquitto_pub_gave() {
    let appliance = Appliance::start().await;
    let publish = |property| ["-D", "publish", property];
    let mut arguments = vec!["-V", "5", "-q", "2", "-r", "-t", "stage/x", "-m", "hello"];
    for (name, value) in [
        ("content-type", "text/plain"),
        ("response-topic", "stage/answer"),
        ("correlation-data", "42"),
        ("message-expiry-interval", "60"),
        ("payload-format-indicator", "1"),
    ] {
        arguments.extend(publish(name));
        arguments.push(value);
    }
    for value in ["1", "2"] {
        arguments.extend(publish("user-property"));
        arguments.extend(["a", value]);
    }
    mosquitto_pub(appliance.mqtt, &arguments).succeed().await;

    let listen = ["-V", "5", "-q", "2", "-t", "stage/#", "-C", "1", "-W", "20", "-F", "%t|%q|%r|%C|%D|%E|%R|%P|%S|%p"];
    let identified = [&listen[..], &["-D", "subscribe", "subscription-identifier", "12"]].concat();
    let lines = mosquitto_sub(appliance.mqtt, &identified).succeed().await;
    let [seconds, rest] =
        ["60", "59"].map(|seconds| format!("stage/x|2|1|text/plain|42|{seconds}|stage/answer|a:1 a:2|12|hello"));
    assert!(lines == [seconds] || lines == [rest], "{lines:?}");
}

#[tokio::test]
async fn mosquitto_pub_warns_of_a_topic_that_is_not_its_own_and_ends_well() {
    let appliance = Appliance::start().await;
    let told = ["Warning: Publish 1 failed: Not authorized.", "this topic is dmxd's own"];
    for (qos, told) in [("1", &told[..]), ("2", &told[..1])] {
        let publish = mosquitto_pub(appliance.mqtt, &["-V", "5", "-q", qos, "-t", STATE, "-m", "{}"]);
        let warnings = publish.complaints().clone();
        publish.succeed().await;
        assert_eq!(warnings.all(), told, "QoS {qos}: of PUBREC it prints no more");
    }
    let body = command([9, 8, 7]).to_string();
    let publish = mosquitto_pub(appliance.mqtt, &["-V", "5", "-q", "1", "-t", CMD, "-m", &body]);
    let warnings = publish.complaints().clone();
    publish.succeed().await;
    assert!(warnings.all().is_empty(), "{:?}", warnings.all());
}

#[tokio::test]
async fn mosquitto_rr_gets_its_answer() {
    let appliance = Appliance::start().await;
    let listen = ["-V", "5", "-q", "1", "-t", "stage/ask", "-C", "1", "-W", "20", "-F", "%R|%D|%p"];
    let hears = mosquitto_sub(appliance.mqtt, &listen);
    eventually("someone to ask", async || {
        (appliance.web().metric("dmx_broker_subscriptions").await >= 1.0).then_some(())
    })
    .await;
    let id = fresh_id();
    let ask = ["-V", "5", "-q", "1", "-t", "stage/ask", "-e", "stage/answer", "-m", "how bright", "-W", "20", "-D"];
    let asks = mosquitto_rr(appliance.mqtt, &[&ask[..], &["publish", "correlation-data", &id]].concat());
    assert_eq!(hears.succeed().await, [format!("stage/answer|{id}|how bright")]);
    let answer = ["-V", "5", "-q", "1", "-t", "stage/answer", "-m", "very", "-D", "publish", "correlation-data", &id];
    mosquitto_pub(appliance.mqtt, &answer).succeed().await;
    assert_eq!(asks.succeed().await, ["very"]);
}

#[tokio::test]
async fn a_stop_is_a_bare_close_so_mosquitto_sub_comes_back() {
    let appliance = same_port().start().await;
    let subs = ["5", "311"].map(|version| {
        let listen = ["-V", version, "-q", "1", "-t", "stage/x", "-C", "2", "-W", "60"];
        mosquitto_sub(appliance.mqtt, &listen)
    });
    eventually("both to listen", async || {
        (appliance.web().metric("dmx_broker_subscriptions").await >= 2.0).then_some(())
    })
    .await;
    let heard: Vec<_> = subs.iter().map(|sub| sub.lines.clone()).collect();
    let appliance = appliance.restart().await;
    eventually("both to listen again", async || {
        (appliance.web().metric("dmx_broker_subscriptions").await >= 2.0).then_some(())
    })
    .await;
    says_until(&appliance, "stage/x", || heard.iter().all(|lines| lines.all().len() >= 2)).await;
    for sub in subs {
        assert_eq!(sub.succeed().await, ["hello", "hello"]);
    }
}

#[tokio::test]
async fn mosquitto_sub_whose_place_is_taken_ends_for_good_and_well() {
    let appliance = Appliance::start().await;
    let listen = ["-V", "5", "-i", "twin", "-q", "1", "-t", "stage/x", "-C", "1", "-W", "60"];
    let first = mosquitto_sub(appliance.mqtt, &listen);
    eventually("the first to listen", async || {
        (appliance.web().metric("dmx_broker_subscriptions").await >= 1.0).then_some(())
    })
    .await;
    let second = mosquitto_sub(appliance.mqtt, &listen);
    assert!(first.succeed().await.is_empty());
    let heard = second.lines.clone();
    says_until(&appliance, "stage/x", || !heard.all().is_empty()).await;
    second.succeed().await;
}

#[tokio::test]
async fn mosquittos_clients_of_all_versions_hear_one_another() {
    let appliance = Appliance::start().await;
    let versions = ["31", "311", "5"];
    for version in versions {
        let topic = format!("stage/{version}");
        mosquitto_pub(appliance.mqtt, &["-V", version, "-q", "2", "-r", "-t", &topic, "-m", version]).succeed().await;
    }
    for version in versions {
        let listen = ["-V", version, "-q", "2", "-t", "stage/+", "-C", "3", "-W", "20", "-F", "%q %r %p"];
        let mut lines = mosquitto_sub(appliance.mqtt, &listen).succeed().await;
        lines.sort();
        assert_eq!(lines, ["2 1 31", "2 1 311", "2 1 5"], "in {version}");
    }
}

#[tokio::test]
async fn mosquitto_pub_does_not_send_what_is_larger_than_was_announced() {
    let appliance = Home::new().set("DMX_MQTT_MAX_PACKET_BYTES", "20000").start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    for (bytes, arrived) in [(19_000, 1.0), (21_000, 1.0), (19_000, 2.0)] {
        std::fs::write(&file, vec![b'x'; bytes]).unwrap();
        let publish = ["-V", "5", "-q", "1", "-t", "stage/x", "-f", file.to_str().unwrap()];
        mosquitto_pub(appliance.mqtt, &publish).succeed().await;
        let received = appliance.web().metric("dmx_broker_messages_received_total").await;
        assert_eq!(received, arrived, "after {bytes} bytes");
    }
    assert_eq!(appliance.web().metric("dmx_broker_protocol_errors_total").await, 0.0);
}

#[tokio::test]
async fn mosquitto_sub_that_gets_no_filter_at_all_says_so() {
    let appliance = Home::new().set("DMX_MQTT_MAX_SUBSCRIPTIONS", "1").start().await;
    let session = ["-V", "5", "-i", "twice", "-c", "-x", "60", "-q", "1", "-W", "20", "-t"];
    mosquitto_sub(appliance.mqtt, &[&session[..], &["stage/a", "-E"]].concat()).succeed().await;
    let second = mosquitto_sub(appliance.mqtt, &[&session[..], &["stage/b"]].concat());
    let complaints = second.complaints().clone();
    second.succeed().await;
    assert!(complaints.all().iter().any(|line| line.contains("denied")), "{:?}", complaints.all());
}
