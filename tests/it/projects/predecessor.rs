//! A predecessor's folders are imported once, at the first start, and left as they are.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
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

/// Adds an id that was seen this many seconds ago; the predecessor wrote Unix seconds as a float.
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

/// How often the log reports an import.
fn taken_over(appliance: &Appliance) -> usize {
    appliance.log.json().iter().filter(|line| line["message"] == "predecessor_imported").count()
}

/// What a project of the fixtures must look like once it is selected.
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

/// All three projects are there, complete, with the tour selected.
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
    // Recent ids are known, in their project; older ones are not, nor those of another project.
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

    // Only once: what the files say later does not matter.
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
    // Without projects there is `default`; the others wait until they are switched on.
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
        // large enough to take a while, and not the first one
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

/// Root without the right to read everything, like a service's user; with that right the tests could read all files.
fn without_privilege(home: Home) -> Home {
    home.started_by(["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"].map(Into::into))
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The only problem.
async fn incomplete(appliance: &Appliance) -> String {
    let problems = appliance.web().get("/readyz").await.json()["problems"].clone();
    assert_eq!((problems[0]["code"].as_str(), problems.as_array().unwrap().len()), (Some("IMPORT_INCOMPLETE"), 1));
    problems[0]["message"].as_str().unwrap().to_owned()
}

async fn acknowledge(appliance: &Appliance) -> Value {
    let answer = appliance.web().post("/takeover/acknowledge", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_folder_that_may_not_be_read_is_tried_again_until_it_may() {
    let (root, home) = with_projects();
    allow(&root, 0o001); // as the predecessor's container leaves it
    let appliance = without_privilege(several(home)).start().await;
    let told = incomplete(&appliance).await;
    assert!(told.contains("old-projects/projects.json: Permission denied") && told.contains("chmod"), "{told}");
    assert_eq!(ids(&list(&appliance.web()).await), ["default"]);
    // Work goes on meanwhile.
    appliance.web().accepted(&command([9, 8, 7])).await;
    let own = json!([{"id": "own", "name": "Own", "channelValues": {"1": 4}, "timestamp": 1}]);
    assert_eq!(super::ask(&appliance.web(), reqwest::Method::PUT, "/scenes", &own).await.status, 200);
    let left = acknowledge(&appliance).await;
    assert_eq!((&left["unread"][0]["file"], &left["unread"][0]["refused"]), (&json!("projects.json"), &json!(true)));
    incomplete(&appliance).await; // acknowledged or not, it is there to be read
    let appliance = appliance.restart().await;
    incomplete(&appliance).await;
    let seq = appliance.web().seq().await;

    let home = appliance.kill9().await;
    allow(&root, 0o755);
    let appliance = home.start().await;
    let web = appliance.web();
    assert_eq!((taken_over(&appliance), web.problems().await.len()), (1, 0));
    let listed = list(&web).await;
    assert_eq!((ids(&listed).len(), &listed["activeId"]), (3, &json!("default")), "nobody's light goes out for it");
    assert_eq!((web.seq().await >= seq, super::lamp(&appliance).await), (true, [9, 8, 7]));
    let (_, expected_show) = expected("default");
    let mut with_own = expected_show["scenes"].as_array().unwrap().clone();
    with_own.push(own[0].clone());
    assert_eq!(scenes(&web).await, Value::from(with_own), "what was made since stands beside what came");
    select(&web, TOUR).await;
    assert_eq!((super::lamp(&appliance).await, export(&web).await), expected(TOUR));

    // And now it is done.
    assert_eq!(super::ask(&web, reqwest::Method::PUT, "/scenes", &json!([])).await.status, 200);
    let appliance = appliance.restart().await;
    assert_eq!((taken_over(&appliance), scenes(&appliance.web()).await), (0, json!([])));
}

#[tokio::test]
async fn a_single_file_that_may_not_be_read_or_is_damaged_comes_later() {
    for refused in [true, false] {
        let (root, home) = with_projects();
        let path = root.join(TOUR).join("scenes.json");
        let whole = fs::read(&path).unwrap();
        if refused {
            allow(&path, 0o000);
        } else {
            fs::write(&path, vec![0; whole.len()]).unwrap(); // as a power cut leaves it
        }
        let appliance = without_privilege(several(home)).start().await;
        let told = incomplete(&appliance).await;
        assert!(told.contains(&format!("{TOUR}/scenes.json")), "{told}");
        let (lamp, mut show) = expected(TOUR);
        let all = std::mem::replace(&mut show["scenes"], json!([]));
        assert_eq!((super::lamp(&appliance).await, export(&appliance.web()).await), (lamp, show));
        let gone =
            super::ask(&appliance.web(), reqwest::Method::DELETE, "/projects/project-7x2m4c", &Value::Null).await;
        assert_eq!(gone.status, 200);
        let appliance = appliance.restart().await;
        assert_eq!(taken_over(&appliance), 0);
        incomplete(&appliance).await;
        let home = appliance.kill9().await;
        allow(&path, 0o644);
        fs::write(&path, &whole).unwrap();
        let appliance = home.start().await;
        let web = appliance.web();
        assert_eq!((scenes(&web).await, web.problems().await.len(), taken_over(&appliance)), (all, 0, 1));
        assert_eq!(ids(&list(&web).await), ["default", TOUR], "what was deleted stays away");
    }
}

#[tokio::test]
async fn one_bad_item_costs_itself_alone_and_is_named_until_somebody_takes_notice() {
    let (root, home) = with_projects();
    let folder = root.join(TOUR);
    let mut written = read(&folder.join("scenes.json"));
    written.as_array_mut().unwrap().insert(0, json!({"id": "bad", "name": "Bad look"}));
    let bright =
        json!({"id": "bright", "name": "Bright", "channelValues": {"1": 300, "2": -1, "3": "x"}, "timestamp": 5});
    written.as_array_mut().unwrap().push(bright);
    fs::write(folder.join("scenes.json"), format!("\u{feff}{written}")).unwrap();
    let mut show = read(&folder.join("show.json"));
    show["effects"] = json!("nope");
    fs::write(folder.join("show.json"), show.to_string()).unwrap();
    let mut state = read(&folder.join("state.json"));
    state["r"] = json!(999);
    fs::write(folder.join("state.json"), state.to_string()).unwrap();
    let mut projects = read(&root.join("projects.json"));
    projects["projects"].as_array_mut().unwrap().push(json!({"venue": "no name"}));
    fs::write(root.join("projects.json"), projects.to_string()).unwrap();

    let appliance = several(home).start().await;
    let web = appliance.web();
    let (_, mut right) = expected(TOUR);
    right["scenes"] = read(&fixture("projects").join(TOUR).join("scenes.json"));
    let bright = json!({"id": "bright", "name": "Bright", "channelValues": {"1": 255, "2": 0}, "timestamp": 5});
    right["scenes"].as_array_mut().unwrap().push(bright);
    right["effects"] = json!([]);
    assert_eq!(export(&web).await, right);
    let lamp = super::lamp(&appliance).await;
    assert_eq!((lamp[0], ids(&list(&web).await).len()), (255, 3));
    let told = incomplete(&appliance).await;
    let takeover = web.get("/takeover").await.json();
    let mut items: Vec<_> =
        takeover["leftOut"].as_array().unwrap().iter().map(|left| left["item"].as_str().unwrap()).collect();
    items.sort_unstable();
    assert_eq!(items, ["effects", "project number 4", "scene \"Bad look\"", "scene \"Bright\", level of 3"]);
    assert!(items.iter().all(|item| told.contains(item)), "{told}");

    let appliance = appliance.kill9().await.start().await;
    assert_eq!((incomplete(&appliance).await, taken_over(&appliance)), (told, 0), "over restarts");
    assert_eq!(acknowledge(&appliance).await, json!({"unread": [], "leftOut": [], "more": 0}));
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().problems().await, Vec::<String>::new(), "for good");
    assert_eq!(export(&appliance.web()).await, right);
}

#[tokio::test]
async fn a_named_folder_that_is_not_there_yet_is_waited_for() {
    let home = Home::new();
    let root = home.beside("stick");
    let appliance = several(home.set("DMX_PROJECTS_ROOT", &root)).start().await;
    assert!(incomplete(&appliance).await.contains("is not there"));
    let home = appliance.kill9().await;
    copy_folder(&fixture("projects"), &root);
    assert_whole(&home.start().await).await;
}
