//! What an import takes away is kept first; what is not a show takes nothing away.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Whole, folder, home, id_of, restored, versions};
use crate::harness::{Appliance, Home, Web};

/// Ends of a show's label.
const LABEL: &str = "before import";

fn show(fixtures: &[u64], scenes: &[&str]) -> Value {
    let scene = |id: &&str| json!({"id": id, "name": id, "channelValues": {"1": 9}, "timestamp": 1});
    let fixtures: Vec<_> = fixtures.iter().map(|id| json!({"id": id})).collect();
    json!({"fixtures": fixtures, "scenes": scenes.iter().map(scene).collect::<Vec<_>>()})
}

async fn import(web: &Web, query: &str, file: &Value) {
    let answer = web.post(&format!("/import{query}"), file.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Versions that imports have kept, newest first.
async fn kept(web: &Web) -> Vec<Value> {
    let all = versions(web, "default").await;
    all.into_iter().filter(|version| version["label"] == LABEL).collect()
}

#[tokio::test]
async fn what_an_import_takes_away_is_a_version_that_brings_it_back() {
    let appliance = home().start().await;
    let web = appliance.web();
    import(&web, "", &show(&[1, 2], &["a", "b"])).await; // over nothing
    import(&web, "", &show(&[1, 2, 3], &["a", "b", "c"])).await; // nothing goes
    import(&web, "?mode=merge", &show(&[4], &[])).await;
    import(&web, "?dryRun=1", &show(&[], &[])).await;
    assert_eq!(kept(&web).await, Vec::<Value>::new());

    let before = Whole::of(&web).await;
    import(&web, "", &show(&[1, 2, 3, 4], &["a", "b"])).await;
    let versions = kept(&web).await;
    assert_eq!(versions.len(), 1);
    assert_eq!((&versions[0]["provider"], &versions[0]["encrypted"]), (&json!("local"), &json!(false)));
    // One a minute: an evening of attempts does not push out what was there first.
    import(&web, "", &show(&[1], &["a"])).await;
    assert_eq!(kept(&web).await, versions);
    restored(&web, &id_of(&versions[0])).await;
    let after = Whole::of(&web).await;
    assert_eq!((after.scenes, after.show), (before.scenes, before.show));
}

#[tokio::test]
async fn an_import_right_after_a_switch_of_projects_keeps_what_is_there() {
    let appliance = home().start().await;
    let web = appliance.web();
    import(&web, "", &show(&[1], &["a"])).await;
    let listed = web.post("/projects", r#"{"name":"B"}"#).await.json();
    let other = listed["projects"][1]["id"].as_str().unwrap();
    web.post(&format!("/projects/{other}/select"), "").await;
    import(&web, "", &show(&[7], &["x"])).await;
    assert_eq!(versions(&web, other).await, Vec::<Value>::new(), "there was nothing");
    web.post("/projects/default/select", "").await;
    import(&web, "?mode=merge", &show(&[7], &["x"])).await;
    assert_eq!(kept(&web).await.len(), 1, "though nothing goes");
}

#[tokio::test]
async fn scenes_that_come_while_an_import_is_under_way_are_kept_before_it_takes_them_away() {
    let appliance = home().start().await;
    let web = appliance.web();
    let levels: Value =
        (1..=40).map(|channel| (channel.to_string(), json!(channel % 256))).collect::<Map<_, _>>().into();
    let scene =
        |n: u32| json!({"id": format!("s{n}"), "name": format!("{n}"), "channelValues": levels, "timestamp": n});
    let list = json!((0..2000).map(scene).collect::<Vec<_>>()).to_string();
    let put = {
        let web = Web::new(appliance.http);
        tokio::spawn(async move { web.send(web.request(Method::PUT, "/scenes").body(list)).await.status })
    };
    // When these begin there is nothing to lose; one of them waits behind the list that is being stored.
    while !put.is_finished() {
        import(&web, "", &show(&[1], &[])).await;
    }
    assert_eq!(put.await.unwrap(), 200);
    if web.get("/scenes").await.json() == json!([]) {
        let kept = kept(&web).await;
        assert_eq!(kept.len(), 1, "they were not kept");
        restored(&web, &id_of(&kept[0])).await;
    }
    assert_eq!(web.get("/scenes").await.json().as_array().unwrap().len(), 2000);
}

#[tokio::test]
async fn while_backups_are_off_it_is_kept_all_the_same_and_never_a_reason_to_refuse() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, "", &show(&[1], &["a"])).await;
    import(&web, "", &show(&[1], &[])).await;
    web.get("/projects/default/backups").await.problem(404);
    let (_, home) = appliance.terminate().await;
    let appliance = home.set("DMX_CLOUD_BACKUP_ENABLED", "1").start().await;
    let web = appliance.web();
    let versions = kept(&web).await;
    restored(&web, &id_of(&versions[0])).await;
    assert_eq!(web.get("/scenes").await.json()[0]["id"], "a");

    let home = Home::new();
    std::fs::create_dir_all(home.data()).unwrap();
    std::fs::write(home.data().join("backups"), "in the way").unwrap();
    let appliance = home.start().await;
    let web = appliance.web();
    let first = web.post("/import", show(&[1], &["a"]).to_string()).await.json();
    assert_eq!(first.get("notKept"), None, "{first}");
    let stored = web.post("/import", show(&[], &[]).to_string()).await.json();
    assert!(stored["notKept"].as_str().unwrap().contains("backup.local_path"), "it is said: {stored}");
    assert_eq!(web.get("/export").await.json().get("notKept"), None);
}

#[tokio::test]
async fn an_import_whose_safety_version_cannot_be_kept_changes_nothing() {
    let appliance = home().start().await;
    let web = appliance.web();
    import(&web, "", &show(&[1], &["a"])).await;
    let before = Whole::of(&web).await;
    std::fs::create_dir_all(appliance.data().join("backups")).unwrap();
    std::fs::write(folder(&appliance), "in the way").unwrap();
    let problem = web.post("/import", show(&[], &[]).to_string()).await.problem(502);
    assert!(problem["detail"].as_str().unwrap().starts_with("nothing was imported"), "{problem}");
    assert_eq!(Whole::of(&web).await, before);
    import(&web, "", &show(&[1, 2], &["a"])).await; // nothing goes
}

#[tokio::test]
async fn a_file_with_nothing_of_a_show_in_it_is_refused_and_null_is_nothing() {
    let appliance = home().start().await;
    let web = appliance.web();
    import(&web, "", &show(&[1], &["a"])).await;
    let before = Whole::of(&web).await;
    for foreign in [
        json!({}),
        json!({"fixtures": null, "scenes": null, "customLayout": null}),
        json!({"name": "tablet", "version": "1.0.0", "private": true, "scripts": {"dev": "vite"}, "dependencies": {}}),
        json!({"0": {}, "1": {"n": "Sunset", "on": true, "seg": [{"col": [[255, 160, 0]]}]}}),
        json!({"version": "1.0", "exportedAt": 1}),
    ] {
        for query in ["", "?dryRun=1"] {
            let problem = web.post(&format!("/import{query}"), foreign.to_string()).await.problem(422);
            assert!(problem["detail"].as_str().unwrap().contains("not a show file"), "{problem}");
        }
    }
    for query in ["?mode=merge", "?mode=merge&dryRun=1"] {
        web.post(&format!("/import{query}"), "{}").await.problem(422);
    }
    assert_eq!(Whole::of(&web).await, before);
    let nulls = json!({"fixtures": null, "version": null, "scenes": [], "theirs": null});
    let stored = web.send(web.request(Method::POST, "/import").body(nulls.to_string())).await.json();
    assert_eq!((&stored["fixtures"], &stored["version"]), (&json!([]), &json!("1.0")));
    assert_eq!(stored.get("theirs"), Some(&Value::Null), "of what we do not know nothing is known");
}
