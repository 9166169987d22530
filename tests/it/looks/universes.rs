//! 64 universes: what `GET /state` shows of them, that the lamp is three channels of the first, what outputs carry.

use serde_json::{Value, json};

use super::{accepted, frame, lamp_levels, lit, patch, recall, refused, retained, rev, select, set};
use crate::harness::{
    Appliance, CMD, Connect, FakeOla, Home, Link, Mood, Olad, Random, UNIFIED, UPDATES, Web, WsWatcher, command,
    eventually, fresh_id, in_its_own_network, rgb_of,
};

/// `GET /state` with a known tag.
async fn unless(web: &Web, tag: &str) -> u16 {
    let request = web.request(reqwest::Method::GET, "/state").header("if-none-match", tag);
    let answer = web.send(request).await;
    assert_eq!(answer.text.is_empty(), answer.status == 304, "{answer:?}");
    assert!(!answer.header("etag").is_empty(), "{answer:?}");
    answer.status
}

#[tokio::test]
async fn state_is_every_channel_of_every_known_universe() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    accepted(&web, &set(7, 512, 9)).await;
    web.accepted(&command([1, 0, 3])).await;
    let every = |lit: &[(usize, u8)]| {
        let mut levels: serde_json::Map<_, _> = (1..=512).map(|channel| (channel.to_string(), json!(0))).collect();
        lit.iter().for_each(|(channel, level)| drop(levels.insert(channel.to_string(), json!(level))));
        Value::Object(levels)
    };
    let universes = json!({"0": every(&[(1, 1), (3, 3)]), "7": every(&[(512, 9)])});
    let ts = web.state().await["ts"].clone();
    for query in ["", "?sparse=0"] {
        let state = web.get(&format!("/state{query}")).await.json();
        assert_eq!(state, json!({"ts": ts, "universes": universes}), "{query}");
    }
    let sparse = web.get("/state?sparse=1").await.json();
    let lit = json!({"0": {"1": 1, "3": 3}, "7": {"512": 9}});
    assert_eq!(sparse, json!({"ts": ts, "universes": universes, "universesSparse": lit, "sparse": true}));
}

#[tokio::test]
async fn the_tag_names_the_change_and_saves_the_body() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    assert_eq!(rev(&web).await, 0);
    assert_eq!(unless(&web, "W/\"rev-0\"").await, 304);
    accepted(&web, &set(3, 1, 1)).await;
    assert_eq!(rev(&web).await, 1);
    for (tag, status) in [
        ("W/\"rev-0\"", 200),
        ("W/\"rev-1\"", 304),
        ("\"rev-1\"", 304),
        ("W/\"rev-0\", W/\"rev-1\"", 304),
        ("*", 304),
        ("W/\"rev-10\"", 200),
        ("rev-1", 200),
    ] {
        assert_eq!(unless(&web, tag).await, status, "{tag}");
    }
    super::master(&web, 9).await;
    assert_eq!((rev(&web).await, unless(&web, "W/\"rev-1\"").await), (2, 200), "each published change is another tag");
}

#[tokio::test]
async fn levels_and_tag_are_exactly_the_same_after_a_stop_and_after_a_kill() {
    let mut appliance = Appliance::start().await;
    let mut random = Random::new();
    let mut byte = |limit: u64| random.below(limit);
    for round in 0..4 {
        for n in 0..8 {
            let universe = if n == 0 { 63 } else { u8::try_from(byte(64)).unwrap() };
            let channel = if n == 0 { 512 } else { u16::try_from(byte(512)).unwrap() + 1 };
            accepted(&appliance.web(), &set(universe, channel, u8::try_from(byte(256)).unwrap())).await;
        }
        let before = appliance.web().get("/state?sparse=1").await;
        appliance = if round % 2 == 0 { appliance.kill9().await.start().await } else { appliance.restart().await };
        let after = appliance.web().get("/state?sparse=1").await;
        assert_eq!((after.header("etag"), after.json()), (before.header("etag"), before.json()), "round {round}");
        assert_eq!(rev(&appliance.web()).await, 8 * (round + 1), "one for each command, none for a start");
    }
}

/// Waits until every door shows this lamp.
async fn assert_agree(appliance: &Appliance, tablet: &WsWatcher, rgb: [u8; 3], door: &str) {
    let web = appliance.web();
    let state = web.state().await;
    assert_eq!((rgb_of(&state), lamp_levels(&web).await), (rgb, rgb), "{door}");
    assert_eq!((&frame(&web, 0).await[..3], &retained(appliance.mqtt).await), (&rgb[..], &state), "{door}");
    let seen = tablet.wait_seq(state["seq"].as_u64().unwrap()).await;
    assert_eq!((rgb_of(&seen), tablet.picture().lamp()), (rgb, rgb), "{door}");
}

#[tokio::test]
async fn the_lamp_and_universe_0_agree_whatever_door_a_command_comes_by() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let agree = async |rgb, door| assert_agree(&appliance, &tablet, rgb, door).await;

    web.accepted(&command([1, 2, 3])).await;
    agree([1, 2, 3], "POST /rgb").await;
    esp.publish(CMD, command([4, 5, 6]).to_string().as_bytes()).await;
    agree([4, 5, 6], "rgb/cmd").await;
    tablet.send(&json!({"type": "set", "cmdId": fresh_id(), "src": "t", "r": 7, "g": 8, "b": 9})).await;
    tablet.wait_seq(3).await;
    agree([7, 8, 9], "set").await;
    accepted(&web, &set(0, 2, 88)).await;
    agree([7, 88, 9], "POST /command").await;
    let one = set(0, 3, 99);
    tablet.send(&one).await;
    tablet.ack(&one["id"]).await;
    agree([7, 88, 99], "a command on the WebSocket").await;
    esp.publish(UNIFIED, patch(0, &[(1, 77), (4, 4)]).to_string().as_bytes()).await;
    agree([77, 88, 99], "dmx/command").await;
    web.send(
        web.request(reqwest::Method::PUT, "/scenes")
            .body(json!([{"id": "s", "name": "S", "channelValues": {"1": 11, "0/2": 22, "9": 9}}]).to_string()),
    )
    .await;
    accepted(&web, &recall("S")).await;
    agree([11, 22, 99], "a scene").await;
    assert_eq!(web.seq().await, 7, "one command is one change");
}

#[tokio::test]
async fn universes_are_as_many_as_the_settings_say() {
    let appliance = Home::new().set("DMX_ENGINE_UNIVERSES", "2").start().await;
    let web = appliance.web();
    accepted(&web, &set(1, 1, 1)).await;
    assert_eq!(refused(&web, &set(2, 1, 1), "VALIDATION_FAILED").await, ["/universe"]);
    let scene = json!({"id": "s", "name": "S", "channelValues": {"1/2": 22, "2/2": 99}});
    super::add_scene(&web, &scene).await;
    accepted(&web, &recall("S")).await;
    assert_eq!(lit(&web).await, json!({"0": {}, "1": {"1": 1, "2": 22}}));

    let all = Appliance::start().await;
    accepted(&all.web(), &set(63, 1, 1)).await;
    assert_eq!(refused(&all.web(), &set(64, 1, 1), "VALIDATION_FAILED").await, ["/universe"]);
}

#[tokio::test]
async fn a_new_universe_is_told_on_the_websocket_and_on_mqtt_in_the_same_words() {
    let appliance = Appliance::start().await;
    let tablet = WsWatcher::start(appliance.http).await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    assert_eq!(listener.subscribe(UPDATES, 1).await, 1);
    accepted(&appliance.web(), &patch(9, &[(5, 50), (512, 51)])).await;
    let heard = listener.message().await;
    assert_eq!((heard.qos, heard.retain), (1, false));
    let update = heard.json();
    let delta = json!([{"ch": 5, "val": 50}, {"ch": 512, "val": 51}]);
    let expected =
        json!({"type": "state.update", "rev": 1, "ts": update["ts"], "universe": 9, "delta": delta, "full": false});
    assert_eq!(update, expected);
    assert_eq!(update["ts"], appliance.web().state().await["ts"]);
    let on_ws = tablet.wait("the change", |picture| picture.updates.first().cloned()).await;
    assert_eq!(on_ws, update);
    assert_eq!(tablet.picture().states.len(), 1, "the lamp was not commanded");
    let late = WsWatcher::start(appliance.http).await;
    let fulls = late.picture().fulls;
    let told: Vec<_> = fulls.iter().map(|full| (&full["universe"], &full["delta"])).collect();
    assert_eq!(told, [(&json!(0), &json!([])), (&json!(9), &delta)]);
}

#[tokio::test]
async fn an_output_of_another_universe_carries_that_one() {
    let ola = FakeOla::start(Mood::Ok).await;
    let home = Home::new().set("DMX_OLA_ENABLED", "true").set("DMX_OLA_URL", ola.url());
    let appliance = home.set("DMX_OLA_UNIVERSES", "5:9").start().await;
    let web = appliance.web();
    accepted(&web, &patch(5, &[(1, 51), (2, 52), (3, 53), (512, 54)])).await;
    web.accepted(&command([1, 2, 3])).await;
    let far = ola.wait_light(9, [51, 52, 53]).await;
    assert_eq!((far.frame().1.len(), far.frame().1[511]), (512, 54));
    ola.wait_light(1, [1, 2, 3]).await;
    assert_eq!(frame(&web, 5).await, far.frame().1);
}

#[tokio::test]
async fn a_mapped_universe_is_in_the_real_ola() {
    in_its_own_network(async || {
        let olad = Olad::start(Some(2)).await; // its only port
        let home = Home::new().set("DMX_OLA_ENABLED", "true").set("DMX_OLA_URL", olad.url());
        let appliance = home.set("DMX_OLA_UNIVERSES", "5:2").start().await;
        accepted(&appliance.web(), &patch(5, &[(1, 51), (2, 52), (3, 53)])).await;
        olad.wait_light(2, [51, 52, 53]).await;
        super::blackout(&appliance.web(), true).await;
        olad.wait_light(2, [0, 0, 0]).await;
        super::blackout(&appliance.web(), false).await;
        olad.wait_light(2, [51, 52, 53]).await;
    })
    .await;
}

#[tokio::test]
async fn universes_belong_to_their_project() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "true").start().await;
    let web = appliance.web();
    accepted(&web, &patch(5, &[(1, 51)])).await;
    let other = super::create_project(&web, "Other").await;
    select(&web, &other).await;
    assert_eq!(lit(&web).await, json!({"0": {}}));
    accepted(&web, &patch(6, &[(1, 61)])).await;
    select(&web, "default").await;
    assert_eq!(lit(&web).await, json!({"0": {}, "5": {"1": 51}}));
    let appliance = appliance.kill9().await.start().await;
    select(&appliance.web(), &other).await;
    let web = appliance.web();
    eventually("the other project's", async || (lit(&web).await == json!({"0": {}, "6": {"1": 61}})).then_some(()))
        .await;
    assert_eq!(rev(&web).await, 5);
}
