//! A session's subscriptions, pure: which copy of a message to deliver, and at what QoS.

use std::sync::Arc;

use crate::broker::codec::QoS;
use crate::broker::ledger::Place;
use crate::broker::router::Delivery;
use crate::broker::topic::Filter;

/// Most filters of one session; each costs the router a log of its own.
pub(super) const MAX_FILTERS: usize = 256;

struct Subscription {
    id: usize,
    place: Arc<Place>,
    qos: QoS,
    /// Messages up to this number are older than the subscription.
    since: u64,
    /// Number of the last message that came through it.
    last: u64,
}

impl Subscription {
    fn filter(&self) -> &Filter {
        self.place.filter()
    }
}

#[derive(Default)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    last_id: usize,
}

impl Subscriptions {
    /// Changes the QoS of an existing filter; true if there was one.
    pub(super) fn change(&mut self, filter: &Filter, qos: QoS) -> bool {
        let known = self.all.iter_mut().find(|s| s.filter() == filter);
        known.map(|subscription| subscription.qos = qos).is_some()
    }

    pub(super) fn is_full(&self) -> bool {
        self.all.len() >= MAX_FILTERS
    }

    /// The id of the next new subscription in the router; never 0, which MQTT 5 forbids.
    pub(super) fn next_id(&mut self) -> usize {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a filter whose first message is the one after `since`.
    pub(super) fn add(&mut self, id: usize, place: Arc<Place>, qos: QoS, since: u64) {
        self.all.push(Subscription { id, place, qos, since, last: since });
    }

    /// Every subscription, by its id in the router.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &Filter)> {
        self.all.iter().map(|subscription| (subscription.id, subscription.filter()))
    }

    /// Every filter with its QoS.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (&Filter, QoS)> {
        self.all.iter().map(|subscription| (subscription.filter(), subscription.qos))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn filter_of(&self, id: usize) -> Option<&Filter> {
        self.all.iter().find(|subscription| subscription.id == id).map(|subscription| subscription.filter())
    }

    /// A filter that a topic came through.
    pub(super) fn filter_for(&self, topic: &[u8]) -> Option<&Filter> {
        let topic = std::str::from_utf8(topic).ok()?;
        self.all.iter().map(Subscription::filter).find(|filter| filter.matches(topic))
    }

    /// The number up to which every subscription is current.
    pub(super) fn oldest(&self) -> u64 {
        self.all.iter().map(|subscription| subscription.last).min().unwrap_or(u64::MAX)
    }

    /// The subscription that should have brought a message and has not.
    pub(super) fn waiting_for(&self, topic: &str, number: u64) -> Option<usize> {
        let waits = |subscription: &&Subscription| subscription.last < number && subscription.filter().matches(topic);
        self.all.iter().find(waits).map(|subscription| subscription.id)
    }

    /// Whether there is such a subscription.
    pub(super) fn has(&self, id: usize) -> bool {
        self.all.iter().any(|subscription| subscription.id == id)
    }

    /// Removes filters; gives those that were there.
    pub(super) fn remove(&mut self, filters: &[String]) -> Vec<Arc<Place>> {
        let gone = self.all.extract_if(.., |s| filters.iter().any(|f| f == s.filter().as_str()));
        gone.map(|subscription| subscription.place).collect()
    }

    pub(super) fn clear(&mut self) -> Vec<Arc<Place>> {
        self.all.drain(..).map(|subscription| subscription.place).collect()
    }

    /// How far each has read its filter's log.
    pub(super) fn places(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.all.iter().map(|subscription| &subscription.place)
    }

    /// Whether any of them lags.
    pub(super) fn lag(&self) -> bool {
        self.places().any(|place| place.lags())
    }

    /// The highest QoS that any filter requests for this topic.
    pub(super) fn qos_of(&self, topic: &str) -> Option<QoS> {
        self.all.iter().filter(|s| s.filter().matches(topic)).map(|s| s.qos).max()
    }

    /// The QoS to deliver a copy at; `None` if it must not be delivered: its subscription has ended or is newer, its topic is
    /// hidden from a wildcard, or another matching filter brought the message before.
    pub(super) fn accept(&mut self, delivery: &Delivery) -> Option<QoS> {
        let topic = std::str::from_utf8(&delivery.topic).ok()?;
        let number = delivery.number;
        let through = self.all.iter_mut().find(|s| s.id == delivery.subscription)?;
        through.place.took(delivery.passed);
        if number <= through.last || !through.filter().matches(topic) {
            return None;
        }
        through.last = number;
        let mut qos = through.qos;
        if self.all.len() > 1 {
            for other in self.all.iter().filter(|s| s.id != delivery.subscription && s.since < number) {
                if other.filter().matches(topic) {
                    if other.last >= number {
                        return None;
                    }
                    qos = qos.max(other.qos); // [MQTT-3.3.5-1]
                }
            }
        }
        Some(qos.min(delivery.qos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn delivery(subscription: usize, number: u64, topic: &str) -> Delivery {
        let (topic, payload) = (Bytes::copy_from_slice(topic.as_bytes()), Bytes::new());
        Delivery { subscription, number, passed: 0, topic, payload, qos: QoS::ExactlyOnce }
    }

    fn filter(text: &str) -> Filter {
        Filter::new(text).unwrap()
    }

    fn place(text: &str) -> Arc<Place> {
        Arc::new(Place::new(filter(text), 0, 0))
    }

    #[test]
    fn a_new_overlapping_filter_does_not_swallow_what_only_the_old_one_brings() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(1, place("a/#"), QoS::AtMostOnce, 0);
        subscriptions.add(2, place("a/b"), QoS::ExactlyOnce, 10);
        assert_eq!(subscriptions.accept(&delivery(1, 9, "a/b")), Some(QoS::AtMostOnce));
        assert_eq!(subscriptions.accept(&delivery(2, 11, "a/b")), Some(QoS::ExactlyOnce));
        assert_eq!(subscriptions.accept(&delivery(1, 11, "a/b")), None);
        assert_eq!(subscriptions.accept(&delivery(3, 12, "a/b")), None, "a subscription that ended");
    }

    #[test]
    fn a_wildcard_never_brings_a_dollar_topic() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(1, place("#"), QoS::AtMostOnce, 0);
        assert_eq!(subscriptions.accept(&delivery(1, 1, "$SYS/uptime")), None);
    }

    proptest! {
        /// Each filter brings its messages in order, but the filters' streams mix in any way.
        #[test]
        fn every_message_is_delivered_once_at_the_highest_qos(
            filters in prop::collection::btree_map(prop::sample::select(vec!["a/#", "a/+", "a/b", "+/b", "#"]), 0u8..3, 1..5),
            topics in prop::collection::vec(prop::sample::select(vec!["a/b", "a/c", "x/b"]), 1..12),
            mix in prop::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let mut subscriptions = Subscriptions::default();
            let mut streams: Vec<Vec<Delivery>> = Vec::new();
            for (i, (text, qos)) in filters.iter().enumerate() {
                subscriptions.add(i + 1, place(text), QoS::new(*qos).unwrap(), 0);
                let brought = topics.iter().enumerate().filter(|(_, t)| filter(text).matches(t));
                streams.push(brought.map(|(n, t)| delivery(i + 1, n as u64 + 1, t)).collect());
            }
            let mut got = std::collections::BTreeMap::new();
            let mut mix = mix.into_iter();
            while streams.iter().any(|s| !s.is_empty()) {
                streams.retain(|s| !s.is_empty());
                let at = mix.next().map_or(0, |index| index.index(streams.len()));
                let next = streams[at].remove(0);
                if let Some(qos) = subscriptions.accept(&next) {
                    prop_assert!(got.insert(next.number, qos).is_none(), "delivered twice");
                }
            }
            for (n, topic) in topics.iter().enumerate() {
                let best = filters.iter().filter(|(f, _)| filter(f).matches(topic)).map(|(_, q)| QoS::new(*q).unwrap()).max();
                prop_assert_eq!(got.get(&(n as u64 + 1)).copied(), best);
            }
        }
    }
}
