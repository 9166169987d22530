//! The port: accepts sockets, reads CONNECT, and lets clients in or says why not.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::coop::unconstrained;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout};
use ulid::Ulid;

use super::codec::{self, Connect, Malformed, Packet, Reason, Version, Welcome};
use super::doorman::NotYou;
use super::guests::Newcomer;
use super::hub::{Hub, Phase, reached};
use super::inbox::{Inbox, Stream};
use super::mistaken::{self, First};
use super::order::{accept, those_here};
use super::port::Ports;
use super::register::Arrival;
use super::session::{self, Refused};
use super::traffic::Metered;
use super::waiting_room::{Place, WaitingRoom};
use crate::access::Identity;
use crate::kit::backoff::Backoff;
use crate::kit::budget::{Kind, Who};
use crate::kit::clock;
use crate::kit::deadline::until;
use crate::kit::listen::canonical;
use crate::tls::Acceptor;

/// The kernel notices dead peers (a lamp without power): first probe, interval, number of probes.
const KEEP_ALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);

/// Data that nobody acknowledges ends the connection after this (TCP_USER_TIMEOUT, RFC 5482).
const UNCONFIRMED: Duration = Duration::from_secs(20);

/// Longest client id, in bytes: ten times what every server must allow ([MQTT-3.1.3-5]), and short enough for a log line.
const LONGEST_ID: usize = 256;

/// So many bytes of a socket are read without a turn for the others; nearly every CONNECT is shorter.
const AT_ONCE: usize = 4 * 1024;

/// How long those who came by mistake may take to read so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long sessions may take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(500);

/// Serves until the hub closes, then ends every session; clients come to the port or as guests, `clients` are stored sessions
/// whose clients are away.
pub(super) async fn serve(
    hub: Arc<Hub>,
    (ports, mut guests): (Ports, mpsc::Receiver<Newcomer>),
    mut clients: JoinSet<()>,
) {
    let mut waiting = WaitingRoom::default();
    // This task polls them all, so that of two connections of one client the older is in first (`order`).
    let mut newcomers = FuturesUnordered::new();
    let mut phase = hub.phase.subscribe();
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        let full_until = waiting.full_until(hub.settings.max_pending, Instant::now());
        tokio::select! {
            () = reached(&mut phase, Phase::Quiet) => break,
            () = until(full_until) => {}
            all = those_here(&mut newcomers) => {
                for (number, came) in all {
                    waiting.leave(number);
                    let_in(&hub, came, &mut clients);
                }
            }
            accepted = accept(&ports), if full_until.is_none() => match accepted {
                Ok((socket, peer, tls)) => {
                    backoff.reset();
                    let place = waiting.enter(hub.settings.max_pending, Instant::now());
                    newcomers.push(until_connect(hub.clone(), from_port(&hub, socket, peer, tls.as_ref()), place));
                }
                // out of descriptors, most likely: the pause lets some go
                Err(error) => {
                    tracing::warn!(%error, "mqtt_accept");
                    tokio::time::sleep(backoff.pause()).await;
                }
            },
            Some(guest) = guests.recv(), if full_until.is_none() => {
                let place = waiting.enter(hub.settings.max_pending, Instant::now());
                newcomers.push(until_connect(hub.clone(), guest, place));
            }
            Some(ended) = clients.join_next() => report(ended),
        }
    }
    drop((ports, guests));
    while !newcomers.is_empty() {
        for (_, came) in those_here(&mut newcomers).await {
            let_in(&hub, came, &mut clients);
        }
    }
    let () = reached(&mut phase, Phase::Closing).await; // Err: the hub is gone, which ends it too
    let all = async {
        while let Some(ended) = clients.join_next().await {
            report(ended);
        }
    };
    if timeout(FAREWELL, all).await.is_err() {
        tracing::warn!(sessions = clients.len(), "mqtt_sessions_late");
    }
    hub.phase.send_replace(Phase::Closed);
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "mqtt_session_panicked");
    }
}

/// A client whose CONNECT has come, or a socket that gets no session.
type Came = Result<Box<Arrival>, Turned>;

struct Turned {
    stream: Box<dyn Stream>,
    peer: String,
    why: NotIn,
}

/// A socket of our own port. One that is gone shows when it is read.
fn from_port(hub: &Hub, socket: TcpStream, peer: SocketAddr, tls: Option<&Acceptor>) -> Newcomer {
    if let Err(error) = prepare(&socket) {
        tracing::debug!(%error, %peer, "mqtt_socket_options");
    }
    let here = socket.local_addr().ok().map(|here| here.ip());
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(Metered::new(socket, &hub.traffic)),
        // In a task of its own, since the listener's task polls all newcomers. The time until CONNECT runs meanwhile.
        Some(tls) => Box::new(Metered::new(tls.accept_apart(socket), &hub.traffic)),
    };
    Newcomer { stream, peer: canonical(peer), here, ending: Arc::default() }
}

/// One socket until its CONNECT; gives the number of its place with it.
async fn until_connect(hub: Arc<Hub>, newcomer: Newcomer, mut place: Place) -> (u64, Came) {
    let Newcomer { mut stream, peer, here, ending } = newcomer;
    let ear = hub.hearing.open();
    let who = Who::from(peer.ip());
    let mut read = Inbox::new(hub.budget.share(Kind::Packets, who.clone()).until(&ending));
    let patience = Duration::from_secs(hub.settings.connect_timeout_seconds);
    let mut phase = hub.phase.subscribe();
    let coming = async {
        tokio::select! {
            biased; // a CONNECT that has arrived counts before the order to leave
            came = timeout(patience, first_packet(&hub, (&mut stream, here, peer.ip()), &mut read)) => {
                came.unwrap_or_else(|_| Err(NotIn::silent("no CONNECT in time (mqtt.connect_timeout_seconds)")))
            }
            _ = &mut place.shown_out => Err(NotIn::Gone("made room for others (mqtt.max_pending)")),
            why = ending.told() => Err(NotIn::Silent(why.to_owned().into())),
            () = reached(&mut phase, Phase::Quiet) => Err(NotIn::Gone("stopping")),
        }
    };
    // Those that tokio puts off, when a hundred have bytes at once, it wakes in the reverse order.
    let came = if here.is_some() { unconstrained(coming).await } else { coming.await };
    let peer = peer.to_string();
    let came = match came {
        Ok((connect, is_named, identity)) => {
            let (known, seat, will) = (hub.presence.knows(&connect), None, None);
            Ok(Box::new(Arrival {
                stream,
                read,
                connect,
                is_named,
                peer,
                who,
                identity,
                known,
                ending,
                ear,
                seat,
                will,
            }))
        }
        Err(why) => Err(Turned { stream, peer, why }),
    };
    (place.number, came)
}

/// Hands a client to its session. Nothing is waited for here.
fn let_in(hub: &Arc<Hub>, came: Came, clients: &mut JoinSet<()>) {
    let turned = match came.map(|arrival| enter(hub, arrival)) {
        Ok(Ok(session)) => {
            session.map(|session| clients.spawn(session));
            return;
        }
        Ok(Err(Refused { arrival, reason, why })) => {
            let Arrival { stream, peer, connect, .. } = arrival.unpacked();
            let (to, client) = (To::from(&*connect), connect.client_id);
            Turned { stream, peer, why: NotIn::Told { to, client, reason, why } }
        }
        Err(turned) => turned,
    };
    hub.metrics.refused.inc();
    let Turned { mut stream, peer, why } = turned;
    let (client, words) = match &why {
        NotIn::Gone(why) => (None, *why),
        NotIn::Silent(why) => (None, why.as_ref()),
        NotIn::Told { client, why, .. } => (Some(client.as_str()).filter(|id| !id.is_empty()), why.as_ref()),
    };
    if !matches!(why, NotIn::Gone(_)) {
        hub.refused.lock().note(address(&peer), client, words, clock::now_ms());
    }
    if let Some(more) = hub.refusals.lock().due(address(&peer)) {
        tracing::info!(%peer, clientId = client, why = words, more, "mqtt_refused");
    }
    if let NotIn::Told { to, reason, why, .. } = why {
        clients.spawn(async move { say(&mut stream, to, reason, &why).await });
    }
}

/// Hands it over; one that gets in is not among the refused any more.
fn enter(hub: &Arc<Hub>, arrival: Box<Arrival>) -> Result<Option<impl Future<Output = ()> + Send + use<>>, Refused> {
    let known = hub.refused.lock().has(address(&arrival.peer), &arrival.connect.client_id);
    let name = known.then(|| (arrival.peer.clone(), arrival.connect.client_id.clone()));
    let entered = session::enter(hub, arrival)?;
    if let Some((peer, client)) = name {
        hub.refused.lock().let_in(address(&peer), &client);
    }
    Ok(entered)
}

/// Without the port.
fn address(peer: &str) -> &str {
    peer.rsplit_once(':').map_or("", |(address, _)| address)
}

/// Why a client is not let in.
enum NotIn {
    /// It has gone itself, or all have to: nothing is wrong with it.
    Gone(&'static str),
    /// Closed without a word.
    Silent(Cow<'static, str>),
    /// Answered by CONNACK. `client`: its id, if it has a fit one.
    Told { to: To, client: String, reason: Reason, why: Cow<'static, str> },
}

/// In what form a refusal is said: the version, and bytes of a packet that are taken.
struct To(Version, u32);

impl From<&Connect> for To {
    fn from(connect: &Connect) -> Self {
        Self(connect.version, connect.limits.max_packet)
    }
}

impl NotIn {
    fn silent(why: &'static str) -> Self {
        Self::Silent(why.into())
    }

    fn told(connect: &Connect, reason: Reason, why: impl Into<Cow<'static, str>>) -> Self {
        let client = Some(&connect.client_id).filter(|id| id.len() <= LONGEST_ID).cloned().unwrap_or_default();
        Self::Told { to: connect.into(), client, reason, why: why.into() }
    }
}

/// A valid CONNECT, whether its client id was made here, and who it is.
async fn first_packet(
    hub: &Hub,
    (stream, here, peer): (&mut dyn Stream, Option<IpAddr>, IpAddr),
    read: &mut Inbox,
) -> Result<(Box<Connect>, bool, Identity), NotIn> {
    if let Some(here) = here {
        whom_we_expect(hub, (stream, here), read).await?;
    }
    let packet = loop {
        match codec::decode(&mut read.bytes, Version::default(), hub.settings.max_packet_bytes) {
            Ok(Some(packet)) => break packet,
            Ok(None) => {}
            Err(Malformed::Level(level)) => {
                let to = To(if level > 5 { Version::V5 } else { Version::V4 }, u32::MAX);
                let (client, reason) = (String::new(), Reason::UnsupportedVersion);
                let why = format!("MQTT of level {level}; 3.1, 3.1.1 and 5 are spoken here").into();
                return Err(NotIn::Told { to, client, reason, why });
            }
            Err(Malformed::TooLarge(_)) => {
                return Err(NotIn::silent("its CONNECT is too large (mqtt.max_packet_bytes)"));
            }
            Err(Malformed::Alias | Malformed::Protocol(_) | Malformed::Broken(_)) => {
                return Err(NotIn::silent("no MQTT"));
            }
        }
        more(stream, read).await?;
    };
    let Packet::Connect(mut connect) = packet else { return Err(NotIn::silent("the first packet is not CONNECT")) };
    let is_named = connect.client_id.is_empty();
    let identity = check(hub, &connect, peer).await?;
    if is_named {
        connect.client_id = format!("auto-{}", Ulid::generate());
    }
    Ok((connect, is_named, identity))
}

/// Who a client is, if it may come in as far as its CONNECT shows.
async fn check(hub: &Hub, connect: &Connect, peer: IpAddr) -> Result<Identity, NotIn> {
    if connect.auth_method.is_some() {
        return Err(NotIn::told(connect, Reason::BadAuthMethod, "enhanced authentication is not offered"));
    }
    let not_you = |NotYou { reason, why }| NotIn::told(connect, reason, why);
    let identity = hub.doorman.identify(connect, peer).await.map_err(not_you)?;
    check_form(connect)?;
    let id = &connect.client_id;
    let may = hub.doorman.may_be(&identity, id).and_then(|()| hub.doorman.may_will(&identity, connect, id));
    may.map_err(not_you).map(|()| identity)
}

/// Whether what it says can be.
fn check_form(connect: &Connect) -> Result<(), NotIn> {
    if connect.will.as_ref().is_some_and(|will| !codec::matches_format(&will.carried, &will.payload)) {
        return Err(NotIn::told(
            connect,
            Reason::BadPayloadFormat,
            "the will's payload is not UTF-8, as its format says",
        ));
    }
    let id = &connect.client_id;
    if id.len() > LONGEST_ID {
        return Err(NotIn::told(connect, Reason::BadClientId, "the client id is longer than 256 bytes")); // [MQTT-3.1.3-9]
    }
    match connect.version {
        Version::V3 if id.is_empty() => Err(NotIn::told(connect, Reason::BadClientId, "MQTT 3.1 needs a client id")),
        // [MQTT-3.1.3-8] of 3.1.1
        Version::V4 if id.is_empty() && !connect.clean => {
            Err(NotIn::told(connect, Reason::BadClientId, "a session to keep needs a client id"))
        }
        _ => Ok(()),
    }
}

/// Reads on.
async fn more(stream: &mut dyn Stream, read: &mut Inbox) -> Result<(), NotIn> {
    if read.bytes.len() > AT_ONCE {
        yield_now().await;
    }
    match stream.read_buf(&mut read.bytes).await {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(NotIn::Silent(error.to_string().into())) // of a WebSocket or TLS
        }
        Ok(0) | Err(_) => Err(NotIn::Gone("gone before CONNECT")),
        Ok(_) => read.settle().map_err(|full| NotIn::Silent(full.to_string().into())),
    }
}

/// Those who come to the port by mistake are told so, and have a moment to read it.
async fn whom_we_expect(hub: &Hub, (stream, here): (&mut dyn Stream, IpAddr), read: &mut Inbox) -> Result<(), NotIn> {
    let first = loop {
        match mistaken::recognise(&read.bytes) {
            First::Unclear => more(stream, read).await?,
            first => break first,
        }
    };
    let (words, why) = match first {
        First::Mqtt | First::Unclear => return Ok(()),
        First::Tls => (String::new(), "TLS on the plain port: switch it off in the client (mqtt.port)"),
        First::Http => {
            while !mistaken::is_whole(&read.bytes) {
                more(stream, read).await?;
            }
            (mistaken::answer(&read.bytes, here, hub.web_port), "HTTP: this is the MQTT port (mqtt.port)")
        }
    };
    // To close with unread bytes would reset the connection, and the answer with it.
    let said = async {
        stream.write_all(words.as_bytes()).await?;
        stream.shutdown().await?;
        while stream.read_buf(&mut read.bytes).await? > 0 {
            read.bytes.clear();
            yield_now().await;
        }
        Ok::<_, io::Error>(())
    };
    let _ = timeout(LAST_WORDS, said).await; // Err: it does not listen
    Err(NotIn::silent(why))
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(&KEEP_ALIVE)?;
    socket.set_tcp_user_timeout(Some(UNCONFIRMED))
}

/// A refusal gets one attempt, and never waits for a client that does not read.
async fn say(stream: &mut (impl tokio::io::AsyncWrite + Unpin), to: To, reason: Reason, why: &str) {
    let mut out = BytesMut::new();
    codec::fitting(&mut out, to.1, why, |out, why| codec::connack(out, to.0, false, reason, &Welcome::default(), why));
    let said = async {
        stream.write_all(&out).await?;
        stream.shutdown().await
    };
    if let Ok(Err(error)) = timeout(Duration::from_secs(1), said).await {
        tracing::debug!(%error, "mqtt_refusal_unheard");
    }
}
