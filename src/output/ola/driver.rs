//! Posts frames to OLA, one after the other, over a connection that stays open.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Error, Response, Url, redirect};

use super::super::driver::{Driver, OutputError, OutputErrorKind, ReadBack, Wire};
use super::form;
use crate::dmx::Frame;

/// CONTRACT, section 8: from the first byte of a request to the last of its answer.
const TIME_OUT: Duration = Duration::from_millis(500);

/// No more of an answer is read; a good one is `ok`.
const ANSWER: usize = 1024;

/// The same for reading back a universe: at most 512 times `255,` and a few words.
const SHOWN: usize = 8 * 1024;

/// How long reading back may take: the next frame waits.
const READ_BACK: Duration = Duration::from_millis(300);

/// One universe of OLA.
pub(super) struct Ola {
    /// `None` if the system gave none.
    client: Option<Client>,
    place: Place,
}

/// An open way to it. The client keeps the connection itself.
pub(super) struct OlaWire {
    client: Client,
    place: Place,
    body: String,
}

#[derive(Clone)]
struct Place {
    url: String,
    /// Where the universe is read back, if `url` looks like OLA's own.
    shows: Option<Url>,
    universe: u32,
    /// For people: without the login.
    shown: String,
}

/// The client of all universes. It uses no proxy and follows no redirect.
pub(super) fn client() -> Option<Client> {
    Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(TIME_OUT).build().ok()
}

impl Ola {
    pub(super) fn new(client: Option<Client>, url: &str, universe: u32) -> Self {
        let shown = format!("{} universe {universe}", without_login(url));
        Self { client, place: Place { url: url.to_owned(), shows: shows(url, universe), universe, shown } }
    }
}

impl Driver for Ola {
    type Wire = OlaWire;

    fn target(&self) -> String {
        self.place.shown.clone()
    }

    /// The first frame makes the connection.
    async fn open(&mut self) -> Result<OlaWire, OutputError> {
        let client = self.client.clone().ok_or_else(|| {
            OutputError::new(
                OutputErrorKind::Open,
                "the system gave no HTTP client for OLA; restart dmxd and look at its log",
            )
        })?;
        Ok(OlaWire { client, place: self.place.clone(), body: String::new() })
    }
}

impl OlaWire {
    async fn post(&self) -> Result<(u16, Vec<u8>), Error> {
        let request = self.client.post(&self.place.url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = request.body(self.body.clone()).send().await?;
        Ok((response.status().as_u16(), start_of(response, ANSWER).await?))
    }

    async fn get(&self, url: Url) -> Result<(u16, Vec<u8>), Error> {
        let response = self.client.get(url).timeout(READ_BACK).send().await?;
        Ok((response.status().as_u16(), start_of(response, SHOWN).await?))
    }
}

impl Wire for OlaWire {
    fn target(&self) -> String {
        self.place.shown.clone()
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), OutputError> {
        form::write(&mut self.body, self.place.universe, frame);
        let (status, body) = self.post().await.map_err(|error| self.place.fault(&error))?;
        form::judge(&self.place.shown, self.place.universe, status, &body)
    }

    async fn proof(&mut self, frame: &Frame) -> Option<ReadBack> {
        let (status, body) = self.get(self.place.shows.clone()?).await.ok()?;
        form::proof(self.place.universe, frame, status, &body)
    }

    async fn close(self) {}
}

impl Place {
    fn fault(&self, error: &Error) -> OutputError {
        let (kind, why) = if error.is_timeout() {
            let limit = TIME_OUT.as_millis();
            (OutputErrorKind::Timeout, format!("no answer within {limit} ms; is OLA overloaded or out of reach?"))
        } else if error.is_connect() {
            (OutputErrorKind::Open, "nobody answers there; start olad, or correct ola.url".to_owned())
        } else {
            (OutputErrorKind::Write, format!("the connection broke off ({}); look at OLA's own log", root(error)))
        };
        OutputError::new(kind, format!("sending to {}: {why}", self.shown))
    }
}

/// As much of the body as is worth reading; the whole of a good one, so that the connection can stay open.
async fn start_of(mut response: Response, most: usize) -> Result<Vec<u8>, Error> {
    let mut start = Vec::new();
    while start.len() < most
        && let Some(chunk) = response.chunk().await?
    {
        start.extend(chunk.iter().take(most));
    }
    Ok(start)
}

/// Where a universe is read back, next to where frames are posted.
fn shows(url: &str, universe: u32) -> Option<Url> {
    let mut url = Url::parse(url).ok()?;
    let path = format!("{}/get_dmx", url.path().strip_suffix("/set_dmx")?);
    url.set_path(&path);
    url.set_query(Some(&format!("u={universe}")));
    Some(url)
}

/// A URL without its login.
fn without_login(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "ola.url".to_owned() };
    let plain = url.set_username("").and_then(|()| url.set_password(None));
    plain.map_or_else(|()| "ola.url".to_owned(), |()| url.to_string())
}

/// The innermost reason, the only one that says something, and never the URL.
fn root(error: &Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_the_address_is_not_shown() {
        let ola = Ola::new(None, "http://user:secret@h:9090/set_dmx", 3);
        assert_eq!(ola.target(), "http://h:9090/set_dmx universe 3");
    }

    #[test]
    fn a_universe_is_read_back_beside_where_it_is_set() {
        let url = |url: &str| shows(url, 7).map(|url| url.to_string());
        assert_eq!(url("http://a:b@h:9090/ola/set_dmx?x=1").as_deref(), Some("http://a:b@h:9090/ola/get_dmx?u=7"));
        assert_eq!(url("http://h:9090/elsewhere"), None);
    }
}
