//! The embedded MQTT 3.1.1 broker: our own front over rumqttd's router.
//!
//! The front owns sockets, sessions, packet ids, queues, retained messages, wills and policy; the router matches and fans
//! out, and never gets a reason to disconnect anyone. `Broker::start` of rumqttd is never called (BROKER).

mod announcer;
mod answers;
pub mod codec;
mod commands;
mod fairness;
mod guardian;
mod hearing;
mod hub;
mod inbox;
mod lasting;
mod listener;
mod losses;
mod message;
mod outlet;
mod owed;
mod policy;
mod presence;
mod register;
#[cfg(test)]
mod replacement_tests;
mod retained;
mod router;
mod session;
mod subscribers;
mod sweeper;
mod sys;
mod tap;
pub mod topic;
mod wills;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::announcer::Announcer;
use self::commands::Commands;
use self::hub::{Hub, Phase};
use self::policy::{House, Topics};
use crate::config;
use crate::engine::Feed;
use crate::intake::Intake;
use crate::kit::budget::{Budget, Kind};
use crate::kit::health::Health;
use crate::kit::listen::listen;
use crate::kit::tasks::Tasks;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::wire;

/// How long listener and sessions may take to end.
const FAREWELL: Duration = Duration::from_millis(600);

/// What the broker needs of the house.
pub struct BrokerDeps {
    /// `[mqtt]`
    pub settings: config::Mqtt,
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
    let address = SocketAddr::new(settings.bind, settings.port);
    listen(address, None).map_err(|source| BindError { address, source })
}

/// Starts serving: retained messages, state and presence are in place before the first client is let in.
///
/// # Errors
/// The router does not start.
pub async fn start(listener: TcpListener, deps: BrokerDeps) -> Result<Broker, StartError> {
    let BrokerDeps { settings, intake, feed, store, budget, health, metrics } = deps;
    let topics = Topics::new(&settings.topic_prefix);
    let (router, publisher, taps) = guardian::start(0).await.map_err(|error| StartError(error.to_string()))?;
    let policy = House::new(topics.clone(), &settings.username, settings.password.as_ref());
    let hub = Hub::new(hub::HubDeps {
        router,
        publisher,
        policy: Box::new(policy),
        commands: Commands::new(intake, topics.clone()),
        settings,
        metrics: metrics.broker,
        budget,
        health,
        store,
    });
    let taps = tap::open(&hub, 0, taps);
    let mut away = restore(&hub).await;
    let announcer = announce(&hub, &feed, &topics)?;
    presence::start(&hub).await;
    restore_wills(&hub, &mut away);
    hub.register.know(|id| hub.presence.is_device(id));
    sys::say(&hub, Duration::ZERO);
    let mut tasks = Tasks::default();
    tasks.spawn("announcer", announcer.clone().run(hub.clone()));
    tasks.spawn("presence", presence::run(hub.clone()));
    tasks.spawn("$SYS", sys::run(hub.clone()));
    tasks.spawn("sweeper", sweeper::run(hub.clone()));
    tasks.spawn("mqtt listener", listener::serve(hub.clone(), listener, away));
    tasks.spawn("router guardian", guardian::watch(hub.clone(), taps));
    hub.metrics.serving.set(1);
    Ok(Broker { hub, topics, announcer, tasks })
}

/// The sessions of the last run, which receive everything from now on.
async fn restore(hub: &Arc<Hub>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut left = hub.recall();
    let wills: HashMap<_, _> = wills::pending(&hub.store).into_iter().map(|will| (will.client, will.left)).collect();
    let (records, all_are_read) = session::records(&hub.store);
    records.iter().for_each(|record| hub.lasting.know_session(record.number));
    fit(hub, &mut left, &records, all_are_read);
    for record in records {
        let (id, number) = (record.id().to_owned(), record.number);
        let of_it = session::Left {
            waiting: left.waiting.remove(&number).unwrap_or_default(),
            progress: left.progress.remove(&number).unwrap_or_default(),
            handshakes: left.handshakes.remove(&number).unwrap_or_default(),
        };
        match session::restore(hub.clone(), record, of_it, wills.get(&id).copied()).await {
            Some(session) => drop(tasks.spawn(session)),
            None => {
                tracing::warn!(clientId = id, "session_not_restored: no room (mqtt.max_sessions), or no router");
                session::purge(hub, &id, number).await;
            }
        }
    }
    if all_are_read {
        hub.forget_strays(&left).await;
    } else {
        hub.lasting.hold(left);
    }
    tasks
}

/// What waits for sessions is no more than may: an earlier run may have had another limit, or none.
fn fit(hub: &Arc<Hub>, left: &mut lasting::Left, records: &[session::Record], all_are_read: bool) {
    let by_number: HashMap<_, _> = records.iter().map(|record| (record.number, record)).collect();
    if all_are_read {
        left.waiting.retain(|session, _| by_number.contains_key(session)); // others are no more
    }
    let is_device = |session: u32| by_number.get(&session).is_some_and(|record| record.is_device);
    let gone = left.fit(&hub.budget, session::REFERENCE, is_device);
    if gone.is_empty() {
        return;
    }
    let (lost, sessions) = (gone.values().sum::<u64>(), gone.len());
    let why = format!(
        "the store had more messages for sessions that are away than mqtt.max_queued_bytes and limits.memory allow: the \
         oldest {lost}, of {sessions} sessions, were dropped at the start"
    );
    tracing::warn!(lost, sessions, why, "queued_trimmed");
    hub.budget.tell_full(Kind::Queued, &why);
    for (session, count) in gone {
        if let Some(record) = by_number.get(&session) {
            hub.lost_before_start(record.id(), count);
        }
    }
}

/// The clients of the last run whose wills were not fired, as far as no kept session waits for them.
fn restore_wills(hub: &Arc<Hub>, tasks: &mut JoinSet<()>) {
    for wills::Pending { client, left } in wills::pending(&hub.store) {
        if hub.register.has(&client) {
            continue;
        }
        match session::restore_will(hub.clone(), &client, left) {
            Some(session) => drop(tasks.spawn(session)),
            None => drop(tasks.spawn(session::say_last_will(hub.clone(), client))), // no room to wait
        }
    }
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

    /// Tells anybody who is connected.
    pub fn presence(&self) -> impl Fn() -> wire::Presence + Send + Sync + 'static {
        let hub = self.hub.clone();
        move || hub.presence.now()
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
