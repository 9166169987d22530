//! The link to a bucket: requests with a deadline each, tried again with growing pauses while that may help. Knows no
//! backups.

use std::future::Future;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::HeaderMap;
use s3::command::Command;
use s3::creds::Credentials;
use s3::request::Request;
use s3::request::tokio_backend::ReqwestRequest;
use s3::{Bucket, Region};
use tokio::time::{sleep, timeout};

use super::Trouble;
use crate::backup::fault::{Fault, FaultKind};
use crate::backup::vault::Progress;
use crate::config;
use crate::kit::backoff::Backoff;
use crate::kit::secret::Secret;

/// A request is tried so often, with pauses from the first to the second: some 5 s in all.
const TRIES: u32 = 4;
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

/// So long an answer, or its next piece, may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The slowest upload that is waited for, in bytes a second: half a megabit.
const SLOWEST: u64 = 64 << 10;

/// Pages of a listing, of 1,000 each: more than anybody keeps, and an end in any case.
const PAGES: usize = 1000;

/// Where a bucket is when nothing says so.
const REGION: &str = "us-east-1";

/// A bucket.
pub(super) struct Link {
    bucket: Bucket,
    /// As messages name it.
    place: String,
    /// Whether requests are signed.
    keys: bool,
}

/// An object of a listing.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) key: String,
    /// Another one when the object is another.
    pub(super) mark: String,
    /// Bytes.
    pub(super) size: u64,
    /// Unix milliseconds.
    pub(super) modified: u64,
}

impl Link {
    pub(super) fn new(settings: &config::Backup) -> Result<Self, Fault> {
        let wrong = |what: String| Fault::new(FaultKind::Refused, format!("setting up S3: {what}"));
        let region = Some(settings.s3_region.as_str()).filter(|region| !region.is_empty()).unwrap_or(REGION);
        let own = settings.s3_endpoint.trim_end_matches('/');
        let endpoint = if own.is_empty() { amazons(region) } else { own.to_owned() };
        let keys = settings.s3_access_key.is_some();
        // Named keys or none: the crate's other ways ask variables, files and the metadata service.
        let credentials = match (&settings.s3_access_key, &settings.s3_secret_key) {
            (Some(access), Some(secret)) => {
                let token = settings.s3_session_token.as_ref().map(Secret::reveal);
                Credentials::new(Some(access.reveal()), Some(secret.reveal()), None, token, None)
            }
            _ => Credentials::anonymous(),
        };
        let credentials = credentials.map_err(|error| wrong(error.to_string()))?;
        let place = format!("bucket {} at {endpoint}", settings.s3_bucket);
        let region = Region::Custom { region: region.to_owned(), endpoint };
        let mut bucket = *Bucket::new(&settings.s3_bucket, region, credentials).map_err(|e| wrong(e.to_string()))?;
        // A name with a dot has no certificate as a host name.
        if settings.s3_path_style.unwrap_or(!own.is_empty() || settings.s3_bucket.contains('.')) {
            bucket.set_path_style();
        }
        // Set in any case: without a proxy of its own the client would obey HTTP_PROXY and its family.
        let proxy = match settings.s3_proxy.as_str() {
            "" => reqwest::Proxy::custom(|_| None::<reqwest::Url>),
            url => reqwest::Proxy::all(url).map_err(|error| wrong(format!("backup.s3_proxy: {error}")))?,
        };
        let mut bucket = bucket.set_proxy(proxy).map_err(|error| wrong(error.to_string()))?;
        // Deadlines and further tries are ours: a whole transfer may take longer than one answer.
        bucket.set_request_timeout(None);
        s3::set_retries(0);
        Ok(Self { bucket, place, keys })
    }

    /// Stores an object. A further try overwrites what the one before may have left.
    pub(super) async fn put(&self, key: &str, content: &[u8], headers: &HeaderMap) -> Result<(), Fault> {
        let limit = ANSWER + Duration::from_secs(content.len() as u64 / SLOWEST);
        let command = || Command::PutObject {
            content,
            content_type: "application/octet-stream",
            custom_headers: Some(headers.clone()),
            multipart: None,
        };
        self.tried("storing a backup in", || async { self.send(key, command(), limit).await.map(drop) }).await
    }

    /// Fetches an object of at most so many bytes; `None` when it is not there.
    pub(super) async fn get(
        &self,
        key: &str,
        most: u64,
        progress: Progress<'_>,
    ) -> Result<Option<(HeaderMap, Vec<u8>)>, Fault> {
        let got = self.tried("fetching a backup from", || async {
            let answer = match self.send(key, Command::GetObject, ANSWER).await {
                Err(trouble) if trouble.is_missing_key() => return Ok(None),
                other => other?,
            };
            let headers = answer.headers().clone();
            Ok(body(answer, most, progress)
                .await?
                .map(|bytes| (headers, Some(bytes)))
                .or(Some((HeaderMap::new(), None))))
        });
        match got.await? {
            None => Ok(None),
            Some((headers, Some(bytes))) => Ok(Some((headers, bytes))),
            Some((_, None)) => Err(Fault::unreadable(format!("{key} is too large for a backup"))),
        }
    }

    /// What is known about an object; `None` when it is not there.
    pub(super) async fn head(&self, key: &str) -> Result<Option<HeaderMap>, Fault> {
        let asked = self.tried("asking for a backup in", || async {
            match self.send(key, Command::HeadObject, ANSWER).await {
                Err(trouble) if trouble.is_missing_key() => Ok(None),
                other => other.map(|answer| Some(answer.headers().clone())),
            }
        });
        asked.await
    }

    /// Deletes an object. That it is gone already is no fault.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Fault> {
        let done = self.tried("deleting a backup in", || async {
            match self.send(key, Command::DeleteObject, ANSWER).await {
                Err(trouble) if trouble.is_missing_key() => Ok(()),
                other => other.map(drop),
            }
        });
        done.await
    }

    /// Every object right below a folder.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, Fault> {
        let mut all = Vec::new();
        let mut token = None;
        for _ in 0..PAGES {
            let page = self.tried("listing backups in", || async {
                let page = self.bucket.list_page(folder.to_owned(), Some("/".to_owned()), token.clone(), None, None);
                let (page, _) = timeout(ANSWER, page).await.map_err(|_| Trouble::Silent(ANSWER))??;
                Ok(page)
            });
            let page = page.await?;
            all.extend(page.contents.into_iter().map(|object| Listed {
                mark: format!("{} {}", object.e_tag.unwrap_or_default(), object.last_modified),
                modified: milliseconds(&object.last_modified).unwrap_or(0),
                key: object.key,
                size: object.size,
            }));
            token = page.next_continuation_token;
            if token.is_none() {
                break;
            }
        }
        Ok(all)
    }

    async fn send(&self, key: &str, command: Command<'_>, limit: Duration) -> Result<Response, Trouble> {
        let request = ReqwestRequest::new(&self.bucket, key, command).await?;
        timeout(limit, request.response()).await.map_err(|_| Trouble::Silent(limit))?.map_err(Trouble::from)
    }

    async fn tried<T, F>(&self, doing: &str, attempt: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut pauses = Backoff::new(PAUSES.0, PAUSES.1);
        let mut tries = 1;
        loop {
            match attempt().await {
                Err(trouble) if trouble.may_pass() && tries < TRIES => {
                    tracing::debug!(doing, ?trouble, tries, "backup_tried_again");
                    sleep(pauses.pause()).await;
                    // A silence was as long as several tries.
                    tries += if matches!(trouble, Trouble::Silent(_)) { 2 } else { 1 };
                }
                outcome => return outcome.map_err(|trouble| trouble.fault(doing, &self.place, self.keys)),
            }
        }
    }
}

/// Amazon's own endpoint of a region.
fn amazons(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://s3.{region}.{domain}")
}

/// The bytes of an answer; `None` when they are more than `most`.
async fn body(mut answer: Response, most: u64, progress: Progress<'_>) -> Result<Option<Vec<u8>>, Trouble> {
    let total = answer.content_length();
    if total.is_some_and(|total| total > most) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    while let Some(piece) = timeout(ANSWER, answer.chunk()).await.map_err(|_| Trouble::Silent(ANSWER))?? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > most {
            return Ok(None);
        }
        progress(bytes.len() as u64, total);
    }
    Ok(Some(bytes))
}

/// Unix milliseconds of a time as listings tell it: `2009-10-12T17:50:30.000Z`, always UTC.
fn milliseconds(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    // Days of the proleptic Gregorian calendar, in years that begin with March (Howard Hinnant, "chrono-compatible
    // low-level date algorithms").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let seconds = (days.checked_sub(719_469)?) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_listings_are_read() {
        assert_eq!(milliseconds("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(milliseconds("2009-10-12T17:50:30.000Z"), Some(1_255_369_830_000));
        assert_eq!(milliseconds("2024-02-29T23:59:59Z"), Some(1_709_251_199_000));
        assert_eq!(milliseconds("yesterday"), None);
    }

    #[tokio::test]
    async fn a_request_is_signed_with_the_session_token_and_goes_to_the_endpoint_or_the_proxy_that_is_named() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let mut heads = Vec::new();
            for _ in 0..2 {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let length = socket.read(&mut head).await.unwrap();
                socket.write_all(b"HTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                heads.push(String::from_utf8(head[..length].to_vec()).unwrap());
            }
            heads
        });
        let direct = config::Backup {
            s3_bucket: "stage".into(),
            s3_endpoint: here.clone(),
            s3_access_key: Some(Secret::new("access")),
            s3_secret_key: Some(Secret::new("secret")),
            s3_session_token: Some(Secret::new("token")),
            ..config::Backup::default()
        };
        let by_proxy =
            config::Backup { s3_endpoint: "http://s3.invalid".into(), s3_proxy: here.clone(), ..direct.clone() };
        for settings in [direct, by_proxy] {
            assert!(Link::new(&settings).unwrap().head("key").await.unwrap().is_none());
        }
        let heads = heard.await.unwrap();
        assert!(
            heads[0].starts_with("HEAD /stage/key ") && heads[0].contains("x-amz-security-token: token"),
            "{heads:?}"
        );
        assert!(heads[0].contains(";x-amz-security-token"), "signed: {heads:?}");
        assert!(heads[1].starts_with("HEAD http://s3.invalid/stage/key "), "{heads:?}");
    }

    #[test]
    fn an_endpoint_of_ones_own_takes_the_path_and_amazon_the_host_name() {
        let settings =
            config::Backup { s3_bucket: "stage".into(), s3_region: "eu-central-1".into(), ..config::Backup::default() };
        assert_eq!(Link::new(&settings).unwrap().bucket.url(), "https://stage.s3.eu-central-1.amazonaws.com");
        let own = config::Backup { s3_endpoint: "http://minio.local:9000/".into(), ..settings.clone() };
        assert_eq!(Link::new(&own).unwrap().bucket.url(), "http://minio.local:9000/stage");
        let told = config::Backup { s3_path_style: Some(false), ..own };
        assert_eq!(Link::new(&told).unwrap().bucket.url(), "http://stage.minio.local:9000");
        let dotted = config::Backup { s3_bucket: "a.b".into(), ..settings };
        assert_eq!(Link::new(&dotted).unwrap().bucket.url(), "https://s3.eu-central-1.amazonaws.com/a.b");
    }
}
