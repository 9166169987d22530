//! A bounded line for what is rare, with one reader. tokio's has room for 32 from its begin on: 800 bytes for each client, for
//! what comes at a take-over.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

/// A line with so many places.
pub(super) fn channel<T>(places: usize) -> (Sender<T>, Receiver<T>) {
    let line = Line { letters: VecDeque::new(), places, closed: false };
    let shared = Arc::new(Shared { line: Mutex::new(line), news: Notify::new() });
    (Sender(shared.clone()), Receiver(shared))
}

struct Line<T> {
    letters: VecDeque<T>,
    places: usize,
    /// By either end.
    closed: bool,
}

struct Shared<T> {
    line: Mutex<Line<T>>,
    news: Notify,
}

/// Dropping it closes the line; what is in it is still read.
pub(super) struct Sender<T>(Arc<Shared<T>>);

pub(super) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Puts one in, at once or not at all.
    pub(super) fn try_send(&self, letter: T) -> Result<(), TrySendError<T>> {
        let mut line = self.0.line.lock();
        if line.closed {
            return Err(TrySendError::Closed(letter));
        }
        if line.letters.len() >= line.places {
            return Err(TrySendError::Full(letter));
        }
        line.letters.push_back(letter);
        drop(line);
        self.0.news.notify_one();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.line.lock().closed = true;
        self.0.news.notify_one();
    }
}

impl<T> Receiver<T> {
    /// The next one; `None` when the line is closed and empty. Cancel-safe.
    pub(super) async fn recv(&mut self) -> Option<T> {
        loop {
            match self.try_recv() {
                Ok(letter) => return Some(letter),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => self.0.news.notified().await,
            }
        }
    }

    /// The next one, if there is one now.
    pub(super) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut line = self.0.line.lock();
        let next = line.letters.pop_front();
        next.ok_or(if line.closed { TryRecvError::Disconnected } else { TryRecvError::Empty })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.line.lock().letters.is_empty()
    }

    /// Nothing can be put in any more.
    pub(super) fn close(&mut self) {
        self.0.line.lock().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_in_comes_out_in_order_and_a_full_line_gives_it_back() {
        let (sender, mut receiver) = channel(2);
        assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Ok(())));
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!((receiver.recv().await, receiver.try_recv()), (Some(1), Ok(2)));
        assert_eq!((receiver.try_recv(), receiver.is_empty()), (Err(TryRecvError::Empty), true));
        receiver.close();
        assert_eq!(sender.try_send(4), Err(TrySendError::Closed(4)));
    }

    #[tokio::test]
    async fn who_waits_hears_of_the_next_one_and_of_the_end() {
        let (sender, mut receiver) = channel(2);
        let reads = tokio::spawn(async move { (receiver.recv().await, receiver.recv().await) });
        tokio::task::yield_now().await; // it waits
        sender.try_send(1).unwrap();
        drop(sender);
        assert_eq!(reads.await.unwrap(), (Some(1), None));
    }
}
