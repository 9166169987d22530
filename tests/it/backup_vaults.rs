//! Backups in a bucket: the edge alone, through its public interface, with moto at the far end and a bad network between.
//! What clients see of it is tested at the doors.

use std::sync::{Arc, Mutex};

use dmxd::backup::{self, BackupDeps, BackupError, BackupErrorKind, Backups, NotTaken, Shows, Version};
use dmxd::config;
use dmxd::dmx::{ProjectId, VersionId};
use dmxd::kit::{health::Health, secret::Secret};
use dmxd::library::Document;
use dmxd::metrics::Metrics;
use dmxd::wire::Snapshot;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::harness::{BUCKET, FaultProxy, Impostor, Moto, Weather, eventually};

/// A house with one project.
struct Stage {
    /// Pads the project to a size.
    ballast: String,
    adopted: Mutex<Vec<Snapshot>>,
}

impl Shows for Stage {
    fn active(&self) -> ProjectId {
        ProjectId::default_project()
    }

    fn known(&self) -> Vec<ProjectId> {
        vec![self.active()]
    }

    fn snapshot<'a>(&'a self, _: &'a ProjectId) -> BoxFuture<'a, Result<Document, NotTaken>> {
        let document = json!({
            "project": {"id": "default", "name": "Stage"}, "scenes": [], "show": {"ballast": self.ballast},
            "universes": {"0": {"1": 7}}, "timestamp": 5, "version": "1.2"
        });
        let document = Document { project: self.active(), bytes: document.to_string().into_bytes(), edition: 0 };
        Box::pin(async { Ok(document) })
    }

    fn adopt<'a>(&'a self, _: &'a ProjectId, snapshot: Snapshot, _: u64) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async {
            self.adopted.lock().unwrap().push(snapshot);
            Ok(())
        })
    }

    fn backed_up<'a>(&'a self, _: &'a ProjectId, _: u64) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// The edge with a bucket.
struct Edge {
    stage: Arc<Stage>,
    backups: Backups,
    dir: tempfile::TempDir,
}

impl Edge {
    fn new(settings: config::Backup, ballast: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stage = Arc::new(Stage { ballast: "x".repeat(ballast), adopted: Mutex::default() });
        let deps = BackupDeps {
            settings,
            data_dir: dir.path().to_owned(),
            shows: stage.clone(),
            health: Health::default(),
            metrics: Metrics::new().unwrap().backup,
        };
        Self { stage, backups: backup::start(deps).unwrap(), dir }
    }

    async fn create(&self, label: &str) -> Result<Version, BackupError> {
        self.backups.handle.create(&project(), Some(label.parse().unwrap())).await
    }

    async fn restore(&self, version: &VersionId) -> Result<(), BackupError> {
        self.backups.handle.restore(&project(), None, version, false).await
    }

    async fn list(&self) -> Vec<Version> {
        self.backups.handle.list(&project()).await.unwrap()
    }

    fn adopted(&self) -> usize {
        self.stage.adopted.lock().unwrap().len()
    }
}

fn project() -> ProjectId {
    ProjectId::default_project()
}

/// With keys that nobody checks.
fn settings(endpoint: impl std::fmt::Display) -> config::Backup {
    config::Backup {
        enabled: true,
        provider: config::BackupProvider::S3,
        s3_endpoint: format!("http://{endpoint}"),
        s3_bucket: BUCKET.into(),
        s3_prefix: "stage/světla".into(),
        s3_access_key: Some(Secret::new("access-geheim")),
        s3_secret_key: Some(Secret::new("secret-geheim")),
        ..config::Backup::default()
    }
}

#[tokio::test]
async fn a_backup_in_a_bucket_is_made_listed_restored_and_deleted_with_keys_that_are_checked() {
    let moto = Moto::start().await;
    let (access, secret) = moto.demand_keys().await;
    let keys = config::Backup {
        encryption_key: Some(Secret::new("passphrase:correct horse")),
        s3_access_key: Some(Secret::new(access)),
        s3_secret_key: Some(Secret::new(secret)),
        s3_prefix: "stage".into(),
        ..settings(moto.address)
    };
    let edge = Edge::new(keys, 0);
    let made = edge.create("před premiérou (100%)").await.unwrap();
    edge.restore(&made.version_id).await.unwrap();
    moto.take_any_keys().await; // moto checks signatures of listings wrongly (boto3 fails there too)
    let listed = edge.list().await;
    assert!(listed.contains(&made), "{listed:?}");
    assert!(made.encrypted && made.label.as_deref() == Some("před premiérou (100%)"));
    assert_eq!(edge.adopted(), 1);
    assert_eq!(listed.len(), 2, "the state that was replaced is kept in the local folder");
    assert!(edge.dir.path().join("backups/default/index.json").exists());
    edge.backups.handle.delete(&project(), &made.version_id).await.unwrap();
    assert_eq!(edge.restore(&made.version_id).await.unwrap_err().kind, BackupErrorKind::NotFound);
}

#[tokio::test]
async fn wrong_keys_a_missing_bucket_and_a_dead_endpoint_say_what_to_do_and_show_no_secret() {
    let moto = Moto::start().await;
    let (access, _) = moto.demand_keys().await;
    let wrong_secret = config::Backup { s3_access_key: Some(Secret::new(access)), ..settings(moto.address) };
    let unknown_key = settings(moto.address);
    let fresh = Moto::start().await;
    let no_bucket = config::Backup { s3_bucket: "nowhere".into(), ..settings(fresh.address) };
    let proxy = FaultProxy::start(fresh.address).await; // moto itself has no answer to a request without keys
    proxy.set(Weather::Answer(403));
    let no_keys = config::Backup { s3_access_key: None, s3_secret_key: None, ..settings(proxy.address) };
    let dead = settings("127.0.0.1:1");
    let no_tls = config::Backup { s3_endpoint: format!("https://{}", fresh.address), ..settings(fresh.address) };
    for (settings, kind, words) in [
        (wrong_secret, BackupErrorKind::Refused, "backup.s3_secret_key"),
        (unknown_key, BackupErrorKind::Refused, "backup.s3_access_key"),
        (no_bucket, BackupErrorKind::Refused, "backup.s3_bucket"),
        (no_keys, BackupErrorKind::Refused, "set backup.s3_access_key"),
        (dead, BackupErrorKind::Unreachable, "refused"),
        (no_tls, BackupErrorKind::Unreachable, "backup.s3_endpoint"),
    ] {
        let edge = Edge::new(settings, 0);
        let fault = edge.create("x").await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(words) && !fault.message.contains("geheim"), "{fault}");
        let status = edge.backups.handle.status(&project()).unwrap();
        assert_eq!((status.last_backup_at, status.last_error), (None, Some(fault.message)));
    }
}

const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n\n<!DOCTYPE html><html>\
                    <title>Welcome to the hotel</title></html>";

/// Every job that talks to a bucket: its message about whatever answers there.
async fn told(edge: &Edge) -> Vec<BackupError> {
    let version = "01J".parse().unwrap();
    let handle = &edge.backups.handle;
    vec![
        edge.create("x").await.unwrap_err(),
        edge.restore(&version).await.unwrap_err(),
        handle.list(&project()).await.unwrap_err(),
        handle.download(&project(), &version).await.unwrap_err(),
        handle.verify(&project(), &version).await.unwrap_err(),
        handle.delete(&project(), &version).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn nobody_is_followed_elsewhere_and_a_login_page_is_called_one() {
    let target = Impostor::start(PAGE, "").await;
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let to = format!("http://{}/login?from=stage", target.address);
        let moved = Impostor::start(
            format!("HTTP/1.1 {status}\r\nlocation: {to}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
            "",
        );
        let moved = moved.await;
        let token = Some(Secret::new("token-geheim"));
        let edge = Edge::new(config::Backup { s3_session_token: token, ..settings(moved.address) }, 0);
        for fault in told(&edge).await {
            let to = format!("sends us on to http://{} (status {}", target.address, &status[..3]);
            assert!(fault.kind == BackupErrorKind::Refused && fault.message.contains(&to), "{fault}");
            assert!(!fault.message.contains("geheim") && !fault.message.contains("login?"), "{fault}");
        }
        assert!(!moved.requests().is_empty());
    }
    assert_eq!(target.requests(), Vec::<String>::new(), "neither the show nor the token went on");

    let edge = Edge::new(settings(target.address), 0);
    for fault in told(&edge).await {
        assert!(
            fault.kind == BackupErrorKind::Refused && fault.message.contains("a web page answers there"),
            "{fault}"
        );
        assert!(fault.message.contains("login page") && !fault.message.contains("hotel"), "{fault}");
    }
    assert_eq!(edge.adopted(), 0);
}

#[tokio::test]
async fn an_answer_without_end_has_one() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\nconnection: close\r\n\r\n";
    const LIST: &str = "<ListBucketResult><Name>stage</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>";
    const OBJECT: &str = "<Contents><Key>stage/x</Key><LastModified>2024-02-29T23:59:59Z</LastModified><ETag>1</ETag>\
                          <Size>1</Size></Contents>";
    // A page that never ends, pages that never end, and an error that never ends.
    let page = Impostor::start(format!("{HEAD}{LIST}<IsTruncated>false</IsTruncated>"), OBJECT.repeat(200)).await;
    let again = "<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>";
    let pages = Impostor::start(format!("{HEAD}{LIST}{again}{}</ListBucketResult>", OBJECT.repeat(500)), "").await;
    let word =
        Impostor::start("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n<Error>", "<Why>x</Why>".repeat(1000))
            .await;
    for (impostor, words) in
        [(&page, "a page of its listing is larger"), (&pages, "does not end after"), (&word, "(status 400)")]
    {
        let edge = Edge::new(settings(impostor.address), 0);
        let fault = edge.backups.handle.list(&project()).await.unwrap_err();
        assert!(fault.kind == BackupErrorKind::Refused && fault.message.contains(words), "{fault}");
    }
    // A backup that never ends.
    let object = Impostor::start("HTTP/1.1 200 OK\r\netag: 1\r\nconnection: close\r\n\r\n{", " ".repeat(1 << 20)).await;
    let edge = Edge::new(settings(object.address), 0);
    let fault = edge.backups.handle.download(&project(), &"01J".parse().unwrap()).await.unwrap_err();
    assert!(fault.kind == BackupErrorKind::Unreadable && fault.message.contains("too large"), "{fault}");
}

#[tokio::test]
async fn the_order_of_making_stands_in_the_metadata_and_what_the_clock_told_decides_nothing() {
    let moto = Moto::start().await;
    let folder = format!("/{BUCKET}/stage/default");
    let home = || Edge::new(config::Backup { keep_last: 3, s3_prefix: "stage".into(), ..settings(moto.address) }, 0);
    let edge = home();
    let labels = async |edge: &Edge| edge.list().await.into_iter().filter_map(|v| v.label).collect::<Vec<_>>();
    for (label, told) in [("ahead", "4102444800000"), ("right", "1790000000000"), ("behind", "5")] {
        let object = format!("{folder}/{}.bin", edge.create(label).await.unwrap().version_id);
        let head = moto.head(&object).await;
        let [sha256, order] = ["sha256", "order"].map(|name| head[format!("x-amz-meta-{name}")].to_str().unwrap());
        let metadata = [("createdat", told), ("label", label), ("sha256", sha256), ("order", order)];
        moto.put(&object, moto.get(&object).await.text.into_bytes(), &metadata).await;
    }
    let edge = home(); // which has not listed anything yet
    assert_eq!(labels(&edge).await, ["behind", "right", "ahead"]);
    edge.create("next").await.unwrap();
    assert_eq!(labels(&edge).await, ["next", "behind", "right"]);
}

#[tokio::test]
async fn what_passes_by_itself_is_waited_for_and_what_does_not_is_told() {
    let moto = Moto::start().await;
    let proxy = FaultProxy::start(moto.address).await;
    let edge = Edge::new(settings(proxy.address), 50_000);
    let made = edge.create("x").await.unwrap();
    for weather in [Weather::Answer(500), Weather::Answer(503), Weather::CutRequest(20_000), Weather::CutAnswer(40)] {
        proxy.set_for(weather, 2);
        edge.create("again").await.unwrap_or_else(|fault| panic!("{weather:?}: {fault}"));
        proxy.set_for(weather, 2);
        edge.restore(&made.version_id).await.unwrap_or_else(|fault| panic!("{weather:?}: {fault}"));
    }
    // cut in the middle of the bytes, not of the head
    proxy.set_for(Weather::CutAnswer(30_000), 2);
    edge.restore(&made.version_id).await.unwrap();
    let (keys, adopted) = (moto.keys().await.len(), edge.adopted());

    let before = proxy.connections();
    proxy.set(Weather::Answer(500));
    assert_eq!(edge.create("x").await.unwrap_err().kind, BackupErrorKind::Unreachable);
    assert_eq!(edge.restore(&made.version_id).await.unwrap_err().kind, BackupErrorKind::Unreachable);
    proxy.set(Weather::Answer(403));
    assert_eq!(edge.restore(&made.version_id).await.unwrap_err().kind, BackupErrorKind::Refused);
    proxy.set(Weather::CutAnswer(30_000));
    assert_eq!(edge.restore(&made.version_id).await.unwrap_err().kind, BackupErrorKind::Unreachable);
    assert!(proxy.connections() > before);
    proxy.set(Weather::Pass);
    assert_eq!((moto.keys().await.len(), edge.adopted()), (keys, adopted), "nothing was made or changed");
    edge.create("x").await.unwrap();
}

#[tokio::test]
async fn a_silent_network_holds_up_neither_other_questions_nor_the_stop() {
    let moto = Moto::start().await;
    let proxy = FaultProxy::start(moto.address).await;
    proxy.set(Weather::Silent);
    let Edge { backups, .. } = Edge::new(settings(proxy.address), 0);
    let handle = backups.handle.clone();
    let made = tokio::spawn(async move { handle.create(&project(), None).await });
    let uploads = async || {
        let status = backups.handle.status(&project()).unwrap();
        (serde_json::to_value(status).unwrap()["phase"] == "upload").then_some(())
    };
    eventually("the upload", uploads).await;
    assert_eq!(backups.handle.create(&project(), None).await.unwrap_err().kind, BackupErrorKind::Busy);
    assert_eq!(backups.close().await, ["backups"]);
    made.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn five_megabytes_come_through_a_slow_network() {
    let moto = Moto::start().await;
    let proxy = FaultProxy::start(moto.address).await;
    let edge = Edge::new(settings(proxy.address), 5_000_000);
    proxy.set(Weather::Slow(16 * 1024));
    let made = edge.create("x").await.unwrap();
    assert!(made.size > 5_000_000);
    edge.restore(&made.version_id).await.unwrap();
}

#[tokio::test]
async fn a_predecessors_objects_are_listed_and_restored_and_a_damaged_one_of_ours_is_refused() {
    let moto = Moto::start().await;
    let edge = Edge::new(settings(moto.address), 0);
    let bare = br#"{"project":null,"state":{"r":1,"g":2,"b":3},"version":"1.2"}"#.to_vec();
    let folder = format!("/{BUCKET}/stage/sv%C4%9Btla/default");
    moto.put(&format!("{folder}/old1.bin"), bare.clone(), &[("createdat", "5"), ("label", "100%")]).await;
    moto.put(&format!("{folder}/old2.bin"), bare, &[]).await;
    moto.put(&format!("{folder}/.hidden.bin"), b"x".to_vec(), &[]).await;
    moto.put(&format!("{folder}/deeper/old3.bin"), b"x".to_vec(), &[]).await;
    let listed: Vec<_> = edge.list().await.into_iter().map(|v| (v.version_id.to_string(), v.label)).collect();
    assert_eq!(listed, [("old2".into(), None), ("old1".into(), Some("100%".into()))]);
    edge.restore(&"old1".parse().unwrap()).await.unwrap();

    let made = edge.create("x").await.unwrap();
    let object = format!("{folder}/{}.bin", made.version_id);
    let sha256 = moto.head(&object).await["x-amz-meta-sha256"].to_str().unwrap().to_owned();
    let text = moto.get(&object).await.text.replace("Stage", "stage");
    moto.put(&object, text.into_bytes(), &[("sha256", &sha256)]).await;
    assert_eq!(edge.restore(&made.version_id).await.unwrap_err().kind, BackupErrorKind::Unreadable);
    assert_eq!(edge.adopted(), 1);
}
