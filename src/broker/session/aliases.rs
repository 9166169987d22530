//! Topic aliases that a client has announced on its connection (MQTT 5, section 3.3.2.3.4). Each holds a topic for as long as
//! the connection lasts, so beyond a few short ones they are drawn from the budget.

use crate::broker::codec::{Malformed, Publish};
use crate::kit::budget::{Full, Share};

/// The highest alias; what CONNACK says.
pub(super) const MOST: u16 = 16;

/// Bytes that every connection has for free.
const FREE: usize = 1024;

#[derive(Default)]
pub(super) struct Aliases {
    topics: Vec<Box<str>>,
    bytes: usize,
    share: Option<Share>,
}

/// Why a message is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Malformed(Malformed),
    Full(Full),
}

impl Aliases {
    /// Puts a topic in the place of its alias, or remembers it. `share` gives what more than a little is drawn from.
    pub(super) fn resolve(&mut self, publish: &mut Publish, share: impl FnOnce() -> Share) -> Result<(), Refused> {
        if publish.alias == 0 {
            return Ok(());
        }
        let unknown = Refused::Malformed(Malformed::Alias);
        if publish.alias > MOST {
            return Err(unknown);
        }
        let at = usize::from(publish.alias) - 1;
        if publish.topic.is_empty() {
            let known = self.topics.get(at).filter(|topic| !topic.is_empty()).ok_or(unknown)?;
            publish.topic = known.to_string();
            return Ok(());
        }
        if self.topics.len() <= at {
            self.topics.resize_with(at + 1, Box::default);
        }
        let Some(place) = self.topics.get_mut(at) else { return Err(unknown) };
        let bytes = self.bytes - place.len() + publish.topic.len();
        if bytes > self.bytes && bytes > FREE {
            self.share.get_or_insert_with(share).grow_to(bytes).map_err(Refused::Full)?;
        } else if let Some(share) = &mut self.share {
            share.hold(bytes);
        }
        *place = publish.topic.as_str().into();
        self.bytes = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::codec::QoS;
    use crate::config::{Config, Size};
    use crate::kit::budget::{Budget, Kind, Who};
    use crate::metrics::Metrics;

    fn budget() -> Budget {
        let mut config = Config::default();
        config.limits.memory = Some(Size(16 << 20));
        Budget::new(&config, Default::default(), Metrics::new().unwrap().memory)
    }

    fn resolved(aliases: &mut Aliases, budget: &Budget, topic: &str, alias: u16) -> Result<String, Refused> {
        let plain = Publish::new(topic.into(), "".into(), QoS::AtMostOnce, false);
        let mut publish = Publish { alias, ..plain };
        aliases.resolve(&mut publish, || budget.share(Kind::Packets, Who::default())).map(|()| publish.topic)
    }

    #[test]
    fn an_alias_stands_for_the_topic_it_was_given_last() {
        let (budget, mut all) = (budget(), Aliases::default());
        let mut ask = |topic: &str, alias| resolved(&mut all, &budget, topic, alias);
        let unknown = Err(Refused::Malformed(Malformed::Alias));
        assert_eq!((ask("a", 0), ask("", 3)), (Ok("a".to_owned()), unknown));
        assert_eq!((ask("a", 3), ask("", 3)), (Ok("a".to_owned()), Ok("a".to_owned())));
        assert_eq!(ask("", 2), Err(Refused::Malformed(Malformed::Alias)), "nothing was said of this one");
        assert_eq!((ask("b", 3), ask("", 3)), (Ok("b".to_owned()), Ok("b".to_owned())));
        assert_eq!(ask("a", MOST), Ok("a".to_owned()));
        assert_eq!(ask("a", MOST + 1), Err(Refused::Malformed(Malformed::Alias)));
    }

    #[test]
    fn long_topics_are_drawn_from_the_budget_and_given_back() {
        let (budget, mut all) = (budget(), Aliases::default());
        let long = "x".repeat(60_000);
        resolved(&mut all, &budget, &long, 1).unwrap();
        resolved(&mut all, &budget, &long, 2).unwrap();
        resolved(&mut all, &budget, "short", 2).unwrap();
        assert_eq!(budget.held(Kind::Packets), 60_005);
        drop(all);
        assert_eq!(budget.held(Kind::Packets), 0);
    }
}
