//! From one router to the next: the same subscriptions there, and the messages that the old one did not bring.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Session;
use crate::broker::hub::Hub;
use crate::broker::recent::Recent;
use crate::broker::router::{Delivery, LinkLease, Router, RouterGone};
use crate::broker::topic::Filter;

/// How long a session waits for a working router: the guardian takes up to 6 s to notice a dead one.
const PATIENCE: Duration = Duration::from_secs(15);

/// A link to the present router, or to the next one if that is dead.
pub(super) async fn tap(hub: &Hub, routers: &mut watch::Receiver<Arc<Router>>) -> Result<LinkLease, RouterGone> {
    let tried = async {
        loop {
            let router = routers.borrow_and_update().clone();
            let tapped = tokio::select! {
                tapped = router.tap() => tapped,
                _ = routers.changed() => continue, // Err: the hub is gone, which the next look shows
            };
            match tapped {
                Ok(tap) => return Ok(tap),
                Err(error) => hub.router_is_gone(router.generation(), &error),
            }
            drop(router);
            routers.changed().await.map_err(|error| RouterGone::because(&error))?;
        }
    };
    timeout(PATIENCE, tried).await.unwrap_or_else(|_| Err(RouterGone::silent(PATIENCE)))
}

impl Session {
    /// Whether another router has replaced this session's.
    pub(super) fn must_move(&self) -> bool {
        self.tap.generation() != self.routers.borrow().generation()
    }

    /// Moves to the present router; gives how many messages nobody can get any more.
    pub(super) async fn move_over(&mut self) -> Result<u64, RouterGone> {
        let behind_since = self.behind_since.map(tokio::time::Instant::into_std);
        while self.tap_lives
            && self.outbound.has_room()
            && let Some(Ok(delivery)) = self.tap.next().now_or_never()
        {
            self.take(delivery).await;
        }
        self.account();
        self.tap = loop {
            let mut tap = tap(&self.hub, &mut self.routers).await?;
            match self.subscribe_all(&mut tap).await {
                Ok(()) => break tap,
                Err(error) => self.hub.router_is_gone(tap.generation(), &error),
            }
        };
        self.tap_lives = true;
        if self.subscriptions.is_empty() {
            return Ok(0);
        }
        let missed = self.hub.missed(behind_since);
        let mut number = self.subscriptions.oldest();
        loop {
            let page = self.hub.recent_page(number);
            let Some(last) = page.last() else { break };
            number = last.number;
            for Recent { number, passed, topic, payload, qos } in page {
                let name = std::str::from_utf8(&topic).unwrap_or_default();
                if let Some(subscription) = self.subscriptions.waiting_for(name, number) {
                    self.take(Delivery { subscription, number, passed, topic, payload, qos }).await;
                }
            }
            tokio::task::coop::consume_budget().await;
        }
        // Each message was taken through one of the filters it matches.
        let (_, passed) = self.hub.position();
        self.subscriptions.places().for_each(|place| place.took(passed));
        self.account();
        if missed > 0 {
            self.hub.lost("*", missed);
        }
        Ok(missed)
    }

    /// Subscribes, in the next router if this one dies meanwhile.
    pub(super) async fn subscribe_in_router(&mut self, filter: &Filter, id: usize) -> Result<(), RouterGone> {
        let Err(error) = self.tap.subscribe(filter, id).await else { return Ok(()) };
        self.router_is_gone(&error);
        self.move_over().await?;
        self.tap.subscribe(filter, id).await
    }

    async fn subscribe_all(&self, tap: &mut LinkLease) -> Result<(), RouterGone> {
        for (id, filter) in self.subscriptions.all() {
            tap.subscribe(filter, id).await?;
        }
        Ok(())
    }

    /// A message for the client, connected or not.
    async fn take(&mut self, delivery: Delivery) {
        if self.entry.presence.is_connected() {
            self.deliver(delivery);
        } else {
            self.keep(delivery).await;
        }
    }
}
