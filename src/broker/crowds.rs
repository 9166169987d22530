//! A thread that writes to the sockets of many, for those who must not be held up by so many: the store's writer above all,
//! which releases changes one after the other.
//!
//! Only the sockets wait: outboxes have been given the message, in its order, before. No task does this: it would have its
//! turn among the answers of the crowd, which came up to 70 ms late then.

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
        let run = move || crowds.iter().flatten().for_each(|member| write(&member));
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
