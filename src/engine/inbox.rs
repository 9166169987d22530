//! Where doors put commands: the queue between them and the engine's task.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::Outcome;
use super::queue::{Pushed, Queue, Queued};
use crate::dmx::{Command, FixtureId, Frame, Patch, ProjectId, Rig, SceneId, State, UniverseId};
use crate::metrics;
use crate::store::Batch;

/// A command on its way, and who waits for the outcome.
pub(super) struct Entry {
    pub(super) command: Command,
    /// Stored with it, in one batch.
    pub(super) batch: Option<Box<Batch>>,
    pub(super) arrived: Instant,
    /// A newer one has overtaken it: the engine only checks whether its id is known.
    pub(super) overtaken: bool,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl Queued for Entry {
    fn command(&self) -> &Command {
        &self.command
    }
}

/// The outcome to come. If the engine is gone, it is `Stopping`.
#[derive(Debug)]
pub struct Submission(oneshot::Receiver<Outcome>);

/// Reports the outcome of a command that waits its turn; dropped, it reports a stop.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Outcome>);

impl Reply {
    /// A newer command has taken all its channels.
    pub fn replaced(self) {
        let _ = self.0.send(Outcome::Replaced); // Err: the door no longer waits
    }
}

impl Submission {
    /// For a command that has to wait before it may be queued.
    #[must_use]
    pub fn waiting() -> (Reply, Self) {
        let (reply, outcome) = oneshot::channel();
        (Reply(reply), Self(outcome))
    }

    /// Waits for the outcome. Cancel-safe.
    pub async fn outcome(&mut self) -> Outcome {
        (&mut self.0).await.unwrap_or(Outcome::Stopping)
    }

    /// The outcome, if it is known already. Do not ask again after that.
    pub fn outcome_already(&mut self) -> Option<Outcome> {
        match self.0.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Outcome::Stopping),
        }
    }
}

struct Waiting {
    queue: Queue<Entry>,
    closed: bool,
    /// Since when the queue has not been empty.
    busy_since: Option<Instant>,
}

pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    /// Something waits, or the inbox was closed. One waiter: the engine's task.
    arrived: Notify,
    /// There is room again. Waiters: doors.
    room: Notify,
    metrics: metrics::Engine,
}

impl Inbox {
    pub(super) fn new(size: usize, metrics: metrics::Engine) -> Self {
        let waiting = Waiting { queue: Queue::new(size), closed: false, busy_since: None };
        Self { waiting: Mutex::new(waiting), arrived: Notify::new(), room: Notify::new(), metrics }
    }

    /// Takes everything that waits, at most `most`; `None` when closed and empty. Cancel-safe.
    pub(super) async fn take(&self, most: usize) -> Option<Vec<Entry>> {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut waiting = self.waiting.lock();
                let taken: Vec<_> = std::iter::from_fn(|| waiting.queue.pop()).take(most).collect();
                self.metrics.queue_depth.set(waiting.queue.len() as i64);
                if waiting.queue.len() == 0 {
                    waiting.busy_since = None;
                }
                if !taken.is_empty() {
                    drop(waiting);
                    for _ in &taken {
                        self.room.notify_one();
                    }
                    return Some(taken);
                }
                if waiting.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Takes no more commands; those that wait are still handled.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_one();
        self.room.notify_waiters();
    }

    fn push(&self, entry: Entry) -> Result<(), Box<Entry>> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            let _ = entry.reply.send(Outcome::Stopping); // Err: the door no longer waits
            return Ok(());
        }
        match waiting.queue.push(entry) {
            Pushed::Queued => {}
            Pushed::Displaced(drag) => {
                self.metrics.dropped.inc();
                let _ = drag.reply.send(Outcome::Dropped); // as above
            }
            Pushed::Full(entry) => return Err(Box::new(entry)),
        }
        waiting.busy_since.get_or_insert_with(Instant::now);
        self.metrics.queue_depth.set(waiting.queue.len() as i64);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }
}

/// A door's way in. Clones share one engine.
#[derive(Clone)]
pub struct Handle {
    pub(super) inbox: Arc<Inbox>,
    pub(super) probe: mpsc::Sender<oneshot::Sender<()>>,
    pub(super) switch: mpsc::Sender<Switch>,
    pub(super) controls: mpsc::Sender<(Control, oneshot::Sender<Arc<State>>)>,
}

/// Moves the desk. Taken before everything else that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Everything dark or as it was, over a time.
    Blackout {
        /// Dark.
        on: bool,
        /// Zero: at once.
        over: Duration,
    },
    /// Grand master, 0..=255.
    Master(u8),
    /// All fades end where they are.
    StopFades,
    /// Takes this scene out of effect.
    EndScene(SceneId),
    /// The fixtures of the active project.
    Patch(Rig),
    /// Shows a fixture to somebody who looks for it.
    Flash(FixtureId),
}

/// Other light as a whole. Taken before the commands that wait.
pub(super) struct Switch {
    pub(super) project: ProjectId,
    pub(super) to: To,
    /// The fixtures under which that light is.
    pub(super) rig: Rig,
    /// Stored with it, in one batch.
    pub(super) batch: Batch,
    /// Runs once it is written and before anybody is told: whoever hears of the change finds what belongs to it.
    pub(super) first: Box<dyn FnOnce() + Send>,
    /// Gets the `seq` once it is written; dropped when nothing was done.
    pub(super) reply: oneshot::Sender<u64>,
}

/// Which light.
#[derive(Debug)]
pub(super) enum To {
    /// What the store holds of that project, which becomes the active one.
    Stored,
    /// This light, if that project is the active one.
    Frames(Vec<(UniverseId, Frame)>),
    /// The light that is there, if that project is the active one, with what is dark of these levels.
    Same(Vec<Patch>),
}

impl Handle {
    /// Queues a command, waiting for room as long as it takes (MQTT, serial: that slows the door down).
    pub async fn submit(&self, command: Command) -> Submission {
        self.give(command, None).await
    }

    /// The same; `batch` is stored with it in one step if it is applied.
    pub async fn submit_with(&self, command: Command, batch: Batch) -> Submission {
        self.give(command, Some(Box::new(batch))).await
    }

    /// Queues a command if there is room, else gives it back. `overtaken`: a newer one was there first, so it is only
    /// checked for being a duplicate.
    ///
    /// # Errors
    /// No room.
    pub fn offer(&self, command: Command, reply: Reply, overtaken: bool) -> Result<(), Box<(Command, Reply)>> {
        let entry = Entry { command, batch: None, arrived: Instant::now(), overtaken, reply: reply.0 };
        self.inbox.push(entry).map_err(|back| Box::new((back.command, Reply(back.reply))))
    }

    /// Ends when there is room again. Enable it before the offer, so that no notice is missed.
    pub fn room(&self) -> Notified<'_> {
        self.inbox.room.notified()
    }

    async fn give(&self, command: Command, batch: Option<Box<Batch>>) -> Submission {
        let (reply, outcome) = oneshot::channel();
        self.enter(Entry { command, batch, arrived: Instant::now(), overtaken: false, reply }).await;
        Submission(outcome)
    }

    /// Waits until there is room.
    async fn enter(&self, mut entry: Entry) {
        loop {
            let mut room = pin!(self.room());
            room.as_mut().enable(); // from here on no notice of room is missed
            match self.inbox.push(entry) {
                Ok(()) => return,
                Err(back) => entry = *back,
            }
            room.await;
        }
    }

    /// Queues a command and waits for its outcome; `Full` if there was no room within `patience` (REST, WebSocket).
    pub async fn submit_within(&self, command: Command, patience: Duration) -> Outcome {
        match timeout(patience, self.submit(command)).await {
            Ok(mut submission) => submission.outcome().await,
            Err(_) => Outcome::Full,
        }
    }

    /// Makes a project the active one, and stores `batch` in the same step; gives the `seq` of that change, `None` while
    /// stopping. `rig` are its fixtures; `first` runs right before anybody is told of the change.
    pub async fn select(
        &self,
        project: ProjectId,
        rig: Rig,
        batch: Batch,
        first: impl FnOnce() + Send + 'static,
    ) -> Option<u64> {
        self.switch(project, To::Stored, rig, batch, Box::new(first)).await
    }

    /// Takes other levels for a project, and stores `batch` in the same step; gives the `seq` of that change, `None` if the
    /// project is not active, and while stopping. `rig` and `first` as in [`Handle::select`].
    pub async fn replace(
        &self,
        project: ProjectId,
        frames: Vec<(UniverseId, Frame)>,
        rig: Rig,
        batch: Batch,
        first: impl FnOnce() + Send + 'static,
    ) -> Option<u64> {
        self.switch(project, To::Frames(frames), rig, batch, Box::new(first)).await
    }

    /// Takes another patch over the light of a project, and stores `batch` in the same step; of the levels in `rests`, it lays those
    /// whose channels are at 0 and not on their way. Gives `seq`, `None` if the project is not active, and while stopping. `first`
    /// as in [`Handle::select`].
    pub async fn patch(
        &self,
        project: ProjectId,
        rig: Rig,
        rests: Vec<Patch>,
        batch: Batch,
        first: impl FnOnce() + Send + 'static,
    ) -> Option<u64> {
        self.switch(project, To::Same(rests), rig, batch, Box::new(first)).await
    }

    async fn switch(
        &self,
        project: ProjectId,
        to: To,
        rig: Rig,
        batch: Batch,
        first: Box<dyn FnOnce() + Send>,
    ) -> Option<u64> {
        let (reply, done) = oneshot::channel();
        self.switch.send(Switch { project, to, rig, batch, first, reply }).await.ok()?;
        done.await.ok()
    }

    /// Moves the desk; gives the state after it, `None` while stopping.
    pub async fn control(&self, control: Control) -> Option<Arc<State>> {
        self.order(control).await.await.ok()
    }

    /// The same for a door that does not wait: the receiver gets the state after it, or learns of the stop.
    pub async fn order(&self, control: Control) -> oneshot::Receiver<Arc<State>> {
        let (reply, done) = oneshot::channel();
        let _ = self.controls.send((control, reply)).await; // Err: the engine stops, which the receiver learns
        done
    }

    /// Commands that wait now.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.inbox.waiting.lock().queue.len()
    }

    /// How long the queue has not been empty.
    #[must_use]
    pub fn busy_for(&self) -> Duration {
        self.inbox.waiting.lock().busy_since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Whether the engine's task answers within `patience`.
    pub async fn answers(&self, patience: Duration) -> bool {
        let (reply, answer) = oneshot::channel();
        let asked = async { self.probe.send(reply).await.is_ok() && answer.await.is_ok() };
        timeout(patience, asked).await.unwrap_or(false)
    }
}
