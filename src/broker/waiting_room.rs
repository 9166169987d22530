//! Places for sockets that have not sent CONNECT yet, so that silent ones cannot keep lamps out.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a socket may stay silent while others wait for its place: CONNECT follows at once, over bad Wi-Fi some 100 ms
/// later.
const GRACE: Duration = Duration::from_millis(500);

/// Sockets that have not sent CONNECT yet. When full, newcomers wait in the kernel, and the oldest socket is closed for one of
/// them after its grace, so that silent sockets cannot keep lamps out.
#[derive(Default)]
pub(super) struct WaitingRoom {
    last: u64,
    places: VecDeque<Guest>,
}

struct Guest {
    number: u64,
    since: Instant,
    /// Dropping it closes the socket.
    _closer: oneshot::Sender<()>,
}

pub(super) struct Place {
    pub(super) number: u64,
    pub(super) shown_out: oneshot::Receiver<()>,
}

impl WaitingRoom {
    /// Until when nobody can be let in; `None`: there is room now.
    pub(super) fn full_until(&self, places: usize, now: Instant) -> Option<Instant> {
        let oldest = self.places.front().filter(|_| self.places.len() >= places.max(1));
        oldest.map(|oldest| oldest.since + GRACE).filter(|until| *until > now)
    }

    pub(super) fn enter(&mut self, places: usize, now: Instant) -> Place {
        let (closer, shown_out) = oneshot::channel();
        if self.places.len() >= places.max(1) {
            self.places.pop_front();
        }
        self.last += 1;
        let number = self.last;
        self.places.push_back(Guest { number, since: now, _closer: closer });
        Place { number, shown_out }
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.places.retain(|guest| guest.number != number);
    }
}
