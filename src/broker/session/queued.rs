//! What the stored messages that wait for one session hold of the budget: what refers to them, and the session's part of them.
//! It belongs to the address that the session's client came from last.

use std::sync::Arc;

use super::letter::Letter;
use crate::broker::lasting::Stored;
use crate::kit::budget::{Ending, Full, Share, Who};

/// What a reference takes: the memory of a line doubles as it grows.
pub(in crate::broker) const REFERENCE: usize = 2 * size_of::<Letter>();

/// What a connected client has in any case, besides one more message: it answers in a moment.
const FREE: usize = 64 << 10;

pub(super) struct Queued {
    share: Share,
    units: usize,
    ending: Arc<Ending>,
    is_away: bool,
}

impl Queued {
    /// With an empty share of [`Kind::Queued`](crate::kit::budget::Kind).
    pub(super) fn new(share: Share) -> Self {
        let ending = Arc::<Ending>::default();
        Self { share: share.until(&ending), units: 0, ending, is_away: true }
    }

    /// Told when others need the room: the session ends.
    pub(super) fn ending(&self) -> &Arc<Ending> {
        &self.ending
    }

    /// Takes what a message needs, for which strangers' sessions may have to end.
    pub(super) fn take(&mut self, stored: &Stored) -> Result<(), Full> {
        stored.lend(true);
        let units = self.units + REFERENCE + stored.part;
        match self.share.grow_to(units) {
            Ok(_) => {
                self.set(units);
                Ok(())
            }
            Err(full) => {
                stored.lend(false);
                Err(full)
            }
        }
    }

    /// The same for a connected client, who is given it in any case. An error: too much waits for it.
    pub(super) fn take_at_once(&mut self, stored: &Stored) -> Result<(), Full> {
        let taken = if self.units < FREE { None } else { Some(self.take(stored)) };
        if !matches!(taken, Some(Ok(()))) {
            self.hold(stored);
        }
        taken.unwrap_or(Ok(()))
    }

    /// The same, whatever the limits say.
    pub(super) fn hold(&mut self, stored: &Stored) {
        stored.lend(true);
        self.share.hold(self.units + REFERENCE + stored.part);
        self.set(self.units + REFERENCE + stored.part);
    }

    /// A message does not wait any more.
    pub(super) fn give_back(&mut self, stored: &Stored) {
        let units = self.units.saturating_sub(REFERENCE + stored.part);
        if units > 0 {
            self.share.hold(units);
        } else {
            self.share.clear();
        }
        self.units = units;
        stored.lend(false);
    }

    fn set(&mut self, units: usize) {
        if self.units == 0 && self.is_away {
            self.share.idle(true);
        }
        self.units = units;
    }

    /// The client is there, or is not any more.
    pub(super) fn is_away(&mut self, is_away: bool) {
        if self.is_away != is_away {
            self.is_away = is_away;
            self.share.idle(is_away);
        }
    }

    /// The client is not there any more: it has no more than others. Gives what is to be held from now on.
    pub(super) fn settle(&self) -> usize {
        self.units.saturating_sub(self.share.settle())
    }

    pub(super) fn units(&self) -> usize {
        self.units
    }

    /// The client has come from there.
    pub(super) fn moves_to(&mut self, who: &Who) {
        self.share.moves_to(who);
    }

    /// All of it was given back: it may be used again.
    pub(super) fn begin_again(&mut self) {
        self.share.clear();
        self.units = 0;
        self.ending = Arc::default();
        self.share.tells(&self.ending);
    }
}

#[cfg(test)]
impl Queued {
    pub(super) fn of_tests() -> Self {
        use crate::kit::budget::{Budget, Kind};
        Self::new(Budget::default().share(Kind::Queued, Who::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::codec::QoS;
    use crate::broker::lasting::{Lasting, Recipient};
    use crate::broker::message::Message;
    use crate::config::Config;
    use crate::kit::budget::{Budget, Kind};
    use crate::kit::health::Health;
    use crate::metrics::Metrics;
    use crate::store::Batch;

    fn at(address: &str) -> Who {
        address.parse::<std::net::IpAddr>().unwrap().into()
    }

    #[test]
    fn what_waits_counts_for_the_address_that_the_client_came_from_last() {
        let mut config = Config::default();
        config.mqtt.max_queued_bytes = 100_000;
        let budget = Budget::new(&config, Health::default(), Metrics::new().unwrap().memory);
        let lasting = Arc::new(Lasting::new(&budget));
        let store = |number| {
            let mut of = [Recipient { session: 1, qos: QoS::AtLeastOnce, is_away: true }];
            let message = Message::ours("t", &[0; 20_000], QoS::AtLeastOnce, false);
            lasting.keep(&mut Batch::default(), number, &message, &mut of)
        };
        let first = store(1);
        let mut queued = Queued::new(budget.share(Kind::Queued, at("10.0.0.1")));
        queued.take(&first).unwrap();
        queued.moves_to(&at("10.0.0.2"));
        let is_full = |from| budget.ask(Kind::Queued, &at(from), 20_000).is_err();
        assert!(is_full("10.0.0.2") && !is_full("10.0.0.1"));
        let second = store(2);
        assert!(queued.take(&second).is_err(), "a quarter");
        queued.give_back(&first);
        assert!(!is_full("10.0.0.2"));
        queued.take(&second).unwrap();
        queued.give_back(&second);
        drop((first, second));
        assert_eq!(budget.held(Kind::Queued), 0);
    }
}
