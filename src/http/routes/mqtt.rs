//! `/mqtt`: the handshake of MQTT over WebSocket. What follows it belongs to the broker.

use std::sync::Arc;

use tungstenite::handshake::derive_accept_key;
use warp::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use super::super::App;
use super::super::mqtt::{MqttGuest, MqttStream, PROTOCOLS};
use super::super::problem::Problem;
use super::super::request::Request;
use super::live::no_handshake;
use super::{Key, Needs, Route, get};
use crate::kit::budget::Kind;

/// The row.
pub(super) static ROWS: &[Route] = &[get("/mqtt", "openMqtt", Needs::OPEN, &open)
    .says(
        "Opens MQTT over WebSocket: the same broker as on the MQTT port, sub-protocol `mqtt`, binary frames. It asks for the \
         login of the MQTT port, not for a key.",
    )
    .key(Key::Login)
    .gives_nothing(101, "MQTT may begin.")
    .refuses(&[
        (400, "The client does not offer the sub-protocol `mqtt`."),
        (426, "This was not a WebSocket handshake of version 13."),
        (503, "The places for WebSockets are taken, or the broker is stopping."),
    ])];

async fn open(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (Some(_), Some(coming), Some(key)) =
        (&request.upgrade, &request.upgrades, request.headers.get(SEC_WEBSOCKET_KEY))
    else {
        return Err(no_handshake());
    };
    let protocol = protocol(&request.headers)?;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(Problem::internal)?;
    let peer = &request.peer;
    let mut place = app.budget.share(Kind::OpenSockets, peer.addr.ip()).until(peer.ending());
    place.grow_to(1)?;
    let stream = MqttStream::new(coming.clone(), (place, peer.place()));
    let guest = MqttGuest { stream, peer: peer.addr, ending: peer.ending().clone() };
    // Its time until CONNECT begins now: the broker takes it, and waits for the upgrade.
    if !(app.mqtt)(guest).await {
        return Err(Problem::unavailable("the MQTT broker is stopping"));
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    Ok(response)
}

/// The one of the offered sub-protocols that is spoken. Without one, a browser would get a connection that it closes at once.
fn protocol(headers: &HeaderMap) -> Result<&'static str, Problem> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|offered| offered.to_str().ok());
    let offered: Vec<_> = offered.flat_map(|offered| offered.split(',')).map(str::trim).collect();
    PROTOCOLS.into_iter().find(|known| offered.contains(known)).ok_or_else(|| {
        let detail = "a client of /mqtt must offer the WebSocket sub-protocol mqtt (MQTT 3.1.1, section 6)";
        Problem::new(StatusCode::BAD_REQUEST, detail).with(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"))
    })
}
