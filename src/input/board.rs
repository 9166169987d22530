//! The state of the input, told once to everybody who asks: REST, metrics, `/readyz` and the log.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::InputError;
use crate::kit::clock;
use crate::kit::health::Health;
use crate::kit::rate::Rate;
use crate::metrics;
use crate::wire::PortStatus;

/// Codes of the problems in `/readyz`.
const DOWN: &str = "INPUT_DOWN";
const UNREADABLE: &str = "INPUT_UNREADABLE";

/// Bytes that make no line for this long are reported.
const UNREADABLE_AFTER: Duration = Duration::from_secs(5);

/// The board. Only the input's task writes to it.
#[derive(Debug)]
pub(super) struct Board {
    status: watch::Sender<PortStatus>,
    health: Health,
    pub(super) metrics: metrics::Input,
    /// Its present problem; `None` also before the first attempt.
    fault: Option<&'static str>,
    /// Since when bytes have come without a reading, and when the last of them came.
    noise: Option<(Instant, Instant)>,
    rate: Rate,
}

impl Board {
    pub(super) fn new(status: PortStatus, health: Health, metrics: metrics::Input) -> Self {
        for kind in InputError::KINDS {
            metrics.errors.with_label_values(&[kind]); // shown from the start, at 0
        }
        Self { status: watch::Sender::new(status), health, metrics, fault: None, noise: None, rate: Rate::default() }
    }

    /// Where it is read.
    pub(super) fn status(&self) -> watch::Receiver<PortStatus> {
        self.status.subscribe()
    }

    /// The port was opened there.
    pub(super) fn opened(&mut self, target: &str) {
        self.metrics.connected.set(1);
        self.health.clear(DOWN);
        if self.fault.take().is_some() {
            self.metrics.reconnects.inc();
        }
        self.status.send_modify(|status| {
            status.works();
            status.target = target.to_owned();
        });
        tracing::info!(to = target, "input_connected");
    }

    /// An attempt to open or to read failed.
    pub(super) fn failed(&mut self, fault: &InputError) {
        let kind = fault.kind();
        self.metrics.errors.with_label_values(&[kind]).inc();
        self.metrics.connected.set(0);
        self.rate = Rate::default();
        self.noise = None;
        self.health.clear(UNREADABLE);
        self.status.send_modify(|status| status.failed(&fault.to_string(), clock::now_ms()));
        self.health.raise(DOWN, format!("input: {fault}"));
        if self.fault.replace(kind) != Some(kind) {
            tracing::warn!(kind, error = %fault, "input_error");
        }
    }

    /// A line gave a level.
    pub(super) fn reading(&mut self) {
        self.metrics.readings.inc();
        self.noise = None;
        if self.health.clear(UNREADABLE) {
            tracing::info!("input_readable");
        }
    }

    /// Bytes came. Those of a line without meaning are noise if no good line comes for a while; a pause starts anew.
    pub(super) fn heard(&mut self, at: Instant) {
        let (since, _) = self.noise.filter(|(_, last)| at < *last + UNREADABLE_AFTER).unwrap_or((at, at));
        self.noise = Some((since, at));
        if at < since + UNREADABLE_AFTER {
            return;
        }
        let target = self.status.borrow().target.clone();
        let message = format!(
            "input: {target} sends bytes, but for {} s not one line like `DMX: read value from channel 1: 255`; check \
             input.baudrate, and that the shield's sketch is on it",
            UNREADABLE_AFTER.as_secs()
        );
        if self.health.raise(UNREADABLE, message.as_str()) {
            tracing::warn!(error = message, "input_unreadable");
        }
    }

    /// When noise is over if nothing more comes.
    pub(super) fn noise_over(&self) -> Option<Instant> {
        self.noise.map(|(_, last)| last + UNREADABLE_AFTER)
    }

    /// It is time to look: without bytes there is no noise.
    pub(super) fn hush(&mut self, at: Instant) {
        if self.noise_over().is_some_and(|over| over <= at) {
            self.noise = None;
            self.health.clear(UNREADABLE);
        }
    }

    /// A command was taken.
    pub(super) fn commanded(&mut self) {
        self.metrics.commands.inc();
        let fps = self.rate.count(Instant::now());
        self.status.send_modify(|status| {
            status.frames_sent += 1;
            status.fps = fps.unwrap_or(status.fps);
        });
    }

    /// When to look at the rate again.
    pub(super) fn second_over(&self) -> Option<Instant> {
        self.rate.due()
    }

    /// That time has come.
    pub(super) fn tell_rate(&mut self) {
        if let Some(fps) = self.rate.over(Instant::now()) {
            self.status.send_modify(|status| status.fps = fps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn noise_is_told_after_five_seconds_of_it_and_not_beyond_its_end() {
        let health = Health::default();
        let status = PortStatus::new("input", 0, "/dev/ttyUSB0");
        let mut board = Board::new(status, health.clone(), Metrics::new().unwrap().input);
        let told = || health.problems().iter().any(|problem| problem.code == UNREADABLE);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        // a boot message now and then is not noise
        for ms in [0, 6_000, 12_000] {
            board.heard(at(ms));
            board.hush(at(ms));
            assert!(!told(), "{ms}");
        }
        for ms in (12_000..17_000).step_by(500) {
            board.heard(at(ms));
            assert!(!told(), "{ms}");
        }
        board.heard(at(17_000));
        assert!(told());
        board.hush(at(21_999));
        assert!(told());
        board.hush(at(22_000));
        assert!(!told() && board.noise_over().is_none());
        // a good line ends it at once
        for ms in [30_000, 33_000, 36_000] {
            board.heard(at(ms));
        }
        assert!(told());
        board.reading();
        assert!(!told());
    }
}
