//! Settings: appliance.toml over built-in defaults, `DMX_` variables over both.
//!
//! One struct per `[section]`, one row per setting in the table. Everything is checked before anything starts, and all
//! faults are reported at once.

mod acl;
mod check;
mod choices;
mod diagnostic;
mod draft;
mod file;
mod form;
mod kinds;
mod lists;
mod load;
mod machine;
#[cfg(test)]
pub(crate) mod manual;
mod print;
mod secrets;
mod setup;
mod table;
mod this_machine;
mod value;
mod variables;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::dmx::{ChannelSet, UniverseId};
use crate::kit::secret::Secret;

pub use diagnostic::{ConfigError, Diagnostic, Origin};
pub use draft::Origins;
pub use file::text_called;
pub use load::{Loaded, load, parse};
pub(crate) use machine::is_raw_key;
pub use machine::{Host, Machine, Network, Ssh, Ssid, Wifi};
pub use print::{in_force, machine_template, markdown, shipped};
pub use setup::{Edition, IMPORTED, Piece, Prepared, appliance_part, pieces, prepare};
pub use table::setting;

/// All settings, in the order of appliance.toml.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `[http]`
    pub http: Http,
    /// `[mqtt]`
    pub mqtt: Mqtt,
    /// `[engine]`
    pub engine: Engine,
    /// `[storage]`
    pub storage: Storage,
    /// `[limits]`
    pub limits: Shares,
    /// `[auth]`
    pub auth: Auth,
    /// `[owner]`
    pub owner: Owner,
    /// `[tls]`
    pub tls: Tls,
    /// `[log]`
    pub log: Log,
    /// `[output]`
    pub output: Output,
    /// `[ola]`
    pub ola: Ola,
    /// `[usb]`
    pub usb: Usb,
    /// `[input]`
    pub input: Input,
    /// `[projects]`
    pub projects: Projects,
    /// `[backup]`
    pub backup: Backup,
}

impl Config {
    /// Whether the USB output runs: by its own switch or by `output.mode`.
    #[must_use]
    pub fn usb_runs(&self) -> bool {
        self.usb.enabled || self.output.mode == OutputMode::Enttec
    }
}

/// Web: REST, WebSocket and the app.
#[derive(Clone, PartialEq, Eq)]
pub struct Http {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port; 0 = any free one.
    pub port: u16,
    /// A second port; if it is taken, dmxd logs a warning.
    pub also_port: Option<u16>,
    /// Origins that browsers may come from; `local` = those of this network, `*` = any.
    pub allow_origins: Vec<String>,
    /// Further names that the appliance may be asked for by; `*` = any.
    pub allow_hosts: Vec<String>,
    /// Most connections open at one time; further ones get 503.
    pub max_connections: usize,
    /// Folder that the app is served from while it is designed; `None` = the app inside the program.
    pub ui_dir: Option<PathBuf>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::UNSPECIFIED.into(),
            port: 8080,
            also_port: None,
            allow_origins: vec!["local".into()],
            allow_hosts: Vec::new(),
            max_connections: 512,
            ui_dir: None,
        }
    }
}

/// The embedded broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Mqtt {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port; 0 = any free one.
    pub port: u16,
    /// Another broker to join as well; empty, `localhost` or this machine = none.
    pub host: String,
    /// Port of that broker; `None` = the same as `port`.
    pub uplink_port: Option<u16>,
    /// What stands before `/rgb/cmd`.
    pub topic_prefix: String,
    /// Login that clients must present; empty = any.
    pub username: String,
    /// Its password.
    pub password: Option<Secret>,
    /// What clients without a login may do.
    pub anonymous: MqttAnonymous,
    /// Further rights on topics.
    pub acl: Vec<AclLine>,
    /// Most connected clients; a further one gets CONNACK code 3.
    pub max_connections: usize,
    /// Most sockets that have not sent CONNECT yet.
    pub max_pending: usize,
    /// Seconds a socket may take for its CONNECT.
    pub connect_timeout_seconds: u64,
    /// Most bytes of one packet; a larger one closes its connection.
    pub max_packet_bytes: usize,
    /// Messages kept for one session that is away or slow.
    pub max_queued_messages: usize,
    /// Bytes of the messages that wait for all sessions.
    pub max_queued_bytes: usize,
    /// Most sessions kept, connected or away.
    pub max_sessions: usize,
    /// Most filters of one session.
    pub max_subscriptions: usize,
    /// Messages that one client may publish in a second; more wait. 0 = any number.
    pub client_messages_per_second: u32,
    /// Bytes of them, topics included; more wait. 0 = any number.
    pub client_bytes_per_second: u64,
    /// Days that a session is kept for a client that does not come back.
    pub session_expiry_days: u64,
    /// Most retained messages; further topics are not retained.
    pub max_retained: usize,
    /// Most bytes of their topics and payloads.
    pub max_retained_bytes: usize,
    /// Most devices whose presence is known.
    pub max_devices: usize,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::UNSPECIFIED.into(),
            port: 1883,
            host: "localhost".into(),
            uplink_port: None,
            topic_prefix: "v1/demo".into(),
            username: String::new(),
            password: None,
            anonymous: MqttAnonymous::ByMode,
            acl: Vec::new(),
            max_connections: 1000,
            max_pending: 256,
            connect_timeout_seconds: 10,
            max_packet_bytes: 1 << 20,
            max_queued_messages: 1_000,
            // 300 sessions away with 1,000 small messages of one copy each take 15 MB, and one address gets a quarter. All
            // of it may be references, so it has to fit into memory, where `limits.memory` makes it less on a small
            // machine; on the card, where messages are, the store takes up to twice as much.
            max_queued_bytes: 64 << 20,
            max_sessions: 2000,
            max_subscriptions: 10_000,
            client_messages_per_second: 0,
            client_bytes_per_second: 0,
            session_expiry_days: 30,
            max_retained: 40_000,
            max_retained_bytes: 64 << 20,
            max_devices: 1000,
        }
    }
}

/// The engine.
#[derive(Clone, PartialEq, Eq)]
pub struct Engine {
    /// Commands that may wait.
    pub queue_size: usize,
    /// Seconds a command id is remembered.
    pub dedupe_ttl_seconds: u64,
    /// Most command ids remembered.
    pub dedupe_capacity: usize,
    /// Universes that may be commanded: those from 0 on.
    pub universes: u8,
    /// Milliseconds after which a tablet's command is too late; 0 = never.
    pub max_age_ms: u64,
    /// Of which universes only some channels follow master and blackout, and which.
    pub master_channels: Vec<MasterChannels>,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            queue_size: 10_000,
            dedupe_ttl_seconds: 900,
            dedupe_capacity: 4096,
            universes: 64,
            max_age_ms: 3000,
            master_channels: Vec::new(),
        }
    }
}

/// Channels of a universe that follow master and blackout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterChannels {
    /// Which universe.
    pub universe: UniverseId,
    /// None, or one range; further ones are further items.
    pub channels: ChannelSet,
}

/// The memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Storage {
    /// Folder of everything that is kept.
    pub data_dir: PathBuf,
    /// Milliseconds of light that a power cut may take back.
    pub flush_ms: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Self { data_dir: "data".into(), flush_ms: 1000 }
    }
}

/// What clients can make the process hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Shares {
    /// All of it; `None` = 40 % of the machine, at most 512 MB.
    pub memory: Option<Size>,
    /// Of a kind, for one address; percent.
    pub per_address: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { memory: None, per_address: 25 }
    }
}

/// An amount of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Who may use REST and WebSocket.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Auth {
    /// Whether keys are asked for.
    pub mode: AuthMode,
    /// Keys that are accepted in `required` mode; who has one is an admin.
    pub keys: Vec<Secret>,
    /// What who is not known may do in `required` mode.
    pub anonymous: Anonymous,
}

/// Who owns the appliance.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// With a PIN or password it is an admin, and the appliance is locked.
    pub pin: Option<Secret>,
}

impl Default for Owner {
    fn default() -> Self {
        Self { name: "owner".into(), pin: None }
    }
}

/// What who is not known may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Anonymous {
    /// Nothing but what is open to everybody.
    #[default]
    None,
    /// See everything that is no secret.
    View,
    /// Move light.
    Operate,
}

/// What MQTT clients without a login may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MqttAnonymous {
    /// All in `audit` mode, nothing in `required` mode or where `mqtt.username` is set.
    #[default]
    ByMode,
    /// Everything that is not dmxd's alone.
    All,
    /// What a lamp or button needs, under its client id.
    Devices,
    /// They are not let in.
    None,
}

/// A line of `mqtt.acl`: `<user or *> read|write|deny <filter>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclLine {
    /// Whom it is about; `None`: everybody.
    pub user: Option<String>,
    /// What it says.
    pub verb: AclVerb,
    /// Topics; `%u` stands for the user's name, `%c` for the client id.
    pub filter: String,
}

/// What a line of `mqtt.acl` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclVerb {
    /// May subscribe and receive.
    Read,
    /// May publish.
    Write,
    /// May do neither, whatever else says.
    Deny,
}

/// Whether keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// Nobody is refused; the log records a fingerprint of the key.
    #[default]
    Audit,
    /// A wrong or missing key is 401.
    Required,
}

/// Encrypted doors.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whether they open.
    pub enabled: bool,
    /// Port of https; 0 = any free one.
    pub port: u16,
    /// Port of MQTT over TLS; 0 = any free one.
    pub mqtt_port: u16,
    /// Whether plain MQTT stays closed, and the plain web port only leads to https.
    pub only: bool,
    /// The user's certificate with those that vouch for it; `None` = the appliance's own authority.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { enabled: false, port: 8443, mqtt_port: 8883, only: false, cert: None, key: None }
    }
}

/// The log on stdout.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    /// The least level that is written.
    pub level: LogLevel,
}

/// Least level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// For the people who build this.
    Trace,
    /// Someone is looking.
    Debug,
    /// It changed state.
    #[default]
    Info,
    /// Look today.
    Warn,
    /// Act now.
    Error,
}

/// Which output the predecessor's `OUTPUT_MODE` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Output {
    /// An output runs if this or its own switch asks for it.
    pub mode: OutputMode,
    /// What the outputs are left with at a stop.
    pub park: Park,
}

/// What an output is left with at a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Park {
    /// The last frame.
    #[default]
    Hold,
    /// All channels at 0.
    Blackout,
}

/// Which output is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OutputMode {
    /// None by this setting.
    #[default]
    Null,
    /// OLA.
    Ola,
    /// Enttec DMX USB PRO.
    Enttec,
}

/// OLA output.
#[derive(Clone, PartialEq, Eq)]
pub struct Ola {
    /// Whether it runs.
    pub enabled: bool,
    /// Where `set_dmx` is.
    pub url: String,
    /// OLA's universe for our universe 0.
    pub universe: u32,
    /// Further universes: ours and OLA's.
    pub universes: Vec<UniversePair>,
    /// Most frames a second.
    pub fps: u32,
}

impl Default for Ola {
    fn default() -> Self {
        Self {
            enabled: false,
            url: "http://localhost:9090/set_dmx".into(),
            universe: 1,
            universes: Vec::new(),
            fps: 44,
        }
    }
}

/// A universe of ours and the one of OLA that it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniversePair {
    /// Ours, 0..=63.
    pub ours: u8,
    /// OLA's.
    pub olas: u32,
}

/// Enttec DMX USB PRO output.
#[derive(Clone, PartialEq, Eq)]
pub struct Usb {
    /// Whether it runs.
    pub enabled: bool,
    /// Serial port; empty = found by itself.
    pub port: String,
    /// Our universe that it carries.
    pub universe: u8,
    /// USB vendor ids of widgets.
    pub vendor_ids: Vec<u16>,
    /// USB product ids of widgets.
    pub product_ids: Vec<u16>,
    /// Baud rate (the widget's USB FIFO ignores it).
    pub baudrate: u32,
    /// Most frames a second.
    pub fps: u32,
    /// Seconds between looks for a widget.
    pub scan_interval_seconds: u64,
}

impl Default for Usb {
    fn default() -> Self {
        Self {
            enabled: false,
            port: String::new(),
            universe: 0,
            vendor_ids: vec![0x0403],
            product_ids: vec![0x6001, 0x6010, 0x0400],
            baudrate: 57_600,
            fps: 40,
            scan_interval_seconds: 5,
        }
    }
}

/// SparkFun serial DMX input.
#[derive(Clone, PartialEq, Eq)]
pub struct Input {
    /// Whether it runs.
    pub enabled: bool,
    /// Serial port; empty = none.
    pub port: String,
    /// Baud rate.
    pub baudrate: u32,
    /// Channels that are read, 1 to 3.
    pub channels: u16,
    /// Levels by which a fader may waver unheard.
    pub dead_band: u8,
    /// Universe the channels go to.
    pub universe: u8,
    /// `src` of its commands.
    pub src: String,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            enabled: false,
            port: String::new(),
            baudrate: 115_200,
            channels: 3,
            dead_band: 0,
            universe: 0,
            src: "dmx-input".into(),
        }
    }
}

/// Several shows on one appliance.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Projects {
    /// Whether `/projects` is served.
    pub enabled: bool,
    /// Where a predecessor's projects are imported from; `None` = `<data_dir>/projects`.
    pub root: Option<PathBuf>,
}

/// Backups of projects.
#[derive(Clone, PartialEq, Eq)]
pub struct Backup {
    /// Whether backups are made.
    pub enabled: bool,
    /// Where they go.
    pub provider: BackupProvider,
    /// Folder of local backups; `None` = `<data_dir>/backups`.
    pub local_path: Option<PathBuf>,
    /// Key that seals new backups.
    pub encryption_key: Option<Secret>,
    /// Keys that still open older ones.
    pub old_keys: Vec<Secret>,
    /// Minutes between automatic backups; 0 = none.
    pub auto_interval_minutes: u64,
    /// Backups that are kept, the last ones; 0 = this rule keeps none.
    pub keep_last: usize,
    /// Days of which the last backup is kept.
    pub keep_daily: usize,
    /// Weeks of which the last backup is kept.
    pub keep_weekly: usize,
    /// Where an S3 server is; empty = Amazon's.
    pub s3_endpoint: String,
    /// Bucket in the path of URLs; `None` = with an endpoint of one's own.
    pub s3_path_style: Option<bool>,
    /// Proxy on the way there; empty = none.
    pub s3_proxy: String,
    /// S3 bucket.
    pub s3_bucket: String,
    /// Prefix of keys in the bucket.
    pub s3_prefix: String,
    /// Region.
    pub s3_region: String,
    /// Access key.
    pub s3_access_key: Option<Secret>,
    /// Secret key.
    pub s3_secret_key: Option<Secret>,
    /// Session token.
    pub s3_session_token: Option<Secret>,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            enabled: false,
            provider: BackupProvider::Local,
            local_path: None,
            encryption_key: None,
            old_keys: Vec::new(),
            auto_interval_minutes: 0,
            keep_last: 0,
            keep_daily: 0,
            keep_weekly: 0,
            s3_endpoint: String::new(),
            s3_path_style: None,
            s3_proxy: String::new(),
            s3_bucket: String::new(),
            s3_prefix: "dmx-controller/backups".into(),
            s3_region: String::new(),
            s3_access_key: None,
            s3_secret_key: None,
            s3_session_token: None,
        }
    }
}

/// Where backups go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BackupProvider {
    /// A folder.
    #[default]
    Local,
    /// An S3 bucket.
    S3,
}
