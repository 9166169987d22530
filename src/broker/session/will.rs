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
    /// When it is fired, for a client that an earlier run left.
    due: Option<Instant>,
}

impl Will {
    /// One that an earlier run left.
    pub(super) fn left(will: wills::Left, budget: &Budget) -> Self {
        Self { is_stored: true, _room: Some(will.held(budget)), due: Some(Instant::now() + will.patience) }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// The client is there: what the store has to know before CONNACK. Whatever will was there has no meaning any more.
    pub(super) fn promise(&mut self, connect: &Connect, room: Option<Share>) -> Batch {
        let mut batch = Batch::default();
        if connect.will.is_some() {
            wills::put(&mut batch, connect);
        } else if self.is_stored {
            wills::delete(&mut batch, &connect.client_id);
        }
        *self = Self { is_stored: connect.will.is_some(), _room: room, due: None };
        batch
    }

    /// The connection is over, and the will fired if it had to be: what the store has to know before the socket is closed.
    /// At a stop it keeps the will, for the next start. After a take-over it learns that with what the newcomer promises.
    pub(super) fn over(&mut self, id: &str, end: &End, goes_on: bool) -> Batch {
        let mut batch = Batch::default();
        let stays = matches!(end, End::Stopping) || (goes_on && end.fires_will());
        if self.is_stored && !stays {
            wills::delete(&mut batch, id);
            *self = Self::default();
        }
        batch
    }
}

/// Fires the will of a client that an earlier run left, and for which there is no room to wait.
pub(in crate::broker) async fn say_last_will(hub: Arc<Hub>, id: String) {
    say(&hub, &id, &mut Inbound::default()).await;
}

/// Hands a stored will on as any message of its client; then the store forgets it. A kill in between: it comes once more.
pub(super) async fn say(hub: &Arc<Hub>, id: &str, inbound: &mut Inbound) {
    let Some(will) = wills::read(&hub.store, id) else { return };
    if !presence::knows_better(hub, &will) {
        tracing::info!(clientId = id, topic = will.topic, "will_fired: its client did not come back after the start");
        let mut nobody = BytesMut::new();
        inbound.take(hub, id, will, &mut nobody).await;
        inbound.finish(hub, id, &mut nobody).await;
    }
    let mut batch = Batch::default();
    wills::delete(&mut batch, id);
    hub.store.write(batch).await;
}
