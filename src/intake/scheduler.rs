//! Decides which of several commands stands, and runs the task that sends those that came too fast when their turn comes.

use std::pin::pin;
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

/// What became of a command.
enum Taken {
    Queued,
    /// Its turn comes.
    Waits,
    /// Too many wait.
    NoPlace,
    /// The engine has no room.
    Full(Box<(Command, Reply)>),
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
        command: Command,
        ts: Option<u64>,
        client: &Client,
        mut budget: Option<Budget>,
    ) -> Result<Submission, Refusal> {
        let (reply, submission) = Submission::waiting();
        let mut entry = (command, reply);
        loop {
            let mut room = pin!(self.engine.room());
            room.as_mut().enable();
            match self.try_take(entry, ts, client, budget.take()) {
                Taken::Queued => return Ok(submission),
                Taken::Waits => {
                    self.waits.notify_one();
                    return Ok(submission);
                }
                Taken::NoPlace => return Err(too_fast()),
                Taken::Full(back) => entry = *back,
            }
            room.await;
        }
    }

    /// One lock from the look at what is newer to the engine's queue: of two commands neither passes the other between.
    fn try_take(
        &self,
        (mut command, mut reply): (Command, Reply),
        ts: Option<u64>,
        client: &Client,
        budget: Option<Budget>,
    ) -> Taken {
        let (mut order, now) = (self.order.lock(), Instant::now());
        let overtaken = ts.is_some_and(|ts| order.newest.overtakes(client, ts, &mut command, now));
        if !overtaken {
            order.pace.replace(&command).into_iter().for_each(Reply::replaced);
            if let Some(of) = budget.filter(|_| !order.closed) {
                match order.pace.offer(client, of, command, reply, now) {
                    Offered::Goes(goes, to) => (command, reply) = (*goes, to),
                    Offered::Waits => return Taken::Waits,
                    Offered::NoPlace(_) => return Taken::NoPlace,
                }
            }
        }
        self.engine.offer(command, reply, overtaken).map_or_else(Taken::Full, |()| Taken::Queued)
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
            let mut room = pin!(self.engine.room());
            room.as_mut().enable();
            let (full, next, closed) = self.give_due();
            if full {
                room.await;
            } else if closed {
                return;
            } else {
                tokio::select! {
                    () = waits => {} // a newcomer's turn may be sooner
                    () = until(next) => {}
                }
            }
        }
    }

    /// Whether the engine has no room for all whose turn it is, when the next turn comes, and whether it is closed.
    fn give_due(&self) -> (bool, Option<Instant>, bool) {
        let order = &mut *self.order.lock();
        let now = Instant::now() + if order.closed { LONGEST_WAIT } else { Duration::ZERO };
        let all = order.pace.due(now, |command, reply| self.engine.offer(command, reply, false));
        (!all, order.pace.next(), order.closed)
    }
}
