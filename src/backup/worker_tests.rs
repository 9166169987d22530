//! The edge as a whole, with a stage in the place of the house: every way to make, keep, find and restore a backup.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::container::tests::FERNET_KEY;
use super::local::Local;
use super::medium::Medium;
use super::retention::Rules;
use super::seal::Keys;
use super::status::Board;
use super::vault::{Progress, StoredVersion, Vault};
use super::vaults::Vaults;
use super::version::Provider;
use super::work::{Source, Work, in_time};
use super::{BackupDeps, BackupError, BackupErrorKind, Backups, Handle, NotTaken, Shows, Version, start};
use crate::config;
use crate::dmx::{ProjectId, UniverseId, VersionId};
use crate::kit::health::Health;
use crate::kit::secret::Secret;
use crate::library::Document;
use crate::metrics::Metrics;
use crate::wire::Snapshot;

/// A house with two projects.
struct Stage {
    active: Mutex<ProjectId>,
    level: Mutex<u8>,
    adopted: Mutex<Vec<Snapshot>>,
    backed_up: Mutex<Vec<u64>>,
    edition: Mutex<u64>,
    /// Edits that come right before what is adopted next.
    edits: Mutex<u32>,
    /// Whoever takes a snapshot waits for this.
    gate: Semaphore,
}

impl Stage {
    fn document(&self, project: &ProjectId) -> Value {
        json!({
            "project": {"id": project, "name": "Stage", "lastBackupAt": self.backed_up.lock().last()},
            "state": {"r": 0, "g": 0, "b": 0, "seq": 1}, "scenes": [], "show": {},
            "universes": {"0": {"1": *self.level.lock()}}, "timestamp": 5, "version": "1.2"
        })
    }

    fn set_level(&self, level: u8) {
        *self.level.lock() = level;
    }

    fn levels_adopted(&self) -> Vec<u8> {
        let adopted = self.adopted.lock();
        adopted.iter().map(|snapshot| snapshot.levels[&UniverseId::LAMP].rgb().r).collect()
    }
}

impl Shows for Stage {
    fn active(&self) -> ProjectId {
        self.active.lock().clone()
    }

    fn known(&self) -> Vec<ProjectId> {
        vec![id("default"), id("other")]
    }

    fn snapshot<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Document, NotTaken>> {
        Box::pin(async {
            let _open: SemaphorePermit<'_> = self.gate.acquire().await.unwrap();
            let bytes = self.document(project).to_string().into_bytes();
            Ok(Document { bytes, project: project.clone(), edition: *self.edition.lock() })
        })
    }

    fn adopt<'a>(
        &'a self,
        project: &'a ProjectId,
        snapshot: Snapshot,
        edition: u64,
    ) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            if *project != self.active() {
                return Err(NotTaken::NotActive);
            }
            let mut edits = self.edits.lock();
            if *edits > 0 {
                *edits -= 1;
                *self.edition.lock() += 1;
            }
            if edition != *self.edition.lock() {
                return Err(NotTaken::Changed);
            }
            self.adopted.lock().push(snapshot);
            Ok(())
        })
    }

    fn backed_up<'a>(&'a self, _: &'a ProjectId, at_ms: u64) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.backed_up.lock().push(at_ms) })
    }
}

/// The edge in a folder of its own.
struct Edge {
    stage: Arc<Stage>,
    backups: Backups,
    health: Health,
    metrics: Metrics,
    dir: tempfile::TempDir,
}

impl Edge {
    fn new(settings: config::Backup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stage = Arc::new(Stage {
            active: Mutex::new(id("default")),
            level: Mutex::new(1),
            adopted: Mutex::default(),
            backed_up: Mutex::default(),
            edition: Mutex::default(),
            edits: Mutex::default(),
            gate: Semaphore::new(1),
        });
        let (health, metrics) = (Health::default(), Metrics::new().unwrap());
        let deps = BackupDeps {
            settings: config::Backup { enabled: true, ..settings },
            data_dir: dir.path().to_owned(),
            shows: stage.clone(),
            health: health.clone(),
            metrics: metrics.backup.clone(),
        };
        Self { stage, backups: start(deps).unwrap(), health, metrics, dir }
    }

    fn plain() -> Self {
        Self::new(config::Backup::default())
    }

    fn handle(&self) -> &Handle {
        &self.backups.handle
    }

    fn folder(&self, project: &str) -> PathBuf {
        self.dir.path().join("backups").join(project)
    }

    async fn create(&self) -> Version {
        self.handle().create(&id("default"), None).await.unwrap()
    }

    async fn restore(&self, version: &VersionId) -> Result<(), BackupError> {
        self.handle().restore(&id("default"), None, version, false).await
    }

    async fn list(&self) -> Vec<Version> {
        self.handle().list(&id("default")).await.unwrap()
    }

    /// Brings backups that were made elsewhere.
    fn bring(&self, from: &Path) {
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            fs::create_dir_all(self.folder("default")).unwrap();
            fs::copy(entry.path(), self.folder("default").join(entry.file_name())).unwrap();
        }
    }
}

fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn kind<T>(outcome: Result<T, BackupError>) -> BackupErrorKind {
    outcome.map(drop).unwrap_err().kind
}

#[tokio::test]
async fn a_backup_is_made_listed_and_restored_and_what_it_replaces_is_kept() {
    let edge = Edge::new(config::Backup { encryption_key: Some(Secret::new(FERNET_KEY)), ..config::Backup::default() });
    let label = "před premiérou".parse().unwrap();
    let made = edge.handle().create(&id("default"), Some(label)).await.unwrap();
    assert!(made.encrypted && made.label.as_deref() == Some("před premiérou"));
    assert_eq!(*edge.stage.backed_up.lock(), [made.created_at]);
    assert_eq!(edge.list().await, std::slice::from_ref(&made));
    let stored = edge.handle().download(&id("default"), &made.version_id).await.unwrap();
    assert!(stored.starts_with(b"gAAAAA") && stored.len() as u64 == made.size);

    edge.stage.set_level(9);
    edge.restore(&made.version_id).await.unwrap();
    assert_eq!(edge.stage.levels_adopted(), [1]);
    let all = edge.list().await;
    let safety = all.iter().find(|version| version.safety).unwrap();
    assert_eq!(safety.label, Some(format!("before restore of {}", made.version_id)));
    edge.restore(&safety.version_id).await.unwrap();
    assert_eq!(edge.stage.levels_adopted(), [1, 9]);
    assert_eq!(edge.stage.backed_up.lock().len(), 1, "a safety snapshot is no backup");

    let status = edge.handle().status(&id("default")).unwrap();
    assert_eq!((status.running, status.last_backup_at, status.last_error), (false, Some(made.created_at), None));
    edge.handle().delete(&id("default"), &made.version_id).await.unwrap();
    assert_eq!(kind(edge.restore(&made.version_id).await), BackupErrorKind::NotFound);
    assert_eq!(kind(edge.handle().delete(&id("default"), &made.version_id).await), BackupErrorKind::NotFound);
}

#[tokio::test]
async fn a_version_with_a_changed_byte_or_a_cut_is_refused_and_nothing_is_changed() {
    for key in [None, Some(Secret::new(FERNET_KEY))] {
        let edge = Edge::new(config::Backup { encryption_key: key, ..config::Backup::default() });
        let made = edge.create().await;
        let file = edge.folder("default").join(format!("{}.bin", made.version_id));
        let good = fs::read(&file).unwrap();
        let changed = (0..good.len()).map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        });
        for bytes in changed.chain((0..good.len()).map(|length| good[..length].to_vec())) {
            fs::write(&file, &bytes).unwrap();
            assert_eq!(kind(edge.restore(&made.version_id).await), BackupErrorKind::Unreadable);
        }
        assert!(edge.stage.levels_adopted().is_empty());
        assert_eq!(edge.list().await.len(), 1, "nothing was replaced, so nothing was kept");
        fs::write(&file, &good).unwrap();
        edge.restore(&made.version_id).await.unwrap();
    }
}

#[tokio::test]
async fn backups_of_a_predecessor_are_listed_and_restored() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/predecessor");
    let keys: Value = serde_json::from_slice(&fs::read(fixtures.join("keys.json")).unwrap()).unwrap();
    let secret = |name: &str| Secret::new(keys[name].as_str().unwrap());
    let settings =
        config::Backup { encryption_key: Some(secret("key")), old_keys: vec![secret("oldKey")], ..Default::default() };
    let edge = Edge::new(settings);
    edge.bring(&fixtures.join("backups/default"));
    let all = edge.list().await;
    let told: Vec<_> = all.iter().map(|v| (v.label.as_deref(), v.encrypted, v.size > 100)).collect();
    assert_eq!(told, [(Some("old key"), true, true), (None, true, true), (Some("před premiérou"), false, true)]);
    for version in &all {
        edge.handle().verify(&id("default"), &version.version_id).await.unwrap();
        edge.restore(&version.version_id).await.unwrap();
    }
    assert_eq!(edge.stage.levels_adopted(), [12, 11, 10]);
    assert_eq!(edge.stage.adopted.lock()[1].scenes.len(), 1);

    // Another key opens the plain one only, and the three are still listed beside a new one.
    let edge = Edge::new(config::Backup { encryption_key: Some(Secret::new(FERNET_KEY)), ..Default::default() });
    edge.bring(&fixtures.join("backups/default"));
    let opened = [BackupErrorKind::Unreadable, BackupErrorKind::Unreadable];
    let found = [edge.restore(&all[0].version_id).await, edge.restore(&all[1].version_id).await].map(kind);
    assert_eq!(found, opened);
    edge.restore(&all[2].version_id).await.unwrap();
    edge.create().await;
    assert_eq!(edge.list().await.len(), 5);
    let index = fs::read_to_string(edge.folder("default").join("index.json")).unwrap();
    assert!(index.contains(r#""size": null"#), "a predecessor's record stays as it is: {index}");
}

#[tokio::test]
async fn a_version_of_another_projects_folder_needs_force_and_ones_own_does_not_whatever_it_says() {
    let edge = Edge::plain();
    *edge.stage.active.lock() = id("other");
    let made = edge.handle().create(&id("other"), None).await.unwrap();
    *edge.stage.active.lock() = id("default");
    let fault = edge.restore(&made.version_id).await.unwrap_err();
    assert_eq!(fault.kind, BackupErrorKind::Foreign);
    assert!(fault.message.contains("of project other"), "{fault}");
    assert!(edge.stage.levels_adopted().is_empty());
    edge.handle().restore(&id("default"), None, &made.version_id, true).await.unwrap();

    fs::rename(edge.folder("other").join("index.json"), edge.folder("default").join("index.json")).unwrap();
    let name = format!("{}.bin", made.version_id);
    fs::rename(edge.folder("other").join(&name), edge.folder("default").join(&name)).unwrap();
    edge.restore(&made.version_id).await.unwrap();
    assert_eq!(edge.stage.levels_adopted(), [1, 1]);
}

#[tokio::test]
async fn only_the_active_project_is_backed_up_and_restored_and_one_at_a_time() {
    let edge = Edge::plain();
    assert_eq!(kind(edge.handle().create(&id("other"), None).await), BackupErrorKind::NotActive);
    assert_eq!(kind(edge.handle().create(&id("nobodys"), None).await), BackupErrorKind::NotFound);
    assert_eq!(kind(edge.restore(&id("none")).await), BackupErrorKind::NotFound);

    let closed = edge.stage.gate.acquire().await.unwrap();
    let handle = edge.handle().clone();
    let first = tokio::spawn(async move { handle.create(&id("default"), None).await });
    while !edge.handle().status(&id("default")).unwrap().running {
        tokio::task::yield_now().await;
    }
    assert_eq!(kind(edge.handle().create(&id("default"), None).await), BackupErrorKind::Busy);
    assert_eq!(kind(edge.restore(&id("none")).await), BackupErrorKind::Busy);
    drop(closed);
    first.await.unwrap().unwrap();
    edge.create().await;
}

#[tokio::test]
async fn the_newest_five_safety_snapshots_are_kept() {
    let edge = Edge::plain();
    let made = edge.create().await;
    for _ in 0..8 {
        edge.restore(&made.version_id).await.unwrap();
    }
    let all = edge.list().await;
    assert_eq!((all.len(), all.iter().filter(|version| version.safety).count()), (6, 5));
}

#[tokio::test]
async fn old_backups_go_as_the_settings_say_and_safety_snapshots_stay() {
    let edge = Edge::new(config::Backup { keep_last: 2, ..config::Backup::default() });
    let first = edge.create().await;
    edge.restore(&first.version_id).await.unwrap();
    let mut last = first;
    for level in 2..5 {
        edge.stage.set_level(level);
        last = edge.create().await;
    }
    let all = edge.list().await;
    assert_eq!((all.len(), all.iter().filter(|version| version.safety).count()), (3, 1));
    assert!(all.contains(&last));
}

#[tokio::test]
async fn while_backups_are_off_everything_is_answered_so() {
    let edge = Edge::plain();
    let deps = BackupDeps {
        settings: config::Backup::default(),
        data_dir: edge.dir.path().to_owned(),
        shows: edge.stage.clone(),
        health: edge.health.clone(),
        metrics: edge.metrics.backup.clone(),
    };
    let off = start(deps).unwrap();
    assert_eq!(kind(off.handle.create(&id("default"), None).await), BackupErrorKind::Off);
    assert_eq!(kind(off.handle.list(&id("default")).await), BackupErrorKind::Off);
    assert_eq!(kind(off.handle.status(&id("default"))), BackupErrorKind::Off);
    assert!(off.close().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn automatic_backups_are_made_when_something_changed_and_not_else() {
    let edge = Edge::new(config::Backup { auto_interval_minutes: 10, ..config::Backup::default() });
    let minutes = |n: u64| tokio::time::sleep(Duration::from_secs(n * 60));
    minutes(2).await;
    assert_eq!(edge.list().await.len(), 1);
    minutes(30).await;
    assert_eq!(edge.list().await.len(), 1);
    assert!(edge.metrics.backup.unchanged.get() >= 2);
    edge.stage.set_level(2);
    minutes(11).await;
    assert_eq!(edge.list().await.len(), 2);
    // The last good one has gone: that nothing changed is no longer enough.
    let newest = edge.list().await.remove(0);
    edge.handle().delete(&id("default"), &newest.version_id).await.unwrap();
    minutes(11).await;
    assert_eq!(edge.list().await.len(), 2);
    assert_eq!(edge.health.problems(), []);

    // A new run knows what the newest one holds.
    let Edge { stage, backups, health, metrics, dir } = edge;
    assert!(backups.close().await.is_empty());
    let deps = BackupDeps {
        settings: config::Backup { enabled: true, auto_interval_minutes: 10, ..config::Backup::default() },
        data_dir: dir.path().to_owned(),
        shows: stage.clone(),
        health,
        metrics: metrics.backup.clone(),
    };
    let again = start(deps).unwrap();
    minutes(5).await;
    assert_eq!(again.handle.list(&id("default")).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_last_good_backup_that_is_too_old_is_a_problem_until_one_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("not-a-folder");
    fs::write(&root, b"").unwrap();
    let settings = config::Backup { auto_interval_minutes: 10, local_path: Some(root.clone()), ..Default::default() };
    let edge = Edge::new(settings);
    let minutes = |n: u64| tokio::time::sleep(Duration::from_secs(n * 60));
    let codes = || edge.health.problems().into_iter().map(|problem| problem.code).collect::<Vec<_>>();
    assert_eq!(kind(edge.handle().create(&id("default"), None).await), BackupErrorKind::Refused);
    assert_eq!(codes(), ["BACKUP_FAILING", "BACKUP_ON_SAME_MEDIUM"], "at once");
    assert!(edge.health.problems()[0].message.contains("backup.local_path"));
    minutes(19).await;
    assert_eq!(codes(), ["BACKUP_FAILING", "BACKUP_ON_SAME_MEDIUM"]);
    minutes(2).await;
    assert_eq!(codes(), ["BACKUP_FAILING", "BACKUP_OLD", "BACKUP_ON_SAME_MEDIUM"]);
    let problems = edge.health.problems();
    assert!(problems.iter().all(|problem| problem.message.contains("backup.local_path")), "{problems:?}");
    assert!(problems.iter().all(|problem| !problem.message.contains(dir.path().to_str().unwrap())), "{problems:?}");
    assert!(edge.metrics.backup.failed.with_label_values(&["refused"]).get() > 2);
    fs::remove_file(&root).unwrap();
    minutes(11).await;
    assert_eq!(codes(), ["BACKUP_ON_SAME_MEDIUM"]);
    assert_eq!(edge.list().await.len(), 1);
}

/// A vault that never answers.
struct Deaf;

impl Vault for Deaf {
    fn provider(&self) -> Provider {
        Provider::S3
    }

    fn put<'a>(&'a self, _: &'a ProjectId, _: &'a Version, _: Bytes) -> BoxFuture<'a, Result<(), BackupError>> {
        Box::pin(std::future::pending())
    }

    fn get<'a>(
        &'a self,
        _: &'a ProjectId,
        _: &'a VersionId,
        _: Progress<'a>,
    ) -> BoxFuture<'a, Result<StoredVersion, BackupError>> {
        Box::pin(std::future::pending())
    }

    fn has<'a>(&'a self, _: &'a ProjectId, _: &'a VersionId) -> BoxFuture<'a, Result<bool, BackupError>> {
        Box::pin(std::future::pending())
    }

    fn list<'a>(&'a self, _: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, BackupError>> {
        Box::pin(std::future::pending())
    }

    fn delete<'a>(&'a self, _: &'a ProjectId, _: &'a VersionId) -> BoxFuture<'a, Result<(), BackupError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_has_an_end_whatever_the_vault_does() {
    let edge = Edge::plain();
    let medium = Medium::new(edge.dir.path().join("backups"), edge.dir.path().to_owned(), false);
    let work = Work {
        shows: edge.stage.clone(),
        board: Board::new(edge.health.clone(), edge.metrics.backup.clone()),
        vaults: Vaults {
            keys: Arc::new(Keys::new(&config::Backup::default()).unwrap()),
            main: Arc::new(Deaf),
            local: None,
            folder: Local::new(Arc::new(medium)),
        },
        rules: Rules::new(&config::Backup::default()),
    };
    let source = Source::Version { owner: None, id: id("v"), force: false };
    assert_eq!(kind(work.restore(&id("default"), source).await), BackupErrorKind::Unreachable);
    assert_eq!(kind(in_time(work.create(&id("default"), None)).await), BackupErrorKind::Unreachable);
    assert!(!work.board.status(&id("default")).running);
}

/// A vault whose medium changes what it is given.
struct Liar(Local);

impl Vault for Liar {
    fn provider(&self) -> Provider {
        Provider::Local
    }

    fn put<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a Version,
        _: Bytes,
    ) -> BoxFuture<'a, Result<(), BackupError>> {
        self.0.put(project, version, Bytes::from_static(b"{}"))
    }

    fn get<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a VersionId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<StoredVersion, BackupError>> {
        self.0.get(project, version, progress)
    }

    fn has<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<bool, BackupError>> {
        self.0.has(project, version)
    }

    fn list<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, BackupError>> {
        self.0.list(project)
    }

    fn delete<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<(), BackupError>> {
        self.0.delete(project, version)
    }
}

#[tokio::test]
async fn a_backup_that_is_not_read_back_as_it_was_does_not_count_and_goes() {
    let edge = Edge::plain();
    let medium = Medium::new(edge.dir.path().join("backups"), edge.dir.path().to_owned(), false);
    let folder = Local::new(Arc::new(medium));
    let work = Work {
        shows: edge.stage.clone(),
        board: Board::new(edge.health.clone(), edge.metrics.backup.clone()),
        vaults: Vaults {
            keys: Arc::new(Keys::new(&config::Backup::default()).unwrap()),
            main: Arc::new(Liar(folder.clone())),
            local: None,
            folder,
        },
        rules: Rules::new(&config::Backup::default()),
    };
    assert_eq!(work.create(&id("default"), None).await.map(drop).unwrap_err().kind, BackupErrorKind::Unreadable);
    assert!(edge.stage.backed_up.lock().is_empty());
    assert!(edge.list().await.is_empty());
    assert!(!work.board.status(&id("default")).running);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_listed_takes_backups_all_the_same() {
    let (far, settings) = super::s3::far_end::Bucket { no_listing: true, ..Default::default() }.start().await;
    let edge = Edge::new(settings);
    let made = edge.create().await;
    far.lock().no_listing = false;
    assert_eq!(edge.list().await, [Version { order: None, ..made }]);
}

/// A vault on a share that hangs.
struct Hung;

impl Vault for Hung {
    fn provider(&self) -> Provider {
        Provider::Local
    }

    fn put<'a>(&'a self, _: &'a ProjectId, _: &'a Version, _: Bytes) -> BoxFuture<'a, Result<(), BackupError>> {
        Box::pin(async { Err(hung()) })
    }

    fn get<'a>(
        &'a self,
        _: &'a ProjectId,
        _: &'a VersionId,
        _: Progress<'a>,
    ) -> BoxFuture<'a, Result<StoredVersion, BackupError>> {
        Box::pin(async { Err(hung()) })
    }

    fn has<'a>(&'a self, _: &'a ProjectId, _: &'a VersionId) -> BoxFuture<'a, Result<bool, BackupError>> {
        Box::pin(async { Err(hung()) })
    }

    fn list<'a>(&'a self, _: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, BackupError>> {
        Box::pin(async { Err(hung()) })
    }

    fn delete<'a>(&'a self, _: &'a ProjectId, _: &'a VersionId) -> BoxFuture<'a, Result<(), BackupError>> {
        Box::pin(async { Err(hung()) })
    }
}

fn hung() -> BackupError {
    BackupError::new(BackupErrorKind::Unreachable, "it hangs")
}

#[tokio::test]
async fn a_local_folder_that_hangs_hides_nothing_that_the_bucket_has() {
    let edge = Edge::plain();
    let made = edge.create().await;
    let root = edge.dir.path().join("backups");
    let folder = Local::new(Arc::new(Medium::new(root, edge.dir.path().to_owned(), false)));
    let vaults = Vaults {
        keys: Arc::new(Keys::new(&config::Backup::default()).unwrap()),
        main: Arc::new(folder.clone()),
        local: Some(Arc::new(Hung)),
        folder,
    };
    vaults.verify(&id("default"), &made.version_id).await.unwrap();
    assert!(!vaults.download(&id("default"), &made.version_id).await.unwrap().is_empty());
    let none = vaults.verify(&id("default"), &id("none")).await;
    assert_eq!(none, Err(hung()), "it may be there");
}

/// Only root may mount; elsewhere the folder of the whole disk stays untried.
#[tokio::test]
async fn on_a_full_disk_the_backup_fails_and_the_older_ones_stay() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mounted = |program: &str, args: &[&str]| {
        let status = std::process::Command::new(program).args(args).arg(dir.path()).status().unwrap();
        assert!(status.success(), "{program}");
    };
    mounted("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs"]);
    let edge = Edge::new(config::Backup { local_path: Some(dir.path().to_owned()), ..Default::default() });
    let made = edge.create().await;
    fs::write(dir.path().join("ballast"), vec![0; 1 << 20]).unwrap_err();
    let fault = edge.handle().create(&id("default"), None).await.unwrap_err();
    let restored = edge.restore(&made.version_id).await.unwrap_err();
    let all = edge.list().await;
    mounted("umount", &[]);
    assert_eq!((fault.kind, restored.kind), (BackupErrorKind::Full, BackupErrorKind::Full));
    assert!(fault.message.contains("free space"), "{fault}");
    assert!(restored.message.contains("nothing was restored"), "{restored}");
    assert_eq!(all, [made]);
    assert!(edge.stage.levels_adopted().is_empty());
}

#[tokio::test]
async fn what_is_edited_before_the_swap_is_kept_in_another_safety_copy() {
    let edge = Edge::plain();
    let made = edge.handle().create(&id("default"), None).await.unwrap();
    *edge.stage.edits.lock() = 2;
    edge.restore(&made.version_id).await.unwrap();
    let all = edge.handle().list(&id("default")).await.unwrap();
    let safe = all.iter().filter(|version| version.label.as_ref().is_some_and(|label| label.starts_with("before")));
    assert_eq!(safe.count(), 3, "one for each edition that was there");
    *edge.stage.edits.lock() = 3;
    assert_eq!(kind(edge.restore(&made.version_id).await), BackupErrorKind::NotNow);
    assert_eq!(edge.stage.levels_adopted().len(), 1);
}

#[tokio::test]
async fn a_version_of_a_project_that_is_not_here_any_more_is_restored_when_it_is_named() {
    let edge = Edge::plain();
    let made = edge.handle().create(&id("default"), None).await.unwrap();
    let root = edge.dir.path().join("backups");
    std::fs::rename(root.join("default"), root.join("gone")).unwrap();
    assert_eq!(edge.handle().list(&id("gone")).await.unwrap().len(), 1);
    assert_eq!(kind(edge.restore(&made.version_id).await), BackupErrorKind::NotFound);
    let owned = async |force| edge.handle().restore(&id("default"), Some(id("gone")), &made.version_id, force).await;
    assert_eq!(kind(owned(false).await), BackupErrorKind::Foreign);
    owned(true).await.unwrap();
}
