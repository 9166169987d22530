//! Scans JSON text before it is read: repeated keys, and the number of values. Readers differ in which of two such values
//! counts, so one of them would act on something that the other has not seen.
//!
//! It goes over the bytes once and remembers only what is open; invalid JSON is left to the reader. Whatever the text, it takes
//! no longer than its length: it ends once a refusal would name no more.

use std::borrow::Cow;
use std::collections::HashSet;

use super::refusal::{Faults, Refusal, pointer};

/// Deeper text is refused by every reader.
const DEEPEST: usize = 128;

/// What a scan finds.
#[derive(Debug)]
pub struct JsonScan {
    /// Lists, objects, texts, numbers and words, nested ones included. Incomplete if keys are repeated.
    pub values: usize,
    twice: Faults,
}

/// What is open at a place.
enum Open<'a> {
    List(usize),
    Object { keys: HashSet<Cow<'a, str>>, key: Cow<'a, str>, at_key: bool },
}

impl JsonScan {
    /// Scans a text.
    #[must_use]
    pub fn over(text: &[u8]) -> Self {
        let mut scan = Self { values: 0, twice: Faults::default() };
        let mut open: Vec<Open<'_>> = Vec::new();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let end = match byte {
                b'"' => end_of_string(text, at),
                b'{' | b'[' | b'}' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => at + 1,
                _ => end_of_word(text, at),
            };
            let token = text.get(at..end).unwrap_or_default();
            at = end;
            match (byte, open.last_mut()) {
                (b' ' | b'\n' | b'\r' | b'\t' | b':', _) => {}
                (b'}' | b']', _) => drop(open.pop()),
                (b',', Some(Open::List(n))) => *n += 1,
                (b',', Some(Open::Object { at_key, .. })) => *at_key = true,
                (b'"', Some(Open::Object { keys, key, at_key })) if *at_key => {
                    (*key, *at_key) = (name(token), false);
                    if !keys.insert(key.clone()) {
                        scan.twice.add(path(&open), "is given twice");
                        if scan.twice.is_full() {
                            break;
                        }
                    }
                }
                (b'{', _) => {
                    scan.values += 1;
                    open.push(Open::Object { keys: HashSet::new(), key: Cow::Borrowed(""), at_key: true });
                }
                (b'[', _) => {
                    scan.values += 1;
                    open.push(Open::List(0));
                }
                _ => scan.values += 1,
            }
            if open.len() > DEEPEST {
                break;
            }
        }
        scan
    }

    /// # Errors
    /// Repeated keys, each with its place.
    pub fn each_key_once(self) -> Result<(), Refusal> {
        self.twice.or_refuse(())
    }
}

/// The place after the string that begins here.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The place after the number or word that begins here.
fn end_of_word(text: &[u8], start: usize) -> usize {
    let rest = text.get(start + 1..).unwrap_or_default();
    let end = rest.iter().position(|byte| b"\"{}[],: \n\r\t".contains(byte));
    end.map_or(text.len(), |end| start + 1 + end)
}

/// A key with its escapes undone: `"a"` and `"\u0061"` are one.
fn name(token: &[u8]) -> Cow<'_, str> {
    if token.contains(&b'\\')
        && let Ok(name) = serde_json::from_slice::<String>(token)
    {
        return Cow::Owned(name);
    }
    let inner = token.strip_prefix(b"\"").unwrap_or(token);
    String::from_utf8_lossy(inner.strip_suffix(b"\"").unwrap_or(inner))
}

/// The JSON pointer to the present place.
fn path(open: &[Open<'_>]) -> String {
    open.iter().fold(String::new(), |at, open| match open {
        Open::List(n) => format!("{at}/{n}"),
        Open::Object { key, .. } => pointer(&at, key),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn twice(text: &str) -> Vec<String> {
        let refused = JsonScan::over(text.as_bytes()).each_key_once();
        refused.err().map(|refusal| refusal.errors.into_iter().map(|e| e.path).collect()).unwrap_or_default()
    }

    #[test]
    fn a_key_given_twice_is_named_with_its_place() {
        for (text, paths) in [
            (r#"{"a":1,"a":2}"#, vec!["/a"]),
            (r#"{"a":1,"\u0061":2}"#, vec!["/a"]),
            (r#"{"a":{"b":[{},{"c":1,"c" : [],"c":null}]}, "d":1}"#, vec!["/a/b/1/c", "/a/b/1/c"]),
            (r#"[{"a/b~":1,"a/b~":1},{"":1,"":2}]"#, vec!["/0/a~1b~0", "/1/"]),
            (r#"{"a":"a","b":"a","c":{"a":1},"d":[{"a":1},{"a":1}],"e":"\",\"a"}"#, vec![]),
            (r#"{"a":{"x":1},"a":{"x":1}}"#, vec!["/a"]),
        ] {
            assert_eq!(twice(text), paths, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_left_to_the_reader() {
        for text in ["", "{", "\"", "\"\\", "}]", "{\"a", "{\"a\":1,,\"b\"", "{'a':1}", "[1 2", &"[".repeat(1000)] {
            assert!(twice(text).is_empty(), "{text}");
        }
    }

    /// Texts that cost the most to scan, each of about this many bytes.
    fn worst(bytes: usize) -> Vec<(&'static str, String)> {
        let fill = |unit: &str, taken: usize| unit.repeat(bytes.saturating_sub(taken) / unit.len());
        let nested = |open: &str, close: &str, depth: usize, unit: &str| {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            format!("{open}{{{}\"z\":0}}{close}", fill(unit, open.len() + close.len()))
        };
        let long = format!("\"{}\":1,", "k".repeat(bytes / 20));
        let key = format!("{{\"{}\":", "/~".repeat(32));
        let twice = format!("{{\"a\":{}1,\"a\":1{},", "[".repeat(100), "]".repeat(100));
        let distinct = (0..bytes / 12).fold(String::new(), |all, n| all + &format!("\"k{n:06}\":1,"));
        vec![
            ("duplicates below deep objects", nested(&key, "}", 126, "\"a\":1,")),
            ("duplicates below deep lists", nested("[", "]", 126, "\"a\":1,")),
            ("escaped duplicates", nested("[", "]", 1, "\"\\u0061\":1,")),
            ("duplicates of long keys", nested("[", "]", 1, &long)),
            ("no duplicates", format!("{{{distinct}\"z\":0}}")),
            ("lists", format!("[{}0]", fill("[],", 0))),
            ("objects in objects", nested(&twice, "}", 20, "\"a\":1,")),
            ("an endless text", format!("\"{}", fill("\\u0061", 0))),
        ]
    }

    #[test]
    fn the_worst_texts_take_time_by_their_length_alone() {
        // each takes less than a tenth of that unoptimised
        for (bytes, most) in [(64 << 10, 1), (256 << 10, 3), (8 << 20, 30)] {
            for (what, text) in worst(bytes) {
                let start = Instant::now();
                let _ = JsonScan::over(text.as_bytes()).each_key_once();
                let took = start.elapsed();
                println!("{what}, {bytes} bytes: {took:?}");
                assert!(took < Duration::from_secs(most), "{what}, {bytes} bytes: {took:?}");
            }
        }
    }

    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0,
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_counted_once_however_it_is_written(value in values()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let scan = JsonScan::over(text.as_bytes());
                prop_assert_eq!(scan.values, count(&value), "{}", text);
                prop_assert!(scan.each_key_once().is_ok());
            }
        }

        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>) {
            let _ = JsonScan::over(&bytes);
        }
    }
}
