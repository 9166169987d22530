//! A predecessor's folders are taken over once, at the first start, and left as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{export, ids, list, nothing, project, scenes, select, several};
use crate::harness::{Appliance, Home, Random, command, command_with, copy_folder, data_files, fresh_id, rgb_of};

/// The highest `seq` of the fixtures, which is not the active project's.
const HIGHEST: u64 = 90_210;

const TOUR: &str = "spring-tour-k3v9qa";

/// Kills in the middle of a first start.
const KILLS: u64 = 12;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/predecessor-data").join(name)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every file of a folder with its bytes.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    data_files(folder).into_iter().map(|file| (file.clone(), fs::read(folder.join(file)).unwrap())).collect()
}

/// Adds an id that was seen so many seconds ago; the predecessor wrote Unix seconds as a float.
fn see(path: &Path, seconds_ago: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let (mut seen, id) = (read(path), fresh_id());
    seen[&id] = json!(now - seconds_ago);
    fs::write(path, seen.to_string()).unwrap();
    id
}

/// A home with the predecessor's projects under a root of their own.
fn with_projects() -> (PathBuf, Home) {
    let home = Home::new();
    let root = home.beside("old-projects");
    copy_folder(&fixture("projects"), &root);
    let home = home.set("DMX_PROJECTS_ROOT", &root);
    (root, home)
}

/// How often the log says that something was taken over.
fn taken_over(appliance: &Appliance) -> usize {
    appliance.log.json().iter().filter(|line| line["message"] == "predecessor_imported").count()
}

/// What a project of the fixtures must look like when it is selected.
fn expected(id: &str) -> ([u8; 3], Value) {
    let folder = fixture("projects").join(id);
    let (lamp, show) = match id {
        "project-7x2m4c" => ([0; 3], nothing()),
        _ => (rgb_of(&read(&folder.join("state.json"))), read(&folder.join("show.json"))),
    };
    let mut whole = nothing();
    for (name, value) in show.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    if folder.join("scenes.json").exists() {
        whole["scenes"] = read(&folder.join("scenes.json"));
    }
    (lamp, whole)
}

/// All three projects are there, whole, with the tour selected.
async fn assert_whole(appliance: &Appliance) {
    let web = appliance.web();
    let listed = list(&web).await;
    assert_eq!(listed["activeId"], TOUR);
    let old = read(&fixture("projects/projects.json"));
    for known in old["projects"].as_array().unwrap() {
        assert_eq!(project(&listed, known["id"].as_str().unwrap()), known, "as the predecessor knew it");
    }
    assert_eq!(ids(&listed).len(), 3);
    for (n, id) in [TOUR, "default", "project-7x2m4c", TOUR].into_iter().enumerate() {
        if n > 0 {
            select(&web, id).await;
        }
        let (lamp, show) = expected(id);
        assert_eq!((super::lamp(appliance).await, export(&web).await), (lamp, show), "{id}");
    }
}

#[tokio::test]
async fn projects_are_taken_over_once_and_their_files_stay_as_they_are() {
    let (root, home) = with_projects();
    let recent = see(&root.join(TOUR).join("cmd_seen.json"), 60.5);
    let old = see(&root.join(TOUR).join("cmd_seen.json"), 3600.0);
    let elsewhere = see(&root.join("default/cmd_seen.json"), 1.0);
    let before = bytes_of(&root);
    let appliance = several(home).start().await;
    let web = appliance.web();
    let state = web.state().await;
    let told = read(&root.join(TOUR).join("state.json"));
    assert!(state["seq"].as_u64().is_some_and(|seq| seq > HIGHEST), "above the highest of all: {state}");
    assert!(state["seq"].as_u64().is_some_and(|seq| seq < HIGHEST + 100), "and not far: {state}");
    assert_eq!((rgb_of(&state), &state["updatedBy"]), (rgb_of(&told), &told["updatedBy"]));
    let seq = state["seq"].as_u64().unwrap();
    // Ids of a moment ago are known, in their project; older ones are not, nor those of another project.
    assert!(web.is_duplicate(&command_with(&recent, [1; 3])).await);
    assert!(web.is_duplicate(&command_with(&recent.to_lowercase(), [1; 3])).await);
    assert_eq!(web.seq().await, seq);
    assert_whole(&appliance).await;
    let appliance = appliance.restart().await;
    let web = appliance.web();
    for id in [&old, &elsewhere, &format!("01HZ{:022}", 4)] {
        assert!(!web.is_duplicate(&command_with(id, [2; 3])).await, "{id}");
    }
    select(&web, "default").await;
    assert!(web.is_duplicate(&command_with(&elsewhere, [3; 3])).await);
    web.accepted(&command([4, 4, 4])).await;
    assert_eq!(web.problems().await, Vec::<String>::new());
    assert_eq!(bytes_of(&root), before, "byte for byte");

    // Only once: what the files say later is nothing to us.
    fs::write(root.join("default/state.json"), read(&root.join(TOUR).join("state.json")).to_string()).unwrap();
    let answer = super::ask(&web, reqwest::Method::DELETE, "/projects/project-7x2m4c", &Value::Null).await;
    assert_eq!(answer.status, 200);
    assert_eq!(taken_over(&appliance), 0, "a second start takes nothing over");
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(taken_over(&appliance), 0, "nor does a third");
    assert_eq!(ids(&list(&appliance.web()).await), ["default", TOUR]);
    assert_eq!(super::lamp(&appliance).await, [4, 4, 4]);
}

#[tokio::test]
async fn the_default_place_is_in_the_data_folder_and_what_is_off_is_taken_over_too() {
    let home = Home::new();
    copy_folder(&fixture("projects"), &home.data().join("projects"));
    let before = bytes_of(&home.data().join("projects"));
    // Without projects there is `default`; the others wait until they are asked for.
    let appliance = home.start().await;
    assert_eq!(taken_over(&appliance), 1);
    let (lamp, show) = expected("default");
    assert_eq!((super::lamp(&appliance).await, export(&appliance.web()).await), (lamp, show));
    assert!(appliance.web().seq().await > HIGHEST);
    appliance.web().accepted(&command(lamp)).await; // a change of `default`, which is the same colour
    let (_, home) = appliance.terminate().await;
    let appliance = several(home).start().await;
    assert_whole(&appliance).await;
    assert_eq!(bytes_of(&appliance.data().join("projects")), before);
}

#[tokio::test]
async fn a_state_without_projects_becomes_the_default_project() {
    for on in [false, true] {
        let home = Home::new();
        copy_folder(&fixture("plain"), &home.data());
        let recent = see(&home.data().join("cmd_seen.json"), 5.5);
        let file = |home: &Home, name: &str| fs::read(home.data().join(name)).unwrap();
        let before = ["state.json", "cmd_seen.json"].map(|name| file(&home, name));
        let home = if on { several(home) } else { home };
        let appliance = home.start().await;
        let web = appliance.web();
        let state = web.state().await;
        assert_eq!((rgb_of(&state), &state["updatedBy"]), ([9, 8, 7], &json!("foh")));
        assert_eq!((state["seq"].as_u64(), super::lamp(&appliance).await), (Some(4243), [9, 8, 7]));
        assert!(web.is_duplicate(&command_with(&recent, [1; 3])).await);
        assert!(!web.is_duplicate(&command_with(&format!("01HZ{:022}", 6), [1; 3])).await);
        assert_eq!(web.seq().await, 4244);
        assert_eq!((scenes(&web).await, web.problems().await.len()), (json!([]), 0));
        if on {
            assert_eq!(ids(&list(&web).await), ["default"]);
        }
        let home = appliance.kill9().await;
        assert_eq!(["state.json", "cmd_seen.json"].map(|name| file(&home, name)), before, "byte for byte");
        fs::write(home.data().join("state.json"), r#"{"r":1,"g":1,"b":1,"seq":9999,"updatedBy":"ui","ts":1}"#).unwrap();
        let appliance = home.start().await;
        assert_eq!((appliance.web().seq().await, taken_over(&appliance)), (4244, 0), "once");
    }
}

#[tokio::test]
async fn what_is_broken_is_told_and_left_out_and_the_rest_is_taken_over() {
    for (file, content) in [
        ("scenes.json", &b"[{\"id\": \"opening\",\n \"name\": "[..]),
        ("scenes.json", b"{\"scenes\": 1}"),
        ("show.json", b"\xff\xfe"),
        ("cmd_seen.json", b""),
    ] {
        let (root, home) = with_projects();
        fs::write(root.join(TOUR).join(file), content).unwrap();
        let before = bytes_of(&root);
        let appliance = several(home).start().await;
        let web = appliance.web();
        let ready = web.get("/readyz").await;
        assert_eq!(ready.status, 200);
        let problems = ready.json()["problems"].clone();
        assert_eq!((problems[0]["code"].as_str(), problems.as_array().unwrap().len()), (Some("IMPORT_INCOMPLETE"), 1));
        let told = problems[0]["message"].as_str().unwrap();
        assert!(told.contains(&format!("{TOUR}/{file}")), "it names the file: {told}");
        let (lamp, mut show) = expected(TOUR);
        match file {
            "scenes.json" => show["scenes"] = json!([]),
            "show.json" => show = json!({"scenes": show["scenes"]}),
            _ => {}
        }
        let mut rest = nothing();
        for (name, value) in show.as_object().unwrap() {
            rest[name] = value.clone();
        }
        assert_eq!((super::lamp(&appliance).await, export(&web).await), (lamp, rest), "{file}");
        assert_eq!(ids(&list(&web).await).len(), 3);
        assert!(web.seq().await > HIGHEST);
        assert_eq!(bytes_of(&root), before);
        select(&web, "default").await;
        assert_eq!(super::lamp(&appliance).await, expected("default").0);
        appliance.assert_serves().await;
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_leaves_nothing_that_the_next_start_does_not_complete() {
    let mut random = Random::new();
    for n in 0..KILLS {
        let (root, home) = with_projects();
        // Large enough to take a while, and not the first one.
        let path = root.join(TOUR).join("show.json");
        let mut show = read(&path);
        show["padding"] = json!("x".repeat(4 << 20));
        fs::write(&path, show.to_string()).unwrap();
        let mut home = several(home);
        let kills = 1 + n % 3;
        for _ in 0..kills {
            home = home.kill_at_start(10 + random.below(150)).await;
        }
        let left = data_files(&home.data()).len();
        let appliance = home.start().await;
        println!("{kills} kills left {left} files; taken over at the next start: {}", taken_over(&appliance) == 1);
        let web = appliance.web();
        assert!((HIGHEST + 1..HIGHEST + 10).contains(&web.seq().await));
        assert_eq!(ids(&list(&web).await), ["default", TOUR, "project-7x2m4c"]);
        let mut export_of_tour = export(&web).await;
        let padding = export_of_tour.as_object_mut().unwrap().remove("padding");
        assert!(padding == Some(show["padding"].clone()), "the large one is whole");
        assert_eq!((super::lamp(&appliance).await, export_of_tour), expected(TOUR));
        select(&web, "default").await;
        assert_eq!((super::lamp(&appliance).await, export(&web).await), expected("default"));
        assert_eq!(web.problems().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn thousands_of_ids_in_many_projects_are_taken_over_in_one_step() {
    let home = Home::new();
    let root = home.beside("old-projects");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let name = |n: usize| format!("show-{n:02}-aaaaaa");
    let all: Vec<_> = (0..20).map(|n| json!({"id": name(n), "name": name(n), "createdAt": n})).collect();
    let mut last = Vec::new();
    for n in 0..20 {
        fs::create_dir_all(root.join(name(n))).unwrap();
        let ids: Vec<_> = (0..2000).map(|_| fresh_id()).collect();
        let seen: serde_json::Map<_, _> =
            ids.iter().enumerate().map(|(m, id)| (id.clone(), json!(now - 300.0 + m as f64 / 10.0))).collect();
        fs::write(root.join(name(n)).join("cmd_seen.json"), Value::from(seen).to_string()).unwrap();
        let state = json!({"r": n, "g": 0, "b": 0, "seq": n, "updatedBy": "ui", "ts": 1});
        fs::write(root.join(name(n)).join("state.json"), state.to_string()).unwrap();
        last.push([ids[0].clone(), ids[1999].clone()]);
    }
    fs::write(root.join("projects.json"), json!({"activeId": name(19), "projects": all}).to_string()).unwrap();
    let mut appliance = several(home.set("DMX_PROJECTS_ROOT", &root)).start().await;
    for round in 0..2 {
        let web = appliance.web();
        assert_eq!(web.problems().await, Vec::<String>::new());
        assert_eq!(appliance.log.find(|line| line["message"] == "storage_in_ram"), None);
        for n in [19, 0, 7] {
            select(&web, &name(n)).await;
            assert_eq!(super::lamp(&appliance).await, [u8::try_from(n).unwrap(), 0, 0]);
            for id in &last[n] {
                assert!(web.is_duplicate(&command_with(id, [1; 3])).await, "round {round}, project {n}: {id}");
            }
        }
        appliance = appliance.kill9().await.start().await;
    }
}
