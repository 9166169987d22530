//! The engine's task: the one writer of light.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::dedupe::Dedupe;
use super::feed::Feed;
use super::inbox::{Entry, Handle, Inbox, Switch, To};
use super::memory::Stored;
use super::{Outcome, memory};
use crate::config;
use crate::dmx::{ProjectId, State};
use crate::kit::clock;
use crate::metrics::{self, Metrics};
use crate::store::{Batch, Store};

/// Commands taken from the queue at once; between two takes the task answers probes.
const TAKEN_AT_ONCE: usize = 64;

/// A running engine.
pub struct Engine {
    /// The way in.
    pub handle: Handle,
    /// The way out.
    pub feed: Feed,
    inbox: Arc<Inbox>,
    /// Until it was seen to end.
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Engine {
    /// Takes no more commands, finishes those that wait and ends when the last one is written.
    pub async fn drain(mut self) {
        self.inbox.close();
        self.ended().await;
    }

    /// Ends when the engine's task does, which before `drain` is a fault. Cancel-safe.
    pub async fn ended(&mut self) {
        let Some(task) = &mut self.task else { return };
        if let Err(error) = task.await {
            tracing::error!(%error, "engine_panicked");
        }
        self.task = None;
    }
}

/// Starts the engine from what the store holds. A jump of `seq` is on the medium when this returns, so that nobody is
/// ever shown a number that could come again.
pub async fn start(
    settings: &config::Engine,
    store: Store,
    seq_jump: u64,
    project: ProjectId,
    metrics: &Metrics,
) -> Engine {
    let state = memory::state(&store, &project, seq_jump);
    if seq_jump > 0 {
        store.commit(memory::jumped(&project, &state), Box::new(|| {})).await;
        store.sync().await;
        tracing::warn!(seq = state.seq, seq_jump, "seq_jumped: a power cut or damage may have taken numbers back");
    }
    let feed = Feed::new(state.clone());
    let inbox = Arc::new(Inbox::new(settings.queue_size, metrics.engine.clone()));
    let (probe, probes) = mpsc::channel(1);
    let (switch, switches) = mpsc::channel(1);
    let started = Instant::now();
    let ttl = Duration::from_secs(settings.dedupe_ttl_seconds);
    let mut actor = Actor {
        dedupe: Dedupe::new(ttl, settings.dedupe_capacity),
        project,
        state,
        ttl,
        keep_ids: settings.dedupe_capacity,
        started,
        store,
        feed: feed.clone(),
        metrics: metrics.engine.clone(),
    };
    actor.recall_ids();
    let task = tokio::spawn(actor.run(inbox.clone(), probes, switches));
    Engine { handle: Handle { inbox: inbox.clone(), probe, switch }, feed, inbox, task: Some(task) }
}

struct Actor {
    /// The active one; state and ids are its.
    project: ProjectId,
    state: State,
    dedupe: Dedupe,
    keep_ids: usize,
    ttl: Duration,
    started: Instant,
    store: Store,
    feed: Feed,
    metrics: metrics::Engine,
}

impl Actor {
    async fn run(
        mut self,
        inbox: Arc<Inbox>,
        mut probes: mpsc::Receiver<oneshot::Sender<()>>,
        mut switches: mpsc::Receiver<Switch>,
    ) {
        loop {
            tokio::select! {
                biased;
                Some(probe) = probes.recv() => { let _ = probe.send(()); } // Err: it got tired of waiting
                Some(switch) = switches.recv() => self.switch(switch).await,
                taken = inbox.take(TAKEN_AT_ONCE) => match taken {
                    Some(entries) => for entry in entries { self.apply(entry).await },
                    None => break,
                },
            }
        }
        // The last command is released once an empty batch behind it is.
        let (done, written) = oneshot::channel::<()>();
        self.store.commit(Batch::default(), Box::new(move || drop(done))).await;
        let _ = written.await; // Err is the signal: the sender was dropped by the release
    }

    /// Waits only for a full writer, never for a reader of the feed.
    async fn apply(&mut self, entry: Entry) {
        let Entry { command, arrived, reply } = entry;
        let now = self.now();
        if self.dedupe.has(&command.id, now) {
            self.metrics.deduped.inc();
            // Behind its original: nobody may learn of a duplicate of what kill -9 could still take back.
            let release = move || {
                let _ = reply.send(Outcome::Duplicate);
            };
            return self.store.commit(Batch::default(), Box::new(release)).await;
        }
        let change = self.state.apply(&command, clock::now_ms());
        let batch = memory::batch(&self.project, &self.state, &change, &command, self.keep_ids);
        self.dedupe.remember(command.id.clone(), now);
        let (feed, metrics, state) = (self.feed.clone(), self.metrics.clone(), Arc::new(self.state.clone()));
        let release = move || {
            let seq = change.seq;
            feed.publish(change, state);
            let latency = arrived.elapsed();
            // Before the answer: who has it finds it counted.
            metrics.processed.inc();
            metrics.apply_seconds.observe(latency.as_secs_f64());
            metrics.last_latency_ms.set(latency.as_secs_f64() * 1000.0);
            let _ = reply.send(Outcome::Applied { seq }); // Err: the door does not wait any more
            let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            tracing::info!(seq, cmdId = %command.id, src = %command.source, latencyUs = latency_us, "command_applied");
        };
        self.store.commit(batch, Box::new(release)).await;
    }

    /// Takes another project or another light as a whole, together with what the asker wants to be kept with it.
    async fn switch(&mut self, switch: Switch) {
        let Switch { project, to, mut batch, reply } = switch;
        let change = match to {
            To::Stored => {
                let Stored { updated_by, frames } = memory::stored(&self.store, &project);
                let change = self.state.replace(frames, Some(updated_by), clock::now_ms());
                memory::keep_light(&mut batch, &project, &self.state);
                memory::keep_active(&mut batch, &project);
                self.project = project;
                self.recall_ids();
                change
            }
            To::Frames(_) if project != self.project => return, // no answer: it is not the active one
            To::Frames(frames) => {
                let change = self.state.replace(frames, None, clock::now_ms());
                memory::keep_instead(&self.store, &mut batch, &project, &self.state);
                change
            }
        };
        let (feed, state, project) = (self.feed.clone(), Arc::new(self.state.clone()), self.project.clone());
        let release = move || {
            let seq = change.seq;
            feed.publish(change, state);
            tracing::info!(seq, %project, "light_switched");
            let _ = reply.send(seq); // Err: whoever asked does not wait any more
        };
        self.store.commit(batch, Box::new(release)).await;
    }

    /// Takes the project's ids from the store.
    fn recall_ids(&mut self) {
        let now = self.now();
        self.dedupe.clear();
        memory::seen(&self.store, &self.project, &mut self.dedupe, clock::now_ms(), now);
    }

    /// The dedupe clock. It starts at a TTL, so that ids of earlier runs have a time too.
    fn now(&self) -> Duration {
        self.ttl + self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::health::Health;

    #[tokio::test]
    async fn an_engine_that_was_seen_to_end_can_still_be_drained() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new().unwrap();
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let opened = Store::open(&storage, &Health::default(), &metrics).unwrap();
        let mut engine =
            start(&config::Engine::default(), opened.store, opened.seq_jump, ProjectId::default_project(), &metrics)
                .await;
        engine.task.as_ref().unwrap().abort();
        engine.ended().await;
        engine.drain().await;
    }
}
