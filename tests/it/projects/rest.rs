//! `/projects…`: list, create, change, delete; what is refused.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, body_of, create, fresh, ids, list, project, scenes, select, several};
use crate::harness::{Appliance, command, rgb_of};

/// The details of a project.
const FIELDS: [&str; 8] = ["createdAt", "eventDate", "id", "lastBackupAt", "name", "notes", "updatedAt", "venue"];

/// JSON pointers of a refusal.
fn pointers(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("errors in {problem}"));
    for error in errors {
        assert!(error["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{problem}");
    }
    errors.iter().map(|error| error["path"].as_str().expect("a pointer").to_owned()).collect()
}

#[tokio::test]
async fn a_fresh_box_has_one_project_and_it_is_active() {
    let appliance = fresh().await;
    let list = list(&appliance.web()).await;
    assert_eq!((&list["activeId"], ids(&list)), (&json!("default"), vec!["default".to_owned()]));
    let project = project(&list, "default");
    let fields: BTreeSet<_> = project.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(FIELDS));
    for field in ["venue", "eventDate", "notes", "lastBackupAt"] {
        assert!(project[field].is_null(), "{field} in {project}");
    }
    let times = ["createdAt", "updatedAt"].map(|field| project[field].as_u64().expect("Unix milliseconds"));
    assert!(times.iter().all(|&time| time > 1_600_000_000_000), "{project}");
}

#[tokio::test]
async fn without_projects_there_is_one_nameless_show_and_no_projects() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for (method, path) in [
        (Method::GET, "/projects"),
        (Method::POST, "/projects"),
        (Method::PUT, "/projects/default"),
        (Method::DELETE, "/projects/default"),
        (Method::POST, "/projects/default/select"),
        (Method::POST, "/projects/nobody/select"),
    ] {
        let problem = ask(&web, method.clone(), path, &json!({"name": "x"})).await.problem(404);
        let remedy = problem["detail"].as_str().unwrap();
        assert!(remedy.contains("projects.enabled") && remedy.contains("/about"), "{method} {path}: {problem}");
    }
    web.accepted(&command([1, 2, 3])).await;
    let scene = json!([{"id": "a", "name": "A", "channelValues": {"1": 7}, "timestamp": 1}]);
    assert_eq!(body_of(&ask(&web, Method::PUT, "/scenes", &scene).await, 200), scene);
    super::import(&web, "?mode=merge", &json!({"fixtures": [{"id": 1}]})).await;
    let shown = super::export(&web).await;
    assert_eq!((&shown["scenes"], &shown["fixtures"]), (&scene, &json!([{"id": 1}])));

    // All of it belongs to `default`, which shows once there may be several.
    let (_, home) = appliance.terminate().await;
    let appliance = several(home).start().await;
    let web = appliance.web();
    assert_eq!(ids(&list(&web).await), ["default"]);
    assert_eq!((rgb_of(&web.state().await), super::export(&web).await), ([1, 2, 3], shown));
}

#[tokio::test]
async fn names_may_be_of_any_language_and_ids_are_safe_and_new() {
    let appliance = fresh().await;
    let web = appliance.web();
    let long = "é".repeat(120);
    let names = [
        "Hamlet (2. jednání)",
        "Příliš žluťoučký kůň",
        "灯光秀",
        "عرض الأضواء",
        "מופע אורות",
        "Световое шоу",
        "🎭🎪 ∀ \"quotes\" \\ / %2f",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "x",
        &long,
        "Hamlet (2. jednání)", // again
    ];
    let mut made = Vec::new();
    for name in names {
        let id =
            create(&web, json!({"name": name, "venue": name, "eventDate": "v pátek", "notes": "line\nline"})).await;
        let (slug, ending) = id.rsplit_once('-').unwrap_or_else(|| panic!("{id}"));
        let ulid = |c: char| c.is_ascii_digit() || (c.is_ascii_alphabetic() && !"ILOUilou".contains(c));
        assert!(ending.len() == 6 && ending.chars().all(ulid), "6 characters of a ULID: {id}");
        let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!slug.is_empty() && slug.len() <= 64 && slug.chars().all(safe), "{id}");
        made.push((id, name));
    }
    assert!(made[0].0.starts_with("hamlet-2-"), "the id tells the name where it can: {}", made[0].0);
    assert_eq!(made.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), names.len(), "each has an id of its own");
    let before = list(&web).await;
    let appliance = appliance.kill9().await.start().await;
    let list = list(&appliance.web()).await;
    assert_eq!(list, before, "also after kill -9");
    for (id, name) in &made {
        let project = project(&list, id);
        assert_eq!((&project["name"], &project["venue"]), (&json!(name), &json!(name)));
        assert_eq!((&project["eventDate"], &project["notes"]), (&json!("v pátek"), &json!("line\nline")));
        select(&appliance.web(), id).await; // the id works in an address
    }
}

#[tokio::test]
async fn a_project_of_the_wrong_shape_is_refused_with_the_places_and_none_is_made() {
    let appliance = fresh().await;
    let web = appliance.web();
    let before = list(&web).await;
    let long = "é".repeat(121);
    for (body, at) in [
        (json!({}), vec!["/name"]),
        (json!({"name": ""}), vec!["/name"]),
        (json!({"name": null}), vec!["/name"]),
        (json!({"name": 7}), vec!["/name"]),
        (json!({"name": long}), vec!["/name"]),
        (json!({"name": "x", "venue": 1, "eventDate": {}, "notes": []}), vec!["/eventDate", "/notes", "/venue"]),
        (json!({"name": "x", "notes": "é".repeat(2001)}), vec!["/notes"]),
        (json!({"name": "x", "colour": "red", "a/b~c": 1}), vec!["/a~1b~0c", "/colour"]),
        (json!({"name": "x", "id": "mine", "createdAt": 1}), vec!["/createdAt", "/id"]),
        (json!({"name": "x", "templateId": 7}), vec!["/templateId"]),
        (json!({"name": "x", "templateId": "../default"}), vec!["/templateId"]),
        (json!(["x"]), vec![""]),
        (json!("x"), vec![""]),
    ] {
        let mut told = pointers(&web.post("/projects", body.to_string()).await.problem(422));
        told.sort();
        assert_eq!(told, at, "{body}");
    }
    for body in ["{", "name", "{\"name\":\"x\",}", "{\u{feff}}"] {
        let problem = web.post("/projects", body).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{body}: {problem}");
    }
    for body in ["", "\u{feff}"] {
        assert_eq!(web.post("/projects", body).await.problem(400)["detail"], "the body is empty", "{body:?}");
    }
    let unknown = web.post("/projects", json!({"name": "x", "templateId": "nobody"}).to_string()).await;
    assert!(unknown.problem(404)["detail"].as_str().unwrap().contains("nobody"), "{unknown:?}");
    let padded = |bytes: usize| {
        let body = json!({"name": "x"}).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    web.post("/projects", padded(65_537)).await.problem(413);
    assert_eq!(list(&web).await, before, "nothing was made");
    assert_eq!(web.post("/projects", padded(65_536)).await.status, 201, "64 KiB itself is fine");
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name_and_null_clears() {
    let appliance = fresh().await;
    let web = appliance.web();
    let all = json!({"name": "A", "venue": "Brno", "eventDate": "2025-01-01", "notes": "n"});
    let id = create(&web, all).await;
    let path = format!("/projects/{id}");
    let made = project(&list(&web).await, &id).clone();

    let changed = body_of(&ask(&web, Method::PUT, &path, &json!({"venue": "Praha"})).await, 200);
    let mut expected = made.clone();
    (expected["venue"], expected["updatedAt"]) = (json!("Praha"), changed["updatedAt"].clone());
    assert_eq!(changed, expected, "it answers the project");
    assert!(changed["updatedAt"].as_u64() >= made["updatedAt"].as_u64());

    let changed = body_of(&ask(&web, Method::PUT, &path, &json!({"name": "灯", "notes": null})).await, 200);
    (expected["name"], expected["notes"]) = (json!("灯"), Value::Null);
    expected["updatedAt"] = changed["updatedAt"].clone();
    assert_eq!(changed, expected);

    // There is no project without a name: null keeps it, as with the predecessor.
    for body in [json!({}), json!({"name": null})] {
        let unchanged = body_of(&ask(&web, Method::PUT, &path, &body).await, 200);
        expected["updatedAt"] = unchanged["updatedAt"].clone();
        assert_eq!(unchanged, expected, "{body}");
    }
    assert_eq!(project(&list(&web).await, &id), &expected);
    ask(&web, Method::PUT, "/projects/default", &json!({"name": "Main"})).await; // the active one too

    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    let kept = list(&web).await;
    assert_eq!((project(&kept, &id), &project(&kept, "default")["name"]), (&expected, &json!("Main")));

    for (body, at) in [
        (json!({"name": ""}), "/name"),
        (json!({"name": "é".repeat(121)}), "/name"),
        (json!({"venue": false}), "/venue"),
        (json!({"templateId": "default"}), "/templateId"),
        (json!({"lastBackupAt": 1}), "/lastBackupAt"),
        (json!({"notes": "x", "id": "other"}), "/id"),
    ] {
        assert_eq!(pointers(&ask(&web, Method::PUT, &path, &body).await.problem(422)), [at], "{body}");
    }
    web.send(web.request(Method::PUT, &path).body("{")).await.problem(400);
    web.send(web.request(Method::PUT, &path).body(" ".repeat(65_537))).await.problem(413);
    ask(&web, Method::PUT, "/projects/nobody", &json!({"name": "x"})).await.problem(404);
    assert_eq!(list(&web).await, kept, "nothing has changed");
}

#[tokio::test]
async fn a_deleted_project_is_gone_also_after_a_restart_and_the_active_one_cannot_be() {
    let appliance = fresh().await;
    let web = appliance.web();
    let id = create(&web, json!({"name": "A"})).await;
    select(&web, &id).await;
    super::import(&web, "", &super::marked(1)).await;
    web.accepted(&command([9, 9, 9])).await;
    let problem = ask(&web, Method::DELETE, &format!("/projects/{id}"), &json!(null)).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("select another"), "it says the remedy: {problem}");
    assert_eq!(super::mark(&web).await, Some(1), "nothing happened");

    select(&web, "default").await;
    let seq = web.seq().await;
    let left = body_of(&ask(&web, Method::DELETE, &format!("/projects/{id}"), &json!(null)).await, 200);
    assert_eq!(ids(&left), ["default"]);
    assert_eq!(web.seq().await, seq, "the light has not changed");
    for missing in [id.as_str(), "nobody", "Default", "%64efault%00", "..%2fdefault", "%ff", "a%20b"] {
        ask(&web, Method::DELETE, &format!("/projects/{missing}"), &json!(null)).await.problem(404);
        web.post(&format!("/projects/{missing}/select"), "").await.problem(404);
    }
    let again = create(&web, json!({"name": "A"})).await;
    assert_ne!(again, id);
    assert_eq!((web.seq().await, &list(&web).await["activeId"]), (seq, &json!("default")));
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(ids(&list(&appliance.web()).await), ["default", &again]);
    select(&appliance.web(), &again).await;
    assert_eq!((rgb_of(&appliance.web().state().await), super::mark(&appliance.web()).await), ([0; 3], None));
}

#[tokio::test]
async fn a_project_made_from_another_has_its_light_scenes_and_show_and_is_its_own() {
    let appliance = fresh().await;
    let web = appliance.web();
    let first = command([7, 8, 9]);
    web.accepted(&first).await;
    super::import(&web, "", &super::marked(3)).await;
    let seq = web.seq().await;
    let copy = create(&web, json!({"name": "Copy", "templateId": "default"})).await;
    assert_eq!((web.seq().await, &list(&web).await["activeId"]), (seq, &json!("default")), "it is only made");
    // what happens to one afterwards does not affect the other
    web.accepted(&command([1, 1, 1])).await;
    super::import(&web, "", &super::marked(4)).await;
    // of one that is not active, too
    let second = create(&web, json!({"name": "Copy of the copy", "templateId": copy})).await;
    for id in [&copy, &second] {
        select(&web, id).await;
        assert_eq!((super::lamp(&appliance).await, super::mark(&web).await), ([7, 8, 9], Some(3)), "{id}");
    }
    assert!(!web.is_duplicate(&first).await, "ids are not cloned: state, scenes and show are");
    select(&web, "default").await;
    assert_eq!((super::lamp(&appliance).await, super::mark(&web).await), ([1, 1, 1], Some(4)));
    assert_eq!(scenes(&web).await[0]["mark"], 4);
}

#[tokio::test]
async fn a_box_full_of_projects_says_so_and_takes_one_again_after_a_deletion() {
    let appliance = fresh().await;
    let web = appliance.web();
    let mut made = Vec::new();
    let refusal = loop {
        let answer = web.post("/projects", json!({"name": "x"}).to_string()).await;
        if answer.status != 201 {
            break answer;
        }
        made = ids(&answer.json());
        assert!(made.len() <= 1000, "there is a limit");
    };
    assert!(refusal.problem(409)["detail"].as_str().unwrap().contains("delete one"), "{refusal:?}");
    assert!(made.len() >= 50, "room for a season: {}", made.len());
    body_of(&ask(&web, Method::DELETE, &format!("/projects/{}", made[1]), &json!(null)).await, 200);
    create(&web, json!({"name": "x"})).await;
    appliance.assert_serves().await;
}
