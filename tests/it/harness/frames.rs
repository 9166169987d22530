//! MQTT over WebSocket for tests: the WebSocket itself, frame by frame, and a way in that turns a [`super::Link`] into one.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::patiently;

/// An open WebSocket of `/mqtt`.
pub type MqttSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens one with these headers; `Err` is the status of a refusal. Gives the sub-protocol, too.
pub async fn mqtt_socket(web: SocketAddr, headers: &[(&'static str, &str)]) -> Result<(MqttSocket, String), u16> {
    let mut request = format!("ws://{web}/mqtt").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    if request.headers().get_all("host").iter().count() > 1 {
        request
            .headers_mut()
            .insert("host", headers.iter().find(|(name, _)| *name == "host").unwrap().1.parse().unwrap());
    }
    match patiently("the WebSocket handshake", tokio_tungstenite::connect_async(request)).await {
        Ok((socket, answer)) => {
            assert!(!answer.headers().contains_key("sec-websocket-extensions"), "no extension was agreed on");
            let protocol = answer.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
            Ok((socket, protocol.unwrap_or_default().to_owned()))
        }
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("the WebSocket handshake: {error}"),
    }
}

/// Listens on loopback, and carries what comes there into `/mqtt` in frames of this many bytes. Dropping it ends it.
pub struct WayByWeb {
    /// Where to connect to.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl WayByWeb {
    /// Opens the way.
    pub async fn open(web: SocketAddr, frame: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((link, _)) = listener.accept().await {
                tokio::spawn(carry(link, web, frame));
            }
        });
        Self { address, task }
    }
}

impl Drop for WayByWeb {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. What is not read at one end is not read at the other.
async fn carry(link: TcpStream, web: SocketAddr, frame: usize) {
    link.set_nodelay(true).unwrap();
    let (mut from_link, mut to_link) = link.into_split();
    let (socket, _) = mqtt_socket(web, &[("sec-websocket-protocol", "mqtt")]).await.expect("the WebSocket opens");
    let (mut to_web, mut from_web) = socket.split();
    let up = async {
        let mut buffer = vec![0; frame];
        while let Ok(count @ 1..) = from_link.read(&mut buffer).await {
            if to_web.send(Message::binary(buffer[..count].to_vec())).await.is_err() {
                break;
            }
        }
        // a goodbye of its own, unless the other end is gone
        let _ = to_web.close().await;
    };
    let down = async {
        while let Some(Ok(message)) = from_web.next().await {
            match message {
                Message::Binary(bytes) if to_link.write_all(&bytes).await.is_ok() => {}
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) | Message::Binary(_) => break,
                other => panic!("MQTT is binary: {other:?}"),
            }
        }
        let _ = to_link.shutdown().await;
    };
    tokio::join!(up, down);
}
