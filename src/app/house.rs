//! The wiring: everything is built in order and closed in reverse.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::doors::{At, Doors};
use super::error::AppError;
use super::memory::{Memory, late};
use super::signals::Signals;
use super::{addresses, banner, mdns, secure};
use crate::access::{Access, AccessDeps};
use crate::backup::{self, Backups};
use crate::broker::{self, Broker};
use crate::config::{Config, Loaded};
use crate::engine::Feed;
use crate::http::{self, Devices, MqttGuest, NotOpened, Ports, SettingsFile, UsbOutput};
use crate::input::{self, Input};
use crate::intake::{Intake, IntakeDeps};
use crate::kit::budget::Budget;
use crate::kit::health::Health;
use crate::kit::stop::{self, Stopper};
use crate::kit::systemd;
use crate::kit::tasks::Tasks;
use crate::metrics::Metrics;
use crate::output::{self, OutputErrorKind, Outputs};
use crate::setup;
use crate::time::Time;
use crate::tls::KeptAuthority;

/// How long open web requests may take at the stop. With the commands' 600 ms, the outputs' 1.6 s and the store's last sync
/// the whole stop stays below 4 s, whoever is slow.
const LAST_REQUESTS: Duration = Duration::from_millis(600);

/// How long the engine may be silent before systemd is no longer told that all is well.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Problem in `/readyz` for a login or key of the settings that can be guessed.
const WEAK_KEY: &str = "WEAK_KEY";

/// The appliance, all doors open.
struct House {
    memory: Memory,
    broker: Broker,
    outputs: Outputs,
    input: Input,
    backups: Backups,
    intake: Intake,
    scheduler: Tasks,
    certificates: Tasks,
    time: Time,
    web: Tasks,
    web_stop: Stopper,
}

/// Runs the appliance until a signal asks for its end.
pub(super) async fn run(loaded: Loaded, metrics: Metrics, setup_report: Option<&Path>) -> Result<(), AppError> {
    let mut signals = Signals::new().map_err(|source| AppError::System { doing: "listening for signals", source })?;
    let mut house = House::open(loaded, metrics, setup_report).await?;
    systemd::ready();
    let ended = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            None
        }
        part = house.ended() => Some(part),
    };
    systemd::stopping();
    // a task of its own, which a second signal leaves behind: dropped here, it would drop sled, which waits for the card
    let mut closing = tokio::spawn(house.close());
    tokio::select! {
        closed = &mut closing => {
            closed.map_err(|source| AppError::System { doing: "closing", source: io::Error::other(source) })?;
            ended.map_or(Ok(()), |part| Err(AppError::Ended(part)))
        }
        // whoever asks twice does not want to wait
        signal = signals.next() => {
            tracing::warn!(signal, "stopped_at_once");
            Err(AppError::Hurried)
        }
    }
}

/// Where the light goes, and where it comes from.
fn ports(config: &Config, feed: &Feed, intake: &Intake, health: &Health, metrics: &Metrics) -> (Outputs, Input) {
    let (feed, health) = (feed.clone(), health.clone());
    let input = input::InputDeps {
        settings: config.input.clone(),
        usb_port: if config.usb_runs() { config.usb.port.clone() } else { String::new() },
        intake: intake.clone(),
        feed: feed.clone(),
        health: health.clone(),
        metrics: metrics.input.clone(),
    };
    let outputs = output::OutputDeps { config, feed, health, metrics: metrics.clone() };
    (output::start(outputs), input::start(input))
}

/// Logs where it listens, and tells a person who started it by hand.
fn announce(at: &At, data_dir: &Path) {
    for (door, address) in &at.listening {
        tracing::info!(door, %address, "listening");
    }
    banner::show(&at.listening, data_dir);
}

/// Asks for the name of this machine, as the web needs it.
fn naming(name: mdns::Name) -> Arc<dyn Fn() -> http::Naming + Send + Sync> {
    Arc::new(move || {
        let name = name.clone();
        Box::pin(async move { name.now(addresses::own()).await })
    })
}

/// The web's way to the broker: edges do not know each other.
fn mqtt_door(guests: broker::Guests) -> http::MqttDoor {
    Arc::new(move |MqttGuest { stream, peer, ending }| {
        let guests = guests.clone();
        Box::pin(async move { guests.enter(stream, peer, ending).await })
    })
}

impl House {
    async fn open(loaded: Loaded, metrics: Metrics, setup_report: Option<&Path>) -> Result<Self, AppError> {
        let Loaded { config, file, .. } = loaded;
        let Config { http: web, mqtt, storage, .. } = config.clone();
        let health = Health::default();
        // First: a port in use is the commonest fault, and must not touch the data.
        let doors = Doors::open(&config, &health)?;
        for (setting, why) in config.weak_keys() {
            health.raise_for(WEAK_KEY, setting, why);
        }
        setup_report.into_iter().for_each(|path| setup::read_out(path, &health));
        // only the image starts dmxd with it
        let settings_file = match setup_report {
            Some(_) => SettingsFile::OnCard(file.with_extension("d").join(setup::SETTINGS)),
            None => SettingsFile::Here(file),
        };
        let budget = Budget::new(&config, health.clone(), metrics.memory.clone());
        let (memory, library) = Memory::open(&config, &health, &metrics).await?;
        let (engine, store) = (&memory.engine, &memory.store);
        let time = Time::open(store.clone());
        let deps = AccessDeps::of(&config, store, &budget, &health);
        let access = Access::open(deps).await;
        let backups = backup::start(backup::BackupDeps {
            settings: config.backup.clone(),
            data_dir: storage.data_dir.clone(),
            shows: Arc::new(library.clone()),
            health: health.clone(),
            metrics: metrics.backup.clone(),
        })?;
        let deps = IntakeDeps {
            settings: &config.engine,
            engine: engine.handle.clone(),
            library: library.clone(),
            access: access.clone(),
        };
        let mut scheduler = Tasks::default();
        let intake = Intake::new(deps, &mut scheduler);
        let (mut certificates, name) = (Tasks::default(), mdns::Name::default());
        certificates.spawn("clock", time.clone().look_after());
        let authority = KeptAuthority::of(&storage.data_dir);
        let tls = secure::start(&config, &name, &authority, (&health, &metrics), &mut certificates).await?;
        let (web_port, https_port) = (doors.web_port(), doors.https_port());
        let doors = doors.with(tls.as_ref(), config.tls.only);
        let deps = broker::BrokerDeps {
            settings: mqtt,
            web_port,
            access: access.clone(),
            intake: intake.clone(),
            feed: engine.feed.clone(),
            store: store.clone(),
            budget: budget.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let broker = broker::start(doors.mqtt, deps).await?;
        let (outputs, input) = ports(&config, &engine.feed, &intake, &health, &metrics);
        let (web_stop, stop) = stop::channel();
        let at = doors.at.clone();
        let deps = http::HttpDeps {
            settings: web,
            access,
            intake: intake.clone(),
            engine: engine.handle.clone(),
            feed: engine.feed.clone(),
            budget,
            health,
            metrics,
            broker_serves: Arc::new(broker.serving()),
            mqtt: mqtt_door(broker.guests()),
            devices: Devices { now: Arc::new(broker.presence()), changes: broker.devices() },
            ports: Ports { outputs: outputs.statuses(), inputs: vec![input.status()], usb: Arc::new(outputs.usb()) },
            library,
            backups: backups.handle.clone(),
            time: time.clone(),
            authority,
            settings_file,
            addresses: Arc::new(move || addresses::for_others(&at, &addresses::own())),
            name: naming(name),
            trust: secure::trust(tls.as_ref(), (web_port, https_port)),
        };
        let mut tasks = Tasks::default();
        tasks.spawn("the web server", http::serve(doors.web, deps, stop));
        announce(&doors.at, &storage.data_dir);
        Ok(Self {
            memory,
            broker,
            outputs,
            input,
            backups,
            intake,
            scheduler,
            certificates,
            time,
            web: tasks,
            web_stop,
        })
    }

    /// Ends when a part that must run for ever does, and names it. Feeds systemd's watchdog meanwhile.
    async fn ended(&mut self) -> &'static str {
        let handle = self.memory.engine.handle.clone();
        let heartbeat = async {
            let Some(interval) = systemd::watchdog_interval() else { return std::future::pending().await };
            loop {
                if handle.answers(HEARTBEAT).await {
                    systemd::alive();
                } else {
                    tracing::error!("engine_silent");
                }
                tokio::time::sleep(interval.min(MOST_BETWEEN_BEATS)).await;
            }
        };
        tokio::select! {
            part = self.memory.ended() => part,
            part = self.broker.ended() => part,
            part = self.outputs.ended() => part,
            part = self.input.ended() => part,
            part = self.backups.ended() => part,
            part = self.scheduler.ended() => part,
            part = self.certificates.ended() => part,
            part = self.web.ended() => part,
            () = heartbeat => "the heartbeat",
        }
    }

    /// Doors stop reading, the engine is drained, the last words are sent, the store is closed.
    async fn close(self) {
        let Self { memory, broker, outputs, input, backups, intake, scheduler, certificates, time, web, web_stop } =
            self;
        drop(certificates);
        time.close().await;
        web_stop.stop();
        broker.quiet().await;
        intake.close();
        let (web, line, jobs, scheduler) =
            tokio::join!(web.join(LAST_REQUESTS), input.close(), backups.close(), scheduler.join(LAST_REQUESTS));
        late("web", &web);
        late("input", &line);
        late("backups", &jobs);
        late("intake", &scheduler);
        let last_words = async {
            let (mqtt, out) = tokio::join!(broker.close(), outputs.close());
            late("mqtt", &mqtt);
            late("outputs", &out);
        };
        memory.close(last_words).await;
        tracing::info!("stopped");
    }
}

/// The web door's way to the USB output: edges do not know each other.
impl UsbOutput for output::Usb {
    fn look(&self) {
        self.rescan();
    }

    fn reopen(&self) -> Pin<Box<dyn Future<Output = Result<String, NotOpened>> + Send + '_>> {
        Box::pin(async {
            self.reopen().await.map_err(|fault| match fault.kind {
                OutputErrorKind::Absent => NotOpened::Absent(fault.message),
                OutputErrorKind::Open | OutputErrorKind::Write | OutputErrorKind::Timeout | OutputErrorKind::Answer => {
                    NotOpened::Failed(fault.message)
                }
            })
        })
    }
}

/// However patient the unit is, longer silences are not needed.
const MOST_BETWEEN_BEATS: Duration = Duration::from_secs(10);
