//! The engine's task: the one writer of light.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::dedupe::Dedupe;
use super::feed::Feed;
use super::inbox::{Control, Entry, Handle, Inbox, Switch, To};
use super::memory::StoredLight;
use super::{Outcome, memory};
use crate::config;
use crate::dmx::{Change, Frame, Intensity, KeptDesk, Now, Patch, ProjectId, Rig, State, UniverseId};
use crate::kit::clock;
use crate::kit::deadline::until;
use crate::metrics::{self, Metrics};
use crate::store::{Batch, Store};

/// Steps of whatever moves: as many as a DMX line carries full frames (ANSI E1.11: 44.1 a second at 512 slots).
const STEPS_A_SECOND: u128 = 44;

const NANOS: u128 = 1_000_000_000;

/// Controls that may wait; beyond that, the sender waits. They are taken before any command.
const CONTROLS: usize = 16;

/// Commands taken from the queue in one go; in between the task answers probes.
const TAKEN_AT_ONCE: usize = 64;

/// A running engine.
pub struct Engine {
    /// The way in.
    pub handle: Handle,
    /// The way out.
    pub feed: Feed,
    inbox: Arc<Inbox>,
    /// Until it is known to have ended.
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Engine {
    /// Takes no more commands, finishes those that wait, and ends when the last one is written.
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

/// Starts the engine from what the store holds. A jump of `seq` is on the medium when this returns, so nobody ever sees a
/// number that could come again.
pub async fn start(
    settings: &config::Engine,
    store: Store,
    seq_jump: u64,
    project: ProjectId,
    rig: Rig,
    metrics: &Metrics,
) -> Engine {
    // Light of another dmxd's is taken anew. Whatever was moving is at its end now, which nobody was told. After a power cut
    // it is not: light was away, and comes back where it was, since a sunrise must not come up full.
    let arrived = u64::from(memory::is_foreign(&store, &project) || memory::was_moving(&store, &project));
    let intensity = Intensity::only(settings.master_channels.iter().map(|of| (of.universe, of.channels)));
    let desk = memory::desk(&store, &project);
    let state = memory::state(&store, &project, seq_jump + arrived).within(settings.universes).under(desk, intensity);
    let (fades, clock) = memory::fades(&store, &project).filter(|_| seq_jump > 0).unwrap_or_default();
    let state = state.resuming(fades, clock).rigged(rig);
    // A first start publishes the same at the next one. While the database cannot be read, nobody knows.
    let first = !memory::is_known(&store, &project) && store.is_whole();
    if first || seq_jump + arrived > 0 {
        store.keep(memory::begun(&store, &project, &state, clock)).await;
    }
    if seq_jump > 0 {
        tracing::warn!(seq = state.seq, seq_jump, "seq_jumped: a power cut or damage may have taken numbers back");
    }
    let feed = Feed::new(state.clone());
    let inbox = Arc::new(Inbox::new(settings.queue_size, metrics.engine.clone()));
    let (probe, probes) = mpsc::channel(1);
    let (switch, switches) = mpsc::channel(1);
    let (control, controls) = mpsc::channel(CONTROLS);
    let started = Instant::now();
    let ttl = Duration::from_secs(settings.dedupe_ttl_seconds);
    let mut actor = Actor {
        dedupe: Dedupe::new(ttl, settings.dedupe_capacity),
        project,
        kept_desk: state.desk().kept(),
        kept_fades: state.clone(),
        state,
        ttl,
        keep_ids: settings.dedupe_capacity,
        universes: settings.universes,
        started,
        clock,
        stepped: 0,
        store,
        feed: feed.clone(),
        metrics: metrics.engine.clone(),
    };
    actor.recall_ids();
    let doors = Doors { inbox: inbox.clone(), probes, switches, controls };
    let task = tokio::spawn(actor.run(doors));
    let handle = Handle { inbox: inbox.clone(), probe, switch, controls: control };
    Engine { handle, feed, inbox, task: Some(task) }
}

/// What the task receives.
struct Doors {
    inbox: Arc<Inbox>,
    probes: mpsc::Receiver<oneshot::Sender<()>>,
    switches: mpsc::Receiver<Switch>,
    controls: mpsc::Receiver<Ordered>,
}

/// A control, and who waits for the outcome.
type Ordered = (Control, oneshot::Sender<Arc<State>>);

struct Actor {
    /// The active project, whose state and ids these are.
    project: ProjectId,
    state: State,
    dedupe: Dedupe,
    keep_ids: usize,
    /// Universes from 0 on that may be commanded.
    universes: u8,
    ttl: Duration,
    started: Instant,
    /// The steady clock at the start: it goes on where a run that ended during a fade left it.
    clock: Duration,
    /// Number of the last step on the grid.
    stepped: u64,
    /// The desk as stored.
    kept_desk: KeptDesk,
    /// The fades as stored.
    kept_fades: State,
    store: Store,
    feed: Feed,
    metrics: metrics::Engine,
}

impl Actor {
    async fn run(mut self, mut doors: Doors) {
        loop {
            let next = self.next_step();
            // Each arm is cancel-safe: receivers, a timer, and a queue that is read in one step.
            tokio::select! {
                biased;
                Some(control) = doors.controls.recv() => self.control(control).await,
                Some(probe) = doors.probes.recv() => { let _ = probe.send(()); } // Err: the prober no longer waits
                Some(switch) = doors.switches.recv() => self.switch(switch).await,
                () = until(next) => self.step().await,
                taken = doors.inbox.take(TAKEN_AT_ONCE) => match taken {
                    Some(entries) => for entry in entries {
                        // Blackout never waits behind commands.
                        while let Ok(control) = doors.controls.try_recv() {
                            self.control(control).await;
                        }
                        self.apply(entry).await;
                    },
                    None => break,
                },
            }
        }
        // The last command is released once an empty batch behind it is.
        self.store.write(Batch::default()).await;
    }

    /// When things move next: steps lie on one grid, and the next step makes up for a late one.
    fn next_step(&self) -> Option<Instant> {
        let steps = self.steps_until(self.started.elapsed()) + 1;
        self.state.is_moving().then(|| self.started + step_at(steps.max(self.stepped + 1)))
    }

    fn steps_until(&self, at: Duration) -> u64 {
        u64::try_from(at.as_nanos() * STEPS_A_SECOND / NANOS).unwrap_or(u64::MAX)
    }

    /// Moves everything to where it is at the last moment of the grid.
    async fn step(&mut self) {
        self.stepped = self.steps_until(self.started.elapsed());
        let now = Now { ms: clock::now_ms(), at: self.clock + step_at(self.stepped) };
        if let Some(change) = self.state.step(now) {
            self.keep_and_tell(Batch::default(), change, |_| {}).await;
        }
    }

    /// Moves the desk.
    async fn control(&mut self, (control, reply): Ordered) {
        let now = self.time();
        if let Control::Patch(rig) = control {
            return self.take_rig(rig, reply).await;
        }
        let mut batch = Batch::default();
        let change = match &control {
            Control::Master(level) => Some(self.state.set_master(*level, now)),
            Control::Blackout { on, over } => Some(self.state.black_out(*on, *over, now)),
            Control::EndScene(scene) => self.state.end_scene(scene, now),
            Control::Patch(_) => None, // above
            Control::Flash(fixture) => self.state.flash(fixture, now),
            Control::StopFades => self.state.stop_fades(now).map(|(change, levels)| {
                for (universe, levels) in &levels {
                    memory::keep_levels(&mut batch, &self.project, *universe, levels);
                }
                change
            }),
        };
        let Some(change) = change else {
            let _ = reply.send(Arc::new(self.state.clone())); // Err: nobody waits for it any more
            return;
        };
        note(change.seq, &control);
        self.keep_and_tell(batch, change, |state| drop(reply.send(state))).await; // Err: as above
    }

    /// Takes another patch, behind what was changed under the one before. Readers of the newest state see its light.
    async fn take_rig(&mut self, rig: Rig, reply: oneshot::Sender<Arc<State>>) {
        if rig != *self.state.rig() {
            tracing::info!(fixtures = rig.fixtures().len(), "patch_taken");
        }
        if let Some(change) = self.state.take_rig(rig, self.time()) {
            return self.keep_and_tell(Batch::default(), change, |state| drop(reply.send(state))).await;
        }
        let (feed, state) = (self.feed.clone(), Arc::new(self.state.clone()));
        let release = move || {
            feed.refresh(state.clone());
            let _ = reply.send(state); // Err: nobody waits for it any more
        };
        self.store.commit(Batch::default(), release).await;
    }

    /// Takes another patch over the same light, with what it brings at rest: all of it is stored in one step.
    async fn take_patch(
        &mut self,
        (rig, rests): (Rig, Vec<Patch>),
        mut batch: Batch,
        first: Box<dyn FnOnce() + Send>,
        reply: oneshot::Sender<u64>,
    ) {
        if rig != *self.state.rig() {
            tracing::info!(fixtures = rig.fixtures().len(), "patch_taken");
        }
        let (now, before) = (self.time(), self.state.rig().clone());
        let mut changes = Vec::new();
        if let Some(ended) = self.state.take_rig(rig, now) {
            changes.push((ended, Arc::new(self.state.clone())));
        }
        for laid in [Some(&before), None] {
            let laid = match laid {
                Some(before) => self.state.take_along(before, now),
                None => self.state.lay_at_rest(&rests, now),
            };
            let Some((change, levels)) = laid else { continue };
            for patch in &levels {
                memory::keep_levels(&mut batch, &self.project, patch.universe, &patch.levels);
            }
            changes.push((change, Arc::new(self.state.clone())));
        }
        if !changes.is_empty() {
            self.keep_light(&mut batch);
        }
        let (feed, state) = (self.feed.clone(), Arc::new(self.state.clone()));
        let release = move || {
            first();
            let seq = state.seq;
            if changes.is_empty() {
                feed.refresh(state);
            }
            for (change, state) in changes {
                feed.publish(change, state, || {});
            }
            let _ = reply.send(seq); // Err: nobody waits for it any more
        };
        self.store.commit(batch, release).await;
    }

    /// Stores a change that no command made, and publishes it once it is written.
    async fn keep_and_tell(
        &mut self,
        mut batch: Batch,
        change: Change,
        then: impl FnOnce(Arc<State>) + Send + 'static,
    ) {
        self.keep_light(&mut batch);
        let (feed, state) = (self.feed.clone(), Arc::new(self.state.clone()));
        let release = move || {
            feed.publish(change, state.clone(), || then(state));
        };
        self.store.commit(batch, release).await;
    }

    /// Stores the light, and of desk and fades what has changed.
    fn keep_light(&mut self, batch: &mut Batch) {
        memory::keep_light(batch, &self.project, &self.state, self.time().at);
        self.keep_over(batch);
    }

    /// Stores what stands over the levels, if it has changed.
    fn keep_over(&mut self, batch: &mut Batch) {
        if !self.state.fades_as(&self.kept_fades) {
            memory::keep_fades(batch, &self.project, self.state.kept_fades());
            self.kept_fades = self.state.clone();
        }
        let desk = self.state.desk().kept();
        if desk != self.kept_desk {
            memory::keep_desk(batch, &desk, &self.project);
            self.kept_desk = desk;
        }
    }

    /// Waits only for a full writer, never for a reader of the feed.
    async fn apply(&mut self, entry: Entry) {
        let Entry { command, batch, arrived, overtaken, reply } = entry;
        let now = self.now();
        if self.dedupe.has(&command.id, now) {
            self.metrics.deduped.inc();
            // behind its original: nobody may learn of a duplicate of something that kill -9 could still take back
            let release = move || {
                let _ = reply.send(Outcome::Duplicate);
            };
            return self.store.commit(Batch::default(), release).await;
        }
        if overtaken {
            let _ = reply.send(Outcome::Overtaken); // Err: the door no longer waits
            return;
        }
        if command.made_for().is_some_and(|(project, rig)| *project != self.project || rig != self.state.rig()) {
            let _ = reply.send(Outcome::OtherProject); // Err: the door no longer waits
            return;
        }
        let mut batch = batch.map(|batch| *batch).unwrap_or_default();
        let change = self.state.apply(&command, self.time());
        memory::keep_command(&mut batch, &self.project, &self.state, &command, self.keep_ids);
        self.keep_light(&mut batch);
        self.dedupe.remember(command.id.clone(), now);
        let (feed, metrics, state) = (self.feed.clone(), self.metrics.clone(), Arc::new(self.state.clone()));
        let release = move || {
            let seq = change.seq;
            let mut latency = Duration::ZERO;
            feed.publish(change, state, || {
                latency = arrived.elapsed();
                // before the answer, so that whoever gets it finds it counted
                metrics.processed.inc();
                metrics.apply_seconds.observe(latency.as_secs_f64());
                metrics.last_latency_ms.set(latency.as_secs_f64() * 1000.0);
                let _ = reply.send(Outcome::Applied { seq }); // Err: the door no longer waits
            });
            let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            let (src, by) = (&command.source, command.by.as_deref());
            tracing::info!(seq, cmdId = %command.id, %src, by, latencyUs = latency_us, "command_applied");
        };
        self.store.commit(batch, release).await;
    }

    /// Takes another project or other light as a whole, together with what the sender wants stored with it.
    async fn switch(&mut self, switch: Switch) {
        let Switch { project, to, rig, mut batch, first, reply } = switch;
        let change = match to {
            To::Same(_) if project != self.project => return, // no answer, as below
            To::Same(rests) => return self.take_patch((rig, rests), batch, first, reply).await,
            To::Stored => {
                let StoredLight { updated_by, mut frames } = memory::stored(&self.store, &project);
                self.leave_out_unknown(&mut frames);
                let change = self.state.replace(frames, Some(updated_by), rig, self.time());
                memory::forget_foreign(&self.store, &mut batch, &project);
                memory::keep_light(&mut batch, &project, &self.state, Duration::ZERO);
                memory::keep_active(&mut batch, &project);
                self.project = project;
                self.recall_ids();
                change
            }
            To::Frames(_) if project != self.project => return, // no answer: that project is not active
            To::Frames(mut frames) => {
                self.leave_out_unknown(&mut frames);
                let change = self.state.replace(frames, None, rig, self.time());
                memory::keep_instead(&self.store, &mut batch, &project, &self.state, self.universes);
                change
            }
        };
        self.keep_over(&mut batch);
        let (feed, state, project) = (self.feed.clone(), Arc::new(self.state.clone()), self.project.clone());
        let release = move || {
            let seq = change.seq;
            first();
            tracing::info!(seq, %project, "light_switched");
            feed.publish(change, state, || {
                let _ = reply.send(seq); // Err: nobody waits for it any more
            });
        };
        self.store.commit(batch, release).await;
    }

    /// Universes that may not be commanded have no light: nobody could change it. What is stored of them stays.
    fn leave_out_unknown(&self, frames: &mut Vec<(UniverseId, Frame)>) {
        frames.retain(|(universe, _)| universe.index() < self.universes);
    }

    /// Reads the project's ids from the store.
    fn recall_ids(&mut self) {
        let now = self.now();
        self.dedupe.clear();
        memory::seen(&self.store, &self.project, &mut self.dedupe, now);
    }

    /// The time of a step of the light.
    fn time(&self) -> Now {
        Now { ms: clock::now_ms(), at: self.clock + self.started.elapsed() }
    }

    /// The dedupe clock. It starts at a TTL, so that ids of earlier runs have a time too.
    fn now(&self) -> Duration {
        self.ttl + self.started.elapsed()
    }
}

/// When a step of the grid happens, since the start.
fn step_at(step: u64) -> Duration {
    Duration::from_nanos(u64::try_from((u128::from(step) * NANOS).div_ceil(STEPS_A_SECOND)).unwrap_or(u64::MAX))
}

/// Logs how the desk was moved.
fn note(seq: u64, control: &Control) {
    match control {
        Control::Master(level) => tracing::info!(seq, control = "master", master = level, "desk_changed"),
        Control::Blackout { on, over } => {
            let fade_ms = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(seq, control = "blackout", on, fadeMs = fade_ms, "desk_changed");
        }
        Control::StopFades => tracing::info!(seq, control = "fades.stop", "desk_changed"),
        Control::EndScene(scene) => tracing::info!(seq, control = "scene.end", %scene, "desk_changed"),
        Control::Patch(_) => {}
        Control::Flash(fixture) => tracing::info!(seq, control = "flash", %fixture, "desk_changed"),
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
        let mut engine = start(
            &config::Engine::default(),
            opened.store,
            opened.seq_jump,
            ProjectId::default_project(),
            Rig::default(),
            &metrics,
        )
        .await;
        engine.task.as_ref().unwrap().abort();
        engine.ended().await;
        engine.drain().await;
    }
}
