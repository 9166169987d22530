//! Which connection speaks for a page. When a page reconnects, its new socket replaces the old one: commands still under way
//! on that one are late, and would undo what was done since.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// Which connection speaks for which page. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<HashMap<Name, PageOwner>>>);

/// Longest name of a page, in bytes; ours is a ULID.
pub(in super::super) const LONGEST: usize = 64;

/// The name that a page gives itself: any bytes.
type Name = Arc<[u8]>;

/// The connection that speaks for a page, and how to tell it that another one does.
struct PageOwner {
    number: u64,
    replaced: oneshot::Sender<()>,
}

/// Makes a connection the one that speaks for its page; for none if that has no name.
pub(super) struct PageClaim(Option<Named>);

struct Named {
    sessions: Sessions,
    name: Name,
    number: u64,
    replaced: oneshot::Receiver<()>,
}

impl Sessions {
    /// From now on only connection `number` speaks for that page.
    pub(super) fn take(&self, name: Option<&[u8]>, number: u64) -> PageClaim {
        let Some(name) = name else { return PageClaim(None) };
        let (name, (told, replaced)) = (Name::from(name), oneshot::channel());
        let before = self.with(|speakers| speakers.insert(name.clone(), PageOwner { number, replaced: told }));
        if let Some(before) = before {
            let _ = before.replaced.send(()); // Err: it has just left by itself
        }
        PageClaim(Some(Named { sessions: self.clone(), name, number, replaced }))
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Name, PageOwner>) -> T) -> T {
        work(&mut self.0.lock())
    }
}

impl PageClaim {
    /// Waits until another connection speaks for the page. Cancel-safe.
    pub(super) async fn replaced(&mut self) {
        match &mut self.0 {
            Some(named) => drop((&mut named.replaced).await),
            None => pending().await,
        }
    }

    /// Whether another connection does.
    pub(super) fn is_lost(&mut self) -> bool {
        self.0.as_mut().is_some_and(|named| !matches!(named.replaced.try_recv(), Err(TryRecvError::Empty)))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.sessions.with(|speakers| {
            if speakers.get(&self.name).is_some_and(|speaker| speaker.number == self.number) {
                speakers.remove(&self.name);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_newest_connection_of_a_page_speaks_for_it() {
        let sessions = Sessions::default();
        let (mut first, mut other) = (sessions.take(Some(b"a"), 1), sessions.take(Some(b"b"), 2));
        let mut nameless = sessions.take(None, 3);
        assert!(first.replaced().now_or_never().is_none());
        let mut second = sessions.take(Some(b"a"), 4);
        assert!(first.replaced().now_or_never().is_some());
        drop(first); // does not remove the second one's place
        let _third = sessions.take(Some(b"a"), 5);
        assert!(second.is_lost());
        for place in [&mut other, &mut nameless] {
            assert!(place.replaced().now_or_never().is_none() && !place.is_lost());
        }
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let sessions = Sessions::default();
        drop((sessions.take(Some(b"a"), 1), sessions.take(Some(b"a"), 2)));
        assert_eq!(sessions.with(|speakers| speakers.len()), 0);
    }
}
