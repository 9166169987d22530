//! What runs here, what it has and where it is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::harness::{Appliance, Connect, Home, Link, Web, command, eventually, in_its_own_network};

#[tokio::test]
async fn about_names_addresses_that_other_machines_can_dial() {
    let here = Appliance::start().await;
    let about = here.web().get("/about").await.json();
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&about["addresses"], &about["mqtt"]), (&json!([]), &json!([])), "both doors are on the loopback");

    let file = about["settings"]["file"].as_str().unwrap();
    assert!(file.starts_with('/') && file.ends_with("/appliance.toml"), "where dmxd would read it: {file}");
    assert_eq!(about["settings"]["onCard"], false);

    // not private, but not for those without a key where one is required
    let required = Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", "right").start().await;
    required.web().get("/about").await.problem(401);
    let keyed = required.web();
    assert_eq!(keyed.send(keyed.request(Method::GET, "/about").header("x-api-key", "right")).await.status, 200);
}

#[tokio::test]
async fn about_says_whether_the_key_is_one_of_the_appliances_also_when_none_is_needed() {
    for (mode, keys) in [("audit", "right"), ("audit", ""), ("required", "right")] {
        let appliance = Home::new().set("DMX_AUTH_MODE", mode).set("DMX_AUTH_KEYS", keys).start().await;
        let web = appliance.web();
        for key in ["right", "wrong", ""] {
            let answer = web.send(web.request(Method::GET, "/about").header("x-api-key", key)).await;
            if mode == "required" && key != "right" {
                answer.problem(401);
            } else {
                assert_eq!(answer.json()["keyKnown"], key == "right" && keys == "right", "{mode}, {keys}, {key}");
            }
        }
        if mode == "audit" {
            assert_eq!(web.get("/about").await.json()["keyKnown"], false);
        }
    }
}

#[tokio::test]
async fn about_says_which_features_are_on_so_that_nobody_needs_to_try() {
    for (projects, backups) in [("false", "false"), ("true", "false"), ("true", "true")] {
        let home = Home::new().set("DMX_PROJECTS_ENABLED", projects).set("DMX_CLOUD_BACKUP_ENABLED", backups);
        let appliance = home.start().await;
        let about = appliance.web().get("/about").await.json();
        for (feature, path, on) in
            [("projects", "/projects", projects), ("backups", "/projects/default/backups", backups)]
        {
            assert_eq!(about[feature], json!(on == "true"), "{about}");
            let status = if on == "true" { 200 } else { 404 };
            assert_eq!(appliance.web().get(path).await.status, status, "{path}");
        }
    }
}

#[tokio::test]
async fn about_tells_the_name_that_avahi_gave_this_machine() {
    in_its_own_network(async || {
        let status = tokio::process::Command::new("ip").args("addr add 192.0.2.9/24 dev lo".split(' ')).status();
        assert!(status.await.unwrap().success());
        let home = Home::new();
        let run = home.beside("avahi-daemon");
        std::fs::create_dir(&run).unwrap();
        let listener = UnixListener::bind(run.join("socket")).unwrap();
        // as avahi-daemon 0.8 answers; asked for another machine's address it would say "-15 Timeout reached" after 5 s
        let (name, given) = watch::channel("dmx.local");
        let questions = Arc::new(AtomicUsize::new(0));
        let asked = questions.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::SeqCst);
                let mut question = String::new();
                BufReader::new(&mut stream).read_line(&mut question).await.unwrap();
                assert_eq!(question, "RESOLVE-ADDRESS 192.0.2.9\n");
                let answer = format!("+ 1 0 {}\n", *given.borrow());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let script = "mount -t tmpfs run /run && mkdir /run/avahi-daemon && mount --bind \"$0\" /run/avahi-daemon && exec \"$@\"";
        let words = ["unshare", "--mount", "sh", "-c", script].map(Into::into);
        let appliance = home.started_by(words.into_iter().chain([run.into_os_string()])).start().await;
        let at_once = (0..20).map(|_| async { appliance.web().get("/about").await.json()["name"].clone() });
        assert_eq!(join_all(at_once).await, vec![json!("dmx.local"); 20]);
        assert_eq!(questions.load(Ordering::SeqCst), 1, "one answer serves all");
        // Another machine has come that had the name before.
        name.send_replace("dmx-2.local");
        eventually("the new name", async || {
            (appliance.web().get("/about").await.json()["name"] == "dmx-2.local").then_some(())
        })
        .await;
        assert_eq!(questions.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test]
async fn both_doors_are_open_to_ipv6_and_ipv4_and_show_each_as_what_it_is() {
    let home = Home::new().set("DMX_HOST", "::").set("DMX_MQTT_BIND", "::").set("DMX_AUTH_KEYS", "k").start();
    let appliance = home.await;
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let web = Web::new(SocketAddr::new(ip, appliance.http.port()));
        web.accepted(&command([1, 2, 3])).await;
        let mut link = Link::join(SocketAddr::new(ip, appliance.mqtt.port()), &Connect::new("lamp")).await;
        link.publish("v1/devices/lamp/state", br#"{"online":true}"#).await;
        let devices = web.get("/devices").await.json();
        assert_eq!(devices["devices"][0]["ip"], ip.to_string(), "{devices}");
        let peer = devices["clients"][0]["peer"].as_str().unwrap().parse::<SocketAddr>().unwrap();
        assert_eq!(peer.ip(), ip);
        let keyed = web.request(Method::GET, "/rgb").header("x-api-key", format!("key of {ip}"));
        assert_eq!(web.send(keyed).await.status, 200);
        let seen = |line: &Value| line["message"] == "api_key_seen" && line["peer"] == ip.to_string();
        eventually("the log names it", async || appliance.log.find(seen)).await;
        link.leave().await;
    }
    let mapped = appliance.log.json().iter().filter(|line| line.to_string().contains("::ffff:")).count();
    assert_eq!(mapped, 0);
}
