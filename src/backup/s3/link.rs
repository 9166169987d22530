//! The link to a bucket: requests, each with a deadline, repeated with growing pauses while that may help. It follows no
//! redirect, and reads no endless answer. Knows no backups.

use std::future::Future;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use s3::command::Command;
use s3::creds::Credentials;
use s3::request::Request;
use s3::request::tokio_backend::ReqwestRequest;
use s3::serde_types::ListBucketResult;
use s3::{Bucket, Region};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::words::{BucketError, code};
use crate::backup::error::{BackupError, BackupErrorKind};
use crate::backup::vault::Progress;
use crate::config;
use crate::kit::backoff::Backoff;
use crate::kit::secret::Secret;

/// Attempts for a request, with pauses from the first to the second: some 5 s in all.
const TRIES: u32 = 4;
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

/// Silence counts as this many attempts: one more follows, and after 21 s it is reported.
const SILENCE: u32 = 3;

/// How long an answer, or its next piece, may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The slowest transfer that is accepted, in bytes a second.
const SLOWEST: u64 = 16 << 10;

/// The largest page of a listing: 1,000 objects with keys of 1,024 bytes, and as much again around them.
const PAGE: u64 = 4 << 20;

/// The largest answer that is neither a page nor a backup: the outcome of a request.
const WORD: u64 = 64 << 10;

/// Objects of a project's folder that are considered, the newest; and pages of its listing: in any case an end.
const MOST_OBJECTS: usize = 10_000;
const PAGES: usize = 200;

/// The region if nothing says so.
const REGION: &str = "us-east-1";

/// A bucket.
pub(super) struct Link {
    bucket: Bucket,
    /// Our own, since the crate's follows redirects: to whoever answers there, with the show and the session token.
    client: Client,
    /// As messages name it.
    place: String,
    /// Whether requests are signed.
    keys: bool,
}

/// An object of a listing.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) key: String,
    /// Changes with the object.
    pub(super) mark: String,
    /// Bytes.
    pub(super) size: u64,
    /// Unix milliseconds.
    pub(super) modified: u64,
}

impl Link {
    pub(super) fn new(settings: &config::Backup) -> Result<Self, BackupError> {
        let wrong = |what: String| BackupError::new(BackupErrorKind::Refused, format!("setting up S3: {what}"));
        let region = Some(settings.s3_region.as_str()).filter(|region| !region.is_empty()).unwrap_or(REGION);
        let own = settings.s3_endpoint.trim_end_matches('/');
        let endpoint = if own.is_empty() { amazons(region) } else { own.to_owned() };
        let keys = settings.s3_access_key.is_some();
        // only named keys or none: the crate would also try variables, files and the metadata service
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
        // a name with a dot has no certificate as a host name
        if settings.s3_path_style.unwrap_or(!own.is_empty() || settings.s3_bucket.contains('.')) {
            bucket.set_path_style();
        }
        let client = Client::builder().redirect(Policy::none()).no_proxy(); // whatever HTTP_PROXY and its family say
        let client = match settings.s3_proxy.as_str() {
            "" => client,
            url => client.proxy(reqwest::Proxy::all(url).map_err(|error| wrong(format!("backup.s3_proxy: {error}")))?),
        };
        let client = client.build().map_err(|error| wrong(error.without_url().to_string()))?;
        Ok(Self { bucket, client, place, keys })
    }

    /// Stores an object. A further attempt overwrites what an earlier one may have left.
    pub(super) async fn put(&self, key: &str, content: &[u8], headers: &HeaderMap) -> Result<(), BackupError> {
        let limit = time_for(content.len());
        let command = || Command::PutObject {
            content,
            content_type: "application/octet-stream",
            custom_headers: Some(headers.clone()),
            multipart: None,
        };
        let done = self.tried("storing a backup in", || async {
            let answer = self.send(Method::PUT, key, command(), limit).await?;
            word(answer).await
        });
        done.await
    }

    /// Fetches an object of at most this many bytes; `None` if it is not there.
    pub(super) async fn get(
        &self,
        key: &str,
        most: u64,
        progress: Progress<'_>,
    ) -> Result<Option<(HeaderMap, Vec<u8>)>, BackupError> {
        let got = self.tried("fetching a backup from", || async {
            let answer = match self.send(Method::GET, key, Command::GetObject, ANSWER).await {
                Err(trouble) if trouble.is_missing_key() => return Ok(None),
                other => other?,
            };
            let headers = answer.headers().clone();
            Ok(Some((headers, content(answer, most, progress).await?)))
        });
        match got.await? {
            None => Ok(None),
            Some((headers, Some(bytes))) => Ok(Some((headers, bytes))),
            Some((_, None)) => Err(BackupError::unreadable(format!("{key} is too large for a backup"))),
        }
    }

    /// What is known of an object; `None` if it is not there.
    pub(super) async fn head(&self, key: &str) -> Result<Option<HeaderMap>, BackupError> {
        let asked = self.tried("asking for a backup in", || async {
            let headers = match self.send(Method::HEAD, key, Command::HeadObject, ANSWER).await {
                Err(trouble) if trouble.is_missing_key() => return Ok(None),
                other => other?.headers().clone(),
            };
            // its answer has no body to check, but every object has an ETag
            let page = headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/html"));
            if page && !headers.contains_key(ETAG) { Err(BucketError::Page { status: 200 }) } else { Ok(Some(headers)) }
        });
        asked.await
    }

    /// Deletes an object. It is fine if it is gone already.
    pub(super) async fn delete(&self, key: &str) -> Result<(), BackupError> {
        let done = self.tried("deleting a backup in", || async {
            match self.send(Method::DELETE, key, Command::DeleteObject, ANSWER).await {
                Err(trouble) if trouble.is_missing_key() => Ok(()),
                other => word(other?).await,
            }
        });
        done.await
    }

    /// The newest objects directly below a folder.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, BackupError> {
        let (mut all, mut count) = (Vec::new(), 0);
        let mut token = None;
        for _ in 0..PAGES {
            let page = self.tried("listing backups in", || self.page(folder, token.clone())).await?;
            count += page.contents.len();
            all.extend(page.contents.into_iter().map(|object| Listed {
                mark: format!("{} {}", object.e_tag.unwrap_or_default(), object.last_modified),
                modified: milliseconds(&object.last_modified).unwrap_or(0),
                key: object.key,
                size: object.size,
            }));
            let next = page.next_continuation_token;
            if next.is_some() && next == token {
                break; // the server's pages go round in a circle
            }
            token = next;
            if all.len() > MOST_OBJECTS {
                all.sort_by(|a: &Listed, b| (b.modified, &b.key).cmp(&(a.modified, &a.key)));
                all.truncate(MOST_OBJECTS);
            }
            if token.is_none() {
                return Ok(all);
            }
        }
        let message = format!(
            "listing backups in {}: the listing of {folder} does not end after {count} objects; delete old \
             ones, or check backup.s3_endpoint",
            self.place
        );
        Err(BackupError::new(BackupErrorKind::Refused, message))
    }

    async fn page(&self, folder: &str, continuation_token: Option<String>) -> Result<ListBucketResult, BucketError> {
        let command = Command::ListObjectsV2 {
            prefix: folder.to_owned(),
            delimiter: Some("/".to_owned()),
            continuation_token,
            start_after: None,
            max_keys: None,
        };
        let answer = self.send(Method::GET, "/", command, ANSWER).await?;
        let Some(body) = body(answer, PAGE, &|_, _| ()).await? else {
            return Err(BucketError::Odd(format!("a page of its listing is larger than {} MiB", PAGE >> 20)));
        };
        if is_page(&body) {
            return Err(BucketError::Page { status: 200 });
        }
        quick_xml::de::from_reader(&*body).map_err(|_| BucketError::Odd("its answer is not one of S3".to_owned()))
    }

    /// A signed request, and its answer if that is a good one.
    async fn send(
        &self,
        method: Method,
        key: &str,
        command: Command<'_>,
        limit: Duration,
    ) -> Result<Response, BucketError> {
        let request = ReqwestRequest::new(&self.bucket, key, command).await?;
        let (url, headers, content) = (request.url()?, request.headers().await?, request.request_body()?);
        let sent = self.client.request(method, url).headers(headers).body(content).send();
        let answer = timeout(limit, sent).await.map_err(|_| BucketError::Silent(limit))??;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let status = status.as_u16();
        let to = answer.headers().get(LOCATION).and_then(|to| answer.url().join(to.to_str().ok()?).ok());
        let said = body(answer, WORD, &|_, _| ()).await?.unwrap_or_default();
        let code = code(&String::from_utf8_lossy(&said));
        Err(match to {
            Some(to) if code.is_empty() => BucketError::Redirect { status, to: to.origin().ascii_serialization() },
            _ if is_page(&said) => BucketError::Page { status },
            _ => BucketError::Answer { status, code },
        })
    }

    async fn tried<T, F>(&self, doing: &str, attempt: impl Fn() -> F) -> Result<T, BackupError>
    where
        F: Future<Output = Result<T, BucketError>>,
    {
        let mut pauses = Backoff::new(PAUSES.0, PAUSES.1);
        let mut tries = 1;
        loop {
            match attempt().await {
                Err(trouble) if trouble.may_pass() && tries < TRIES => {
                    let counts = if matches!(trouble, BucketError::Silent(_)) { SILENCE } else { 1 };
                    let error = trouble.fault(doing, &self.place, self.keys);
                    tracing::debug!(%error, tries, "backup_tried_again");
                    sleep(pauses.pause()).await;
                    tries += counts;
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

/// How long a transfer may take.
fn time_for(bytes: usize) -> Duration {
    ANSWER + Duration::from_secs(bytes as u64 / SLOWEST)
}

/// The bytes of an answer; `None` if there are more than `most`.
async fn body(mut answer: Response, most: u64, progress: Progress<'_>) -> Result<Option<Vec<u8>>, BucketError> {
    let (total, began) = (answer.content_length(), Instant::now());
    if total.is_some_and(|total| total > most) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // Neither silence nor a trickle may last: a server that sends a byte now and then would never end.
    while let Some(piece) = timeout_at(began + time_for(bytes.len()), answer.chunk())
        .await
        .map_err(|_| BucketError::Silent(began.elapsed()))??
    {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > most {
            return Ok(None);
        }
        progress(bytes.len() as u64, total);
    }
    Ok(Some(bytes))
}

/// The bytes of an object; `None` if there are more than `most`.
async fn content(answer: Response, most: u64, progress: Progress<'_>) -> Result<Option<Vec<u8>>, BucketError> {
    match body(answer, most, progress).await? {
        Some(bytes) if is_page(&bytes) => Err(BucketError::Page { status: 200 }),
        other => Ok(other),
    }
}

/// Succeeds if a bucket has confirmed the request.
async fn word(answer: Response) -> Result<(), BucketError> {
    let status = answer.status().as_u16();
    let said = body(answer, WORD, &|_, _| ()).await?.unwrap_or_default();
    if is_page(&said) { Err(BucketError::Page { status }) } else { Ok(()) }
}

/// Whether a web page answers: neither a backup nor anything of S3 begins like that.
fn is_page(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|begin| start.get(..begin.len()).is_some_and(|found| found.eq_ignore_ascii_case(begin)))
}

/// Unix milliseconds of a time in a listing: `2009-10-12T17:50:30.000Z`, always UTC.
fn milliseconds(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    // days of the proleptic Gregorian calendar, in years that begin with March (Howard Hinnant, "chrono-compatible
    // low-level date algorithms")
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

    #[tokio::test(start_paused = true)]
    async fn a_silent_endpoint_and_one_that_trickles_are_told_in_time() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for trickles in [false, true] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let s3_endpoint = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async move {
                while let Ok((mut socket, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let _ = socket.read(&mut [0; 4096]).await.unwrap(); // the request
                        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
                        while trickles && socket.write_all(head).await.is_ok() {
                            sleep(Duration::from_secs(5)).await;
                        }
                        std::future::pending::<()>().await; // it stays open
                        drop(socket);
                    });
                }
            });
            let link = Link::new(&config::Backup { s3_bucket: "b".into(), s3_endpoint, ..config::Backup::default() });
            let (link, began) = (link.unwrap(), Instant::now());
            let told = link.get("key", 2_000_000, &|_, _| ()).await.unwrap_err();
            assert_eq!(told.kind, BackupErrorKind::Unreachable, "{told}");
            assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
            assert!(told.message.contains("no answer for 10 s"), "{told}");
        }
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
