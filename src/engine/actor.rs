//! The engine's task: the one writer of light.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::dedupe::Dedupe;
use super::feed::Feed;
use super::inbox::{Entry, Handle, Inbox};
use super::{Outcome, memory};
use crate::config;
use crate::dmx::State;
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
pub async fn start(settings: &config::Engine, store: Store, seq_jump: u64, metrics: &Metrics) -> Engine {
    let state = memory::state(&store, seq_jump);
    if seq_jump > 0 {
        store.commit(memory::jumped(&state), Box::new(|| {})).await;
        store.sync().await;
        tracing::warn!(seq = state.seq, seq_jump, "seq_jumped: a power cut or damage may have taken numbers back");
    }
    let feed = Feed::new(state.clone());
    let inbox = Arc::new(Inbox::new(settings.queue_size, metrics.engine.clone()));
    let (probe, probes) = mpsc::channel(1);
    let started = Instant::now();
    let ttl = Duration::from_secs(settings.dedupe_ttl_seconds);
    let mut dedupe = Dedupe::new(ttl, settings.dedupe_capacity);
    memory::seen(&store, &mut dedupe, clock::now_ms(), ttl);
    let actor = Actor {
        state,
        dedupe,
        keep_ids: settings.dedupe_capacity,
        zero: ttl,
        started,
        store,
        feed: feed.clone(),
        metrics: metrics.engine.clone(),
    };
    let task = tokio::spawn(actor.run(inbox.clone(), probes));
    Engine { handle: Handle { inbox: inbox.clone(), probe }, feed, inbox, task: Some(task) }
}

struct Actor {
    state: State,
    dedupe: Dedupe,
    keep_ids: usize,
    /// Time of the dedupe clock at the start: a TTL, so that ids of earlier runs have a time too.
    zero: Duration,
    started: Instant,
    store: Store,
    feed: Feed,
    metrics: metrics::Engine,
}

impl Actor {
    async fn run(mut self, inbox: Arc<Inbox>, mut probes: mpsc::Receiver<tokio::sync::oneshot::Sender<()>>) {
        loop {
            tokio::select! {
                biased;
                Some(probe) = probes.recv() => { let _ = probe.send(()); } // Err: it got tired of waiting
                taken = inbox.take(TAKEN_AT_ONCE) => match taken {
                    Some(entries) => for entry in entries { self.apply(entry).await },
                    None => break,
                },
            }
        }
        // The last command is released once an empty batch behind it is.
        let (done, written) = tokio::sync::oneshot::channel::<()>();
        self.store.commit(Batch::default(), Box::new(move || drop(done))).await;
        let _ = written.await; // Err is the signal: the sender was dropped by the release
    }

    /// Waits only for a full writer, never for a reader of the feed.
    async fn apply(&mut self, entry: Entry) {
        let Entry { command, arrived, reply } = entry;
        let now = self.zero + self.started.elapsed();
        if self.dedupe.has(&command.id, now) {
            self.metrics.deduped.inc();
            // Behind its original: nobody may learn of a duplicate of what kill -9 could still take back.
            let release = move || {
                let _ = reply.send(Outcome::Duplicate);
            };
            return self.store.commit(Batch::default(), Box::new(release)).await;
        }
        let change = self.state.apply(&command, clock::now_ms());
        let batch = memory::batch(&change, &command, self.keep_ids);
        self.dedupe.remember(command.id.clone(), now);
        let (feed, metrics, state) = (self.feed.clone(), self.metrics.clone(), Arc::new(self.state.clone()));
        let release = move || {
            let seq = change.seq;
            feed.publish(change, state);
            let _ = reply.send(Outcome::Applied { seq }); // Err: the door does not wait any more
            let latency = arrived.elapsed();
            metrics.processed.inc();
            metrics.apply_seconds.observe(latency.as_secs_f64());
            metrics.last_latency_ms.set(latency.as_secs_f64() * 1000.0);
            let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            tracing::info!(seq, cmdId = %command.id, src = %command.source, latencyUs = latency_us, "command_applied");
        };
        self.store.commit(batch, Box::new(release)).await;
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
        let mut engine = start(&config::Engine::default(), opened.store, opened.seq_jump, &metrics).await;
        engine.task.as_ref().unwrap().abort();
        engine.ended().await;
        engine.drain().await;
    }
}
