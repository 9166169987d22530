//! The command queue, pure: bounded; and what is dropped when it is full.

use std::collections::VecDeque;

use crate::dmx::Command;

/// What the queue needs to know of its entries.
pub(super) trait Queued {
    fn command(&self) -> &Command;
}

/// Commands in order of arrival, at most `size`.
pub(super) struct Queue<T> {
    size: usize,
    items: VecDeque<T>,
    /// Waiting UI drags, so that a queue without any is at once known to be full.
    drags: usize,
}

/// The outcome of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed<T> {
    /// It waits.
    Queued,
    /// It waits; this UI drag was dropped for it.
    Displaced(T),
    /// There is no room, and no UI drag to drop.
    Full(T),
}

impl<T: Queued> Queue<T> {
    pub(super) fn new(size: usize) -> Self {
        Self { size: size.max(1), items: VecDeque::new(), drags: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn push(&mut self, item: T) -> Pushed<T> {
        let displaced = if self.items.len() < self.size {
            None
        } else {
            match self.give_way() {
                Some(drag) => Some(drag),
                None => return Pushed::Full(item),
            }
        };
        self.drags += usize::from(item.command().is_ui_drag());
        self.items.push_back(item);
        displaced.map_or(Pushed::Queued, Pushed::Displaced)
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.drags -= usize::from(item.command().is_ui_drag());
        Some(item)
    }

    /// Takes out the oldest UI drag that a newer queued command replaces, else the oldest UI drag.
    fn give_way(&mut self) -> Option<T> {
        if self.drags == 0 {
            return None;
        }
        let is_drag = |item: &T| item.command().is_ui_drag();
        let oldest = self.items.iter().position(is_drag)?;
        let replaced = (oldest..self.items.len()).take(REPLACED_SEARCH).find(|&at| {
            self.items.get(at).is_some_and(|item| {
                is_drag(item)
                    && self
                        .items
                        .iter()
                        .skip(at + 1)
                        .take(REPLACED_SEARCH)
                        .any(|newer| newer.command().covers(item.command()))
            })
        });
        self.drags -= 1;
        self.items.remove(replaced.unwrap_or(oldest))
    }
}

/// How far to search for a replaced drag, so that a full queue of 10,000 costs microseconds, not a frame.
const REPLACED_SEARCH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::{Channel, Patch, UniverseId};
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Item(u32, Command);

    impl Queued for Item {
        fn command(&self) -> &Command {
            &self.1
        }
    }

    fn item(n: u32, source: &str, channel: u16) -> Item {
        let levels = vec![(Channel::new(channel).unwrap(), 1)];
        let patch = Patch { universe: UniverseId::LAMP, levels };
        Item(n, Command::set("01HZX3YJ9YJ3M5QAZ3GZ8K3QFF".parse().unwrap(), source.parse().unwrap(), patch))
    }

    #[test]
    fn a_replaced_drag_goes_before_an_older_one_that_is_still_wanted() {
        let mut queue = Queue::new(3);
        for it in [item(0, "ui", 9), item(1, "ui", 1), item(2, "esp", 1)] {
            assert_eq!(queue.push(it), Pushed::Queued);
        }
        assert_eq!(queue.push(item(3, "esp", 5)), Pushed::Displaced(item(1, "ui", 1)));
        assert_eq!(queue.push(item(4, "ui", 5)), Pushed::Displaced(item(0, "ui", 9)));
        assert_eq!(queue.push(item(5, "esp", 5)), Pushed::Displaced(item(4, "ui", 5)));
        assert_eq!(queue.push(item(6, "ui", 5)), Pushed::Full(item(6, "ui", 5)), "no drag is left to drop");
    }

    proptest! {
        #[test]
        fn only_drags_are_ever_lost_and_order_is_kept(
            size in 1usize..6,
            script in prop::collection::vec((any::<bool>(), 1u16..4, prop::bool::weighted(0.3)), 0..60),
        ) {
            let mut queue = Queue::new(size);
            let mut waiting: Vec<u32> = Vec::new();
            let mut last_popped = None;
            for (n, (drag, channel, pop)) in script.into_iter().enumerate() {
                let n = n as u32;
                match queue.push(item(n, if drag { "ui-x" } else { "esp" }, channel)) {
                    Pushed::Queued => waiting.push(n),
                    Pushed::Displaced(gone) => {
                        prop_assert!(gone.1.is_ui_drag());
                        waiting.retain(|&m| m != gone.0);
                        waiting.push(n);
                    }
                    Pushed::Full(back) => {
                        prop_assert_eq!(back.0, n);
                        prop_assert!(queue.items.iter().all(|it| !it.1.is_ui_drag()));
                    }
                }
                prop_assert!(queue.len() <= size);
                if pop && let Some(it) = queue.pop() {
                    prop_assert_eq!(it.0, waiting.remove(0));
                    prop_assert!(last_popped.is_none_or(|last| last < it.0));
                    last_popped = Some(it.0);
                }
            }
            prop_assert_eq!(queue.items.iter().map(|it| it.0).collect::<Vec<_>>(), waiting);
        }
    }
}
