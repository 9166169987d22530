//! A tree of filters by their levels: who matches a topic, without asking every filter.

use std::collections::HashMap;

/// A filter in a tree. Those that the router knows are never used twice, so what still comes by an old one is known to be old.
pub(super) type WildcardId = usize;

/// Filters, level by level: what a topic costs depends on its levels and on what matches it.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// Wildcards stand here under their own names.
    below: HashMap<Box<str>, Level>,
    id: Option<WildcardId>,
}

impl Level {
    pub(super) fn put(&mut self, filter: &str, id: WildcardId) {
        let mut level = self;
        for name in filter.split('/') {
            level = level.below.entry(name.into()).or_default();
        }
        level.id = Some(id);
    }

    /// Takes a filter out; true when nothing is left here. As deep as filters may be.
    pub(super) fn remove(&mut self, rest: Option<&str>) -> bool {
        let Some(rest) = rest else {
            self.id = None;
            return self.below.is_empty();
        };
        let (name, rest) = split(rest);
        if self.below.get_mut(name).is_some_and(|below| below.remove(rest)) {
            self.below.remove(name);
        }
        self.id.is_none() && self.below.is_empty()
    }

    /// Every filter that a topic matches, as the router matches it. As deep as filters may be.
    pub(super) fn matching(&self, rest: Option<&str>, found: &mut Vec<WildcardId>) {
        if let Some(all) = self.below.get("#") {
            found.extend(all.id);
        }
        match rest {
            None => found.extend(self.id),
            Some(rest) => {
                let (name, rest) = split(rest);
                for name in [name, "+"] {
                    if let Some(below) = self.below.get(name) {
                        below.matching(rest, found);
                    }
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.below.is_empty()
    }
}

/// The first level of a topic or filter, and what is behind it.
fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(name, rest)| (name, Some(rest)))
}
