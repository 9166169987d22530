//! A thread that writes to the sockets of many, for those who must not be held up by so many: the store's writer above all,
//! which releases changes one after the other.
//!
//! Only the sockets wait: outboxes have been given the message, in its order, before. No task does this: it would have its
//! turn among the answers of the crowd, which came up to 70 ms late then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Sockets that are written at once: 0.1 to 0.3 ms.
const FEW: usize = 16;

/// Crowds that may wait for the thread; whoever has another one writes to it.
const MOST: usize = 16;

/// The thread ends when this is dropped.
pub(super) struct Crowds<M> {
    line: Option<SyncSender<Vec<M>>>,
    write: fn(&M),
}

impl<M: Send + 'static> Crowds<M> {
    /// Starts the thread. Without one, whoever has a crowd writes to it.
    pub(super) fn new(write: fn(&M)) -> Self {
        let (line, crowds) = sync_channel::<Vec<M>>(MOST);
        let run = move || {
            for member in crowds.iter().flatten() {
                // One that fails must not silence the others.
                if catch_unwind(AssertUnwindSafe(|| write(&member))).is_err() {
                    tracing::error!("write_panicked");
                }
            }
        };
        match std::thread::Builder::new().name("crowds".into()).spawn(run) {
            Ok(_) => Self { line: Some(line), write },
            Err(error) => {
                tracing::error!(%error, "starting the thread that writes to many MQTT clients");
                Self { line: None, write }
            }
        }
    }

    /// Writes to a few, and has the thread write to the rest.
    pub(super) fn write(&self, mut members: Vec<M>) {
        if let Some(line) = self.line.as_ref().filter(|_| members.len() > FEW) {
            let rest = members.split_off(FEW);
            if let Err(TrySendError::Full(rest) | TrySendError::Disconnected(rest)) = line.try_send(rest) {
                members.extend(rest);
            }
        }
        members.iter().for_each(self.write);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread::{ThreadId, current};
    use std::time::{Duration, Instant};

    use parking_lot::Mutex;

    use super::*;

    /// A socket that writes down who wrote to it, once the gate is open to any but the test.
    struct Socket {
        test: ThreadId,
        gate: Arc<Mutex<()>>,
        written: Arc<Mutex<Vec<bool>>>,
    }

    fn write(socket: &Socket) {
        let by_test = current().id() == socket.test;
        drop((!by_test).then(|| socket.gate.lock()));
        socket.written.lock().push(by_test);
    }

    #[test]
    fn who_has_a_crowd_writes_to_a_few_and_to_all_of_it_when_the_thread_is_behind() {
        let (gate, written) = (Arc::default(), Arc::<Mutex<Vec<bool>>>::default());
        let crowd = |size| {
            let socket = |_| Socket { test: current().id(), gate: Arc::clone(&gate), written: written.clone() };
            (0..size).map(socket).collect::<Vec<_>>()
        };
        let by_test = || written.lock().iter().filter(|by_test| **by_test).count();
        let crowds = Crowds::new(write as fn(&Socket));
        crowds.write(crowd(FEW));
        assert_eq!((by_test(), written.lock().len()), (FEW, FEW), "a few are no crowd");
        let behind = gate.lock();
        let (mut given, mut expected) = (0, FEW);
        while by_test() == expected {
            crowds.write(crowd(FEW + 5));
            (given, expected) = (given + 1, expected + FEW);
            assert!(given <= MOST + 2, "the line is bounded");
        }
        assert!(given > MOST, "the thread has one at most");
        assert_eq!(by_test(), expected + 5, "all of the last one");
        drop(behind);
        let all = FEW + given * (FEW + 5);
        let begun = Instant::now();
        while written.lock().len() < all {
            assert!(begun.elapsed() < Duration::from_secs(30), "the thread writes to the rest");
            std::thread::yield_now();
        }
    }
}
