//! Backups in a bucket over REST: moto at the far end, a bad network between. A fault there is a 502 that names it, changes
//! nothing, and holds up no command.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Whole, folder, home, id_of, made, mark, marks, restore, restored, versions};
use crate::harness::{
    BUCKET, CMD, Connect, FaultProxy, HEADROOM, Home, Link, Moto, Weather, colour, command, eventually,
};

/// An answer to a command takes less than this, whatever the bucket does.
const PROMPT: Duration = Duration::from_millis(200);

fn in_bucket(endpoint: SocketAddr) -> Home {
    home()
        .set("DMX_CLOUD_BACKUP_PROVIDER", "s3")
        .set("DMX_BACKUP_S3_ENDPOINT", format!("http://{endpoint}"))
        .set("DMX_BACKUP_S3_PATH_STYLE", "true")
        .set("DMX_CLOUD_BACKUP_S3_BUCKET", BUCKET)
        .set("DMX_CLOUD_BACKUP_S3_PREFIX", "stage")
        .set("DMX_CLOUD_BACKUP_S3_ACCESS_KEY", "access")
        .set("DMX_CLOUD_BACKUP_S3_SECRET_KEY", "secret")
}

/// The detail of a 502.
fn told(problem: &Value) -> &str {
    problem["detail"].as_str().expect("a detail")
}

#[tokio::test]
async fn a_backup_in_a_bucket_is_made_listed_downloaded_restored_and_deleted() {
    let moto = Moto::start().await;
    let appliance = in_bucket(moto.address).start().await;
    let web = appliance.web();
    mark(&web, 1, 0).await;
    let first = made(&web, "default", "před premiérou").await;
    assert_eq!((&first["provider"], &first["label"]), (&json!("s3"), &json!("před premiérou")));
    let object = format!("stage/default/{}.bin", id_of(&first));
    assert_eq!(moto.keys().await, std::slice::from_ref(&object));
    let metadata = moto.head(&format!("/{BUCKET}/{object}")).await;
    assert_eq!(metadata["x-amz-meta-createdat"].to_str().unwrap(), first["createdAt"].to_string());
    assert_eq!(metadata["x-amz-meta-encrypted"], "false");
    let second = made(&web, "default", " a\n100% \u{1f4a1} ").await;
    assert_eq!(second["label"], " a\n100% \u{1f4a1} ");
    assert_eq!(versions(&web, "default").await, [second.clone(), first.clone()]);
    let unnamed = made(&web, "default", "").await;
    assert_eq!(versions(&web, "default").await[0], unnamed);
    moto.delete(&format!("/{BUCKET}/stage/default/{}.bin", id_of(&unnamed))).await;
    assert_eq!(versions(&web, "default").await.len(), 2, "one that somebody else deleted is gone");
    let path = format!("/projects/default/backups/{}", id_of(&first));
    assert_eq!(web.get(&path).await.text, moto.get(&format!("/{BUCKET}/{object}")).await.text);

    mark(&web, 2, 0).await;
    let seq = web.seq().await;
    restored(&web, &id_of(&first)).await;
    assert_eq!((marks(&web).await, web.seq().await), ([1; 3], seq + 1));
    let kept = versions(&web, "default").await.remove(0);
    assert_eq!(kept["provider"], "local", "what was replaced is kept here: {kept}");
    assert!(folder(&appliance).join(format!("{}.bin", id_of(&kept))).exists());
    restored(&web, &id_of(&kept)).await;
    assert_eq!(marks(&web).await, [2; 3]);

    assert_eq!(web.send(web.request(reqwest::Method::DELETE, &path)).await.status, 200);
    restore(&web, "default", &id_of(&first)).await.problem(404);
    assert_eq!(moto.keys().await, [format!("stage/default/{}.bin", id_of(&second))]);
}

#[tokio::test]
async fn wrong_keys_a_missing_bucket_and_a_dead_endpoint_are_told_and_change_nothing() {
    let (strict, open) = (Moto::start().await, Moto::start().await);
    let (access, _) = strict.demand_keys().await;
    for (home, words) in [
        (in_bucket(strict.address), "backup.s3_access_key"),
        (in_bucket(strict.address).set("DMX_CLOUD_BACKUP_S3_ACCESS_KEY", access), "backup.s3_secret_key"),
        (in_bucket(open.address).set("DMX_CLOUD_BACKUP_S3_BUCKET", "nowhere"), "backup.s3_bucket"),
        (in_bucket("127.0.0.1:1".parse().unwrap()), "127.0.0.1:1"),
    ] {
        let appliance = home.start().await;
        let web = appliance.web();
        mark(&web, 1, 0).await;
        let before = Whole::of(&web).await;
        let problem = web.post("/projects/default/backups", "{}").await.problem(502);
        assert!(told(&problem).contains(words), "{words}: {problem}");
        let status = web.get("/projects/default/backups/status").await.json();
        assert_eq!((&status["lastError"], &status["running"]), (&problem["detail"], &json!(false)));
        assert_eq!(status["lastBackupAt"], Value::Null);
        assert_eq!(web.get("/projects").await.json()["projects"][0]["lastBackupAt"], Value::Null);
        // a HEAD cannot tell a missing bucket from a missing object
        let answer = restore(&web, "default", "01J").await;
        answer.problem(if words == "backup.s3_bucket" { 404 } else { 502 });
        assert_eq!(web.get("/projects/default/backups").await.status, 502);
        assert_eq!(Whole::of(&web).await, before);
        assert_eq!(web.get("/readyz").await.status, 200, "the light does not need the bucket");
        appliance.assert_serves().await;
    }
    assert_eq!(open.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_bad_network_is_waited_out_or_told_and_never_leaves_half_a_project() {
    let moto = Moto::start().await;
    let proxy = FaultProxy::start(moto.address).await;
    let appliance = in_bucket(proxy.address).start().await;
    let web = appliance.web();
    mark(&web, 1, 50_000).await;
    let id = id_of(&made(&web, "default", "x").await);
    for weather in [Weather::Answer(500), Weather::CutRequest(20_000), Weather::CutAnswer(30_000)] {
        mark(&web, 2, 50_000).await;
        proxy.set_for(weather, 2);
        made(&web, "default", "again").await;
        proxy.set_for(weather, 2);
        restored(&web, &id).await;
        assert_eq!(marks(&web).await, [1; 3], "{weather:?}");
    }
    mark(&web, 9, 0).await;
    let (before, keys, listed) = (Whole::of(&web).await, moto.keys().await, versions(&web, "default").await);
    for weather in [Weather::Answer(500), Weather::Answer(403), Weather::CutAnswer(30_000)] {
        proxy.set(weather);
        let problem = restore(&web, "default", &id).await.problem(502);
        let status = web.get("/projects/default/backups/status").await.json();
        assert_eq!(status["lastError"], problem["detail"]);
        assert_eq!(Whole::of(&web).await, before, "{weather:?}");
    }
    proxy.set(Weather::Answer(500));
    web.post("/projects/default/backups", "{}").await.problem(502);
    proxy.set(Weather::Pass);
    assert_eq!((Whole::of(&web).await, moto.keys().await), (before, keys), "nothing was left behind");
    assert_eq!(versions(&web, "default").await, listed);
}

#[tokio::test]
async fn commands_keep_their_pace_while_the_bucket_is_slow_and_only_one_job_runs_at_a_time() {
    let moto = Moto::start().await;
    let proxy = FaultProxy::start(moto.address).await;
    let appliance = in_bucket(proxy.address).start().await;
    let web = appliance.web();
    mark(&web, 1, 2_000_000).await;
    let id = id_of(&made(&web, "default", "x").await);
    mark(&web, 2, 0).await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("desk")).await;

    proxy.set(Weather::Slow(4 * 1024)); // 2 MB take at least half a second
    let asking = (web.clone(), id.clone());
    let job = tokio::spawn(async move { restore(&asking.0, "default", &asking.1).await });
    let (mut slowest, mut commands) = (Duration::ZERO, 0);
    while !job.is_finished() {
        let sent = Instant::now();
        link.publish(CMD, command(colour(1000 + commands)).to_string().as_bytes()).await;
        slowest = slowest.max(sent.elapsed());
        commands += 1;
    }
    assert_eq!(job.await.unwrap().status, 200);
    println!("{commands} commands during a slow restore, the slowest took {slowest:?}");
    assert!(commands > 20 && slowest < PROMPT * HEADROOM, "{commands} commands, the slowest took {slowest:?}");

    proxy.set(Weather::Silent);
    let asking = web.clone();
    let job = tokio::spawn(async move { asking.post("/projects/default/backups", "{}").await });
    let status = async || web.get("/projects/default/backups/status").await.json();
    let running = eventually("the upload", async || Some(status().await).filter(|s| s["phase"] == "upload")).await;
    assert!(running["running"] == true && running["startedAt"].is_u64(), "{running}");
    assert!(running["bytesTotal"].as_u64() > Some(2_000_000), "{running}");
    web.post("/projects/default/backups", "{}").await.problem(409);
    restore(&web, "default", &id).await.problem(409);
    let path = format!("/projects/default/backups/{id}");
    web.send(web.request(reqwest::Method::DELETE, &path)).await.problem(409);
    appliance.assert_serves().await;
    proxy.set(Weather::Pass); // silence is cut off, and tried again
    assert_eq!(job.await.unwrap().status, 201);
    assert_eq!(status().await["running"], false);
}
