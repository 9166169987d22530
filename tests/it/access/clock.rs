//! What time it is on a box without a time server: a person says it, restarts keep it, the network knows better.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, locked, user};
use crate::harness::{Connect5, Home, Link5, Message5, Web, eventually, eventually_within, property};

const DAY: u64 = 86_400_000;

/// `/run` as the appliance sees it: there systemd-timesyncd says that a time server has answered.
struct Run(tempfile::TempDir);

impl Run {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn under(&self, home: Home) -> Home {
        let user = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
        let words = ["unshare", user, "sh", "-c", r#"mount --rbind "$0" /run && exec "$@""#].map(OsString::from);
        home.started_by(words.into_iter().chain([self.0.path().into()]))
    }

    fn marker(&self) -> PathBuf {
        self.0.path().join("systemd/timesync/synchronized")
    }

    fn synchronize(&self) {
        fs::create_dir_all(self.marker().parent().unwrap()).unwrap();
        fs::write(self.marker(), "").unwrap();
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn clock(web: &Web) -> Value {
    let answer = web.get("/clock").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn tell(web: &Web, now: u64) -> u16 {
    web.post("/clock", json!({"now": now}).to_string()).await.status
}

fn says(clock: &Value) -> (bool, &str) {
    (clock["sure"].as_bool().unwrap(), clock["source"].as_str().unwrap())
}

#[tokio::test]
async fn what_a_person_tells_counts_and_no_restart_goes_back_before_it() {
    let run = Run::new();
    let appliance = run.under(Home::new()).start().await;
    let web = appliance.web();
    let at_first = clock(&web).await;
    assert_eq!(says(&at_first), (false, "unknown"));
    let told = now() + 400 * DAY;
    assert_eq!(tell(&web, told).await, 200);
    let after = clock(&web).await;
    let dates = async |web: &Web, name: &str| {
        let body = json!({"name": name, "looks": [], "master": false});
        web.post("/panels", body.to_string()).await.json()["createdAt"].as_u64().unwrap()
    };
    assert!(says(&after) == (true, "person") && after["now"].as_u64().unwrap() >= told, "{after}");
    assert!(dates(&web, "A").await >= told, "what is made now is made then");
    // with a kill nothing is written down at the end
    let appliance = appliance.kill9().await.start().await;
    let killed = clock(&appliance.web()).await;
    assert!(says(&killed) == (false, "person") && killed["now"].as_u64().unwrap() >= told, "{killed}");
    assert!(dates(&appliance.web(), "B").await >= told);
    let before = clock(&appliance.web()).await["now"].as_u64().unwrap();
    let appliance = appliance.restart().await;
    let restarted = clock(&appliance.web()).await;
    assert!(says(&restarted) == (false, "person") && restarted["now"].as_u64().unwrap() >= before, "{restarted}");
}

#[tokio::test]
async fn a_time_server_knows_better() {
    let run = Run::new();
    let appliance = run.under(Home::new()).start().await;
    assert_eq!(tell(&appliance.web(), now() + 400 * DAY).await, 200);
    run.synchronize();
    let web = appliance.web();
    let refused = web.post("/clock", json!({"now": now()}).to_string()).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("time server"), "{refused}");
    // it looks once a minute
    let by_network = eventually_within(Duration::from_secs(90), "the time of the network", async || {
        Some(clock(&web).await).filter(|clock| clock["source"] == "network")
    });
    let by_network = by_network.await;
    assert!(says(&by_network).0 && by_network["now"].as_u64().unwrap() < now() + DAY, "{by_network}");
    // and what was told is forgotten, for the next start as well
    fs::remove_file(run.marker()).unwrap();
    let appliance = appliance.kill9().await.start().await;
    let forgotten = clock(&appliance.web()).await;
    assert!(says(&forgotten) == (false, "unknown") && forgotten["now"].as_u64().unwrap() < now() + DAY, "{forgotten}");
}

#[tokio::test]
async fn what_cannot_be_the_time_is_refused_and_so_is_who_may_not_tell_it() {
    let run = Run::new();
    let appliance = run.under(locked()).start().await;
    let web = appliance.web();
    let (_, view) = user(&appliance, "Anna", "view").await;
    let (_, edit) = user(&appliance, "Eva", "edit").await;
    let tell = async |key: &str, body: Value| ask(&web, Some(key), Method::POST, "/clock", Some(&body)).await;
    tell(&view, json!({"now": now()})).await.problem(403);
    // 2020-01-01; a day after 2100-01-01; seconds
    for wrong in [json!(1_577_836_800_000_u64), json!(4_102_444_800_000_u64 + DAY), json!(now() / 1000), json!("now")] {
        let refused = tell(&edit, json!({"now": wrong})).await.problem(422);
        assert_eq!(refused["errors"][0]["path"], "/now", "{refused}");
    }
    assert_eq!(tell(&edit, json!({"now": now() + DAY})).await.status, 200);
    let read = ask(&web, Some(&view), Method::GET, "/clock", None).await;
    assert_eq!((read.status, says(&read.json())), (200, (true, "person")));
}

#[tokio::test]
async fn the_certificate_follows_and_nothing_that_waits_ends_by_it() {
    let run = Run::new();
    let home = Home::new().set("DMX_TLS_ENABLED", "true").set("DMX_TLS_PORT", "0").set("DMX_TLS_MQTT_PORT", "0");
    let appliance = run.under(home).start().await;
    let web = appliance.web();
    let ends = async || web.metric("dmx_tls_certificate_not_after_timestamp_seconds").await;
    let first = ends().await;
    let mut kept = Link5::join(appliance.mqtt, &Connect5::kept("lamp", 3_600)).await;
    kept.subscribe("a/#", 1).await;
    kept.leave().await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("button")).await;
    sender.publish(&Message5::new("a/1", "waits").qos(1).with(property::message_expiry(3_600_u32))).await;
    assert_eq!(tell(&web, now() + 5 * 365 * DAY).await, 200);
    eventually("a certificate for the new date", async || (ends().await > first).then_some(())).await;
    // what waits is read from the store by the next start, whose time is the told one
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(says(&clock(&appliance.web()).await), (false, "person"));
    let (mut kept, is_there) = Link5::resume(appliance.mqtt, &Connect5::kept("lamp", 3_600)).await;
    assert!(is_there);
    assert_eq!(kept.message().await.text(), "waits");
}
