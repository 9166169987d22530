//! Content codings (RFC 9110, 12.5.3): which form of a file a client gets.

use warp::http::HeaderMap;
use warp::http::header::ACCEPT_ENCODING;

/// A form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    /// Its name on the wire; none for the plain form.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// How much a client wants it, in thousandths; 0 = not at all.
    fn weight(self, wishes: &[(String, u16)]) -> u16 {
        let wished = |name: &str| wishes.iter().find(|(wish, _)| wish == name).map(|&(_, weight)| weight);
        let named = match self {
            Self::Brotli => wished("br"),
            Self::Gzip => wished("gzip").or_else(|| wished("x-gzip")),
            Self::Identity => wished("identity"),
        };
        // the plain form is acceptable unless ruled out, but comes after everything that is asked for
        named.or_else(|| wished("*")).unwrap_or(u16::from(self == Self::Identity))
    }
}

/// The form that a client wants most of those that exist, given in our own order; `None` if it accepts none. Without a
/// preference it is the plain one: the client may be a script that expects just that.
pub(super) fn choose(request: &HeaderMap, there: impl IntoIterator<Item = Coding>) -> Option<Coding> {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let wishes: Vec<_> = values.flat_map(|value| value.split(',')).filter_map(wish).collect();
    let weighed = there.into_iter().map(|coding| (coding.weight(&wishes), coding)).filter(|&(weight, _)| weight > 0);
    let best = weighed.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, coding)| coding)
}

/// `gzip;q=0.5`; an unreadable one does not count.
fn wish(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let weight = match parts.next() {
        Some(q) => thousandths(q.strip_prefix("q=").or_else(|| q.strip_prefix("Q="))?)?,
        None => 1000,
    };
    (!name.is_empty()).then_some((name, weight))
}

/// RFC 9110, 12.4.2: 0 to 1, with at most three digits.
fn thousandths(q: &str) -> Option<u16> {
    let (whole, rest) = q.split_once('.').unwrap_or((q, ""));
    let is_number = matches!(whole, "0" | "1") && rest.len() <= 3 && rest.bytes().all(|b| b.is_ascii_digit());
    let value = format!("{whole}{rest:0<3}").parse().ok().filter(|&value| value <= 1000);
    value.filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity};

    fn chosen(accepted: Option<&'static str>, there: &[Coding]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        if let Some(accepted) = accepted {
            headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
        }
        choose(&headers, there.iter().copied())
    }

    #[test]
    fn the_client_says_what_it_likes_and_we_break_ties() {
        for (accepted, coding) in [
            (None, Some(Identity)),
            (Some(""), Some(Identity)),
            (Some("gzip, deflate"), Some(Gzip)),
            (Some("gzip, deflate, br, zstd"), Some(Brotli)),
            (Some("GZIP"), Some(Gzip)),
            (Some("x-gzip"), Some(Gzip)),
            (Some("br;q=0.5, gzip;q=0.8"), Some(Gzip)),
            (Some("br ; q=0, gzip;q=0.001"), Some(Gzip)),
            (Some("br;q=0.3, identity;q=0.6"), Some(Identity)),
            (Some("br;q=0, gzip;q=0"), Some(Identity)),
            (Some("*"), Some(Brotli)),
            (Some("*;q=0.5, br;q=0"), Some(Gzip)),
            (Some("deflate, zstd"), Some(Identity)),
            (Some("identity;q=0"), None),
            (Some("*;q=0"), None),
            (Some("*;q=0, identity"), Some(Identity)),
            (Some("br;q=2, gzip;q=x, identity;q=1.5"), Some(Identity)),
        ] {
            assert_eq!(chosen(accepted, &[Brotli, Gzip, Identity]), coding, "{accepted:?}");
        }
    }

    #[test]
    fn a_form_that_is_not_there_is_not_chosen() {
        assert_eq!(chosen(Some("br, gzip"), &[Identity]), Some(Identity));
        assert_eq!(chosen(Some("br, gzip;q=0.1"), &[Gzip, Identity]), Some(Gzip));
        assert_eq!(chosen(Some("br, identity;q=0"), &[Gzip, Identity]), None);
    }
}
