//! What had arrived when a connection's end came: it is done before that end, and nothing that comes later need be.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::End;

/// Bytes that are still read. A socket holds 6 MB at the most (Linux, `tcp_rmem`): whoever goes on sending ends here.
const MOST_BYTES: usize = 8 << 20;

/// How long it may take: the same client waits for its next connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same where others wait: at the stop, and for a client that does not take its messages.
const LESS_PATIENCE: Duration = Duration::from_millis(300);

/// After so long without anything the kernel had nothing: a timer is behind the kernel's events. Without that wait, what had
/// arrived might not be known yet.
const TURN: Duration = Duration::from_millis(5);

/// The part of what a client sent that had arrived.
pub(super) struct Rest {
    until: Instant,
    /// When it is over if nothing more comes.
    silent_at: Option<Instant>,
    bytes: usize,
    /// What follows; `None`: the stop, at which a connection goes on to give what it has.
    pub(super) end: Option<End>,
}

impl Rest {
    /// Everything that has arrived now.
    pub(super) fn new(end: Option<End>, now: Instant) -> Self {
        let patience = match &end {
            None | Some(End::Lagging | End::Stalled | End::MadeRoom(_) | End::Stopping) => LESS_PATIENCE,
            Some(_) => PATIENCE,
        };
        Self { until: now + patience, silent_at: None, bytes: MOST_BYTES, end }
    }

    /// When to look whether it is over.
    pub(super) fn look_at(&self) -> Instant {
        self.silent_at.unwrap_or(self.until)
    }

    /// Whether nothing more may be waited for.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.bytes == 0 || now >= self.until
    }

    /// So many bytes were there.
    pub(super) fn came(&mut self, bytes: usize) {
        self.silent_at = None;
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Nothing was there; whether that is all. A newcomer does not show it: its CONNECT came behind, but two sockets' events
    /// may be told in another order (1 in 100 take-overs behind a DISCONNECT, on two loaded cores).
    pub(super) fn was_silent(&mut self, now: Instant) -> bool {
        *self.silent_at.get_or_insert(now + TURN) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_on_sending_ends_by_bytes_and_by_time() {
        let now = Instant::now();
        let mut rest = Rest::new(Some(End::KeepAlive), now);
        rest.came(MOST_BYTES - 1);
        assert!(!rest.is_over(now) && rest.is_over(now + PATIENCE));
        rest.came(1);
        assert!(rest.is_over(now));
        assert!(Rest::new(None, now).is_over(now + LESS_PATIENCE));
    }

    #[test]
    fn silence_is_believed_after_a_turn_of_the_events() {
        let now = Instant::now();
        let mut rest = Rest::new(Some(End::KeepAlive), now);
        assert!(!rest.was_silent(now) && rest.look_at() == now + TURN);
        rest.came(1);
        assert!(!rest.was_silent(now + TURN) && rest.was_silent(now + TURN * 2));
        assert!(!Rest::new(Some(End::TakenOver(String::new())), now).was_silent(now));
    }
}
