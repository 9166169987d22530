//! systemd's notify protocol (sd_notify(3)); without systemd nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The doors are open.
pub fn ready() {
    send(NotifyState::Ready);
}

/// The stop has begun.
pub fn stopping() {
    send(NotifyState::Stopping);
}

/// The engine has answered.
pub fn alive() {
    send(NotifyState::Watchdog);
}

/// How often `alive` must be called: half of what the unit allows (`WatchdogSec`), as sd_watchdog_enabled(3) advises.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn send(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd_notify");
    }
}
