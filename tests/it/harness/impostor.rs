//! A server that gives every request the same answer: a captive portal, a broken endpoint.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running one.
pub struct Impostor {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Impostor {
    /// Answers with these bytes, a whole response, and then with `more` again and again until nobody reads.
    pub async fn start(answer: impl Into<String>, more: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, more) = (answer.into(), more.into());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (answer, more, heard) = (answer.clone(), more.clone(), Arc::clone(&heard));
                tokio::spawn(async move { serve(client, &answer, &more, &heard).await });
            }
        });
        Self { address, requests, task }
    }

    /// The requests, each with its head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, answer: &str, more: &str, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0_usize) {
                heard.lock().unwrap().push(text);
                break;
            }
        }
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    client.write_all(answer.as_bytes()).await.ok()?;
    while !more.is_empty() {
        client.write_all(more.as_bytes()).await.ok()?;
    }
    client.shutdown().await.ok()
}
