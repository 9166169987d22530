//! A request as handlers see it: taken apart, its body still unread.

use std::borrow::Cow;
use std::ops::Deref;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use hyper::upgrade::OnUpgrade;
use tokio::sync::Mutex;
use tokio::time::timeout;
use warp::http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HeaderName, IF_MATCH, TRANSFER_ENCODING};
use warp::http::{HeaderMap, Method, StatusCode, Version};
use warp::hyper::body::{Buf, Bytes};
use warp::ws::Ws;

use super::peer::Peer;
use super::problem::Problem;
use crate::access::{Access, Identity};
use crate::kit::budget::{Budget, Full, Kind, Share};
use crate::library::Expected;
use crate::wire::JsonScan;

/// The header with the key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The scheme of a key in `Authorization` (RFC 6750, 2.1).
const BEARER: &[u8] = b"Bearer ";

/// The largest body, as in CONTRACT.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// How much room is added at a time to a body of unknown length. Doubling would draw twice what it needs.
const STEP: usize = MAX_BODY * 8;

/// How much of a body that is too large is read and discarded, so that its sender gets to read the answer: closing with
/// unread bytes resets the connection (RFC 9112, 9.6).
const THROWN_AWAY: usize = 8 * 1024 * 1024;

/// How large a body may be, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    bytes: usize,
    patience: Duration,
}

/// Every body but a document: 64 KiB at 13 kB/s, slower than any radio we know of.
pub(super) const SMALL: Limit = Limit { bytes: MAX_BODY, patience: Duration::from_secs(5) };

/// A list of scenes, a scene or a show file: 8 MiB, as much as a project may hold, at 140 kB/s: a tablet at the far end of a hall.
pub(super) const DOCUMENT: Limit = Limit { bytes: 8 << 20, patience: Duration::from_secs(60) };

/// The appliance's own backup: 24 MiB, since imported fixture types may have 16 of them.
pub(super) const APPLIANCE: Limit = Limit { bytes: 24 << 20, patience: Duration::from_secs(180) };

/// How long to wait for the rest of a body that nobody wants.
const REST_PATIENCE: Duration = Duration::from_secs(3);

/// Pieces of a body.
type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// A body, or its unread rest. Clones share it; one reads at a time, and nobody else waits for the lock.
#[derive(Clone)]
pub(super) struct Body(Arc<Mutex<Option<Pieces>>>);

/// One request.
pub(super) struct Request {
    /// Budget for its body.
    pub(super) budget: Budget,
    pub(super) method: Method,
    pub(super) path: String,
    /// The part after `?`.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) peer: Peer,
    pub(super) version: Version,
    /// The segments that stand for each `{…}` in the route's path.
    pub(super) parameters: Vec<String>,
    /// Gives the bytes of the connection once the answer has handed it over; for HTTP/1.1 only.
    pub(super) upgrades: Option<OnUpgrade>,
    /// Who asks.
    pub(super) who: Identity,
    /// Asked again when a body has come, which takes its time; `None`: nobody in particular is needed.
    pub(super) access: Option<Access>,
    /// Present if the request opens a WebSocket.
    pub(super) upgrade: Option<Ws>,
    pub(super) body: Body,
}

/// Bytes in memory, and their share of the budget.
pub(super) struct Held {
    bytes: Vec<u8>,
    share: Share,
}

impl Held {
    pub(super) fn new(bytes: Vec<u8>, share: Share) -> Self {
        Self { bytes, share }
    }

    /// Room for this many bytes, all drawn before they are there.
    fn reserve(&mut self, bytes: usize) -> Result<(), Full> {
        // a small body costs no more than its connection, and a command must not fail because others import
        if bytes > MAX_BODY {
            self.share.grow_to(bytes)?;
        }
        self.bytes.reserve_exact(bytes - self.bytes.len());
        Ok(())
    }

    fn extend(&mut self, piece: &[u8], most: usize) -> Result<(), Full> {
        let bytes = self.bytes.len() + piece.len();
        if bytes > self.bytes.capacity() {
            self.reserve(bytes.next_multiple_of(STEP).min(most))?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// warp's body stream, as ours.
pub(super) fn body(pieces: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + 'static) -> Body {
    let pieces = pieces.map(|piece| {
        piece.map(|mut buf| {
            let left = buf.remaining();
            buf.copy_to_bytes(left)
        })
    });
    Body(Arc::new(Mutex::new(Some(Box::pin(pieces)))))
}

impl Body {
    /// The next piece; `None` at the end, and ever after.
    async fn next(&self) -> Option<Result<Bytes, warp::Error>> {
        let mut pieces = self.0.lock().await;
        let next = pieces.as_mut()?.next().await;
        if !matches!(next, Some(Ok(_))) {
            *pieces = None;
        }
        next
    }

    /// Reads the rest of an unwanted body, so that the connection can go on; `false` if that is not worth it, or if it would
    /// invite a client that asked first (`Expect`) to send it. Bytes left unread break the connection under the sender.
    pub(super) async fn is_read(&self, headers: &HeaderMap) -> bool {
        let announced = announced(headers);
        if announced.unwrap_or(0) == 0 && !headers.contains_key(TRANSFER_ENCODING) {
            return true;
        }
        if announced.is_some_and(|bytes| bytes > THROWN_AWAY) || headers.contains_key(EXPECT) {
            return self.0.lock().await.is_none();
        }
        let rest = async {
            let mut read = 0;
            while let Some(piece) = self.next().await {
                read += piece.map_or(THROWN_AWAY + 1, |piece| piece.len());
                if read > THROWN_AWAY {
                    return false;
                }
            }
            true
        };
        timeout(REST_PATIENCE, rest).await.unwrap_or(false)
    }
}

/// The value of `content-length`.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads an id; an invalid one names nothing.
pub(super) fn id<T: FromStr>(text: &str, of: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, format!("there is no {of} with such an id")))
}

impl Request {
    /// The whole body.
    ///
    /// # Errors
    /// 413 above the limit, even without a `content-length`; 408 if it takes too long; 400 if it breaks off.
    pub(super) async fn bytes(&mut self, limit: Limit) -> Result<Held, Problem> {
        let announced = announced(&self.headers).unwrap_or(0);
        // a client that asks first (RFC 9110, 10.1.1) is told before it sends
        let most = limit.bytes;
        if announced > most && (self.headers.contains_key(EXPECT) || announced > most + THROWN_AWAY) {
            return Err(too_large(most));
        }
        let mut whole = Held::new(Vec::new(), self.budget.share(Kind::Bodies, self.peer.addr.ip()));
        if announced <= most {
            whole.reserve(announced)?;
        }
        match timeout(limit.patience, collect(&self.body, most, whole)).await {
            Ok(read) => self.still_may().and(read),
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body took longer than {} s", limit.patience.as_secs()),
            )),
        }
    }

    /// Who asked may have been shown out while the body came.
    fn still_may(&self) -> Result<(), Problem> {
        if self.access.as_ref().is_none_or(|access| access.holds(&self.who)) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::UNAUTHORIZED, "the login has ended, or its role has changed, while this was sent"))
    }

    /// The whole small body: JSON with each key given once.
    ///
    /// # Errors
    /// As [`Self::bytes`], and 422 for repeated keys.
    pub(super) async fn json(&mut self) -> Result<Held, Problem> {
        let body = self.bytes(SMALL).await?;
        JsonScan::over(&body).each_key_once()?;
        Ok(body)
    }

    /// Whether its body is announced as one within [`SMALL`].
    pub(super) fn is_small(&self) -> bool {
        announced(&self.headers).is_some_and(|bytes| bytes <= MAX_BODY)
    }

    /// The content that it expects to edit: `If-Match` (RFC 9110, 13.1.1).
    pub(super) fn expected(&self) -> Expected {
        let mut values = self.headers.get_all(IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Expected::Anything;
        }
        // a value that is not text matches nothing, like any unknown tag
        let tags: Vec<_> =
            values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).map(str::trim).collect();
        if tags.contains(&"*") {
            return Expected::Anything;
        }
        Expected::OneOf(tags.into_iter().map(str::to_owned).collect())
    }

    /// The key: in the header or, for reading only, after `?token=`, since a link sends no header.
    pub(super) fn key(&self) -> Option<Cow<'_, [u8]>> {
        let reads = self.method == Method::GET || self.method == Method::HEAD;
        match key_in_header(&self.headers) {
            None if reads => self.query("token").map(Cow::Owned),
            key => key.map(Cow::Borrowed),
        }
    }

    /// The segment that stands for the route's `n`th `{…}`.
    pub(super) fn parameter(&self, n: usize) -> &str {
        self.parameters.get(n).map_or("", String::as_str)
    }

    /// The id in its place.
    pub(super) fn id<T: FromStr>(&self, n: usize, of: &str) -> Result<T, Problem> {
        id(self.parameter(n), of)
    }

    /// The first value of a name in the query, percent-decoded.
    pub(super) fn query(&self, name: &str) -> Option<Vec<u8>> {
        self.asked().find_map(|(key, value)| value.filter(|_| key == name)).map(decode)
    }

    /// The first value of a switch in the query; its name alone counts as `1`.
    pub(super) fn switch(&self, name: &str) -> Option<Vec<u8>> {
        self.asked().find(|(key, _)| key == name).map(|(_, value)| value.map_or_else(|| b"1".to_vec(), decode))
    }

    /// The query: names, percent-decoded, and their values as sent, if any.
    pub(super) fn asked(&self) -> impl Iterator<Item = (String, Option<&str>)> {
        self.query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decoded(name), Some(value)),
            None => (decoded(pair), None),
        })
    }
}

async fn collect(pieces: &Body, most: usize, mut whole: Held) -> Result<Held, Problem> {
    let mut read = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {e}")))?;
        read += piece.len();
        if read <= most {
            whole.extend(&piece, most)?;
        } else if read > most + THROWN_AWAY {
            break;
        }
    }
    if read > most { Err(too_large(most)) } else { Ok(whole) }
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most} bytes"))
}

/// The key in a header.
pub(super) fn key_in_header(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(API_KEY) {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| key.trim_ascii())
}

/// A segment of a path, percent-decoded; unchanged if the result is not text.
pub(super) fn decoded(segment: &str) -> String {
    String::from_utf8(decode(segment)).unwrap_or_else(|_| segment.to_owned())
}

/// Percent-decoding of a query value (RFC 3986, 2.1); `+` stands for itself, since keys may contain any character. Invalid
/// escapes stay as they are.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |b: u8| char::from(b).to_digit(16);
        let mut ahead = bytes.clone();
        let escape = (byte == b'%')
            .then(|| Some(digit(ahead.next()?)? * 16 + digit(ahead.next()?)?))
            .flatten()
            .and_then(|value| u8::try_from(value).ok());
        if escape.is_some() {
            bytes = ahead;
        }
        out.push(escape.unwrap_or(byte));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_as_x_api_key_or_as_bearer() {
        for (pairs, key) in [
            (vec![(API_KEY, "a")], Some(&b"a"[..])),
            (vec![(AUTHORIZATION, "Bearer a")], Some(b"a")),
            (vec![(AUTHORIZATION, "bearer  a ")], Some(b"a")),
            (vec![(AUTHORIZATION, "Basic a")], None),
            (vec![(AUTHORIZATION, "Bear")], None),
            (vec![(API_KEY, "a"), (AUTHORIZATION, "Bearer b")], Some(b"a")),
            (vec![], None),
        ] {
            assert_eq!(
                key_in_header(
                    &pairs
                        .iter()
                        .map(|(name, value)| (name.clone(), warp::http::HeaderValue::from_static(value)))
                        .collect()
                ),
                key,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn a_query_value_is_percent_decoded_and_a_lone_percent_kept() {
        for (text, bytes) in [("a%20b", "a b"), ("a+b", "a+b"), ("%2", "%2"), ("%zz%", "%zz%"), ("%c3%A9", "é")] {
            assert_eq!(decode(text), bytes.as_bytes(), "{text}");
        }
    }
}
