//! HTTP by hand, for what a library would not send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::patiently;

/// Sends bytes and reads until the server closes; gives the status (0 if none came) and everything read.
///
/// The request should say `Connection: close`.
pub async fn raw_http(web: SocketAddr, request: &[u8]) -> (u16, String) {
    let stream = patiently("a TCP connection", TcpStream::connect(web)).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    // a server that refuses early stops reading: writing must neither block the answer nor fail the test
    let request = request.to_vec();
    let writing = tokio::spawn(async move {
        let _ = writer.write_all(&request).await;
        writer
    });
    let mut answer = Vec::new();
    patiently("the end of the HTTP answer", async {
        let mut chunk = [0; 4096];
        while let Ok(count) = reader.read(&mut chunk).await {
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&chunk[..count]);
        }
    })
    .await;
    writing.abort();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text)
}
