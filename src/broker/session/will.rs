//! A client's will as its session sees it: what the store is told of it, and the end of the wait for a client that an
//! earlier run left.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::time::Instant;

use super::connection::End;
use super::inbound::Inbound;
use crate::broker::codec::Connect;
use crate::broker::hub::Hub;
use crate::broker::presence;
use crate::broker::wills;
use crate::kit::budget::{Budget, Share};
use crate::store::Batch;

#[derive(Default)]
pub(super) struct Will {
    /// The store has one.
    is_stored: bool,
    /// What it holds of the budget.
    _room: Option<Share>,
    /// When it is fired, for a client that has gone.
    due: Option<Instant>,
    /// Its client was there when an earlier run ended.
    is_left: bool,
}

impl Will {
    /// One that an earlier run left.
    pub(super) fn left(will: wills::Left, budget: &Budget) -> Self {
        Self {
            is_stored: true,
            _room: Some(will.held(budget)),
            due: Some(Instant::now() + will.patience),
            is_left: !will.gone,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// Its client has gone, and its delay is not over.
    pub(super) fn is_delayed(&self) -> bool {
        self.is_due() && !self.is_left
    }

    /// The client is there: what the store has to know before CONNACK. Whatever will was there has no meaning any more.
    pub(super) fn promise(&mut self, connect: &Connect, room: Option<Share>) -> Batch {
        let mut batch = Batch::default();
        if connect.will.is_some() {
            wills::put(&mut batch, connect);
        } else if self.is_stored {
            wills::delete(&mut batch, &connect.client_id);
        }
        *self = Self { is_stored: connect.will.is_some(), _room: room, due: None, is_left: false };
        batch
    }

    /// The connection is over, and the will fired if it had to be: what the store has to know before the socket is closed.
    /// At a stop it keeps the will, for the next start; until it is `due`, too. After a take-over it learns that with what the
    /// newcomer promises.
    pub(super) fn over(&mut self, id: &str, end: &End, goes_on: bool, due: Option<Instant>) -> Batch {
        let mut batch = Batch::default();
        self.due = due.filter(|_| self.is_stored);
        let stays = matches!(end, End::Stopping) || (goes_on && end.fires_will()) || self.due.is_some();
        if self.is_stored && !stays {
            wills::delete(&mut batch, id);
            *self = Self::default();
        }
        batch
    }
}

/// Fires the will of a client that an earlier run left, and for which there is no room to wait.
pub(in crate::broker) async fn say_last_will(hub: Arc<Hub>, id: String) {
    say(&hub, &id, &mut Inbound::default(), true).await;
}

/// Hands a stored will on as any message of its client; then the store forgets it. A kill in between: it comes once more.
/// `is_left`: by an earlier run.
pub(super) async fn say(hub: &Arc<Hub>, id: &str, inbound: &mut Inbound, is_left: bool) {
    let Some(will) = wills::read(&hub.store, id) else { return };
    if !is_left || !presence::knows_better(hub, &will) {
        tracing::info!(clientId = id, topic = will.topic, "will_fired: its client did not come back in time");
        let mut nobody = BytesMut::new();
        inbound.take(hub, id, will, &mut nobody).await;
        inbound.finish(hub, id, &mut nobody).await;
    }
    let mut batch = Batch::default();
    wills::delete(&mut batch, id);
    hub.store.write(batch).await;
}
