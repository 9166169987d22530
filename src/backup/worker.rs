//! The backups' task: one order at a time, automatic backups when they are due, and a watch on the age of the last good
//! one. Only it knows what was backed up last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::BackupDeps;
use super::error::BackupError;
use super::handle::{Handle, Opened, Order, Task};
use super::retention::Rules;
use super::schedule::Schedule;
use super::status::{Board, JobKind, Phase};
use super::vaults::Vaults;
use super::work::{VerifiedBackup, Work, in_time};
use crate::dmx::{ProjectId, VersionId};
use crate::kit::deadline::until;
use crate::kit::stop::Stop;

/// How often the medium of local backups is checked: somebody plugs a stick in and looks whether that helped.
const LOOK: Duration = Duration::from_secs(10);

/// The content of the last good backup of a project.
struct Last {
    version: VersionId,
    fingerprint: [u8; 32],
}

/// Least time between two versions saved before imports: the five must not be used up in one evening.
const SAFE: Duration = Duration::from_secs(60);

/// The task's state.
pub(super) struct Worker {
    work: Arc<Work>,
    orders: mpsc::Receiver<Order>,
    schedule: Option<Schedule>,
    last: HashMap<ProjectId, Last>,
    /// When a project was last saved before an import.
    kept_safe: HashMap<ProjectId, Instant>,
    /// If off, nobody is told of the medium: there are no backups on it.
    on: bool,
}

impl Worker {
    pub(super) fn new(deps: BackupDeps) -> Result<(Handle, Self), BackupError> {
        let BackupDeps { settings, data_dir, shows, health, metrics } = deps;
        let work = Arc::new(Work {
            shows,
            board: Board::new(health, metrics),
            vaults: Vaults::new(&settings, &data_dir)?,
            rules: Rules::new(&settings),
        });
        let schedule = Schedule::new(settings.auto_interval_minutes, Instant::now());
        // room for one: the holder of the turn sends one order
        let (orders, line) = mpsc::channel(1);
        let turn = Arc::new(Semaphore::new(1));
        let handle = Handle::new(settings.enabled, Arc::clone(&work), orders, turn);
        Ok((
            handle,
            Self {
                work,
                orders: line,
                schedule,
                last: HashMap::new(),
                kept_safe: HashMap::new(),
                on: settings.enabled,
            },
        ))
    }

    /// Works until the stop, and then finishes the present job.
    pub(super) async fn run(mut self, mut stop: Stop) {
        let mut watching = true;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let named = self.on && self.work.vaults.folder.is_named();
        loop {
            let (due, old) = match &self.schedule {
                Some(schedule) => (Some(schedule.next()), Some(schedule.old_at()).filter(|_| watching)),
                None => (None, None),
            };
            tokio::select! {
                biased; // the first look at the medium comes before the first backup
                () = stop.requested() => return,
                _ = looks.tick(), if named => self.look().await,
                order = self.orders.recv() => match order {
                    Some(order) => {
                        self.obey(order).await;
                        watching = true;
                    }
                    None => return,
                },
                () = until(due) => {
                    let late = self.automatic().await;
                    if let Some(order) = late {
                        self.obey(order).await; // people need not wait for the schedule
                    }
                    watching = true;
                }
                () = until(old) => {
                    self.complain();
                    watching = false;
                }
            }
        }
    }

    /// Checks the medium, which may have been plugged in or out.
    async fn look(&self) {
        match self.work.vaults.folder.look().await {
            Ok(look) => self.work.board.medium(look),
            Err(error) => tracing::debug!(%error, "backup_medium"), // a backup will report it
        }
    }

    async fn obey(&mut self, order: Order) {
        let Order { task, turn } = order;
        match task {
            Task::Create(project, label, answer) => {
                let outcome = in_time(self.work.create(&project, label)).await;
                self.note(&project, JobKind::Creating, &outcome);
                drop(turn);
                let _ = answer.send(outcome.map(|made| made.version)); // Err: nobody waits for it any more
            }
            Task::Restore(project, source, answer) => {
                let outcome = self.work.restore(&project, source).await;
                outcome.as_ref().inspect_err(|fault| self.work.board.failed(&project, JobKind::Restoring, fault)).ok();
                drop(turn);
                let _ = answer.send(outcome);
            }
            Task::LookInto(project, source, answer) => {
                let outcome = in_time(self.work.look_into(&project, source)).await;
                let _ = answer.send(outcome.map(|(snapshot, left_out)| Opened { snapshot, left_out, _turn: turn }));
            }
            Task::KeepSafe(project, why, answer) => {
                let now = Instant::now();
                self.kept_safe.retain(|_, at| now.duration_since(*at) < SAFE);
                let outcome = match self.kept_safe.contains_key(&project) {
                    true => Ok(()),
                    false => in_time(self.work.keep_active_safe(&project, &why)).await,
                };
                match &outcome {
                    Ok(()) => drop(self.kept_safe.entry(project).or_insert(now)),
                    Err(fault) => self.work.board.failed(&project, JobKind::KeepingSafe, fault),
                }
                drop(turn);
                let _ = answer.send(outcome);
            }
            Task::Delete(project, version, answer) => {
                let outcome = in_time(self.work.delete(&project, &version)).await;
                outcome.as_ref().inspect_err(|fault| self.work.board.failed(&project, JobKind::Deleting, fault)).ok();
                drop(turn);
                let _ = answer.send(outcome);
            }
        }
    }

    /// Automatic backups of every project that has changed. An order interrupts them, and is handed back.
    async fn automatic(&mut self) -> Option<Order> {
        let known = self.work.shows.known();
        self.work.board.keep_only(&known);
        for project in known {
            let made = tokio::select! {
                biased;
                order = self.orders.recv() => {
                    if let Some(schedule) = &mut self.schedule {
                        schedule.later(Instant::now());
                    }
                    return order;
                }
                made = in_time(made_unless_unchanged(&self.work, &mut self.last, &project)) => made,
            };
            match made {
                Ok(Some(made)) => self.note(&project, JobKind::Creating, &Ok(made)),
                Ok(None) => self.work.board.unchanged(&project),
                Err(fault) => {
                    self.note(&project, JobKind::Creating, &Err(fault));
                    if let Some(schedule) = self.schedule.as_mut().filter(|schedule| schedule.next() <= Instant::now())
                    {
                        schedule.failed(Instant::now());
                    }
                    return None; // the next attempt checks the others too
                }
            }
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.good(Instant::now());
        }
        None
    }

    /// Records the outcome of a backup.
    fn note(&mut self, project: &ProjectId, doing: JobKind, outcome: &Result<VerifiedBackup, BackupError>) {
        let now = Instant::now();
        match outcome {
            Ok(made) => {
                if let Some(fingerprint) = made.fingerprint {
                    let version = made.version.version_id.clone();
                    self.last.insert(project.clone(), Last { version, fingerprint });
                }
            }
            Err(fault) => {
                self.work.board.failed(project, doing, fault);
                // a wrong request has tried nothing
                if let Some(schedule) = self.schedule.as_mut().filter(|_| !fault.kind.is_the_askers()) {
                    schedule.failed(now);
                }
            }
        }
    }

    fn complain(&self) {
        if let Some(schedule) = &self.schedule {
            let (age, every) = schedule.age(Instant::now());
            self.work.board.old(&self.work.shows.active(), age, every);
        }
    }
}

/// `None`: the last good backup has exactly this content, and still exists.
async fn made_unless_unchanged(
    work: &Work,
    last: &mut HashMap<ProjectId, Last>,
    project: &ProjectId,
) -> Result<Option<VerifiedBackup>, BackupError> {
    let job = work.board.begin(project);
    job.phase(Phase::Snapshot, 0);
    let document = work.snapshot(project).await?;
    let (bytes, document) = spawn_blocking(move || (super::bundle::fingerprint(&document.bytes), document)).await?;
    if !last.contains_key(project)
        && let Some((version, fingerprint)) = work.newest(project).await
    {
        last.insert(project.clone(), Last { version, fingerprint });
    }
    if let Some(last) = last.get(project).filter(|last| Some(last.fingerprint) == bytes)
        && work.vaults.main.has(project, &last.version).await?
    {
        return Ok(None);
    }
    work.create_of(&job, document, None).await.map(Some)
}
