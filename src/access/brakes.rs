//! Brakes on guessing: how many wrong secrets of one name are looked at. Pure; keys never come here.
//!
//! 30 an hour and name, from all addresses together; beyond that only addresses that the name has logged in from before are
//! looked at, each of them 30 times an hour as well. So a stranger's guesses never keep anybody out of their own tablet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// Wrong secrets that are looked at.
const MOST: usize = 30;

/// In what time.
const WINDOW: Duration = Duration::from_secs(3600);

/// Whose guesses are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Line {
    /// Of a name, from anywhere.
    Name(String),
    /// Of a name, from an address that is known for it.
    Known(String, IpAddr),
}

/// The times of what is being looked at, or was wrong.
#[derive(Debug, Default)]
pub(super) struct Brakes(HashMap<Line, VecDeque<Instant>>, HashSet<String>);

/// Leave to look at one secret; it counts as wrong until it is given back.
#[derive(Debug)]
pub(super) struct Leave(Line, Instant);

impl Brakes {
    /// Leave to look at a secret, for a name that exists: so there are never more lines than users, and addresses they know.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn ask(&mut self, name: &str, from: IpAddr, known: bool, now: Instant) -> Result<Leave, Duration> {
        let line = if known { Line::Known(name.to_owned(), from) } else { Line::Name(name.to_owned()) };
        let times = self.0.entry(line.clone()).or_default();
        while times.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= MOST => Err(WINDOW.saturating_sub(now.duration_since(*first))),
            _ => {
                times.push_back(now);
                Ok(Leave(line, now))
            }
        }
    }

    /// Whether none of this name is being looked at; from now on one is.
    pub(super) fn begin(&mut self, name: &str) -> bool {
        self.1.insert(name.to_owned())
    }

    /// None is any more.
    pub(super) fn end(&mut self, name: &str) {
        self.1.remove(name);
    }

    /// It was right, or was not looked at after all.
    pub(super) fn give_back(&mut self, Leave(line, at): Leave) {
        if let Some(times) = self.0.get_mut(&line) {
            if let Some(place) = times.iter().position(|time| *time == at) {
                times.remove(place);
            }
            if times.is_empty() {
                self.0.remove(&line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_million_guesses_in_an_hour_thirty_are_looked_at_and_the_owners_tablet_gets_in() {
        let (mut brakes, mut looked_at) = (Brakes::default(), 0);
        for n in 0..1_000_000_u32 {
            tokio::time::advance(Duration::from_micros(3600)).await;
            if brakes.ask("anna", address((n % 50) as u8), false, Instant::now()).is_ok() {
                looked_at += 1;
            }
            if n % 100_000 == 0 {
                let leave = brakes.ask("anna", address(200), true, Instant::now()).unwrap();
                brakes.give_back(leave);
            }
        }
        assert!((30..=60).contains(&looked_at), "{looked_at}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_address_guesses_no_more_than_others() {
        let mut brakes = Brakes::default();
        let right = |brakes: &mut Brakes| {
            (0..100).filter(|_| brakes.ask("a", address(1), true, Instant::now()).is_ok()).count()
        };
        assert_eq!(right(&mut brakes), MOST);
        let wait = brakes.ask("a", address(1), true, Instant::now()).unwrap_err();
        assert_eq!(wait, WINDOW);
        tokio::time::advance(wait).await;
        assert_eq!(right(&mut brakes), MOST);
        assert!(brakes.ask("b", address(1), true, Instant::now()).is_ok(), "each name has its own");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_right_is_never_slowed() {
        let mut brakes = Brakes::default();
        for _ in 0..1000 {
            let leave = brakes.ask("a", address(1), false, Instant::now()).unwrap();
            brakes.give_back(leave);
        }
        assert!(brakes.0.is_empty());
    }
}
