//! One tap's task: what the router brings by it goes to all who have the filter, and writes to their sockets are made
//! here. It waits for nobody but the router.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;

use super::hub::Hub;
use super::router::Tap;

/// The tasks of a router's taps.
pub(super) fn open(hub: &Arc<Hub>, generation: usize, taps: Vec<Tap>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (number, tap) in taps.into_iter().enumerate() {
        tasks.spawn(run(hub.clone(), generation, number, tap));
    }
    tasks
}

/// Ends with the router.
async fn run(hub: Arc<Hub>, generation: usize, number: usize, mut tap: Tap) {
    let mut news = Vec::new();
    let mut done = tap.order(|| hub.take_orders(number)).await;
    while done.is_ok() {
        done = tokio::select! {
            () = hub.ordered(number) => tap.order(|| hub.take_orders(number)).await,
            done = tap.news(&mut news) => done,
        };
        if !news.is_empty() {
            hub.hand_out(&news);
            news.clear();
            consume_budget().await;
        }
    }
    if let Err(error) = done {
        hub.router_is_gone(generation, &error);
    }
}
