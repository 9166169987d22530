//! Names and ids of new fixtures: readable, numbered, and nobody else's.

use std::collections::HashSet;

/// Characters of an id that come from the name.
const SLUG_CHARS: usize = 40;

/// Names and ids that are taken.
pub(super) struct Taken {
    pub(super) names: HashSet<String>,
    pub(super) ids: HashSet<String>,
}

impl Taken {
    /// Names and ids for so many fixtures. `name` as asked for, if any; `otherwise` for one without, and for ids.
    pub(super) fn next(&mut self, name: Option<&str>, otherwise: (&str, &str), count: usize) -> Vec<(String, String)> {
        let (type_name, type_id) = otherwise;
        let (stem, number) = split(name.unwrap_or(type_name));
        let slug = name.and_then(|_| slug(stem)).unwrap_or_else(|| type_id.to_owned());
        if let (Some(name), None, 1) = (name, number, count)
            && self.take(name, &slug)
        {
            return vec![(name.to_owned(), slug)];
        }
        let mut found = Vec::with_capacity(count);
        for n in number.unwrap_or(1).. {
            if found.len() >= count {
                break;
            }
            let (name, id) = (format!("{stem} {n}"), format!("{slug}-{n}"));
            if self.take(&name, &id) {
                found.push((name, id));
            }
        }
        found
    }

    fn take(&mut self, name: &str, id: &str) -> bool {
        if self.names.contains(name) || self.ids.contains(id) {
            return false;
        }
        self.names.insert(name.to_owned());
        self.ids.insert(id.to_owned())
    }

    /// An id for a name.
    pub(super) fn id(&mut self, name: &str) -> String {
        let slug = slug(name).unwrap_or_else(|| "group".to_owned());
        let numbered = (2..).map(|n: u32| format!("{slug}-{n}"));
        let mut all = std::iter::once(slug.clone()).chain(numbered);
        let free = all.find(|id| !self.ids.contains(id)).unwrap_or(slug);
        self.ids.insert(free.clone());
        free
    }
}

/// A name without the number at its end, and that number.
fn split(name: &str) -> (&str, Option<u32>) {
    let name = name.trim();
    match name.rsplit_once(' ') {
        Some((stem, number))
            if number.len() < 7 && number.bytes().all(|c| c.is_ascii_digit()) && !number.is_empty() =>
        {
            (stem.trim_end(), number.parse().ok())
        }
        _ => (name, None),
    }
}

/// What of a name fits an id that people read and type.
fn slug(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= SLUG_CHARS {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_and_go_on_where_others_end() {
        let mut taken = Taken { names: HashSet::new(), ids: HashSet::new() };
        let mut next = |name, count| {
            let made = taken.next(name, ("Dimmer", "dimmer"), count);
            made.into_iter().map(|(name, id)| format!("{name} {id}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(next(Some("PAR"), 2), "PAR 1 par-1, PAR 2 par-2");
        assert_eq!(next(Some("PAR"), 1), "PAR par");
        assert_eq!(next(Some("PAR"), 1), "PAR 3 par-3");
        assert_eq!(next(Some("PAR 7"), 2), "PAR 7 par-7, PAR 8 par-8");
        assert_eq!(next(Some("Světlo"), 1), "Světlo sv-tlo");
        assert_eq!(next(Some("灯"), 1), "灯 dimmer");
        assert_eq!(next(None, 1), "Dimmer 1 dimmer-1");
        assert_eq!(next(Some(" 5"), 1), " 5 5");
        taken.names.insert("Wash 1".to_owned());
        assert_eq!(taken.next(Some("Wash 1"), ("Dimmer", "dimmer"), 1), [("Wash 2".to_owned(), "wash-2".to_owned())]);
    }
}
