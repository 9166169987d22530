//! Lists: comma text or a JSON array in a variable; an array, or either of these in quotes, in the file.

use toml::de::DeValue;

use super::value::{Limits, Parse, ValueError, shown, shown_unless, unfit};
use super::{MasterChannels, UniversePair};
use crate::dmx::{UNIVERSES, UniverseId};
use crate::kit::secret::Secret;

/// What a list may hold. Numbers in lists are USB ids, the only ones we have.
pub(crate) trait Item: Sized {
    /// Whether it must not be shown.
    const SECRET: bool = false;
    /// Whether TOML's hexadecimal numbers are accepted beside texts.
    const HEXADECIMAL: bool = false;
    /// What a list looks like.
    const LIKE: &'static str = r#"["…", "…"]"#;
    /// Reads an item that is not empty.
    fn read(text: &str, limits: Limits) -> Result<Self, ValueError>;
    /// As it is written in a file's array.
    fn written(&self) -> String;
}

impl Item for String {
    fn read(text: &str, limits: Limits) -> Result<Self, ValueError> {
        Self::from_text(text, limits)
    }

    fn written(&self) -> String {
        self.to_toml()
    }
}

impl Item for Secret {
    const SECRET: bool = true;

    fn read(text: &str, limits: Limits) -> Result<Self, ValueError> {
        Self::from_text(text, limits)
    }

    fn written(&self) -> String {
        self.to_toml()
    }
}

impl Item for u16 {
    const HEXADECIMAL: bool = true;
    const LIKE: &'static str = r#"["0x0403", "0x0483"]"#;

    /// Hexadecimal, as `lsusb` prints it, with or without `0x`.
    fn read(text: &str, _: Limits) -> Result<Self, ValueError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
        let id = Self::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
        id.ok_or_else(|| ValueError {
            wrong: format!("{} is not a USB id", shown(text)),
            right: "use hexadecimal digits in quotes, \"0x0403\" for example".to_owned(),
        })
    }

    fn written(&self) -> String {
        format!("\"0x{self:04x}\"")
    }
}

impl Item for UniversePair {
    const LIKE: &'static str = r#"["1:2", "2:3"]"#;

    /// Our universe, a colon, OLA's.
    fn read(text: &str, _: Limits) -> Result<Self, ValueError> {
        let pair = text.split_once(':').and_then(|(ours, olas)| {
            let ours = ours.trim().parse().ok().filter(|&ours| usize::from(ours) < UNIVERSES)?;
            Some(Self { ours, olas: olas.trim().parse().ok()? })
        });
        pair.ok_or_else(|| ValueError {
            wrong: format!("{} is not a pair of universes", shown(text)),
            right: "use ours (0 to 63), a colon and OLA's, \"1:2\" for example".to_owned(),
        })
    }

    fn written(&self) -> String {
        format!("\"{}:{}\"", self.ours, self.olas)
    }
}

impl Item for MasterChannels {
    const LIKE: &'static str = r#"["1:1-24", "1:30"]"#;

    /// A universe, a colon, and a channel or a range of channels.
    fn read(text: &str, _: Limits) -> Result<Self, ValueError> {
        let read = text.split_once(':').and_then(|(universe, channels)| {
            let universe = universe.trim().parse().ok().and_then(UniverseId::new)?;
            Some(Self { universe, channels: channels.parse().ok()? })
        });
        read.ok_or_else(|| ValueError {
            wrong: format!("{} is not a universe with channels", shown(text)),
            right: "use a universe (0 to 63), a colon and channels, \"1:1-24\" for example".to_owned(),
        })
    }

    fn written(&self) -> String {
        format!("\"{}:{}\"", self.universe, self.channels)
    }
}

impl<T: Item> Parse for Vec<T> {
    const SECRET: bool = T::SECRET;

    /// Comma text, or a JSON array of texts.
    fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError> {
        if !text.trim_start().starts_with('[') {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            return items.map(|item| T::read(item, limits)).collect();
        }
        let items: Vec<String> = serde_json::from_str(text).map_err(|_| ValueError {
            wrong: format!("{} is not a JSON array of texts", shown_unless(T::SECRET, || shown(text))),
            right: format!("use a comma list or {}", T::LIKE),
        })?;
        items.iter().map(|item| not_empty(item, limits)).collect()
    }

    fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, ValueError> {
        let unfit = |raw: &DeValue<'_>| unfit(T::SECRET, raw, &format!("a list of texts: {}", T::LIKE));
        match raw {
            DeValue::String(text) => Self::from_text(text, limits),
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => not_empty(text, limits),
                    DeValue::Integer(number) if T::HEXADECIMAL && number.radix() == 16 => {
                        T::read(number.as_str(), limits)
                    }
                    other => Err(unfit(other)),
                })
                .collect(),
            other => Err(unfit(other)),
        }
    }

    fn to_toml(&self) -> String {
        let items: Vec<_> = self.iter().map(Item::written).collect();
        format!("[{}]", items.join(", "))
    }
}

/// An empty key in a list would let everybody in.
fn not_empty<T: Item>(text: &str, limits: Limits) -> Result<T, ValueError> {
    if text.trim().is_empty() {
        let right = "leave it out".to_owned();
        return Err(ValueError { wrong: "an item of the list is empty".to_owned(), right });
    }
    T::read(text, limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Item>(text: &str) -> Option<Vec<T>> {
        Vec::from_text(text, Limits::Any).ok()
    }

    fn toml<T: Item>(text: &str) -> Option<Vec<T>> {
        Vec::from_toml(DeValue::parse(text).unwrap().get_ref(), Limits::Any).ok()
    }

    #[test]
    fn a_list_is_comma_text_a_json_array_or_a_toml_array() {
        let both = Some(vec!["http://a".to_owned(), "http://b".to_owned()]);
        assert_eq!(text("http://a, http://b,"), both);
        assert_eq!(text(r#" ["http://a", "http:\/\/b"]"#), both);
        assert_eq!(toml(r#"["http://a", "http://b"]"#), both);
        assert_eq!(toml(r#""http://a,http://b""#), both);
        assert_eq!(toml::<String>("[]"), Some(vec![]));
    }

    #[test]
    fn a_list_of_something_else_is_refused() {
        for word in ["[1]", "[null]", r#"["a""#, r#"[""]"#, r#"[["a"]]"#] {
            assert_eq!(text::<String>(word), None, "{word}");
        }
        for word in ["[1]", "[0x10]", "[true]", r#"[""]"#, "1", "{ a = 1 }"] {
            assert_eq!(toml::<String>(word), None, "{word}");
        }
    }

    #[test]
    fn usb_ids_are_hexadecimal() {
        let list = vec![0x0403, 0x6001];
        assert_eq!(list.to_toml(), r#"["0x0403", "0x6001"]"#);
        let ids = Some(list);
        assert_eq!(text("0x0403,6001"), ids);
        assert_eq!(text(r#"["0X403", "0x6001"]"#), ids);
        assert_eq!(toml(r#"["0x0403", "6001"]"#), ids);
        assert_eq!(toml("[0x0403, 0x6001]"), ids);
        for word in ["0x", "x", "0x10000", "-1", "+1", "0x+1", "1.0"] {
            assert_eq!(text::<u16>(word), None, "{word}");
        }
        assert_eq!(toml::<u16>("[1027]"), None, "decimal or hexadecimal? better ask");
    }

    #[test]
    fn a_map_of_universes_is_a_list_of_pairs() {
        let pairs = vec![UniversePair { ours: 1, olas: 2 }, UniversePair { ours: 63, olas: 70 }];
        assert_eq!(pairs.to_toml(), r#"["1:2", "63:70"]"#);
        assert_eq!(text("1:2, 63 : 70"), Some(pairs.clone()));
        assert_eq!(toml(r#"["1:2", "63:70"]"#), Some(pairs));
        for word in ["1", "1:", ":2", "64:1", "-1:2", "1:2:3", "1:-2", "a:b"] {
            assert_eq!(text::<UniversePair>(word), None, "{word}");
        }
    }

    #[test]
    fn an_empty_key_never_gets_into_a_list_of_keys() {
        assert!(text::<Secret>(r#"[""]"#).is_none());
        assert_eq!(text::<Secret>(",a, ,b").map(|keys| keys.len()), Some(2));
    }
}
