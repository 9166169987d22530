//! The universes of a show: a list of objects with `id` and `number`, or, as predecessors wrote them, an object by number.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::entry::{number, text};

/// The number of each universe, by id; of two with one id the first counts.
pub(super) struct Universes(HashMap<String, Option<u16>>);

impl Universes {
    pub(super) fn of(show: &Map<String, Value>) -> Self {
        let mut numbers = HashMap::new();
        for (id, number, _) in all(show) {
            numbers.entry(id).or_insert(number);
        }
        Self(numbers)
    }

    /// The number of a universe; `None` inside: it has none.
    pub(super) fn number(&self, id: &str) -> Option<Option<u16>> {
        self.0.get(id).copied()
    }
}

/// A universe as written, with id and number.
type Written<'a> = (String, Option<u16>, Option<&'a Map<String, Value>>);

/// Every universe.
pub(super) fn all(show: &Map<String, Value>) -> Vec<Written<'_>> {
    match show.get("universes") {
        Some(Value::Array(list)) => list.iter().filter_map(of_list).collect(),
        Some(Value::Object(by_number)) => by_number.iter().map(of_object).collect(),
        _ => Vec::new(),
    }
}

fn of_list(universe: &Value) -> Option<Written<'_>> {
    let fields = universe.as_object()?;
    let number = fields.get("number").and_then(number);
    let id = fields.get("id").and_then(text).or_else(|| number.map(|number| number.to_string()))?;
    Some((id, number, Some(fields)))
}

fn of_object<'a>((key, universe): (&'a String, &'a Value)) -> Written<'a> {
    let fields = universe.as_object();
    let given = |name: &str| fields.and_then(|fields| fields.get(name));
    let id = given("id").and_then(text).unwrap_or_else(|| key.clone());
    (id, given("number").and_then(number).or_else(|| key.trim().parse().ok()), fields)
}
