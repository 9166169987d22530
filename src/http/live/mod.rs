//! The WebSocket: every change of light to every client, and `set` commands back.
//!
//! One hub turns a change into text once; each client has its own task, and nobody waits for a slow one.

mod client;
mod hub;
mod sessions;
mod sets;
mod wire;

use std::time::Duration;

use futures_util::SinkExt;
use tokio::time::timeout;
use warp::ws::{Message, WebSocket};

use super::peer::Peer;
use crate::access::Identity;
use crate::kit::stop::Stop;

pub(super) use hub::{Hub, HubDeps};
pub(super) use sessions::LONGEST as LONGEST_SESSION;

/// The largest message from a client, the same as a REST body. A larger one gets an `err` and the close code 1009 (RFC 6455,
/// 7.4.1: too big to process), since what follows in the stream still belongs to it.
pub(super) const MAX_MESSAGE: usize = super::request::MAX_BODY;

/// How long a socket may take for a message (CONTRACT, section 4).
const SEND_PATIENCE: Duration = Duration::from_millis(200);

/// Buffers of one connection, measured: 134 kB, nearly all of it for reading.
pub(super) const SOCKET_BYTES: usize = 134_000;

/// Serves one client to its end. `session`: the page that it belongs to.
pub(super) async fn serve(
    socket: WebSocket,
    hub: Hub,
    stop: Stop,
    (peer, who): (Peer, Identity),
    session: Option<Vec<u8>>,
) {
    client::Client::new(socket, hub, stop, (peer, who), session.as_deref()).run().await;
}

/// Tells a client without a right key why, and closes: a browser cannot read the status of a refused handshake.
pub(super) async fn refuse(mut socket: WebSocket, _peer: Peer) {
    let told = async {
        socket.send(Message::text(r#"{"type":"err","code":401}"#)).await?;
        socket.send(Message::close_with(4401u16, "a key is needed: /ws?token=")).await?;
        client::wait_for_close(&mut socket).await;
        Ok::<_, warp::Error>(())
    };
    // a client that is gone or does not listen has no use for the reason
    let _ = timeout(Duration::from_secs(1), told).await;
}
