//! Slow cases for clients: the router dies or is replaced under them, or they are silent for a while. They stay connected,
//! and no message is lost or comes twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::policy::Topics;
use super::{Broker, BrokerDeps, Ports, bind, open, restore, start};
use crate::access::{Access, AccessDeps};
use crate::config::Config;
use crate::dmx::{ProjectId, Rig};
use crate::engine::{self, Engine};
use crate::fixtures::Types;
use crate::intake::{self, Intake};
use crate::kit::budget::Budget;
use crate::kit::health::Health;
use crate::kit::tasks::Tasks;
use crate::library;
use crate::metrics::Metrics;
use crate::store::{Batch, Store, Tree};

const PATIENCE: Duration = Duration::from_secs(30);

/// A broker over a real engine and store.
struct Stage {
    broker: Broker,
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
    _engine: Engine,
    _tasks: Tasks,
    _data: tempfile::TempDir,
}

/// What a broker stands on.
struct Ground {
    engine: Engine,
    tasks: Tasks,
    data: tempfile::TempDir,
}

impl Ground {
    async fn new() -> (BrokerDeps, Self) {
        let data = tempfile::tempdir().unwrap();
        let (metrics, health, mut config) = (Metrics::new().unwrap(), Health::default(), Config::default());
        config.mqtt.bind = std::net::Ipv4Addr::LOCALHOST.into();
        config.mqtt.port = 0;
        config.storage.data_dir = data.path().into();
        let opened = Store::open(&config.storage, &health, &metrics).unwrap();
        let project = ProjectId::default_project();
        let engine = engine::start(&config.engine, opened.store.clone(), 0, project, Rig::default(), &metrics).await;
        let deps = library::LibraryDeps {
            several: false,
            store: opened.store.clone(),
            engine: engine.handle.clone(),
            feed: engine.feed.clone(),
            reading: library::Reading { universes: config.engine.universes, types: Types::built_in() },
            health: health.clone(),
        };
        let mut tasks = Tasks::default();
        let library = library::start(deps, &mut tasks).await;
        let budget = Budget::new(&config, health.clone(), metrics.memory.clone());
        let deps = AccessDeps::of(&config, &opened.store, &budget, &health);
        let access = Access::open(deps).await;
        let deps = intake::IntakeDeps {
            settings: &config.engine,
            engine: engine.handle.clone(),
            library,
            access: access.clone(),
        };
        let intake = Intake::new(deps, &mut tasks);
        let deps = BrokerDeps {
            web_port: 8080,
            settings: config.mqtt,
            access,
            intake,
            feed: engine.feed.clone(),
            store: opened.store,
            budget,
            health,
            metrics,
        };
        (deps, Self { engine, tasks, data })
    }
}

impl Stage {
    async fn start() -> Self {
        let (deps, Ground { engine, tasks, data }) = Ground::new().await;
        let (health, metrics) = (deps.health.clone(), deps.metrics.clone());
        let listener = bind(&deps.settings).unwrap();
        let address = listener.local_addr().unwrap();
        let broker = start(Ports::default().and(listener, None), deps).await.unwrap();
        let begun = Instant::now();
        while metrics.broker.topics.get() == 0 {
            assert!(begun.elapsed() < PATIENCE, "the guardian watches");
            tokio::task::yield_now().await;
        }
        Self { broker, address, health, metrics, _engine: engine, _tasks: tasks, _data: data }
    }

    fn client(&self, id: &str) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new(id, self.address.ip().to_string(), self.address.port());
        options.set_keep_alive(Duration::from_secs(60)).set_clean_session(true).set_max_packet_size(1 << 20, 1 << 20);
        AsyncClient::new(options, 1_000)
    }

    /// A client that hears `filter`, and what it hears; the channel ends when its connection does.
    async fn hear(&self, id: &str, filter: &str) -> mpsc::UnboundedReceiver<(String, u32)> {
        let (client, mut events) = self.client(id);
        let (heard, hears) = mpsc::unbounded_channel();
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let subscribed =
            async { while !matches!(events.poll().await.unwrap(), Event::Incoming(Incoming::SubAck(_))) {} };
        timeout(PATIENCE, subscribed).await.unwrap();
        tokio::spawn(async move {
            let _client = client;
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(Incoming::Publish(publish)) = event {
                    let number = std::str::from_utf8(&publish.payload).unwrap().parse().unwrap();
                    let _ = heard.send((publish.topic, number));
                }
            }
        });
        hears
    }

    /// A client that is connected, whose publishes are acknowledged; its connection must not end.
    async fn speaker(&self, id: &str) -> AsyncClient {
        let (client, mut events) = self.client(id);
        let connected =
            async { while !matches!(events.poll().await.unwrap(), Event::Incoming(Incoming::ConnAck(_))) {} };
        timeout(PATIENCE, connected).await.unwrap();
        tokio::spawn(async move { while events.poll().await.is_ok() {} });
        client
    }

    fn generation(&self) -> usize {
        self.broker.hub.routers().borrow().generation()
    }

    async fn replaced(&self, generation: usize) {
        let mut routers = self.broker.hub.routers();
        timeout(PATIENCE, routers.wait_for(|router| router.generation() >= generation)).await.unwrap().unwrap();
    }
}

/// Threads of routers that this process has.
fn routers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.trim().strip_prefix("router-").is_some_and(|id| id.parse::<u32>().is_ok())).count()
}

/// In a runtime that waits for nobody at its end.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
    runtime.shutdown_background();
}

/// The next so many messages, which must be numbered in order for each topic, none missing, none twice.
async fn assert_next(hears: &mut mpsc::UnboundedReceiver<(String, u32)>, numbers: std::ops::Range<u32>) {
    for expected in numbers {
        let (_, number) = timeout(PATIENCE, hears.recv()).await.expect("a message").expect("the connection stays");
        assert_eq!(number, expected);
    }
}

#[test]
fn a_dead_router_is_replaced_and_nobody_loses_a_message_or_the_connection() {
    run(async {
        let stage = Stage::start().await;
        let mut hears = [stage.hear("a", "t/#").await, stage.hear("b", "t/x").await];
        let speaker = stage.speaker("speaker").await;
        for generation in 1..=3u32 {
            let first = (generation - 1) * 200;
            for n in first..first + 100 {
                speaker.publish("t/x", QoS::AtLeastOnce, false, n.to_string()).await.unwrap();
            }
            let died = Instant::now();
            let router = stage.broker.hub.routers().borrow().clone();
            let old = Arc::downgrade(&router);
            tokio::task::spawn_blocking(move || router.kill()).await.unwrap();
            for n in first + 100..first + 200 {
                speaker.publish("t/x", QoS::AtLeastOnce, false, n.to_string()).await.unwrap();
            }
            stage.replaced(generation as usize).await;
            assert!(died.elapsed() < Duration::from_secs(10), "{:?}", died.elapsed());
            for hears in &mut hears {
                assert_next(hears, first..first + 200).await;
            }
            // A session that still comes to the next router might be given the place of the link that is to end it.
            while old.strong_count() > 0 {
                assert!(died.elapsed() < PATIENCE, "every session has moved");
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(stage.metrics.broker.routers.with_label_values(&["dead"]).get(), 3);
        assert_eq!((stage.metrics.broker.dropped.get(), stage.health.problems()), (0, vec![]));
        assert!(stage.broker.hub.is_serving());
    });
}

#[test]
fn a_router_that_dies_in_a_flood_takes_nothing_with_it() {
    run(async {
        const MESSAGES: u32 = 20_000;
        let stage = Stage::start().await;
        let mut hears = [stage.hear("a", "t/#").await, stage.hear("b", "t/x").await, stage.hear("c", "+/x").await];
        let speaker = stage.speaker("speaker").await;
        let flood = tokio::spawn(async move {
            for n in 0..MESSAGES {
                speaker.publish("t/x", QoS::AtLeastOnce, false, n.to_string()).await.unwrap();
            }
            speaker
        });
        for (generation, hears) in hears.iter_mut().enumerate() {
            assert_next(hears, 0..1_000).await; // it is in the middle
            let router = stage.broker.hub.routers().borrow().clone();
            tokio::task::spawn_blocking(move || router.kill()).await.unwrap();
            stage.replaced(generation + 1).await;
        }
        for hears in &mut hears {
            assert_next(hears, 1_000..MESSAGES).await;
        }
        flood.await.unwrap();
        assert_eq!(stage.metrics.broker.dropped.get(), 0);
    });
}

#[test]
fn what_many_say_while_the_router_is_dead_waits_with_them_and_is_not_too_much_afterwards() {
    run(async {
        const SPEAKERS: usize = 6;
        const EACH: u32 = 3;
        let stage = Stage::start().await;
        let mut hears = stage.hear("a", "t/#").await;
        let mut speakers = Vec::new();
        for n in 0..SPEAKERS {
            speakers.push(stage.speaker(&format!("s{n}")).await);
        }
        let router = stage.broker.hub.routers().borrow().clone();
        tokio::task::spawn_blocking(move || router.kill()).await.unwrap();
        for n in 0..EACH {
            for (topic, speaker) in speakers.iter().enumerate() {
                let large = format!("{}{n}", "0".repeat(200_000));
                speaker.publish(format!("t/{topic}"), QoS::AtLeastOnce, false, large).await.unwrap();
            }
        }
        let mut next = [0; SPEAKERS];
        for _ in 0..SPEAKERS as u32 * EACH {
            let (topic, number) =
                timeout(PATIENCE, hears.recv()).await.expect("a message").expect("it stays connected");
            let next = &mut next[topic["t/".len()..].parse::<usize>().unwrap()];
            assert_eq!(number, *next, "{topic}");
            *next += 1;
        }
        assert_eq!(stage.metrics.broker.dropped.get(), 0);
    });
}

#[test]
fn who_comes_while_the_router_is_dead_is_served_by_the_next() {
    run(async {
        let stage = Stage::start().await;
        let router = stage.broker.hub.routers().borrow().clone();
        tokio::task::spawn_blocking(move || router.kill()).await.unwrap();
        let mut hears = stage.hear("late", "t").await;
        stage.speaker("speaker").await.publish("t", QoS::AtLeastOnce, false, "7").await.unwrap();
        assert_next(&mut hears, 7..8).await;
    });
}

/// A value that is set while a client takes its retained messages comes to it live, so by the router; what the client then says
/// itself goes past the router.
#[test]
fn however_slow_the_router_is_a_client_has_every_retained_topic_before_what_it_says_after_its_subscribe() {
    run(async {
        const TOPICS: u32 = 250; // more than it may leave unanswered, and than is queued ahead
        let stage = Stage::start().await;
        let mut other = stage.hear("other", "t/#").await;
        let speaker = stage.speaker("speaker").await;
        for n in 0..TOPICS {
            speaker.publish(format!("t/{n:03}"), QoS::AtLeastOnce, true, n.to_string()).await.unwrap();
        }
        assert_next(&mut other, 0..TOPICS).await;
        let mut options = MqttOptions::new("late", stage.address.ip().to_string(), stage.address.port());
        options.set_manual_acks(true);
        let (late, mut events) = AsyncClient::new(options, 1_000);
        late.subscribe("marker", QoS::AtLeastOnce).await.unwrap();
        late.subscribe("t/#", QoS::AtLeastOnce).await.unwrap();
        let mut comes = async || loop {
            let event = timeout(PATIENCE, events.poll()).await.expect("a message").unwrap();
            if let Event::Incoming(Incoming::Publish(publish)) = event {
                return publish;
            }
        };
        let mut came = vec![comes().await];
        let router = stage.broker.hub.routers().borrow().clone();
        tokio::task::spawn_blocking(move || router.kill()).await.unwrap();
        let before = stage.broker.hub.number();
        speaker.publish(format!("t/{:03}", TOPICS - 1), QoS::AtLeastOnce, true, "new").await.unwrap();
        let begun = Instant::now();
        while stage.broker.hub.number() == before {
            assert!(begun.elapsed() < PATIENCE, "it is handed on");
            tokio::task::yield_now().await;
        }
        late.publish("marker", QoS::AtLeastOnce, false, "").await.unwrap();
        while came.last().is_some_and(|last| last.topic != "marker") {
            late.ack(came.last().unwrap()).await.unwrap();
            came.push(comes().await);
        }
        let last = came.iter().rfind(|publish| publish.topic.starts_with("t/"));
        assert_eq!((came.len() as u32, last.map(|publish| &publish.payload[..])), (TOPICS + 1, Some(&b"new"[..])));
    });
}

#[test]
fn exact_filters_need_no_router_also_with_retained_values() {
    run(async {
        let stage = Stage::start().await;
        let mut other = stage.hear("other", "t/#").await;
        let speaker = stage.speaker("speaker").await;
        speaker.publish("lamp", QoS::AtLeastOnce, true, "1").await.unwrap();
        speaker.publish("t/x", QoS::AtLeastOnce, false, "1").await.unwrap();
        assert_next(&mut other, 1..2).await;
        let router = stage.broker.hub.routers().borrow().clone();
        tokio::task::spawn_blocking(move || router.kill()).await.unwrap();
        speaker.publish("t/x", QoS::AtLeastOnce, false, "2").await.unwrap(); // the router owes it
        let begun = Instant::now();
        while stage.broker.hub.is_settled() {
            assert!(begun.elapsed() < PATIENCE, "it is handed on");
            tokio::task::yield_now().await;
        }
        let mut lamp = stage.hear("lamp", "lamp").await;
        assert_next(&mut lamp, 1..2).await;
        stage.speaker("another").await.publish("lamp", QoS::AtLeastOnce, false, "2").await.unwrap();
        assert_next(&mut lamp, 2..3).await;
        assert_eq!(stage.generation(), 0, "no other router was waited for");
    });
}

#[test]
fn a_router_that_knows_too_many_topics_is_replaced_in_the_middle_of_the_traffic() {
    run(async {
        let stage = Stage::start().await;
        let mut hears = [stage.hear("a", "t/#").await, stage.hear("b", "+/+").await];
        let speaker = stage.speaker("speaker").await;
        let mut sent = 0;
        let begun = Instant::now();
        while stage.generation() < 2 && begun.elapsed() < PATIENCE {
            for _ in 0..100 {
                speaker
                    .publish(format!("t/{}", sent % 50_000), QoS::AtLeastOnce, false, sent.to_string())
                    .await
                    .unwrap();
                sent += 1;
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // the traffic's own pace
        }
        assert!(stage.generation() >= 2, "it was replaced");
        let gone = async {
            while routers() > 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("the threads of those before have ended");
        for hears in &mut hears {
            assert_next(hears, 0..sent).await;
        }
        assert_eq!(stage.metrics.broker.dropped.get(), 0);
    });
}

/// Longer than a client may take nothing, and than its keep-alive would be if it had a short one.
const IDLE: Duration = Duration::from_secs(20);

/// The answers that a start waits for do not come: nobody has opened the router's taps.
#[tokio::test]
async fn a_router_that_does_not_answer_costs_nobody_the_session_of_an_earlier_run() {
    let (deps, _ground) = Ground::new().await;
    let (store, topics) = (deps.store.clone(), Topics::new(&deps.settings.topic_prefix));
    let mut batch = Batch::default();
    let ids = ["one", "two", "three"];
    for id in ids {
        batch.put(Tree::Sessions, id, r#"{"v":1,"filters":[["news/#",1]],"connected":false,"since":0}"#);
    }
    store.write(batch).await;
    let (hub, _taps) = open(deps, &topics).await.unwrap();
    let begun = Instant::now();
    let sessions = restore::sessions(&hub, Duration::from_millis(200)).await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "the answers were waited for");
    assert_eq!(sessions.len(), ids.len());
    for id in ids {
        assert!(hub.register.has(id) && store.get(Tree::Sessions, id.as_bytes()).is_some(), "{id}");
    }
}

#[tokio::test]
async fn who_was_idle_is_answered_however_long_it_was() {
    let stage = Stage::start().await;
    // Each of them was closed by a toss of a coin once.
    let mut clients = Vec::new();
    for n in 0..16u8 {
        let mut socket = TcpStream::connect(stage.address).await.unwrap();
        let mut connect = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02c".to_vec();
        connect.push(b'a' + n);
        socket.write_all(&connect).await.unwrap();
        let mut connack = [0; 4];
        socket.read_exact(&mut connack).await.unwrap();
        clients.push(socket);
    }
    // Only the clock goes on: nobody has anything to do meanwhile.
    tokio::time::pause();
    tokio::time::advance(IDLE).await;
    tokio::time::resume();
    for socket in &mut clients {
        socket.write_all(b"\xc0\x00").await.unwrap();
        let mut pingresp = [0; 2];
        timeout(PATIENCE, socket.read_exact(&mut pingresp)).await.unwrap().expect("the connection stays");
        assert_eq!(pingresp, *b"\xd0\x00");
    }
}
