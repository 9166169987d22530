//! `/scenes`, `/export` and `/import`: what goes in comes out, and what is broken changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, body_of, export, fresh, import, list, mark, marked, nothing, scenes};
use crate::harness::{Answer, Appliance, Web};

/// A show with unknown fields.
fn strange() -> Value {
    json!({
        "version": "9.9-beta",
        "universes": [{"id": 0, "label": "Sál", "unknown": null}],
        "fixtures": [{"id": 1, "x": {"deep": [[[{"er": true}]]]}}, "not an object", 7, null, [1]],
        "scenes": [
            {"id": "a", "name": "Á 灯", "channelValues": {"1": 255, "2/7": 0, "foo bar": 3, "": 1}, "timestamp": 0,
             "description": "", "tags": ["x", ""], "favorite": true, "cue": {"fade": 1.5}, "null": null},
            {"id": "0", "name": "n", "channelValues": {}, "timestamp": u64::MAX, "description": null, "tags": null, "favorite": null}
        ],
        "effects": [{"effect": -1.25e-7}],
        "stepperMotors": [{"position": -9_007_199_254_740_993_i64}],
        "servos": [{"angle": u64::MAX}],
        "midiMappings": [{"note": 1}],
        "customLayout": {"grid": [[1, 2], []]},
        "newInVersion9": {"": {"~/": "\u{0000}\u{1F3AD}\u{2028}"}},
        "emptyKey": {}
    })
}

#[tokio::test]
async fn scenes_come_back_with_everything_that_is_not_known_also_after_a_kill() {
    let appliance = fresh().await;
    let web = appliance.web();
    assert_eq!(scenes(&web).await, json!([]));
    let list = strange()["scenes"].clone();
    assert_eq!(body_of(&ask(&web, Method::PUT, "/scenes", &list).await, 200), list, "it answers what was stored");
    assert_eq!((scenes(&web).await, &export(&web).await["scenes"]), (list.clone(), &list));
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    assert_eq!(scenes(&web).await, list);
    // a scene without times is of now
    for time in [None, Some(Value::Null)] {
        let mut scene = json!({"id": "a", "name": "A", "channelValues": {}});
        if let Some(null) = time {
            scene["timestamp"] = null;
        }
        let stored = body_of(&ask(&web, Method::PUT, "/scenes", &json!([scene])).await, 200);
        assert!(stored[0]["timestamp"].as_u64().is_some_and(|ts| ts > 1_600_000_000_000), "{stored}");
        assert_eq!(scenes(&web).await, stored);
    }
    assert_eq!(body_of(&ask(&web, Method::PUT, "/scenes", &json!([])).await, 200), json!([]), "it replaces the list");
    assert_eq!(scenes(&web).await, json!([]));
}

#[tokio::test]
async fn an_export_imported_on_another_box_gives_the_same_export() {
    let (one, two) = (fresh().await, Appliance::start().await);
    assert_eq!(export(&one.web()).await, nothing(), "the shape is whole from the start");
    assert_eq!(import(&one.web(), "", &strange()).await, strange(), "it answers what was stored");
    let exported = body_of(&one.web().get("/export").await, 200);
    two.web().accepted(&crate::harness::command([1, 2, 3])).await;
    let state = two.web().state().await;
    import(&two.web(), "", &exported).await;
    assert_eq!(export(&two.web()).await, strange());
    assert_eq!(two.web().state().await, state, "a show is a document: the light stays");
    let two = two.kill9().await.start().await;
    assert_eq!(export(&two.web()).await, strange());
    assert_eq!(import(&two.web(), "?mode=merge", &exported).await, strange(), "nothing new comes in");
    assert_eq!(import(&two.web(), "?mode=replace&dryRun=0", &exported).await, strange());
}

#[tokio::test]
async fn numbers_come_back_as_they_were_written() {
    let appliance = fresh().await;
    let web = appliance.web();
    // floats whose shortest form a careless parser does not return
    let numbers =
        "31.245270191439438,0.1,1e300,5e-324,123456789.12345679,-0.0,4.9406564584124654e-200,9007199254740993";
    let file = format!(r#"{{"fixtures":[],"numbers":[{numbers}]}}"#);
    for _ in 0..3 {
        let stored = web.post("/import", file.clone()).await;
        let read = stored.text.split_once(r#""numbers":["#).and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
        for (given, read) in numbers.split(',').zip(read.split(',')) {
            let bits = |text: &str| text.parse::<f64>().unwrap().to_bits();
            assert_eq!(bits(read), bits(given), "{given} became {read}");
        }
        let exported = web.get("/export").await.text;
        assert!(exported.contains(&format!(r#""numbers":[{read}]"#)), "{exported}");
    }
}

/// A level for each channel of universe 0.
fn full() -> serde_json::Map<String, Value> {
    (1..=512).map(|channel| (channel.to_string(), json!(255))).collect()
}

/// Everything of the box that an import may change.
async fn everything(web: &Web) -> (Value, Value, Value, Value) {
    (list(web).await, scenes(web).await, export(web).await, web.state().await)
}

#[tokio::test]
async fn a_broken_file_says_line_and_column_and_changes_nothing() {
    let appliance = fresh().await;
    let web = appliance.web();
    import(&web, "", &marked(1)).await;
    let before = everything(&web).await;
    let file = serde_json::to_string_pretty(&marked(2)).unwrap();
    // a comma missing somewhere in the middle, and a file that ends too early
    let line = 1 + file.lines().take(200).collect::<String>().len().min(200);
    let mut lines: Vec<_> = file.lines().map(str::to_owned).collect();
    lines[line - 1].insert_str(0, "} oops ");
    let cut: Vec<_> = file.lines().take(30).collect();
    for (body, place) in [
        (lines.join("\n"), format!("line {line} column ")),
        (cut.join("\n"), "line 30 column ".to_owned()),
        (String::new(), "the body is empty".to_owned()),
        ("{\n \"scenes\": [\n  01\n ]\n}".to_owned(), "line 3 column 4".to_owned()),
        ("[".repeat(100_000), "line 1 column ".to_owned()),
        (r#"{"a":"\ud800"}"#.to_owned(), "line 1 column ".to_owned()),
    ] {
        for path in ["/import", "/import?mode=merge", "/import?dryRun=1"] {
            let problem = web.post(path, body.clone()).await.problem(400);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(&place), "{path}: {place} in {detail}");
        }
    }
    for (body, place) in [("[\n{\"id\": }]", "line 2 column 8"), ("[{}", "line 1 column 3")] {
        let answer = web.send(web.request(Method::PUT, "/scenes").body(body)).await;
        assert!(answer.problem(400)["detail"].as_str().unwrap().contains(place), "{answer:?}");
    }
    web.send(web.request(Method::POST, "/import").body(&b"{\"a\":\"\xff\"}"[..])).await.problem(400);
    assert_eq!(everything(&web).await, before);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_file_of_the_wrong_shape_says_where_and_changes_nothing() {
    let appliance = fresh().await;
    let web = appliance.web();
    import(&web, "", &marked(1)).await;
    let before = everything(&web).await;
    let scene = json!({"id": "a", "name": "A", "channelValues": {"1": 1}, "timestamp": 1});
    let with = |change: &dyn Fn(&mut Value)| {
        let mut bad = scene.clone();
        change(&mut bad);
        bad
    };
    let bad_scenes = [
        (json!([with(&|s| s["channelValues"]["1"] = json!(256))]), "/0/channelValues/1"),
        (json!([with(&|s| s["channelValues"]["2/7"] = json!(1.0))]), "/0/channelValues/2~17"),
        (json!([with(&|s| s["channelValues"] = json!([]))]), "/0/channelValues"),
        (json!([scene, with(&|s| s["id"] = json!(1))]), "/1/id"),
        (json!([scene, scene]), "/1/id"),
        (json!([with(&|s| s["name"] = json!(""))]), "/0/name"),
        (json!([with(&|s| s["timestamp"] = json!("now"))]), "/0/timestamp"),
        (json!([with(&|s| s["tags"] = json!(["a", 1]))]), "/0/tags/1"),
        (json!([with(&|s| s["favorite"] = json!(1))]), "/0/favorite"),
        (json!([scene, 7]), "/1"),
    ];
    for (list, at) in &bad_scenes {
        let problem = ask(&web, Method::PUT, "/scenes", list).await.problem(422);
        assert_eq!(paths(&problem), [*at], "{problem}");
        for path in ["/import", "/import?mode=merge", "/import?dryRun=1"] {
            let file = json!({"fixtures": [], "scenes": list});
            let problem = web.post(path, file.to_string()).await.problem(422);
            assert_eq!(paths(&problem), [format!("/scenes{at}")], "{path}: {problem}");
        }
    }
    assert_eq!(paths(&ask(&web, Method::PUT, "/scenes", &json!({"scenes": []})).await.problem(422)), [""]);
    for (file, at) in [
        (json!([]), vec![""]),
        (json!("show"), vec![""]),
        (json!({"scenes": {}}), vec!["/scenes"]),
        (json!({"fixtures": {}, "effects": 1, "servos": "x"}), vec!["/fixtures", "/effects", "/servos"]),
        (json!({"version": []}), vec!["/version"]),
    ] {
        let mut told = paths(&web.post("/import", file.to_string()).await.problem(422));
        let mut at = at;
        told.sort();
        at.sort_unstable();
        assert_eq!(told, at, "{file}");
    }
    for query in ["?mode=append", "?mode=", "?dryRun=maybe", "?dryRun="] {
        let problem = web.post(&format!("/import{query}"), marked(2).to_string()).await.problem(422);
        assert!(problem["detail"].as_str().unwrap().contains("must be one of"), "{problem}");
    }
    assert_eq!(everything(&web).await, before);
}

fn paths(problem: &Value) -> Vec<String> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_dry_run_lists_what_would_change_and_changes_nothing() {
    let appliance = fresh().await;
    let web = appliance.web();
    let scene = |id: &str, level: u8| json!({"id": id, "name": id, "channelValues": {"1": level}, "timestamp": 1});
    let now = json!({
        "fixtures": [{"id": 1}, {"id": 2, "a": 1}, {"id": "three"}],
        "scenes": [scene("same", 1), scene("changed", 1), scene("removed", 1)],
        "customLayout": {"a": 1}
    });
    import(&web, "", &now).await;
    let before = everything(&web).await;
    let file = json!({
        "fixtures": [{"id": 1}, {"id": 2, "a": 2}, {"id": 4}],
        "scenes": [scene("same", 1), scene("changed", 2), scene("added", 1)],
        "customLayout": {"a": 1}
    });
    let dry = |mode: &'static str| {
        let (web, file) = (web.clone(), file.to_string());
        async move {
            let body = body_of(&web.post(&format!("/import?mode={mode}&dryRun=1"), file).await, 200);
            assert_eq!(body["dryRun"], true, "{body}");
            body["changes"].clone()
        }
    };
    let replaced = dry("replace").await;
    assert_eq!(replaced["scenes"], json!({"added": ["added"], "changed": ["changed"], "removed": ["removed"]}));
    assert_eq!(replaced["fixtures"], json!({"added": ["4"], "changed": ["2"], "removed": ["three"]}));
    assert_eq!(replaced.as_object().unwrap().len(), 2, "what stays is left out: {replaced}");
    let merged = dry("merge").await;
    assert_eq!(merged["scenes"], json!({"added": ["added"], "changed": ["changed"], "removed": []}));
    assert_eq!(merged["fixtures"], json!({"added": ["4"], "changed": ["2"], "removed": []}));
    assert_eq!(everything(&web).await, before, "neither has changed anything");

    import(&web, "?mode=merge", &file).await;
    let ids = |value: &Value| value.as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    let now = export(&web).await;
    assert_eq!(ids(&now["scenes"]), ["same", "changed", "removed", "added"]);
    assert_eq!(ids(&now["fixtures"]), [json!(1), json!(2), json!("three"), json!(4)]);
    assert_eq!((&now["scenes"][1], &now["fixtures"][1]), (&scene("changed", 2), &json!({"id": 2, "a": 2})));
    assert_eq!(dry("merge").await, json!({}), "once it is in, nothing would change");
    assert_eq!(dry("replace").await["scenes"], json!({"added": [], "changed": [], "removed": ["removed"]}));
    import(&web, "", &file).await;
    assert_eq!(dry("replace").await, json!({}));
    assert_eq!(export(&web).await["scenes"], file["scenes"]);
}

#[tokio::test]
async fn a_file_without_scenes_keeps_them_and_one_with_none_removes_them() {
    let appliance = fresh().await;
    let web = appliance.web();
    import(&web, "", &marked(1)).await;
    let mut file = marked(2);
    file.as_object_mut().unwrap().remove("scenes");
    let stored = import(&web, "", &file).await;
    assert_eq!((&stored["scenes"], &stored["mark"]), (&marked(1)["scenes"], &json!(2)));
    file["scenes"] = Value::Null;
    assert_eq!(import(&web, "", &file).await["scenes"], marked(1)["scenes"]);
    file["scenes"] = json!([]);
    assert_eq!(import(&web, "", &file).await["scenes"], json!([]));
    assert_eq!(scenes(&web).await, json!([]));
    import(&web, "", &marked(3)).await;
    assert_eq!(mark(&web).await, Some(3));
    // An import is a change of the project.
    let project = list(&web).await["projects"][0].clone();
    assert!(project["updatedAt"].as_u64() >= project["createdAt"].as_u64());
}

#[tokio::test]
async fn each_document_has_its_own_limit_of_size() {
    let appliance = fresh().await;
    let web = appliance.web();
    let padded = |body: &Value, bytes: usize| {
        let body = body.to_string();
        let pad = " ".repeat(bytes - body.len());
        body + &pad
    };
    let put = async |body: String| -> Answer { web.send(web.request(Method::PUT, "/scenes").body(body)).await };
    let one = json!([{"id": "a", "name": "A", "channelValues": {}, "timestamp": 1}]);
    let limit = 8 << 20;
    // A saved list is as large as a show may be: the predecessor's app sends all scenes at every save.
    let look =
        |n: u32| json!({"id": format!("s{n}"), "name": format!("Look {n}"), "channelValues": full(), "timestamp": 1});
    let many = Value::from((0..60).map(look).collect::<Vec<_>>());
    assert!(many.to_string().len() > 200_000);
    assert_eq!(put(many.to_string()).await.status, 200);
    assert_eq!(scenes(&web).await, many);
    // a single scene, too
    let whole: serde_json::Map<_, _> =
        (0..32_768).map(|n| (format!("{}/{}", n / 512, n % 512 + 1), json!(255))).collect();
    for (method, path) in [(Method::POST, "/scenes"), (Method::PATCH, "/scenes/s0")] {
        let body = json!({"name": format!("everything: {path}"), "channelValues": whole});
        assert!(ask(&web, method, path, &body).await.status < 300, "{path}");
    }
    put(padded(&one, limit + 1)).await.problem(413);
    assert_eq!(put(padded(&one, limit)).await.status, 200, "8 MiB itself is fine");
    assert_eq!(scenes(&web).await, one);

    let file = json!({"fixtures": [{"id": 1}]});
    for path in ["/import", "/import?dryRun=1"] {
        web.post(path, padded(&file, limit + 1)).await.problem(413);
    }
    // nobody has to announce the length
    let chunked = format!(
        "POST /import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        limit + 1,
        padded(&file, limit + 1)
    );
    assert_eq!(crate::harness::raw_http(appliance.http, chunked.as_bytes()).await.0, 413);
    assert_eq!(export(&web).await["fixtures"], json!([]));
    assert_eq!(web.post("/import", padded(&file, limit)).await.status, 200, "8 MiB itself is fine");
    assert_eq!(export(&web).await["fixtures"], file["fixtures"]);
}

#[tokio::test]
async fn a_file_with_nothing_of_a_show_is_refused_however_it_is_to_come_in() {
    let appliance = fresh().await;
    let web = appliance.web();
    import(&web, "", &marked(1)).await;
    let before = everything(&web).await;
    let package = json!({"name": "app", "version": "1.0.0", "scripts": {"start": "x"}, "dependencies": {}});
    for file in [json!({}), package, json!({"fixtures": null}), json!({"version": "1.0", "exportedAt": 1})] {
        for query in ["", "?mode=merge", "?mode=merge&dryRun=1"] {
            let problem = web.post(&format!("/import{query}"), file.to_string()).await.problem(422);
            assert!(problem["detail"].as_str().unwrap().contains("is not a show file"), "{file} {query}: {problem}");
        }
    }
    assert_eq!(everything(&web).await, before);
    // Beside parts of a show, unknown fields are accepted, and stay.
    let stored = import(&web, "?mode=merge", &json!({"theirs": {"a": [1.5]}, "effects": []})).await;
    assert_eq!((&stored["theirs"], &stored["mark"]), (&json!({"a": [1.5]}), &json!(1)));
}

#[tokio::test]
async fn a_dry_run_shows_the_value_of_a_field_that_is_no_list() {
    let appliance = fresh().await;
    let web = appliance.web();
    import(&web, "", &json!({"version": "1.0", "fixtures": []})).await;
    let file = json!({"version": "2.0", "fixtures": [], "customLayout": {"a": 1}, "theirs": 7});
    let changes = body_of(&web.post("/import?dryRun=1", file.to_string()).await, 200)["changes"].clone();
    let none: [&str; 0] = [];
    assert_eq!(changes["version"], json!({"added": none, "changed": ["2.0"], "removed": none}));
    assert_eq!(changes["customLayout"], json!({"added": ["customLayout"], "changed": none, "removed": none}));
    assert_eq!(changes["theirs"]["added"], json!(["7"]));
}
