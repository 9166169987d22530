//! What a restore restores, for whom, and what it keeps.

use serde_json::{Value, json};

use super::{KEY, OLD_KEYS, Whole, folder, home, id_of, made, mark, marks, place, restore, restored, versions};
use crate::harness::{StateWatcher, WsWatcher, assert_gap_free, rgb_of};

#[tokio::test]
async fn a_restore_brings_light_scenes_and_show_back_to_everybody_in_one_step() {
    let appliance = home().start().await;
    let web = appliance.web();
    mark(&web, 0x01_02_03, 0).await;
    let wanted = Whole::of(&web).await;
    let version = id_of(&made(&web, "default", "x").await);
    mark(&web, 0x07_08_09, 0).await;
    let left = Whole::of(&web).await;
    let (mqtt, ws) = (StateWatcher::start(appliance.mqtt).await, WsWatcher::start(appliance.http).await);
    let (states, seq) = (ws.picture().states.len(), web.seq().await);

    restored(&web, &version).await;
    let after = Whole::of(&web).await;
    assert_eq!((&after.scenes, &after.show), (&wanted.scenes, &wanted.show));
    assert_eq!(rgb_of(&after.state), [1, 2, 3]);
    assert_eq!(after.state["seq"], seq + 1, "one step");
    let seen = mqtt.wait_seq(seq + 1).await;
    assert_eq!((seen.rgb, &seen.body), ([1, 2, 3], &after.state));
    ws.wait("the restored light", |picture| (picture.lamp() == [1, 2, 3]).then_some(())).await;
    let told = ws.wait("the restored state", |picture| picture.states.get(states).cloned()).await.0;
    assert_eq!((rgb_of(&told), &told["seq"]), ([1, 2, 3], &json!(seq + 1)));
    assert_eq!(ws.picture().revs, Vec::<u64>::new(), "all levels, not a change of some");
    let retained = StateWatcher::start(appliance.mqtt).await.last();
    assert!(retained.retain && retained.body == after.state, "{retained:?}");

    // The earlier state is a version now, and can be restored.
    let listed = versions(&web, "default").await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0]["label"], format!("before restore of {version}"));
    restored(&web, &id_of(&listed[0])).await;
    let back = Whole::of(&web).await;
    assert_eq!((rgb_of(&back.state), back.scenes, back.show), ([7, 8, 9], left.scenes, left.show));
    mqtt.wait_seq(seq + 2).await;
    assert_gap_free(&mqtt.seen());
    assert_eq!(mqtt.seen().len(), 3, "each restore is one message");

    let appliance = appliance.restart().await;
    assert_eq!(marks(&appliance.web()).await, [0x07_08_09; 3], "it outlives a restart");
}

#[tokio::test]
async fn levels_of_every_universe_come_back_and_those_that_the_backup_does_not_have_go() {
    let appliance = home().start().await;
    let web = appliance.web();
    let of = |universes: Value| json!({"universes": universes, "version": "1.2"}).to_string().into_bytes();
    let both = of(json!({"0": {"1": 9, "512": 8}, "2": {"7": 99}}));
    place(&folder(&appliance), &[("both.bin", &both), ("one.bin", &of(json!({"0": {"2": 5}})))]);
    restored(&web, "both").await;
    let ws = WsWatcher::start(appliance.http).await;
    ws.wait("universe 2", |picture| (picture.universes.get(&2)?[6] == 99).then_some(())).await;
    assert_eq!((ws.picture().universes[&0][511], ws.picture().lamp()), (8, [9, 0, 0]));
    restored(&web, "one").await;
    let dark = |levels: &[u8; 512]| levels.iter().all(|&level| level == 0);
    ws.wait("universe 2 dark", |picture| picture.universes.get(&2).is_none_or(dark).then_some(())).await;
    ws.wait("the lamp", |picture| (picture.lamp() == [0, 5, 0]).then_some(())).await;
    let late = WsWatcher::start(appliance.http).await.picture();
    assert!(late.universes.get(&2).is_none_or(dark) && late.universes[&0][511] == 0);
}

#[tokio::test]
async fn another_projects_backup_needs_force_unless_it_lies_in_the_projects_own_folder() {
    let appliance = home().start().await;
    let web = appliance.web();
    let listed = web.post("/projects", r#"{"name":"Druhá"}"#).await.json();
    let other = listed["projects"].as_array().unwrap().iter().find(|project| project["id"] != "default").unwrap();
    let other = other["id"].as_str().unwrap();
    assert_eq!(web.post(&format!("/projects/{other}/select"), "").await.status, 200);
    mark(&web, 5, 0).await;
    let version = id_of(&made(&web, other, "x").await);
    assert_eq!(web.post("/projects/default/select", "").await.status, 200);
    mark(&web, 6, 0).await;
    let before = Whole::of(&web).await;
    let refused = restore(&web, "default", &version).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains(other), "{refused}");
    assert_eq!(Whole::of(&web).await, before);
    let forced = json!({"versionId": version, "force": true}).to_string();
    assert_eq!(web.post("/projects/default/restore", forced).await.status, 200);
    assert_eq!(marks(&web).await, [5; 3]);
    let names = web.get("/projects").await.json();
    assert_eq!(
        (&names["activeId"], &names["projects"][0]["name"]),
        (&json!("default"), &listed["projects"][0]["name"])
    );

    mark(&web, 6, 0).await;
    let bytes = std::fs::read(appliance.data().join(format!("backups/{other}/{version}.bin"))).unwrap();
    place(&folder(&appliance), &[("carried.bin", &bytes)]);
    restored(&web, "carried").await;
    assert_eq!(marks(&web).await, [5; 3]);
}

#[tokio::test]
async fn a_predecessors_backups_are_listed_and_restored() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/predecessor");
    let keys: Value = serde_json::from_slice(&std::fs::read(fixtures.join("keys.json")).unwrap()).unwrap();
    let appliance =
        home().set(KEY, keys["key"].as_str().unwrap()).set(OLD_KEYS, keys["oldKey"].as_str().unwrap()).start().await;
    let from = fixtures.join("backups/default");
    for entry in std::fs::read_dir(&from).unwrap() {
        let entry = entry.unwrap();
        place(&folder(&appliance), &[(entry.file_name().to_str().unwrap(), &std::fs::read(entry.path()).unwrap())]);
    }
    let web = appliance.web();
    let listed = versions(&web, "default").await;
    let ids: Vec<_> = listed.iter().map(id_of).collect();
    let [bare, fernet, plain] = &ids[..] else { panic!("{listed:?}") };
    assert!(bare.ends_with("BARE0") && fernet.ends_with("FERNET") && plain.ends_with("PLAIN"), "{listed:?}");
    assert_eq!(listed[2]["label"], "před premiérou");
    for version in &listed {
        assert!(version["size"].as_u64() > Some(0) && version["provider"] == "local", "{version}");
    }
    for (id, red, scenes) in [(plain, 10, 1), (bare, 12, 0), (fernet, 11, 1)] {
        restored(&web, id).await;
        let now = Whole::of(&web).await;
        assert_eq!(rgb_of(&now.state), [red, 20, 30]);
        assert_eq!(now.scenes.as_array().unwrap().len(), scenes, "{}", now.scenes);
    }
    let now = Whole::of(&web).await;
    assert_eq!(now.scenes[0]["channelValues"], json!({"1": 255, "2/7": 12, "fixture-a:dim": 3}));
    assert_eq!(now.show["fixtures"], json!([{"id": "a", "more": {"x": 1}}]));
    assert_eq!(made(&web, "default", "ours").await["encrypted"], true);
    assert_eq!(versions(&web, "default").await.len(), 7, "theirs, ours, and three that restores kept");
}

#[tokio::test]
async fn what_a_restore_would_change_is_told_and_nothing_changes() {
    let untouched = json!({"dryRun": true, "channels": 0, "changes": {}});
    for key in ["", "passphrase:correct horse"] {
        let home = if key.is_empty() { home() } else { home().set(KEY, key) };
        let appliance = home.start().await;
        let web = appliance.web();
        mark(&web, 0x01_02_03, 0).await;
        let version = id_of(&made(&web, "default", "x").await);
        let look_into = || async {
            let order = json!({"versionId": version}).to_string();
            let answer = web.post("/projects/default/restore?dryRun=1", order).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()
        };
        assert_eq!(look_into().await, untouched);

        mark(&web, 0x01_08_09, 0).await;
        web.post("/scenes", r#"{"id":"later","name":"later","channelValues":{}}"#).await;
        web.post("/master", r#"{"level":9}"#).await; // not a project's
        let elsewhere = json!({"type": "dmx.patch", "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "src": "t", "universe": 3, "patch": [{"ch": 512, "val": 1}]});
        web.post("/command", elsewhere.to_string()).await;
        let before = Whole::of(&web).await;
        let would = look_into().await;
        let unlike = |changed: &[&str], removed: &[&str]| json!({"added": [], "changed": changed, "removed": removed});
        let changes = json!({"scenes": unlike(&["s"], &["later"]), "mark": unlike(&["66051"], &[])});
        assert_eq!(would, json!({"dryRun": true, "channels": 3, "changes": changes}));
        assert_eq!(Whole::of(&web).await, before);
        assert_eq!(versions(&web, "default").await.len(), 1, "nothing had to be kept");

        restored(&web, &version).await;
        assert_eq!(look_into().await, untouched);
        for (query, status) in [("?dryRun=maybe", 422), ("?dryRun=1", 404)] {
            let answer = web.post(&format!("/projects/default/restore{query}"), r#"{"versionId":"01JNONE"}"#).await;
            answer.problem(status);
        }
    }
}
