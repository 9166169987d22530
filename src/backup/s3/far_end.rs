//! A bucket for tests, at the far end of a socket: it stores and gives back, and is slow or silent on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::config;

/// Its content and behaviour.
#[derive(Default)]
pub(in crate::backup) struct Bucket {
    /// Headers and bytes by key; the number of an object gives its age.
    pub(in crate::backup) objects: BTreeMap<String, (Vec<String>, Vec<u8>, u64)>,
    /// Objects whose HEAD is never answered.
    pub(in crate::backup) silent: Vec<String>,
    /// Listings are refused with a 500.
    pub(in crate::backup) no_listing: bool,
    /// HEADs that were requested.
    pub(in crate::backup) heads: usize,
}

impl Bucket {
    /// Starts it, and gives the settings that lead to it.
    pub(in crate::backup) async fn start(self) -> (Arc<Mutex<Self>>, config::Backup) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = config::Backup {
            provider: config::BackupProvider::S3,
            s3_bucket: "b".into(),
            s3_endpoint: format!("http://{}", listener.local_addr().unwrap()),
            ..config::Backup::default()
        };
        let bucket = Arc::new(Mutex::new(self));
        let served = Arc::clone(&bucket);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&served)));
            }
        });
        (bucket, settings)
    }

    fn answer(&mut self, head: &str, body: &[u8]) -> Option<Vec<u8>> {
        let (line, headers) = head.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?.strip_prefix("/b/")?);
        let said = |status: &str, headers: &[String], body: &[u8], length: usize| {
            let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\netag: \"e\"\r\n{more}content-length: {length}\r\n\r\n"
            );
            Some([head.as_bytes(), body].concat())
        };
        let none = || said("404 Not Found", &[], b"", 0);
        if let Some(query) = path.strip_prefix('?') {
            if self.no_listing {
                return said("500 Internal Server Error", &[], b"", 0);
            }
            let after = query.split('&').find_map(|pair| pair.strip_prefix("continuation-token=")).unwrap_or("0");
            let from: usize = after.parse().unwrap();
            let page: String = self.objects.iter().skip(from).take(1000).map(|(key, (_, bytes, age))| {
                let time = format!("20{:02}-01-01T00:00:{:02}.000Z", 10 + age / 60, age % 60);
                format!("<Contents><Key>{key}</Key><LastModified>{time}</LastModified><ETag>e</ETag><Size>{}</Size></Contents>", bytes.len())
            }).collect();
            let more = from + 1000 < self.objects.len();
            let token = if more {
                format!("<NextContinuationToken>{}</NextContinuationToken>", from + 1000)
            } else {
                String::new()
            };
            let list = format!(
                "<ListBucketResult><Name>b</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><IsTruncated>{more}</IsTruncated>{token}{page}</ListBucketResult>"
            );
            return said("200 OK", &[], list.as_bytes(), list.len());
        }
        match method {
            "PUT" => {
                let kept = headers.split("\r\n").filter(|header| header.to_lowercase().starts_with("x-amz-meta-"));
                let age = self.objects.len() as u64;
                self.objects.insert(path.to_owned(), (kept.map(str::to_owned).collect(), body.to_vec(), age));
                said("200 OK", &[], b"", 0)
            }
            "HEAD" => {
                self.heads += 1;
                if self.silent.iter().any(|key| key == path) {
                    return None;
                }
                self.objects
                    .get(path)
                    .map_or_else(none, |(headers, bytes, _)| said("200 OK", headers, b"", bytes.len()))
            }
            "GET" => self
                .objects
                .get(path)
                .map_or_else(none, |(headers, bytes, _)| said("200 OK", headers, bytes, bytes.len())),
            _ => {
                self.objects.remove(path);
                said("204 No Content", &[], b"", 0)
            }
        }
    }
}

async fn serve(mut socket: TcpStream, bucket: Arc<Mutex<Bucket>>) -> Option<()> {
    let mut request = Vec::new();
    let (head, from) = loop {
        if let Some(at) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&request[..at]).into_owned(), at + 4);
        }
        (socket.read_buf(&mut request).await.ok()? > 0).then_some(())?;
    };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    while request.len() < from + length.unwrap_or(0_usize) {
        (socket.read_buf(&mut request).await.ok()? > 0).then_some(())?;
    }
    let answer = bucket.lock().answer(&head, &request[from..]);
    match answer {
        Some(answer) => socket.write_all(&answer).await.ok(),
        None => std::future::pending().await, // it stays open
    }
}
