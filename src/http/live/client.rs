//! One WebSocket client: its socket, what it has received and what it asked for.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use warp::ws::{Message, WebSocket};

use super::hub::{Hub, News};
use super::sessions::PageClaim;
use super::sets::{Answers, Set};
use super::wire::{self, Incoming};
use super::{SEND_PATIENCE, sets};
use crate::access::{Identity, Rights};
use crate::intake::{self, Clock, IncomingCommand, Sender};
use crate::kit::budget::Kind as Held;
use crate::kit::stop::Stop;
use crate::metrics;
use crate::wire::{Reason, Refusal, Role};

use super::super::peer::Peer;

/// How often a client is pinged. If nothing came from it since the last ping, it is gone: a sleeping tablet is noticed within
/// 40 s, less than the 60 s after which common proxies cut an idle connection.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Changes handed to the socket at a time: about 13 kB, which fit its buffer.
const TOGETHER: usize = 64;

/// How long a closed client may take to read what it was sent and say goodbye. Nobody else waits for that.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why a client is disconnected.
#[derive(Debug)]
enum CloseReason {
    /// It said goodbye.
    Closed,
    /// Its socket broke.
    Gone,
    /// It did not accept a message in time.
    Slow,
    /// No sign of life since the last ping.
    Silent,
    /// Its message was too large.
    TooLarge,
    /// It broke the protocol.
    Broken(warp::Error),
    /// Another connection speaks for its page.
    Replaced,
    /// Its place went to another one; why.
    MadeRoom(String),
    /// Who it was let in as is gone or changed, or the appliance was locked.
    NoLonger,
    /// The appliance stops.
    Stopping,
}

/// One client.
pub(super) struct Client {
    socket: WebSocket,
    hub: Hub,
    news: broadcast::Receiver<Arc<News>>,
    devices: watch::Receiver<Message>,
    patch: watch::Receiver<Message>,
    /// `seq` of the last change it received.
    told: u64,
    stop: Stop,
    peer: Peer,
    who: Identity,
    /// Its number among all connections.
    number: u64,
    place: PageClaim,
    /// What its pings tell of its clock.
    clock: Clock,
    /// Something arrived since the last ping.
    heard: bool,
    _counted: Counted,
}

/// Counts the client for as long as it lives.
struct Counted(metrics::Http);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.ws_clients.dec();
    }
}

impl Client {
    pub(super) fn new(
        socket: WebSocket,
        hub: Hub,
        stop: Stop,
        (peer, who): (Peer, Identity),
        session: Option<&[u8]>,
    ) -> Self {
        hub.metrics.ws_clients.inc();
        let counted = Counted(hub.metrics.clone());
        let (news, _) = hub.join();
        let (devices, patch) = (hub.devices(), hub.patch());
        let number = hub.number();
        let place = hub.sessions.take(session, number);
        Self {
            socket,
            hub,
            news,
            devices,
            patch,
            told: 0,
            stop,
            peer,
            who,
            number,
            place,
            clock: Clock::default(),
            heard: true,
            _counted: counted,
        }
    }

    pub(super) async fn run(mut self) {
        let (commands, waiting) = mpsc::channel(sets::IN_FLIGHT);
        // When full, the submitter waits for this very task, which keeps receiving whenever it waits itself.
        let (give, given) = mpsc::channel(1);
        let mut submitter = pin!(sets::submit(self.hub.clone(), waiting, give));
        let end = tokio::select! {
            end = self.serve(commands, Answers::new(given)) => end,
            () = &mut submitter => CloseReason::Gone, // it ends only after its senders
        };
        let Self { socket, hub, peer, stop, news, _counted, .. } = self;
        drop((news, _counted)); // from here on it no longer counts as a client
        end.report(&hub.metrics, peer.addr);
        // What it sent before it left still counts.
        tokio::join!(close(socket, end, stop), submitter);
    }

    async fn serve(&mut self, commands: mpsc::Sender<Set>, mut answers: Answers) -> CloseReason {
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut place = None;
        let (access, who) = (self.hub.access.clone(), self.who.clone());
        let mut ended = pin!(access.ended(&who));
        let mut done = match self.resync(&mut answers).await {
            Ok(()) => self.tell_devices().await,
            Err(end) => Err(end),
        };
        while done.is_ok() {
            // each arm is cancel-safe: receivers, a reservation, a tick, a stream's next item
            done = tokio::select! {
                () = self.stop.requested() => Err(CloseReason::Stopping),
                () = &mut ended => Err(CloseReason::NoLonger),
                () = self.place.replaced() => Err(CloseReason::Replaced),
                why = self.peer.ending().told() => Err(CloseReason::MadeRoom(why.to_owned())),
                news = self.news.recv() => self.tell(news, &mut answers).await,
                Ok(()) = self.devices.changed() => self.tell_devices().await,
                Ok(()) = self.patch.changed() => self.tell_patch(&mut answers).await,
                answer = answers.next() => self.send(vec![answer]).await,
                _ = ping.tick() => self.ping().await,
                free = commands.reserve(), if place.is_none() => free.map(|free| place = Some(free)).map_err(|_| CloseReason::Gone),
                message = self.socket.next(), if place.is_some() => match self.hear(message).await {
                    Ok(Some(set)) => {
                        if let Some(place) = place.take() {
                            place.send(set);
                        }
                        Ok(())
                    }
                    Ok(None) => Ok(()),
                    Err(end) => Err(end),
                },
            };
        }
        done.err().unwrap_or(CloseReason::Gone)
    }

    /// Everything anew, from a state that is not older than the next change received.
    async fn resync(&mut self, answers: &mut Answers) -> Result<(), CloseReason> {
        let (news, state) = self.hub.join();
        self.news = news;
        self.told = state.seq;
        self.send(answers.known()).await?;
        if let rights @ Rights::Panel(_) = self.who.rights() {
            let desk = wire::desk_for(&state, rights);
            return self.send(vec![desk]).await;
        }
        // one by one: 64 full universes are more than a slow radio takes in the time of one message
        for message in wire::snapshot(&state) {
            self.send(vec![message]).await?;
        }
        Ok(())
    }

    /// Sends a change and those that wait behind it; a client that caused one gets its answer first.
    async fn tell(&mut self, first: Result<Arc<News>, RecvError>, answers: &mut Answers) -> Result<(), CloseReason> {
        let mut next = match first {
            Ok(news) => Some(news),
            Err(RecvError::Lagged(_)) => return self.catch_up(answers).await,
            Err(RecvError::Closed) => return Err(CloseReason::Stopping),
        };
        let mut batch: Vec<Arc<News>> = Vec::new();
        let mut missed = false;
        while let Some(news) = next.take() {
            if news.seq > self.told.saturating_add(1) {
                missed = true;
                break;
            }
            if news.seq > self.told {
                self.told = news.seq;
                batch.push(news);
            }
            // Lagged or Closed shows again at the next recv()
            next = if batch.len() < TOGETHER { self.news.try_recv().ok() } else { None };
        }
        let mut messages = answers.known();
        let desk = batch.iter().rev().find_map(|news| news.desk.clone());
        if let rights @ Rights::Panel(_) = self.who.rights() {
            messages.extend(desk.map(|_| wire::desk_for(&self.hub.state(), rights)));
        } else {
            for news in &batch {
                messages.extend(news.messages.iter().cloned()); // clones share the bytes
            }
            messages.extend(desk);
        }
        self.send(messages).await?;
        for news in batch {
            self.hub.metrics.ws_broadcast_seconds.observe(news.at.elapsed().as_secs_f64());
        }
        if missed { self.catch_up(answers).await } else { Ok(()) }
    }

    /// What it shows of fixtures is old now.
    async fn tell_patch(&mut self, answers: &mut Answers) -> Result<(), CloseReason> {
        while let Ok(news) = self.news.try_recv() {
            self.tell(Ok(news), answers).await?; // the light that it belongs to comes first
        }
        let patch = self.patch.borrow_and_update().clone();
        if !self.who.rights().cover(Role::View) {
            return Ok(());
        }
        self.send(vec![patch]).await
    }

    async fn tell_devices(&mut self) -> Result<(), CloseReason> {
        let devices = self.devices.borrow_and_update().clone();
        if !self.who.rights().cover(Role::View) {
            return Ok(());
        }
        self.send(vec![devices]).await
    }

    async fn catch_up(&mut self, answers: &mut Answers) -> Result<(), CloseReason> {
        self.hub.metrics.ws_lagged.inc();
        tracing::debug!(peer = %self.peer.addr, "ws_resync");
        self.resync(answers).await
    }

    async fn send(&mut self, messages: Vec<Message>) -> Result<(), CloseReason> {
        let send = async {
            for message in messages {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        match timeout(SEND_PATIENCE, send).await {
            Ok(sent) => sent.map_err(|_| CloseReason::Gone),
            Err(_) => Err(CloseReason::Slow),
        }
    }

    async fn ping(&mut self) -> Result<(), CloseReason> {
        if !std::mem::replace(&mut self.heard, false) {
            return Err(CloseReason::Silent);
        }
        self.send(vec![Message::ping(&b""[..])]).await
    }

    /// Takes one message; hands a command back.
    async fn hear(&mut self, message: Option<Result<Message, warp::Error>>) -> Result<Option<Set>, CloseReason> {
        if self.place.is_lost() {
            return Err(CloseReason::Replaced); // what the old socket still brings is late
        }
        self.heard = true;
        let message = match message {
            None => return Err(CloseReason::Gone),
            Some(Err(error)) => return Err(self.broken(error).await),
            Some(Ok(message)) => message,
        };
        if message.is_close() {
            return Err(CloseReason::Closed);
        }
        if !message.is_text() && !message.is_binary() {
            return Ok(None); // ping and pong: tungstenite answers a ping, and a pong is the sign of life
        }
        match wire::read(&message) {
            Ok(Incoming::Command(kind)) => {
                match self.hub.budget.draw(Held::Sockets, self.peer.addr.ip(), message.as_bytes().len()) {
                    Ok(share) => {
                        let (body, sender) = (message.as_bytes().to_vec(), self.sender());
                        return Ok(Some(Set { kind, body, sender, arrived: Instant::now(), share }));
                    }
                    Err(full) => {
                        let refusal = Refusal::whole(Reason::QueueFull, full.to_string());
                        self.send(vec![sets::refused(kind, message.as_bytes(), refusal)]).await?;
                    }
                }
            }
            Ok(Incoming::Blackout) => self.control(IncomingCommand::Blackout(message.as_bytes())).await?,
            Ok(Incoming::Master) => self.control(IncomingCommand::Master(message.as_bytes())).await?,
            Ok(Incoming::Ping(ts)) => {
                if let Ok(ts) = ts.parse::<f64>() {
                    self.clock.heard(ts as u64, self.hub.intake.now_ms());
                }
                self.send(vec![wire::pong(&ts)]).await?;
            }
            Err(refusal) => self.send(vec![wire::error(&refusal)]).await?,
        }
        Ok(None)
    }

    fn sender(&self) -> Sender {
        let client = intake::Client::Socket(self.number, self.peer.addr.ip());
        Sender { behind_ms: self.clock.behind_ms(), ..Sender::new(client, self.who.clone()) }
    }

    /// Hands in what moves the desk: at once, past all waiting commands; the broadcast is the answer.
    async fn control(&mut self, command: IncomingCommand<'_>) -> Result<(), CloseReason> {
        match self.hub.intake.take(command, &self.sender()).await {
            Ok(_) => Ok(()),
            Err(refusal) => self.send(vec![wire::error(&refusal)]).await,
        }
    }

    async fn broken(&mut self, error: warp::Error) -> CloseReason {
        use tungstenite::Error;
        match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Error>()) {
            Some(Error::Capacity(_)) => {
                let limit = format!("a message may have {} bytes", super::MAX_MESSAGE);
                let refusal = Refusal::whole(Reason::ValidationFailed, limit);
                // Err: then it will not receive the close either
                let _ = self.send(vec![wire::error(&refusal)]).await;
                CloseReason::TooLarge
            }
            Some(Error::Protocol(_) | Error::Utf8(_)) => CloseReason::Broken(error),
            _ => CloseReason::Gone,
        }
    }
}

impl CloseReason {
    /// Close code (RFC 6455, 7.4.1; 1013 from IANA's registry) and reason, if there is anybody to tell.
    fn words(&self) -> Option<(u16, &'static str)> {
        match self {
            Self::Closed | Self::Gone => None,
            Self::Slow => Some((1013, "messages were not taken in time")),
            Self::Silent => Some((1001, "no answer to a ping")),
            Self::TooLarge => Some((1009, "message too large")),
            Self::Broken(_) => Some((1002, "protocol error")),
            Self::MadeRoom(_) => Some((1013, "others need the place (http.max_connections)")),
            Self::Replaced => Some((1000, "another connection of this page has taken its place")),
            Self::NoLonger => Some((4401, "log in again")),
            Self::Stopping => Some((1001, "the appliance is stopping")),
        }
    }

    fn report(&self, metrics: &metrics::Http, peer: SocketAddr) {
        match self {
            Self::Slow => {
                metrics.ws_dropped.inc();
                tracing::warn!(%peer, error = "dropped: it did not take its messages for 200 ms", "ws_error");
            }
            Self::Silent => {
                metrics.ws_dropped.inc();
                tracing::info!(%peer, error = "dropped: no sign of life", "ws_error");
            }
            Self::TooLarge => tracing::warn!(%peer, error = "message too large", "ws_error"),
            Self::Broken(error) => tracing::warn!(%peer, %error, "ws_error"),
            Self::NoLonger => tracing::info!(%peer, error = "its login has ended", "ws_error"),
            Self::MadeRoom(why) => tracing::info!(%peer, error = %why, "ws_error"),
            Self::Closed | Self::Gone | Self::Replaced | Self::Stopping => {}
        }
    }
}

/// Says why, and gives the client a moment to read it; a short one when the appliance stops.
async fn close(socket: WebSocket, end: CloseReason, mut stop: Stop) {
    let stopping = stop.is_requested();
    let patience = if stopping { SEND_PATIENCE } else { GOODBYE };
    tokio::select! {
        _ = timeout(patience, say_goodbye(socket, end)) => {} // Err: it no longer listens
        () = stop.requested(), if !stopping => {}
    }
}

async fn say_goodbye(mut socket: WebSocket, end: CloseReason) {
    let told = match end.words() {
        Some((code, reason)) => socket.send(Message::close_with(code, reason)).await.is_ok(),
        None => matches!(end, CloseReason::Closed), // reading on also answers its goodbye
    };
    if told {
        wait_for_close(&mut socket).await;
    }
}

/// Reads on until the far end has closed too, so that it can read our last words before the socket is gone.
pub(super) async fn wait_for_close(socket: &mut WebSocket) {
    while let Some(Ok(_)) = socket.next().await {}
}
