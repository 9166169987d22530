//! Decides which of several commands stands, and runs the task that sends those that came too fast when their turn comes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::age::Newest;
use super::pace::{Budget, LONGEST_WAIT, Offered, Pace, too_fast};
use super::sender::Client;
use crate::dmx::Command;
use crate::engine::{Handle, Reply, Submission};
use crate::kit::deadline::until;
use crate::wire::Refusal;

/// Shared between the intake and its task.
pub(super) struct Scheduler {
    engine: Handle,
    order: Mutex<Order>,
    /// Something waits, or the intake was closed. One waiter: the task.
    waits: Notify,
}

#[derive(Default)]
struct Order {
    pace: Pace<Reply>,
    newest: Newest,
    closed: bool,
}

impl Scheduler {
    pub(super) fn new(engine: Handle) -> Self {
        Self { engine, order: Mutex::default(), waits: Notify::new() }
    }

    /// Takes a command. One with a budget goes to the engine now or when its turn comes, any other at once.
    pub(super) async fn take(
        &self,
        mut command: Command,
        ts: Option<u64>,
        client: &Client,
        budget: Option<Budget>,
    ) -> Result<Submission, Refusal> {
        let (reply, submission) = Submission::waiting();
        if ts.is_some_and(|ts| self.order.lock().newest.overtakes(client, ts, &mut command, Instant::now())) {
            return Ok(self.engine.submit_overtaken(command).await);
        }
        match self.offer(command, client, budget, reply) {
            Offered::Goes(command, reply) => self.engine.submit_for(*command, reply).await,
            Offered::Waits => self.waits.notify_one(),
            Offered::NoPlace(_) => return Err(too_fast()),
        }
        Ok(submission)
    }

    fn offer(&self, command: Command, client: &Client, budget: Option<Budget>, reply: Reply) -> Offered<Reply> {
        let mut order = self.order.lock();
        order.pace.replace(&command).into_iter().for_each(Reply::replaced);
        match budget {
            Some(of) if !order.closed => order.pace.offer(client, of, command, reply, Instant::now()),
            Some(_) | None => Offered::Goes(Box::new(command), reply),
        }
    }

    /// Whether the budget has one for a command that cannot wait; if so, it is spent.
    pub(super) fn may(&self, client: &Client) -> bool {
        self.order.lock().pace.may(client, Instant::now())
    }

    /// Takes no more commands; those that wait get their turn at once.
    pub(super) fn close(&self) {
        self.order.lock().closed = true;
        self.waits.notify_one();
    }

    /// Sends commands that wait when their turn comes, until it is closed and none is left.
    pub(super) async fn give(self: Arc<Self>) {
        loop {
            let waits = self.waits.notified();
            let (next, closed) = {
                let order = self.order.lock();
                (order.pace.next(), order.closed)
            };
            if !closed {
                tokio::select! {
                    () = waits => {} // a newcomer's turn may be sooner
                    () = until(next) => {}
                }
            }
            let now = Instant::now() + if closed { LONGEST_WAIT } else { Duration::ZERO };
            let due = self.order.lock().pace.due(now);
            for (command, reply) in due {
                self.engine.submit_for(command, reply).await;
            }
            if closed {
                return;
            }
        }
    }
}
