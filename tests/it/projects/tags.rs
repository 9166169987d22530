//! Two editors of one document: tags name what each has read, and nobody overwrites what they have not seen.

use reqwest::Method;
use serde_json::{Value, json};

use super::{asking, body_of, create, export, fresh, import, list, marked, project, scenes, select};
use crate::harness::{Answer, Home, Web};

/// The tag of the document at a path, which a 304 must confirm.
async fn tag(web: &Web, path: &str) -> String {
    let answer = web.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 2, "a strong tag: {tag}");
    tag
}

/// The answer to an edit with `If-Match`.
async fn edit(web: &Web, method: Method, path: &str, tag: &str, body: &Value) -> Answer {
    web.send(asking(web, method, path, body).header("if-match", tag)).await
}

/// Refused, with the present tag.
async fn outdated(web: &Web, method: Method, path: &str, tag: &str, body: &Value) {
    let answer = edit(web, method, path, tag, body).await;
    let detail = answer.problem(412)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("read it again"), "{detail}");
    assert_ne!(answer.header("etag"), tag);
}

fn scene(id: &str, level: u8) -> Value {
    json!({"id": id, "name": id, "channelValues": {"1": level}, "timestamp": 1})
}

#[tokio::test]
async fn of_two_editors_of_the_scenes_the_second_is_told_and_overwrites_nothing() {
    let appliance = fresh().await;
    let web = appliance.web();
    web.send(asking(&web, Method::PUT, "/scenes", &json!([scene("a", 1)]))).await;
    let read = tag(&web, "/scenes").await;
    let first = edit(&web, Method::PUT, "/scenes", &read, &json!([scene("a", 1), scene("b", 2)])).await;
    let now = first.header("etag").to_owned();
    assert_eq!((first.status, &now), (200, &tag(&web, "/scenes").await), "an edit answers the tag since");
    let before = scenes(&web).await;
    outdated(&web, Method::PUT, "/scenes", &read, &json!([scene("a", 9)])).await;
    outdated(&web, Method::POST, "/scenes", &read, &json!({"name": "c"})).await;
    outdated(&web, Method::PATCH, "/scenes/a", &read, &json!({"name": "A"})).await;
    outdated(&web, Method::DELETE, "/scenes/a", &read, &Value::Null).await;
    assert_eq!(scenes(&web).await, before);

    // Each edit answers the tag that the next one needs.
    let mut now = now;
    for (method, path, body, status) in [
        (Method::POST, "/scenes", json!({"name": "c", "id": "c"}), 201),
        (Method::PATCH, "/scenes/c", json!({"favorite": true}), 200),
        (Method::DELETE, "/scenes/b", Value::Null, 200),
        (Method::PUT, "/scenes", json!([scene("d", 1)]), 200),
    ] {
        let answer = edit(&web, method.clone(), path, &now, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let next = answer.header("etag").to_owned();
        assert_ne!(next, now);
        now = next;
        assert_eq!(now, tag(&web, "/scenes").await);
    }
    // In a list, through a proxy that weakens tags, or as a star it counts too; an invalid tag does not.
    for given in [format!("\"x\", {now}"), format!("W/{now}"), "*".to_owned()] {
        assert_eq!(edit(&web, Method::PUT, "/scenes", &given, &json!([scene("d", 1)])).await.status, 200, "{given}");
    }
    for given in ["\"x\"", "x", now.trim_matches('"'), ""] {
        outdated(&web, Method::PUT, "/scenes", given, &json!([])).await;
    }
    // An edit that is invalid in itself is refused as before.
    edit(&web, Method::PATCH, "/scenes/nobody", "\"x\"", &json!({"name": "x"})).await.problem(412);
    edit(&web, Method::PUT, "/scenes", &now, &json!({})).await.problem(422);
}

#[tokio::test]
async fn tags_name_content_and_mean_the_same_after_a_kill() {
    let appliance = fresh().await;
    let web = appliance.web();
    import(&web, "", &marked(1)).await;
    let paths = ["/scenes", "/export", "/projects", "/projects/default"];
    let mut tags = Vec::new();
    for path in paths {
        tags.push(tag(&web, path).await);
    }
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    for (path, known) in paths.into_iter().zip(&tags) {
        assert_eq!(tag(&web, path).await, *known, "{path}");
        let again = web.send(web.request(Method::GET, path).header("if-none-match", known)).await;
        // The tag of a project ignores its times, so nobody is told that those are unchanged.
        let expected = if path == "/projects/default" { 200 } else { 304 };
        assert_eq!((again.status, again.header("etag")), (expected, known.as_str()), "{path}");
    }
    // Different content never has the same tag, and the same content has its tag again.
    import(&web, "", &marked(2)).await;
    for (path, known) in paths.into_iter().zip(&tags).take(3) {
        assert_ne!(tag(&web, path).await, *known, "{path}");
        let again = web.send(web.request(Method::GET, path).header("if-none-match", known)).await;
        assert_eq!(again.status, 200, "{path}");
    }
    import(&web, "", &marked(1)).await;
    assert_eq!([tag(&web, "/scenes").await, tag(&web, "/export").await], tags[..2]);
}

#[tokio::test]
async fn an_import_over_what_was_not_read_is_refused_dry_or_not() {
    let appliance = fresh().await;
    let web = appliance.web();
    let read = tag(&web, "/export").await;
    import(&web, "", &marked(1)).await;
    let now = tag(&web, "/export").await;
    for query in ["", "?mode=merge", "?dryRun=1"] {
        outdated(&web, Method::POST, &format!("/import{query}"), &read, &marked(2)).await;
    }
    assert_eq!(export(&web).await, marked(1));
    // A look captured since is a change of the show, too.
    body_of(&web.post("/scenes", json!({"name": "new"}).to_string()).await, 201);
    outdated(&web, Method::POST, "/import", &now, &marked(2)).await;
    let now = tag(&web, "/export").await;
    let done = edit(&web, Method::POST, "/import", &now, &marked(2)).await;
    assert_eq!((done.status, done.header("etag")), (200, tag(&web, "/export").await.as_str()));
    assert_eq!(edit(&web, Method::POST, "/import", "*", &marked(3)).await.status, 200);
}

#[tokio::test]
async fn projects_are_edited_as_they_were_read_and_the_same_list_elsewhere_is_another_document() {
    let appliance = fresh().await;
    let web = appliance.web();
    let (read, mine) = (tag(&web, "/projects").await, tag(&web, "/projects/default").await);
    let empty = tag(&web, "/scenes").await;
    let id = create(&web, json!({"name": "B"})).await;
    outdated(&web, Method::POST, "/projects", &read, &json!({"name": "C"})).await;
    outdated(&web, Method::POST, &format!("/projects/{id}/select"), &read, &Value::Null).await;
    outdated(&web, Method::DELETE, &format!("/projects/{id}"), &read, &Value::Null).await;
    outdated(&web, Method::PUT, "/projects/default", &read, &json!({"notes": "x"})).await;
    assert_eq!(super::ids(&list(&web).await), ["default", &id]);

    // The project's own tag: another project, a captured look or a backup is no edit of what people say about it.
    body_of(&web.post("/scenes", json!({"name": "new"}).to_string()).await, 201);
    let done = edit(&web, Method::PUT, "/projects/default", &mine, &json!({"notes": "x"})).await;
    assert_eq!((done.status, done.header("etag")), (200, tag(&web, "/projects/default").await.as_str()));
    outdated(&web, Method::PUT, "/projects/default", &mine, &json!({"notes": "y"})).await;
    let shown = body_of(&web.get("/projects/default").await, 200);
    assert_eq!((&shown, &shown["notes"]), (project(&list(&web).await, "default"), &json!("x")));
    let now = tag(&web, "/projects").await;
    let done = edit(&web, Method::PUT, "/projects/default", &now, &json!({"notes": "z"})).await;
    assert_eq!(done.status, 200, "the list's tag counts too");
    web.get("/projects/nobody").await.problem(404);

    // the empty list of scenes of one project is not that of another
    select(&web, &id).await;
    assert_eq!(scenes(&web).await, json!([]));
    outdated(&web, Method::PUT, "/scenes", &empty, &json!([scene("a", 1)])).await;
    let now = tag(&web, "/projects").await;
    let back = edit(&web, Method::POST, "/projects/default/select", &now, &Value::Null).await;
    let now = tag(&web, "/projects").await;
    assert_eq!((back.status, back.header("etag")), (200, now.as_str()));
    assert_eq!(edit(&web, Method::DELETE, &format!("/projects/{id}"), &now, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_backup_or_a_kept_look_is_no_edit_of_the_list_of_projects() {
    let home = Home::new().set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true");
    let appliance = home.start().await;
    let web = appliance.web();
    let read = tag(&web, "/projects").await;
    body_of(&web.post("/scenes", json!({"name": "new"}).to_string()).await, 201);
    body_of(&web.post("/projects/default/backups", "{}").await, 201);
    let again = web.send(web.request(Method::GET, "/projects").header("if-none-match", &read)).await;
    assert_eq!(again.status, 200, "its times are other ones");
    assert_ne!(project(&again.json(), "default")["lastBackupAt"], Value::Null);

    let saved = edit(&web, Method::PUT, "/projects/default", &read, &json!({"notes": "x"})).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    outdated(&web, Method::PUT, "/projects/default", &read, &json!({"notes": "y"})).await;
    let now = tag(&web, "/projects").await;
    body_of(&web.post("/projects/default/backups", "{}").await, 201);
    for given in [now.clone(), format!("W/{now}")] {
        let selected = edit(&web, Method::POST, "/projects/default/select", &given, &Value::Null).await;
        assert_eq!(selected.status, 200, "{given}: {selected:?}");
    }
    assert_eq!(edit(&web, Method::POST, "/projects", &now, &json!({"name": "B"})).await.status, 201);
    outdated(&web, Method::POST, "/projects", &now, &json!({"name": "C"})).await;
}

#[tokio::test]
async fn pages_of_other_origins_may_use_tags() {
    let appliance = fresh().await;
    let web = appliance.web();
    let preflight = web.request(Method::OPTIONS, "/scenes").header("origin", "http://192.168.1.7:3000");
    let preflight = preflight.header("access-control-request-method", "PUT");
    let answer = web.send(preflight.header("access-control-request-headers", "if-match")).await;
    let allowed = answer.header("access-control-allow-headers").to_lowercase();
    assert!(allowed.split(',').any(|name| name.trim() == "if-match"), "{answer:?}");
    let read = web.send(web.request(Method::GET, "/scenes").header("origin", "http://192.168.1.7:3000")).await;
    assert!(read.header("access-control-expose-headers").to_lowercase().contains("etag"), "{read:?}");
}
