//! Single values: switches, numbers, texts, folders, addresses, secrets, and optional ones.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use toml::de::DeValue;

use super::Size;
use super::value::{Limits, MASK, Parse, ValueError, fit, quoted, shown, shown_toml, unfit};
use crate::kit::secret::Secret;

impl Parse for bool {
    fn from_text(text: &str, _: Limits) -> Result<Self, ValueError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(ValueError {
                wrong: format!("{} is neither true nor false", shown(text)),
                right: "use true or false".to_owned(),
            }),
        }
    }

    fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, ValueError> {
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

/// Reads a whole number: `number` is `None` when `shown` is not a number.
fn whole<T: TryFrom<u64>>(shown: String, number: Option<i128>, limits: Limits) -> Result<T, ValueError> {
    let right = format!("use {}", whole_in(limits));
    let Some(number) = number else {
        return Err(ValueError { wrong: format!("{shown} is not a whole number"), right });
    };
    let within = |number: &u64| match limits {
        Limits::Range(least, greatest) => (least..=greatest).contains(number),
        Limits::Any | Limits::Text(_) => true,
    };
    let fitting = u64::try_from(number).ok().filter(within).and_then(|number| T::try_from(number).ok());
    fitting.ok_or_else(|| ValueError { wrong: format!("{shown} is out of range"), right })
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
            fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError> {
                let digits = text.trim();
                let huge = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let number = digits.parse().ok().or(huge.then_some(i128::MAX));
                whole(shown(text), number, limits)
            }

            fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, ValueError> {
                let digits = match raw {
                    DeValue::Integer(digits) => digits,
                    DeValue::String(text) => return Self::from_text(text, limits), // in quotes, as a variable's text
                    other => return Err(unfit(Self::SECRET, other, &whole_in(limits))),
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

/// Units of memory as powers of two: that is what people mean by them.
const UNITS: [(&str, u64); 4] = [("GB", 30), ("MB", 20), ("kB", 10), ("B", 0)];

/// 1 TB: no machine that runs this has more, and sums stay far from overflow.
const MOST_MEMORY: u64 = 1 << 40;

impl Parse for Size {
    /// A whole number and perhaps a unit (`GiB` and `G` are as good as `GB`); without one it is in MB.
    fn from_text(text: &str, _: Limits) -> Result<Self, ValueError> {
        let plain = text.trim();
        let digits = plain.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = plain.strip_prefix(digits).unwrap_or_default().trim().to_ascii_lowercase().replace("ib", "b");
        let shift = UNITS.iter().find(|(name, _)| {
            let name = name.to_ascii_lowercase();
            unit == name || (unit.len() == 1 && name.starts_with(&unit))
        });
        let shift = if unit.is_empty() { Some(20) } else { shift.map(|(_, shift)| *shift) };
        let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
        bytes.filter(|bytes| (1 << 20..=MOST_MEMORY).contains(bytes)).map(Self).ok_or_else(|| ValueError {
            wrong: format!("{} is not an amount of memory", shown(text)),
            right: "use a number of MB, or one with its unit, \"256 MB\" for example; 1 MB is the least".to_owned(),
        })
    }

    fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, ValueError> {
        match raw {
            DeValue::Integer(digits) if digits.radix() == 10 => Self::from_text(digits.as_str(), limits),
            DeValue::String(text) => Self::from_text(text, limits),
            other => Err(unfit(Self::SECRET, other, "an amount of memory, \"256 MB\" for example")),
        }
    }

    fn to_toml(&self) -> String {
        let whole = UNITS.iter().find(|(_, shift)| self.0.trailing_zeros() >= *shift as u32);
        quoted(&whole.map_or_else(String::new, |(name, shift)| format!("{} {name}", self.0 >> shift)))
    }
}

impl Parse for String {
    fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError> {
        let text = text.trim();
        if text.contains(char::is_control) {
            let wrong = format!("{} has a control character in it", shown(text));
            return Err(ValueError { wrong, right: "use printable characters".to_owned() });
        }
        fit(&shown(text), text, limits).map(|()| text.to_owned())
    }

    fn to_toml(&self) -> String {
        quoted(self)
    }
}

impl Parse for PathBuf {
    fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError> {
        String::from_text(text, limits).map(PathBuf::from)
    }

    fn to_toml(&self) -> String {
        // it came from text, so nothing is lost
        quoted(&self.to_string_lossy())
    }
}

impl Parse for IpAddr {
    fn from_text(text: &str, _: Limits) -> Result<Self, ValueError> {
        match text.trim() {
            "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
            address => address.parse().map_err(|_| ValueError {
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

    /// Takes the text as it is: a blank may be part of it.
    fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError> {
        fit("the value (not shown)", text, limits).map(|()| Self::new(text))
    }

    fn to_toml(&self) -> String {
        quoted(MASK)
    }
}

impl<T: Parse> Parse for Option<T> {
    const SECRET: bool = T::SECRET;

    fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError> {
        if text.is_empty() { Ok(None) } else { T::from_text(text, limits).map(Some) }
    }

    fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, ValueError> {
        if raw.as_str() == Some("") { Ok(None) } else { T::from_toml(raw, limits).map(Some) }
    }

    fn to_toml(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), Parse::to_toml)
    }
}

#[cfg(test)]
mod tests {
    use super::super::form;
    use super::*;

    fn text<T: Parse>(text: &str, limits: Limits) -> Option<T> {
        T::from_text(text, limits).ok()
    }

    fn toml<T: Parse>(text: &str, limits: Limits) -> Option<T> {
        T::from_toml(DeValue::parse(text).unwrap().get_ref(), limits).ok()
    }

    #[test]
    fn a_switch_has_four_words_for_either_side_in_any_case() {
        for word in ["true", "1", "yes", "on", "TRUE", "On", " yes "] {
            assert_eq!(text(word, Limits::Any), Some(true), "{word}");
        }
        for word in ["false", "0", "no", "off", "FALSE", "Off"] {
            assert_eq!(text(word, Limits::Any), Some(false), "{word}");
        }
        for word in ["", "2", "maybe", "y"] {
            assert_eq!(text::<bool>(word, Limits::Any), None, "{word}");
        }
        assert_eq!(toml("true", Limits::Any), Some(true));
        assert_eq!(toml("0", Limits::Any), Some(false));
        assert_eq!(toml("\"on\"", Limits::Any), Some(true));
        assert_eq!(toml::<bool>("1.0", Limits::Any), None);
    }

    #[test]
    fn memory_is_in_megabytes_unless_it_says_otherwise() {
        for (word, mb) in
            [("64", 64), ("64 MB", 64), ("64MiB", 64), ("64m", 64), ("2 GB", 2048), ("1024kB", 1), ("1048576 B", 1)]
        {
            assert_eq!(text(word, Limits::Any), Some(Size(mb << 20)), "{word}");
        }
        assert_eq!(toml("64", Limits::Any), Some(Size(64 << 20)));
        for bytes in [64 << 20, 3 << 30, (1 << 20) + 1, 1025 << 10] {
            let size = Size(bytes);
            assert_eq!(toml(&size.to_toml(), Limits::Any), Some(size), "{}", size.to_toml());
        }
        for word in ["", "0", "-1", "1 kB", "40 %", "64 XB", "MB", "1.5 GB", "9999 GB", &"9".repeat(30)] {
            assert_eq!(text::<Size>(word, Limits::Any), None, "{word}");
        }
    }

    #[test]
    fn a_number_is_whole_and_within_its_limits() {
        let limits = Limits::Range(1, 64);
        assert_eq!(text(" 64 ", limits), Some(64_u16));
        assert_eq!(text("007", limits), Some(7_u16));
        for word in ["", "0", "65", "-1", "1.5", "1e1", "0x10", "1 0", "one", &"9".repeat(5000)] {
            assert_eq!(text::<u16>(word, limits), None, "{word}");
        }
        assert_eq!(toml("0x40", limits), Some(64_u16));
        assert_eq!(toml("1_0", limits), Some(10_u16));
        assert_eq!(toml("\"64\"", limits), Some(64_u16), "as the variable would have it");
        for word in [
            "0",
            "65",
            "-1",
            "1.0",
            "\"0x40\"",
            "\"one\"",
            "\"65\"",
            "[1]",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(toml::<u16>(word, limits), None, "{word}");
        }
    }

    #[test]
    fn a_number_never_outgrows_its_kind() {
        assert_eq!(text("255", Limits::Any), Some(255_u8));
        assert_eq!(text::<u8>("256", Limits::Any), None);
        assert_eq!(text("18446744073709551615", Limits::Any), Some(u64::MAX));
        assert_eq!(text::<u64>("18446744073709551616", Limits::Any), None);
    }

    #[test]
    fn a_text_is_trimmed_and_has_no_control_characters() {
        assert_eq!(text(" stage ", Limits::Any), Some("stage".to_owned()));
        assert_eq!(toml("\"světlo\"", Limits::Any), Some("světlo".to_owned()));
        for word in [r#""a\nb""#, r#""a\u0000""#, r#""a\u007f""#, "1", "true"] {
            assert_eq!(toml::<String>(word, Limits::Any), None, "{word}");
            assert_eq!(toml::<PathBuf>(word, Limits::Any), None, "{word}");
        }
    }

    #[test]
    fn an_address_is_ipv4_ipv6_or_localhost() {
        for (word, address) in [("0.0.0.0", "0.0.0.0"), ("::", "::"), ("localhost", "127.0.0.1")] {
            assert_eq!(text::<IpAddr>(word, Limits::Any).unwrap().to_string(), address);
        }
        for word in ["", "*", "1.2.3", "stage.local", "127.0.0.1:80"] {
            assert_eq!(text::<IpAddr>(word, Limits::Any), None, "{word}");
        }
    }

    #[test]
    fn a_secret_is_taken_as_it_is_and_never_shown() {
        let secret = text::<Secret>(" a b ", Limits::Any).unwrap();
        assert_eq!(secret.reveal(), " a b ");
        assert_eq!(secret.to_toml(), "\"********\"");
        let form = Limits::Text(form::BACKUP_KEY);
        for wrong in [
            Secret::from_text("geheim", form).err().unwrap(),
            Secret::from_toml(DeValue::parse("4711").unwrap().get_ref(), form).err().unwrap(),
        ] {
            assert!(wrong.wrong.starts_with("the value (not shown) is "), "{wrong:?}");
        }
    }

    #[test]
    fn what_may_be_missing_is_missing_when_empty() {
        assert_eq!(text("", Limits::Any), Some(None::<u16>));
        assert_eq!(toml("\"\"", Limits::Any), Some(None::<u16>));
        assert_eq!(toml("7", Limits::Any), Some(Some(7_u16)));
        assert_eq!(toml("\"7\"", Limits::Any), Some(Some(7_u16)));
        assert_eq!(None::<u16>.to_toml(), "\"\"");
    }

    #[test]
    fn a_wrong_text_is_shown_short_and_on_one_line() {
        let long = format!("a\n{}", "é".repeat(5000));
        let wrong = u16::from_text(&long, Limits::Any).unwrap_err().wrong;
        assert!(wrong.starts_with("\"a\\né") && wrong.ends_with("…\" is not a whole number"), "{wrong}");
        assert!(wrong.chars().count() < 100, "{wrong}");
    }
}
