//! The state of one output, told once to everybody who asks: REST, metrics, `/readyz` and the log.

use std::time::Duration;

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};
use tokio::sync::watch;
use tokio::time::Instant;

use super::driver::{OutputError, OutputErrorKind, ReadBack};
use super::spec::Spec;
use crate::kit::clock;
use crate::kit::health::Health;
use crate::kit::rate::Rate;
use crate::metrics;
use crate::wire::PortStatus;

/// Codes of the problems in `/readyz`.
const DOWN: &str = "OUTPUT_DOWN";
const UNSURE: &str = "OUTPUT_UNSURE";
const OVERRULED: &str = "OUTPUT_OVERRULED";

/// How many equal answers in a row count: a single one may be a frame that was just passing.
const IN_A_ROW: u32 = 2;

/// A wire without answers counts as working again after a fault once it has taken this many frames: a stuck widget's port
/// still takes some 4 KiB, which are 7 frames.
const BELIEVED: u32 = 10;

/// One output's board. Only its runner writes to it.
pub(super) struct Board {
    name: String,
    event: &'static str,
    status: watch::Sender<PortStatus>,
    health: Health,
    /// Its present problem; `None` also before the first attempt.
    fault: Option<OutputErrorKind>,
    /// Why frames may not be visible, and how many the present wire has taken.
    doubt: Option<&'static str>,
    taken: u32,
    /// What was read back last, and how often in a row.
    proof: Option<(bool, u32)>,
    metrics: metrics::Output,
    frames: IntCounter,
    identical: IntCounter,
    rate: IntCounter,
    connected: IntGauge,
    fps: Gauge,
    latency: Histogram,
    rate_of_frames: Rate,
}

impl Board {
    /// The board of an output that looks for `target`.
    pub(super) fn new(spec: &Spec, target: String, health: Health, metrics: &metrics::Output) -> Self {
        let name = [spec.name.as_str()];
        let status = PortStatus::new(spec.name.as_str(), spec.universe.index(), target);
        for kind in OutputErrorKind::ALL {
            metrics.errors.with_label_values(&[spec.name.as_str(), kind.label()]); // shown from the start, at 0
        }
        metrics.reconnects.with_label_values(&name);
        Self {
            name: spec.name.clone(),
            event: spec.event,
            status: watch::Sender::new(status),
            health,
            fault: None,
            doubt: None,
            taken: 0,
            proof: None,
            frames: metrics.frames.with_label_values(&name),
            identical: metrics.skipped.with_label_values(&[spec.name.as_str(), "identical"]),
            rate: metrics.skipped.with_label_values(&[spec.name.as_str(), "rate"]),
            connected: metrics.connected.with_label_values(&name),
            fps: metrics.fps.with_label_values(&name),
            latency: metrics.latency.with_label_values(&name),
            metrics: metrics.clone(),
            rate_of_frames: Rate::default(),
        }
    }

    /// Where it is read.
    pub(super) fn status(&self) -> watch::Receiver<PortStatus> {
        self.status.subscribe()
    }

    /// A wire was opened; frames through it will show whether it works.
    pub(super) fn opened(&mut self, target: String, doubt: Option<&'static str>) {
        (self.doubt, self.taken) = (doubt, 0);
        self.status.send_modify(|status| status.target = target);
    }

    /// A frame was sent completely. `age` is how old its change was.
    ///
    /// Here and in `failed` the status comes last, and a counter before what it counts: whoever has seen the status finds the
    /// rest in the metrics and in `/readyz`.
    pub(super) fn sent(&mut self, at: Instant, age: Option<Duration>) {
        self.taken = self.taken.saturating_add(1);
        let believed = self.doubt.is_none() || self.fault.is_none() || self.taken >= BELIEVED;
        if let Some(age) = age {
            self.latency.observe(age.as_secs_f64());
        }
        self.frames.inc();
        let fps = self.rate_of_frames.count(at);
        if let Some(fps) = fps {
            self.fps.set(fps);
        }
        let back = believed && !self.status.borrow().connected;
        if back {
            self.is_back();
        }
        self.status.send_modify(|status| {
            status.frames_sent += 1;
            if back {
                status.works();
            }
            if let Some(fps) = fps {
                status.fps = fps;
            }
        });
        if back {
            let status = self.status.borrow();
            tracing::info!(output = self.name, to = status.target, universe = status.universe, "output_connected");
        }
    }

    /// What the output shows was read back.
    pub(super) fn proved(&mut self, proof: ReadBack) {
        let ours = proof == ReadBack::Ours;
        let times = self.proof.filter(|(before, _)| *before == ours).map_or(1, |(_, times)| times.saturating_add(1));
        self.proof = Some((ours, times));
        if times < IN_A_ROW {
            return;
        }
        match proof {
            ReadBack::Ours => {
                if self.health.clear_for(OVERRULED, &self.name) {
                    tracing::info!(output = self.name, "output_obeyed");
                }
            }
            ReadBack::Others(why) => {
                if self.health.raise_for(OVERRULED, &self.name, format!("{}: {why}", self.name)) {
                    tracing::warn!(output = self.name, error = why, "output_overruled");
                }
            }
        }
    }

    fn is_back(&mut self) {
        self.connected.set(1);
        if self.fault.take().is_some() {
            self.metrics.reconnects.with_label_values(&[self.name.as_str()]).inc();
        }
        self.health.clear_for(DOWN, &self.name);
        if let Some(doubt) = self.doubt {
            let message = format!("{} at {}: {doubt}", self.name, self.status.borrow().target);
            self.health.raise_for(UNSURE, &self.name, message);
        } else {
            self.health.clear_for(UNSURE, &self.name);
        }
    }

    /// An attempt failed; the output looks for `target` again.
    pub(super) fn failed(&mut self, fault: &OutputError, target: String) {
        self.connected.set(0);
        self.fps.set(0.0);
        self.rate_of_frames = Rate::default();
        self.health.clear_for(UNSURE, &self.name);
        self.health.clear_for(OVERRULED, &self.name);
        self.proof = None;
        self.health.raise_for(DOWN, &self.name, format!("{}: {}", self.name, fault.message));
        self.metrics.errors.with_label_values(&[self.name.as_str(), fault.kind.label()]).inc();
        self.status.send_modify(|status| {
            status.failed(&fault.message, clock::now_ms());
            status.target = target;
        });
        if self.fault.replace(fault.kind) != Some(fault.kind) {
            tracing::warn!(output = self.name, kind = fault.kind.label(), error = %fault, "{}", self.event);
        }
    }

    /// Counts changes that left this universe as it was.
    pub(super) fn skipped_identical(&self, changes: u64) {
        self.identical.inc_by(changes);
    }

    /// Counts changes that a newer one overtook before their turn.
    pub(super) fn skipped_rate(&self, changes: u64) {
        self.rate.inc_by(changes);
    }
}
