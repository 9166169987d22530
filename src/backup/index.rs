//! index.json of a project's folder: a list of version records. Pure; keeps unknown records and fields, and reads a
//! predecessor's, which have neither `sha256` nor `provider`, and `null` for optional fields.

use serde_json::{Value, json};

use super::version::{Provider, Version};
use crate::dmx::VersionId;
use crate::wire::without_mark;

/// Highest position in the order of making: beyond it, JavaScript and Python's floats cannot count by one.
pub(super) const MOST_ORDER: u64 = 1 << 53;

/// The records as in the file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Index(Vec<Value>);

/// What the folder knows of a version's file, for what its record lacks.
#[derive(Clone, Copy, Debug)]
pub(super) struct VersionFile {
    /// Bytes.
    pub(super) size: u64,
    /// Unix milliseconds.
    pub(super) modified: u64,
    /// By its first bytes.
    pub(super) sealed: bool,
}

impl Index {
    /// `None`: not a list of records.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match serde_json::from_slice(without_mark(bytes)) {
            Ok(Value::Array(records)) => Some(Self(records)),
            _ => None,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{:#}", Value::from(self.0.clone()));
        text.push('\n');
        text.into_bytes()
    }

    /// The last versions, at most `most`, whose files `found` finds.
    pub(super) fn versions(&self, most: usize, found: impl Fn(&VersionId) -> Option<VersionFile>) -> Vec<Version> {
        let spare = self.0.len().saturating_sub(most);
        let named = self.0.iter().enumerate().skip(spare).filter_map(|(at, record)| Some((at, record, id(record)?)));
        named.filter_map(|(at, record, id)| Some(described(&id, Some((at, record)), found(&id)?))).collect()
    }

    /// Adds a version, or replaces the one with its id.
    pub(super) fn add(&mut self, version: &Version) {
        self.remove(&version.version_id);
        let mut record = json!(version);
        if let Some(fields) = record.as_object_mut() {
            fields.insert("sha256".to_owned(), json!(version.sha256));
            if version.safety {
                fields.insert("safety".to_owned(), json!(true));
            }
            if let Some(order) = version.order {
                fields.insert("order".to_owned(), json!(order));
            }
        }
        self.0.push(record);
    }

    /// Removes a version; true if it was there.
    pub(super) fn remove(&mut self, version: &VersionId) -> bool {
        let before = self.0.len();
        self.0.retain(|record| id(record).as_ref() != Some(version));
        self.0.len() < before
    }

    /// What is known of a version; from its file if there is no record.
    pub(super) fn version(&self, version: &VersionId, found: VersionFile) -> Version {
        let mut records = self.0.iter().enumerate();
        described(version, records.find(|(_, record)| id(record).as_ref() == Some(version)), found)
    }
}

fn described(version: &VersionId, record: Option<(usize, &Value)>, found: VersionFile) -> Version {
    let field = |name: &str| record.and_then(|(_, record)| record.get(name));
    Version {
        version_id: version.clone(),
        created_at: field("createdAt").and_then(number).unwrap_or(found.modified),
        size: found.size,
        label: field("label").and_then(Value::as_str).map(str::to_owned),
        provider: Provider::Local,
        encrypted: field("encrypted").and_then(Value::as_bool).unwrap_or(found.sealed),
        sha256: field("sha256").and_then(Value::as_str).map(str::to_ascii_lowercase),
        safety: field("safety").and_then(Value::as_bool).unwrap_or(false),
        order: match field("order").and_then(Value::as_u64) {
            Some(order) => Some(order).filter(|order| *order <= MOST_ORDER),
            None => record.filter(|(_, record)| is_ours(record)).map(|(at, _)| at as u64 + 1),
        },
    }
}

/// Whether a build of dmxd wrote the record. Builds that did not number versions yet appended each one.
fn is_ours(record: &Value) -> bool {
    record.get("sha256").is_some_and(Value::is_string) && record.get("provider").is_some()
}

fn id(record: &Value) -> Option<VersionId> {
    record.get("versionId")?.as_str()?.parse().ok()
}

fn number(value: &Value) -> Option<u64> {
    // Python may have written a float; a negative one becomes 0.
    value.as_u64().or_else(|| value.as_f64().map(|float| float as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: VersionFile = VersionFile { size: 3, modified: 9, sealed: true };

    #[test]
    fn a_predecessors_records_are_read_and_kept_with_all_they_have() {
        let text = br#"[{"versionId":"a","createdAt":5.0,"size":null,"label":null,"encrypted":null,"more":{"x":1}},
            "odd", {"versionId":"../b"}]"#;
        let mut index = Index::parse(text).unwrap();
        assert_eq!(Index::parse(&[b"\xef\xbb\xbf", &text[..]].concat()).as_ref(), Some(&index), "edited on Windows");
        let a: VersionId = "a".parse().unwrap();
        let read = index.version(&a, FOUND);
        assert_eq!(index.versions(9, |_| Some(FOUND)), std::slice::from_ref(&read));
        assert_eq!((read.created_at, read.size, read.label.clone(), read.encrypted), (5, 3, None, true));
        assert_eq!((read.sha256.clone(), read.safety), (None, false));

        let id = "c".parse().unwrap();
        let new = Version { version_id: id, sha256: Some("AB".into()), safety: true, order: Some(7), ..read };
        index.add(&new);
        let again = Index::parse(&index.to_bytes()).unwrap();
        assert_eq!(again, index);
        assert_eq!(again.version(&new.version_id, FOUND).sha256.as_deref(), Some("ab"));
        assert_eq!(again.version(&new.version_id, FOUND).order, Some(7));
        assert!(String::from_utf8(again.to_bytes()).unwrap().contains(r#""x": 1"#));
        assert!(index.remove(&a) && !index.remove(&a));
        assert_eq!(index.0.len(), 3);
    }

    #[test]
    fn records_of_ours_without_a_number_stand_in_the_order_they_were_appended() {
        let ours = |id: &str, at: u64| json!({"versionId": id, "createdAt": at, "provider": "local", "sha256": "00"});
        let theirs = json!({"versionId": "t", "createdAt": 3});
        let odd = json!({"versionId": "o", "createdAt": 3, "sha256": "00", "provider": "local", "order": u64::MAX});
        let index = Index(vec![ours("a", 9), theirs, ours("b", 1), odd]);
        let order = |id: &str| index.version(&id.parse().unwrap(), FOUND).order;
        assert_eq!([order("a"), order("t"), order("b"), order("o")], [Some(1), None, Some(3), None]);
    }

    #[test]
    fn what_is_no_list_is_no_index() {
        for text in ["", "{}", "[", "null"] {
            assert_eq!(Index::parse(text.as_bytes()), None, "{text}");
        }
    }
}
