//! Who asks: the key, token or cookie of a request becomes an identity. The log gets a fingerprint, never the key.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use warp::http::header::{COOKIE, ORIGIN};
use warp::http::{HeaderMap, HeaderValue};

use super::origin::is_own;
use super::request::Request;
use crate::access::{Access, Digest, Identity, Kind};
use crate::config::AuthMode;
use crate::kit::log_limiter::LogLimiters;

/// Pairs of key and address that were logged; beyond that the least recent is logged again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// The cookie of a login.
const COOKIE_NAME: &str = "dmxd";

/// How long a browser keeps it, in seconds: 400 days, the longest that browsers take (RFC 6265bis, 5.5). Not the box's clock,
/// but a logout ends it.
const COOKIE_AGE: u32 = 34_560_000;

/// What a request shows of who asks.
pub(super) enum Shown {
    /// In a header or in the address: it is meant.
    Meant(Vec<u8>),
    /// In the cookie, which browsers send by themselves.
    Carried(Vec<u8>),
    Nothing,
}

/// A key was shown, and nobody has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

/// Turns what is shown into who it is.
pub(super) struct Gate {
    access: Access,
    /// What was logged before. It only limits the log, so a lock is enough.
    seen: Mutex<LruCache<(IpAddr, String), ()>>,
    /// Limits the log by address.
    limits: Mutex<LogLimiters>,
}

impl Gate {
    pub(super) fn new(access: Access) -> Self {
        Self { access, seen: Mutex::new(LruCache::new(REMEMBERED)), limits: Mutex::default() }
    }

    /// Who asks. A wrong key is nobody's once the appliance is locked, and never a stranger's; a cookie that is no longer
    /// known counts as none.
    pub(super) fn identify(&self, shown: &Shown, peer: IpAddr) -> Result<Identity, Unknown> {
        let (secret, meant) = match shown {
            Shown::Meant(secret) => (secret, true),
            Shown::Carried(secret) => (secret, false),
            Shown::Nothing => return Ok(self.access.anonymous()),
        };
        let known = self.access.bearer(secret);
        let passes = known.is_some() || !meant || self.access.mode() == AuthMode::Audit;
        self.log(secret, peer, known.is_some(), passes);
        match known {
            Some(identity) => Ok(identity),
            None if passes => Ok(self.access.anonymous()),
            None => Err(Unknown),
        }
    }

    fn log(&self, secret: &[u8], peer: IpAddr, known: bool, passes: bool) {
        let fingerprint = Digest::of(secret).short();
        if self.seen.lock().put((peer, fingerprint.clone()), ()).is_some() {
            return;
        }
        let Some(more) = self.limits.lock().due(&peer.to_string()) else { return };
        if passes {
            tracing::info!(%fingerprint, %peer, known, more, "api_key_seen");
        } else {
            tracing::warn!(%fingerprint, %peer, more, "api_key_refused");
        }
    }
}

/// What a request shows: the header, else the address where that counts, else the cookie of our own page.
pub(super) fn shown(request: &Request) -> Shown {
    if let Some(key) = request.key() {
        return if key.is_empty() { Shown::Nothing } else { Shown::Meant(key.into_owned()) };
    }
    cookie(&request.headers).map_or(Shown::Nothing, Shown::Carried)
}

/// The cookie counts only for our own page: a request of another one carries it as well, where browsers see the same site.
fn cookie(headers: &HeaderMap) -> Option<Vec<u8>> {
    let own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| is_own(origin, headers));
    if !headers.get(ORIGIN).is_none_or(own) {
        return None;
    }
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value.as_bytes().to_vec()).next()
}

/// The cookie of a login, or its end.
pub(super) fn set_cookie(token: Option<&str>, is_secure: bool) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    let (value, age) = token.map_or(("", 0), |token| (token, COOKIE_AGE));
    let cookie = format!("{COOKIE_NAME}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(cookie).unwrap_or_else(|_| HeaderValue::from_static("dmxd=; Path=/; Max-Age=0")) // tokens are hexadecimal
}

/// Whether somebody is known here by more than being in the network.
pub(super) fn is_known(who: &Identity) -> bool {
    *who.kind() != Kind::Anonymous
}

#[cfg(test)]
mod tests {
    use super::*;
    use warp::http::header::HOST;

    fn headers(pairs: &[(warp::http::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_cookie_counts_for_our_own_page_alone() {
        let of = |origin: Option<&'static str>| {
            let mut pairs = vec![(HOST, "10.0.0.5"), (COOKIE, "a=1; dmxd=token; b=2")];
            pairs.extend(origin.map(|origin| (ORIGIN, origin)));
            cookie(&headers(&pairs))
        };
        assert_eq!(of(None), Some(b"token".to_vec()));
        assert_eq!(of(Some("http://10.0.0.5")), Some(b"token".to_vec()));
        for foreign in ["http://10.0.0.6", "null", "http://10.0.0.5:8081"] {
            assert_eq!(of(Some(foreign)), None, "{foreign}");
        }
        assert_eq!(cookie(&headers(&[(COOKIE, "xdmxd=token")])), None);
    }

    #[test]
    fn the_cookie_is_no_scripts_and_no_other_sites() {
        assert_eq!(
            set_cookie(Some("ab12"), true),
            "dmxd=ab12; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(set_cookie(None, false), "dmxd=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }
}
