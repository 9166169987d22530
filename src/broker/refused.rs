//! Who was not let in, and why: the last of them, for people who wonder where their lamp is. Whoever goes on trying is one
//! entry, as long as it has a name or the reason is the same; an address (of IPv6 a network) has a few of the places, so that a
//! stranger who tries many names hides nobody else.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::wire::RefusedClient;

/// Entries, and those of one address.
const MOST: usize = 20;
const OF_ADDRESS: usize = 4;

/// The last ones, the newest in front.
#[derive(Debug, Default)]
pub(super) struct Refused(VecDeque<RefusedClient>);

impl Refused {
    /// Notes one that came from `address`, under this client id if it has said one.
    pub(super) fn note(&mut self, address: &str, client_id: Option<&str>, why: &str, at: u64) {
        let is_it = |one: &RefusedClient| {
            one.address == address && one.client_id.as_deref() == client_id && (client_id.is_some() || one.why == why)
        };
        let before = self.0.iter().position(is_it).and_then(|at| self.0.remove(at));
        if before.is_none() {
            let of_it = self.0.iter().filter(|one| is_near(&one.address, address)).count();
            let oldest = self.0.iter().rposition(|one| of_it < OF_ADDRESS || is_near(&one.address, address));
            if of_it >= OF_ADDRESS || self.0.len() >= MOST {
                oldest.and_then(|at| self.0.remove(at));
            }
        }
        let count = before.map_or(1, |before| before.count.saturating_add(1));
        let (address, client_id, why) = (address.to_owned(), client_id.map(str::to_owned), why.to_owned());
        self.0.push_front(RefusedClient { client_id, address, at, count, why });
    }

    /// Whether a client of this id from this address is among them.
    pub(super) fn has(&self, address: &str, client_id: &str) -> bool {
        self.0.iter().any(|one| one.address == address && one.client_id.as_deref() == Some(client_id))
    }

    /// A client of this id from this address was let in: what kept it out is over.
    pub(super) fn let_in(&mut self, address: &str, client_id: &str) {
        self.0.retain(|one| one.address != address || one.client_id.as_deref() != Some(client_id));
    }

    /// All of them.
    pub(super) fn list(&self) -> Vec<RefusedClient> {
        self.0.iter().cloned().collect()
    }
}

/// Whether two addresses are one, or of one IPv6 /64, whose owner has them all.
fn is_near(one: &str, other: &str) -> bool {
    let network = |text: &str| match text.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V6(address)) => address.segments().first_chunk::<4>().copied(),
        _ => None,
    };
    one == other || network(one).is_some_and(|network_of_one| network(other) == Some(network_of_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(refused: &Refused) -> Vec<(String, String, u64)> {
        let name = |one: RefusedClient| (one.address, one.client_id.unwrap_or_default(), one.count);
        refused.list().into_iter().map(name).collect()
    }

    #[test]
    fn who_goes_on_trying_is_one_entry_until_it_is_let_in() {
        let mut refused = Refused::default();
        refused.note("10.0.0.1", Some("lamp"), "wrong user name or password", 1);
        refused.note("10.0.0.2", None, "no MQTT", 2);
        refused.note("10.0.0.1", Some("lamp"), "no room", 3);
        let newest = refused.list().swap_remove(0);
        assert_eq!((newest.count, newest.at, newest.why.as_str()), (2, 3, "no room"));
        refused.let_in("10.0.0.3", "lamp");
        assert_eq!(names(&refused).len(), 2);
        refused.let_in("10.0.0.1", "lamp");
        assert_eq!(names(&refused), [("10.0.0.2".to_owned(), String::new(), 1)]);
    }

    #[test]
    fn a_stranger_with_many_names_hides_nobody_else() {
        let mut refused = Refused::default();
        for n in 0..8 {
            refused.note(&format!("10.0.0.{n}"), Some("lamp"), "why", n);
        }
        for n in 0..100 {
            refused.note("10.0.0.99", Some(&format!("made up {n}")), "why", n);
        }
        let all = names(&refused);
        assert_eq!(
            (all.len(), all.iter().filter(|(address, ..)| address == "10.0.0.99").count()),
            (8 + OF_ADDRESS, OF_ADDRESS)
        );
        assert_eq!(all[0].1, "made up 99");
        for n in 0..100 {
            refused.note(&format!("[2001:db8::{n}]"), None, &format!("why {n}"), n);
        }
        assert_eq!(names(&refused).iter().filter(|(address, ..)| address.starts_with('[')).count(), OF_ADDRESS);
        for n in 100..200 {
            refused.note(&format!("10.0.1.{n}"), None, "why", n);
        }
        assert_eq!((names(&refused).len(), names(&refused)[0].0.as_str()), (MOST, "10.0.1.199"));
    }
}
