//! The embedded MQTT broker, for 3.1, 3.1.1 and 5: our own front over rumqttd's router.
//!
//! The front owns sockets, sessions, packet ids, queues, retained messages, wills and policy; the router matches and fans
//! out, and never gets a reason to disconnect anyone. `Broker::start` of rumqttd is never called (BROKER).

mod announcer;
mod answers;
mod bell;
pub mod codec;
mod commands;
mod covering;
mod crowds;
mod doorman;
mod fairness;
mod guardian;
mod guests;
mod hearing;
mod hub;
mod inbox;
mod lamps;
mod lasting;
mod levels;
mod listener;
mod load;
mod losses;
mod mailbox;
mod message;
mod mistaken;
mod order;
mod outlet;
mod owed;
mod passed;
mod policy;
mod port;
mod presence;
mod properties;
mod refused;
mod register;
#[cfg(test)]
mod replacement_tests;
mod restore;
mod retained;
mod reviewer;
mod rights;
mod router;
mod session;
mod shares;
mod subscribers;
mod sweeper;
mod sys;
mod tap;
pub mod topic;
mod traffic;
mod waiting_room;
mod wanted;
mod wills;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use self::announcer::Announcer;
use self::commands::Commands;
use self::doorman::Doorman;
use self::hub::{Hub, Phase};
use self::lamps::Lamps;
use self::policy::{House, Topics};
use self::router::Tap;
use crate::access::Access;
use crate::config;
use crate::engine::Feed;
use crate::intake::Intake;
use crate::kit::budget::Budget;
use crate::kit::health::Health;
use crate::kit::listen::listen;
use crate::kit::tasks::Tasks;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::wire;

pub use self::guests::Guests;
pub use self::port::Ports;

/// How long listener and sessions may take to end.
const FAREWELL: Duration = Duration::from_millis(600);

/// What the broker needs of the house.
pub struct BrokerDeps {
    /// `[mqtt]`
    pub settings: config::Mqtt,
    /// The port of the web, for those who look for it here.
    pub web_port: u16,
    /// Who may do what.
    pub access: Access,
    /// Where commands go.
    pub intake: Intake,
    /// Where states come from.
    pub feed: Feed,
    /// Where retained messages are kept.
    pub store: Store,
    /// Budget for connections, sessions and what they hold.
    pub budget: Budget,
    /// What `GET /readyz` reports.
    pub health: Health,
    /// Figures.
    pub metrics: Metrics,
}

/// Why the broker could not start.
#[derive(Debug, thiserror::Error)]
#[error("starting the MQTT broker: {0}")]
pub struct StartError(String);

/// A running broker.
pub struct Broker {
    hub: Arc<Hub>,
    topics: Topics,
    announcer: Arc<Announcer>,
    guests: Guests,
    tasks: Tasks,
}

/// Why the port does not open.
#[derive(Debug, thiserror::Error)]
#[error("listening for MQTT on {address}: {source} ({})", remedy(.source))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another broker, perhaps mosquitto, has this port: stop it, or set mqtt.port or DMX_MQTT_PORT"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a right: set mqtt.port or DMX_MQTT_PORT",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: set mqtt.bind or DMX_MQTT_BIND",
        _ => "check mqtt.bind and mqtt.port",
    }
}

/// Binds the broker's port.
///
/// # Errors
/// With address and remedy.
pub fn bind(settings: &config::Mqtt) -> Result<TcpListener, BindError> {
    bind_at(settings, settings.port)
}

/// Binds another port at the same address.
///
/// # Errors
/// With address and remedy.
pub fn bind_at(settings: &config::Mqtt, port: u16) -> Result<TcpListener, BindError> {
    let address = SocketAddr::new(settings.bind, port);
    listen(address, None).map_err(|source| BindError { address, source })
}

/// Starts serving: retained messages, state and presence are in place before the first client is let in.
///
/// # Errors
/// The router does not start.
pub async fn start(ports: Ports, deps: BrokerDeps) -> Result<Broker, StartError> {
    let (feed, topics) = (deps.feed.clone(), Topics::new(&deps.settings.topic_prefix));
    let changes = deps.access.changes();
    let (hub, taps) = open(deps, &topics).await?;
    let taps = tap::open(&hub, 0, taps);
    let mut tasks = Tasks::default();
    hub.metrics.serving.set(1);
    tasks.spawn("router guardian", guardian::watch(hub.clone(), taps)); // from now on, as sessions wait for the router
    let mut away = restore::sessions(&hub, session::ANSWER).await;
    let announcer = announce(&hub, &feed, &topics)?;
    presence::start(&hub).await;
    restore::wills(&hub, &mut away);
    hub.register.know(|id| hub.presence.is_device(id));
    let figures = sys::Figures::begin(&hub);
    let lamps = Lamps::begin(&hub, &topics, &feed.state());
    tasks.spawn("announcer", announcer.clone().run(hub.clone()));
    tasks.spawn("mqtt lamps", lamps::run(hub.clone(), lamps, feed.watch()));
    tasks.spawn("presence", presence::run(hub.clone()));
    tasks.spawn("$SYS", sys::run(hub.clone(), figures));
    tasks.spawn("sweeper", sweeper::run(hub.clone()));
    tasks.spawn("mqtt rights", reviewer::run(hub.clone(), changes));
    let (guests, coming) = Guests::open(&hub.traffic);
    tasks.spawn("mqtt listener", listener::serve(hub.clone(), (ports, coming), away));
    Ok(Broker { hub, topics, announcer, guests, tasks })
}

/// The hub, with the retained messages of the last run, and the taps of its first router.
async fn open(deps: BrokerDeps, topics: &Topics) -> Result<(Arc<Hub>, Vec<Tap>), StartError> {
    let BrokerDeps { settings, web_port, access, intake, store, budget, health, metrics, .. } = deps;
    let (router, publisher, taps) = guardian::start(0).await.map_err(|error| StartError(error.to_string()))?;
    let doorman = Doorman::new(access, &settings, topics.clone());
    let hub = Hub::new(hub::HubDeps {
        router,
        publisher,
        policy: Box::new(House { topics: topics.clone() }),
        commands: Commands::new(intake, topics.clone()),
        settings,
        web_port,
        doorman,
        metrics: metrics.broker,
        budget,
        health,
        store,
    });
    Ok((hub, taps))
}

/// Publishes state and presence, and every change from now on.
fn announce(hub: &Arc<Hub>, feed: &Feed, topics: &Topics) -> Result<Arc<Announcer>, StartError> {
    let state = feed.state();
    announcer::say_state(hub, topics, &state);
    tracing::info!(seq = state.seq, topic = topics.state, "publish_state");
    announcer::say_presence(hub, topics, true);
    let announcer = Arc::new(Announcer::new(topics.clone()));
    let (hub, says) = (hub.clone(), announcer.clone());
    let listens = feed.on_change(move |update| says.say(&hub, &update.change, &update.state));
    if listens { Ok(announcer) } else { Err(StartError("the engine's feed has a first listener already".into())) }
}

impl Broker {
    /// Tells anybody whether the broker serves.
    pub fn serving(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let hub = self.hub.clone();
        move || hub.is_serving()
    }

    /// The way in for clients of other doors.
    #[must_use]
    pub fn guests(&self) -> Guests {
        self.guests.clone()
    }

    /// Tells anybody who is connected.
    pub fn presence(&self) -> impl Fn() -> wire::Presence + Send + Sync + 'static {
        let hub = self.hub.clone();
        move || hub.presence.now(hub.refused.lock().list())
    }

    /// The list of devices, at each change, at most once a second.
    #[must_use]
    pub fn devices(&self) -> watch::Receiver<Arc<Vec<wire::Device>>> {
        self.hub.presence.devices()
    }

    /// Ends when a task of the broker or its router does, which before the stop is a fault; names it. Cancel-safe.
    pub async fn ended(&mut self) -> &'static str {
        self.tasks.ended().await
    }

    /// The first half of the stop: no new clients; what had arrived of the others is taken, then nothing more. What was
    /// taken is still answered. Ends when all of it is on its way.
    pub async fn quiet(&self) {
        self.hub.lasting.stop();
        self.hub.phase.send_replace(Phase::Quiet);
        self.hub.hearing.over().await;
    }

    /// The second half, once the engine is drained: the last states and `{"online":false}` are sent, connections end.
    pub async fn close(self) -> Vec<&'static str> {
        self.announcer.settle(&self.hub);
        announcer::say_presence(&self.hub, &self.topics, false);
        self.hub.metrics.serving.set(0);
        self.hub.phase.send_replace(Phase::Closing);
        self.tasks.join(FAREWELL).await
    }
}
