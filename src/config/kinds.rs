//! Single values: switches, numbers, texts, folders, addresses, secrets, and what may be missing.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use toml::de::DeValue;

use super::value::{Limits, MASK, Parse, Wrong, fit, quoted, shown, shown_toml, unfit};
use crate::kit::secret::Secret;

impl Parse for bool {
    fn from_text(text: &str, _: Limits) -> Result<Self, Wrong> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Wrong {
                wrong: format!("{} is neither true nor false", shown(text)),
                right: "use true or false".to_owned(),
            }),
        }
    }

    fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, Wrong> {
        match raw {
            DeValue::Boolean(on) => Ok(*on),
            DeValue::Integer(digits) => Self::from_text(digits.as_str(), limits),
            DeValue::String(text) => Self::from_text(text, limits),
            other => Err(unfit(Self::SECRET, other, "true or false")),
        }
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

/// Reads a whole number: `number` is `None` when `shown` is none at all.
fn whole<T: TryFrom<u64>>(shown: String, number: Option<i128>, limits: Limits) -> Result<T, Wrong> {
    let right = format!("use {}", whole_in(limits));
    let Some(number) = number else {
        return Err(Wrong { wrong: format!("{shown} is not a whole number"), right });
    };
    let within = |number: &u64| match limits {
        Limits::Range(least, greatest) => (least..=greatest).contains(number),
        Limits::Any | Limits::Text(_) => true,
    };
    let fitting = u64::try_from(number).ok().filter(within).and_then(|number| T::try_from(number).ok());
    fitting.ok_or_else(|| Wrong { wrong: format!("{shown} is out of range"), right })
}

fn whole_in(limits: Limits) -> String {
    match limits {
        Limits::Range(least, greatest) => format!("a whole number from {least} to {greatest}"),
        Limits::Any | Limits::Text(_) => "a whole number".to_owned(),
    }
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => {$(
        impl Parse for $kind {
            fn from_text(text: &str, limits: Limits) -> Result<Self, Wrong> {
                let digits = text.trim();
                let huge = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let number = digits.parse().ok().or(huge.then_some(i128::MAX));
                whole(shown(text), number, limits)
            }

            fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, Wrong> {
                let DeValue::Integer(digits) = raw else {
                    return Err(unfit(Self::SECRET, raw, &whole_in(limits)));
                };
                let number = i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(i128::MAX);
                whole(shown_toml(raw), Some(number), limits)
            }

            fn to_toml(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_numbers!(u8, u16, u32, u64, usize);

impl Parse for String {
    fn from_text(text: &str, limits: Limits) -> Result<Self, Wrong> {
        let text = text.trim();
        if text.contains(char::is_control) {
            let wrong = format!("{} has a control character in it", shown(text));
            return Err(Wrong { wrong, right: "use printable characters".to_owned() });
        }
        fit(&shown(text), text, limits).map(|()| text.to_owned())
    }

    fn to_toml(&self) -> String {
        quoted(self)
    }
}

impl Parse for PathBuf {
    fn from_text(text: &str, limits: Limits) -> Result<Self, Wrong> {
        String::from_text(text, limits).map(PathBuf::from)
    }

    fn to_toml(&self) -> String {
        // It came from text, so nothing gets lost.
        quoted(&self.to_string_lossy())
    }
}

impl Parse for IpAddr {
    fn from_text(text: &str, _: Limits) -> Result<Self, Wrong> {
        match text.trim() {
            "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
            address => address.parse().map_err(|_| Wrong {
                wrong: format!("{} is not an IP address", shown(text)),
                right: "use an address of this machine, 0.0.0.0 for all of IPv4 or :: for all".to_owned(),
            }),
        }
    }

    fn to_toml(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Parse for Secret {
    const SECRET: bool = true;

    /// Takes the text as it is: a blank may belong to it.
    fn from_text(text: &str, limits: Limits) -> Result<Self, Wrong> {
        fit("the value (not shown)", text, limits).map(|()| Self::new(text))
    }

    fn to_toml(&self) -> String {
        quoted(MASK)
    }
}

impl<T: Parse> Parse for Option<T> {
    const SECRET: bool = T::SECRET;

    fn from_text(text: &str, limits: Limits) -> Result<Self, Wrong> {
        if text.is_empty() { Ok(None) } else { T::from_text(text, limits).map(Some) }
    }

    fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, Wrong> {
        if raw.as_str() == Some("") { Ok(None) } else { T::from_toml(raw, limits).map(Some) }
    }

    fn to_toml(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), Parse::to_toml)
    }
}
