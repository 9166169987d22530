//! The one table of settings. The file, the variables, `--print-config`, the shipped appliance.toml, docs/settings.md and
//! appliance.toml(5) are all made from it.

use toml::de::DeValue;

use super::diagnostic::Diagnostic;
use super::form;
use super::value::{Limits, Value, ValueError};
use super::{
    Auth, Backup, Config, Engine, Http, Input, Log, Mqtt, Ola, Output, Owner, Projects, Shares, Storage, Tls, Usb,
};
use crate::dmx::UNIVERSES;
use Limits::{Any, Range, Text};

/// A `[section]` of the file, which fills a part of `C`.
pub(crate) struct Section<C: 'static = Config> {
    /// `mqtt`
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) doc: &'static str,
    /// Its settings, in the order of the file.
    pub(crate) settings: &'static [Setting<C>],
}

/// One setting.
pub(crate) struct Setting<C = Config> {
    /// `mqtt.port`
    pub(crate) key: &'static str,
    /// `DMX_MQTT_PORT`; the last of several wins, and those before it are the predecessor's other names.
    pub(crate) variables: &'static [&'static str],
    /// What it does.
    pub(crate) doc: &'static str,
    pub(crate) limits: Limits,
    pub(crate) field: fn(&C) -> &dyn Value,
    pub(crate) field_mut: fn(&mut C) -> &mut dyn Value,
}

impl<C> Setting<C> {
    /// Its name within the section.
    pub(crate) fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// Reads a variable's text.
    pub(crate) fn set_text(&self, config: &mut C, text: &str) -> Result<(), ValueError> {
        (self.field_mut)(config).set_text(text, self.limits)
    }

    /// Reads a value of the file.
    pub(crate) fn set_toml(&self, config: &mut C, raw: &DeValue<'_>) -> Result<(), ValueError> {
        (self.field_mut)(config).set_toml(raw, self.limits)
    }

    /// Its value as written in a file; a secret is masked.
    pub(crate) fn to_toml(&self, config: &C) -> String {
        (self.field)(config).to_toml()
    }

    /// Whether its value must not be shown.
    pub(crate) fn is_secret(&self, config: &C) -> bool {
        (self.field)(config).is_secret()
    }
}

/// A setting that there was once: it is not used, and keeps nobody from starting.
pub(crate) struct Former {
    pub(crate) key: &'static str,
    pub(crate) variable: &'static str,
    /// What takes its place.
    instead: &'static str,
}

impl Former {
    /// What to say of it where it is still set.
    pub(crate) fn warning(&self, about: String) -> Diagnostic {
        Diagnostic::new(about, "it is no longer a setting and not used", format!("remove it: {}", self.instead))
    }
}

/// All of them.
pub(crate) static FORMER: [Former; 2] = [
    Former {
        key: "mqtt.max_filters",
        variable: "DMX_MQTT_MAX_FILTERS",
        instead: "mqtt.max_subscriptions limits the filters of one session",
    },
    Former {
        key: "mqtt.max_topics",
        variable: "DMX_MQTT_MAX_TOPICS",
        instead: "dmxd renews its message router by itself",
    },
];

/// Every setting, in the order of the file.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// A setting for those who look for it: its key, and its variable in brackets.
#[must_use]
pub fn setting(key: &str) -> String {
    let variable = settings().find(|setting| setting.key == key).and_then(|setting| setting.variables.last());
    variable.map_or_else(|| key.to_owned(), |variable| format!("{key} ({variable})"))
}

/// `$table`: every section of `$root`, in the order of the file.
macro_rules! sections {
    ($root:ident $table:ident: $([$section:ident] $kind:ident $about:literal {
        $($name:ident: [$($variable:literal),*], $limits:expr, $doc:literal;)*
    })*) => {
        /// Every section, in the order of the file.
        pub(crate) static $table: &[$crate::config::table::Section<$root>] = &[$($crate::config::table::Section {
            name: stringify!($section),
            doc: $about,
            settings: &[$($crate::config::table::Setting {
                key: concat!(stringify!($section), ".", stringify!($name)),
                variables: &[$($variable),*],
                doc: $doc,
                limits: $limits,
                field: |config| &config.$section.$name,
                field_mut: |config| &mut config.$section.$name,
            }),*],
        }),*];

        /// Compiles only while every field is in the table.
        const _: fn(&$root) = |config| {
            let $root { $($section),* } = config;
            $(let $kind { $($name: _),* } = $section;)*
        };
    };
}
pub(crate) use sections;

/// Longest time that can be set, 10 years in seconds: sums of times stay far from overflow.
const LONGEST: u64 = 315_360_000;

/// MQTT 3.1.1, 2.2.3: a packet has at most 268,435,455 bytes behind a header of 5.
const MQTT_PACKET: u64 = 268_435_460;

sections! {
    Config SECTIONS:

    [http] Http "Web: REST, WebSocket and the app." {
        host: ["DMX_HOST"], Any, "Address to listen on; 0.0.0.0 = every IPv4 address of this machine, :: = every IPv6 one too.";
        port: ["DMX_PORT"], Range(0, 65_535), "Port; 0 = any free one, named in the log line `listening`.";
        also_port: ["DMX_HTTP_ALSO_PORT"], Range(1, 65_535), "A second port, 80 for example; if it is taken, dmxd logs a warning. Empty = none.";
        allow_origins: ["DMX_ALLOW_ORIGINS"], Text(form::ORIGIN), "Origins that browsers may come from; local = those of this network, * = any.";
        allow_hosts: ["DMX_HTTP_ALLOW_HOSTS"], Text(form::WEB_HOST), "Further names that the web answers to, besides addresses, names of this network and the machine's own; * = any.";
        max_connections: ["DMX_HTTP_MAX_CONNECTIONS"], Range(1, 65_535), "Most connections open at one time, WebSockets among them; further ones get 503.";
        ui_dir: ["DMX_HTTP_UI_DIR"], Any, "Folder to serve the app from while you work on it; empty = the app inside the program.";
    }

    [mqtt] Mqtt "The embedded MQTT broker, and another broker that it may join." {
        bind: ["DMX_MQTT_BIND"], Any, "Address to listen on; 0.0.0.0 = every IPv4 address of this machine, :: = every IPv6 one too.";
        port: ["DMX_MQTT_PORT"], Range(0, 65_535), "Port; 0 = any free one, named in the log line `listening`.";
        host: ["DMX_MQTT_HOST"], Text(form::HOST), "Another broker to join as well; empty, localhost or this machine = none.";
        uplink_port: ["DMX_MQTT_UPLINK_PORT"], Range(1, 65_535), "Port of that other broker; empty = the same as port.";
        topic_prefix: ["DMX_TOPIC_PREFIX"], Text(form::TOPIC_PREFIX), "Prefix of /rgb/cmd, /rgb/state and the like.";
        username: ["DMX_MQTT_USERNAME"], Any, "Login that clients must present; empty = any. With another broker: our login there.";
        password: ["DMX_MQTT_PASSWORD"], Any, "Password of that login.";
        anonymous: ["DMX_MQTT_ANONYMOUS"], Any, "What clients without a login may do: all, devices (what a lamp needs, under its client id) or none (they are not let in). Empty = all in audit mode; none in required mode, or when username is set.";
        acl: ["DMX_MQTT_ACL"], Any, "Further rights on topics, [\"anna write stage/#\", \"* deny diary/%u/#\"] for example: a user or *, then read, write or deny, then a filter; %u is the user, %c the client id; deny wins.";
        max_connections: ["DMX_MQTT_MAX_CONNECTIONS"], Range(1, 65_535), "Most clients connected at one time; a further one is refused.";
        max_pending: ["DMX_MQTT_MAX_PENDING"], Range(1, 65_535), "Most sockets that have not sent CONNECT yet.";
        connect_timeout_seconds: ["DMX_MQTT_CONNECT_TIMEOUT_SECONDS"], Range(1, LONGEST), "Seconds a socket may take to send CONNECT.";
        max_packet_bytes: ["DMX_MQTT_MAX_PACKET_BYTES"], Range(1, MQTT_PACKET), "Most bytes of one packet; a larger one closes its connection.";
        max_queued_messages: ["DMX_MQTT_MAX_QUEUED_MESSAGES"], Range(1, 1_000_000), "Messages kept for one session that is away or slow.";
        max_queued_bytes: ["DMX_MQTT_MAX_QUEUED_BYTES"], Range(1, MQTT_PACKET), "Most bytes of the messages stored for all sessions, each counted once, and of what refers to them; a full queue loses its oldest.";
        max_sessions: ["DMX_MQTT_MAX_SESSIONS"], Range(1, 20_000), "Most sessions kept, connected or away.";
        max_subscriptions: ["DMX_MQTT_MAX_SUBSCRIPTIONS"], Range(1, 100_000), "Most filters of one session; further ones are refused.";
        client_messages_per_second: ["DMX_MQTT_CLIENT_MESSAGES_PER_SECOND"], Range(0, 1_000_000), "Messages that one client may publish in a second; the rest waits. 0 = any number.";
        client_bytes_per_second: ["DMX_MQTT_CLIENT_BYTES_PER_SECOND"], Range(0, u32::MAX as u64), "Bytes that one client may publish in a second; the rest waits. 0 = any number.";
        session_expiry_days: ["DMX_MQTT_SESSION_EXPIRY_DAYS"], Range(1, 36_500), "Days to keep a session whose client does not come back.";
        max_retained: ["DMX_MQTT_MAX_RETAINED"], Range(1, 10_000_000), "Most retained messages; messages on further topics are not retained.";
        max_retained_bytes: ["DMX_MQTT_MAX_RETAINED_BYTES"], Range(1, MQTT_PACKET), "Most bytes of their topics and payloads together; messages beyond that are not retained.";
        max_devices: ["DMX_MQTT_MAX_DEVICES"], Range(1, 100_000), "Most devices whose presence is known; beyond that, those longest offline are forgotten.";
    }

    [engine] Engine "The engine, which turns commands into light." {
        queue_size: ["DMX_QUEUE_SIZE"], Range(1, 1_000_000), "Commands that may wait.";
        dedupe_ttl_seconds: ["DMX_CMD_DEDUPE_TTL_SECONDS"], Range(1, LONGEST), "Seconds a command id is remembered.";
        dedupe_capacity: ["DMX_CMD_DEDUPE_CAPACITY"], Range(1, 10_000_000), "Most command ids remembered.";
        universes: ["DMX_ENGINE_UNIVERSES"], Range(1, UNIVERSES as u64), "Universes that may be commanded: those from 0 on.";
        max_age_ms: ["DMX_ENGINE_MAX_AGE_MS"], Any, "Age in milliseconds from which a tablet's command is refused as too late (blackout on never is); 0 = no limit.";
        master_channels: ["DMX_ENGINE_MASTER_CHANNELS"], Any, "Universes of which only these channels follow master and blackout, [\"1:1-24\", \"1:30\"] for example; \"2:\" = none.";
    }

    [storage] Storage "The memory." {
        data_dir: ["DMX_DATA_DIR"], Text(form::FOLDER), "Folder for everything that is kept.";
        flush_ms: ["DMX_STORAGE_FLUSH_MS"], Range(1, 3_600_000), "Milliseconds of light that a power cut may take back.";
    }

    [limits] Shares "What clients can make the process hold: connections, sessions, and memory for half-sent packets, bodies, documents at work, subscriptions, retained and waiting messages, wills, backups." {
        memory: ["DMX_LIMITS_MEMORY"], Any, "All of the memory, \"256 MB\" for example; a bare number is in MB. Empty = 40 % of the machine, at most 512 MB.";
        per_address: ["DMX_LIMITS_PER_ADDRESS"], Range(1, 25), "How much of a kind one address may hold, in percent: of its memory, and of mqtt.max_connections, mqtt.max_sessions, mqtt.max_retained, mqtt.max_queued_bytes and http.max_connections.";
    }

    [auth] Auth "Who may do what; users and panels are made in the app." {
        mode: ["DMX_AUTH_MODE"], Any, "audit = nobody is refused; required = a user, a key or a panel is needed. Locking the appliance in the app is the same as required.";
        keys: ["DMX_AUTH_KEYS"], Text(form::API_KEY), "Accepted keys; who has one is an admin.";
        anonymous: ["DMX_AUTH_ANONYMOUS"], Any, "What who is not known may do when it is locked: none, view or operate.";
    }

    [owner] Owner "Who owns this appliance. A changed one is made an admin at the next start, and locks it." {
        name: ["DMX_OWNER_NAME"], Text(form::PERSON), "Name to log in with.";
        pin: ["DMX_OWNER_PIN"], Text(form::PIN), "PIN of 6 to 12 digits, or a password of 8 to 128 characters; empty = nobody is made.";
    }

    [tls] Tls "Encrypted doors: https and MQTT over TLS, beside the plain ones." {
        enabled: ["DMX_TLS_ENABLED"], Any, "Whether they open. http.host and mqtt.bind say at which addresses.";
        port: ["DMX_TLS_PORT"], Range(0, 65_535), "Port of https; 0 = any free one, named in the log line `listening`.";
        mqtt_port: ["DMX_TLS_MQTT_PORT"], Range(0, 65_535), "Port of MQTT over TLS; 0 = any free one.";
        only: ["DMX_TLS_ONLY"], Any, "Whether plain MQTT stays closed and the plain web port only leads to https; /healthz, /readyz and /trust stay there.";
        cert: ["DMX_TLS_CERT"], Any, "Your certificate with those that vouch for it, a PEM file; empty = dmxd makes its own authority, and /trust says how a tablet trusts it.";
        key: ["DMX_TLS_KEY"], Any, "Its key, a PEM file without password.";
    }

    [log] Log "The log on stdout." {
        level: ["DMX_LOG_LEVEL"], Any, "Lowest level that is written: trace, debug, info, warn or error.";
    }

    [output] Output "Where the light goes." {
        mode: ["OUTPUT_MODE", "DMX_OUTPUT_MODE"], Any, "null, ola or enttec; an output runs if this or its own switch asks for it.";
        park: ["DMX_OUTPUT_PARK"], Any, "What outputs show after a stop: hold = the last frame, blackout = all channels at 0.";
    }

    [ola] Ola "Output through OLA." {
        enabled: ["DMX_OLA_ENABLED"], Any, "Whether it runs.";
        url: ["DMX_OLA_URL"], Text(form::HTTP_URL), "Where OLA takes frames.";
        universe: ["DMX_OLA_UNIVERSE"], Range(0, u32::MAX as u64), "OLA's universe for our universe 0.";
        universes: ["DMX_OLA_UNIVERSES"], Any, "Further universes as ours:OLA's, [\"1:2\", \"2:3\"] for example.";
        fps: ["DMX_OLA_FPS"], Range(1, 1_000), "Most frames a second.";
    }

    [usb] Usb "Output through an Enttec DMX USB PRO." {
        enabled: ["DMX_USB_ENABLED"], Any, "Whether it runs.";
        port: ["DMX_USB_PORT"], Any, "Serial port, /dev/ttyUSB0 for example; empty = found by itself.";
        universe: ["DMX_USB_UNIVERSE"], Range(0, 63), "Our universe that it carries.";
        vendor_ids: ["DMX_USB_VENDOR_IDS"], Any, "USB vendor ids of widgets, hexadecimal.";
        product_ids: ["DMX_USB_PRODUCT_IDS"], Any, "USB product ids of widgets, hexadecimal.";
        baudrate: ["DMX_USB_BAUDRATE"], Range(1, u32::MAX as u64), "Baud rate of the serial port.";
        fps: ["DMX_USB_FPS"], Range(1, 1_000), "Most frames a second.";
        scan_interval_seconds: ["DMX_USB_SCAN_INTERVAL_SEC", "DMX_USB_SCAN_INTERVAL"], Range(1, LONGEST), "Seconds between scans for a widget.";
    }

    [input] Input "Input from a SparkFun DMX shield." {
        enabled: ["DMX_DMX_INPUT_ENABLED", "DMX_INPUT_ENABLED"], Any, "Whether it runs.";
        port: ["DMX_DMX_INPUT_PORT", "DMX_INPUT_PORT"], Any, "Serial port, /dev/ttyUSB1 for example.";
        baudrate: ["DMX_DMX_INPUT_BAUDRATE", "DMX_INPUT_BAUDRATE"], Range(1, u32::MAX as u64), "Baud rate of the serial port.";
        channels: ["DMX_DMX_INPUT_CHANNELS", "DMX_INPUT_CHANNELS"], Range(1, 65_535), "Channels that are read as r, g, b; more than 3 count as 3.";
        dead_band: ["DMX_INPUT_DEAD_BAND"], Range(0, 255), "How far a noisy fader may waver without being sent; a level it keeps for 200 ms is sent anyway.";
        universe: ["DMX_DMX_INPUT_UNIVERSE", "DMX_INPUT_UNIVERSE"], Range(0, 63), "Universe the channels go to.";
        src: ["DMX_DMX_INPUT_SRC", "DMX_INPUT_SRC"], Text(form::SRC), "Source label of its commands.";
    }

    [projects] Projects "Several shows on one appliance." {
        enabled: ["DMX_PROJECTS_ENABLED"], Any, "Whether there can be several (/projects).";
        root: ["DMX_PROJECTS_ROOT"], Any, "Where a predecessor's projects are imported from; empty = projects in storage.data_dir.";
    }

    [backup] Backup "Backups of projects." {
        enabled: ["DMX_CLOUD_BACKUP_ENABLED"], Any, "Whether backups are made.";
        provider: ["DMX_CLOUD_BACKUP_PROVIDER"], Any, "local or s3.";
        local_path: ["DMX_CLOUD_BACKUP_LOCAL_PATH"], Any, "Folder of local backups; empty = backups in storage.data_dir.";
        encryption_key: ["DMX_CLOUD_BACKUP_ENCRYPTION_KEY"], Text(form::BACKUP_KEY), "Key that seals: AGE-SECRET-KEY-1…, passphrase:… or a Fernet key; empty = none.";
        old_keys: ["DMX_CLOUD_BACKUP_OLD_KEYS"], Text(form::BACKUP_KEY), "Keys that still open older backups.";
        auto_interval_minutes: ["DMX_CLOUD_BACKUP_AUTO_INTERVAL_MINUTES", "DMX_CLOUD_BACKUP_AUTO_INTERVAL"], Range(0, LONGEST / 60), "Minutes between automatic backups; 0 = none.";
        keep_last: ["DMX_BACKUP_KEEP_LAST"], Range(0, 1_000_000), "Number of latest backups to keep; 0 in all three = keep every one.";
        keep_daily: ["DMX_BACKUP_KEEP_DAILY"], Range(0, 1_000_000), "Number of days whose last backup is kept.";
        keep_weekly: ["DMX_BACKUP_KEEP_WEEKLY"], Range(0, 1_000_000), "Number of weeks whose last backup is kept.";
        s3_endpoint: ["DMX_BACKUP_S3_ENDPOINT"], Text(form::S3_ENDPOINT), "S3 server other than Amazon's, http://minio.local:9000 for example; empty = Amazon's.";
        s3_path_style: ["DMX_BACKUP_S3_PATH_STYLE"], Any, "true = bucket in the path, false = in the host name; empty = in the path when s3_endpoint is set.";
        s3_proxy: ["DMX_BACKUP_S3_PROXY"], Text(form::S3_PROXY), "Proxy on the way to S3, http://proxy:3128 for example; empty = none, whatever HTTP_PROXY says.";
        s3_bucket: ["DMX_CLOUD_BACKUP_S3_BUCKET"], Any, "S3 bucket.";
        s3_prefix: ["DMX_CLOUD_BACKUP_S3_PREFIX"], Any, "Prefix of keys in the bucket.";
        s3_region: ["DMX_CLOUD_BACKUP_S3_REGION"], Any, "Region; empty = us-east-1.";
        s3_access_key: ["DMX_CLOUD_BACKUP_S3_ACCESS_KEY"], Any, "Access key.";
        s3_secret_key: ["DMX_CLOUD_BACKUP_S3_SECRET_KEY"], Any, "Secret key.";
        s3_session_token: ["DMX_CLOUD_BACKUP_S3_SESSION_TOKEN"], Any, "Session token, if there is one.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_key_or_a_variable() {
        let keys: BTreeSet<_> = settings().map(|setting| setting.key).collect();
        let variables: Vec<_> = settings().flat_map(|setting| setting.variables).collect();
        assert_eq!(keys.len(), settings().count());
        assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len());
        for former in &FORMER {
            assert!(!keys.contains(former.key) && !variables.contains(&&former.variable), "{}", former.key);
        }
    }

    #[test]
    fn each_number_takes_its_limits_and_nothing_beyond() {
        let mut config = Config::default();
        for setting in settings() {
            let Range(least, greatest) = setting.limits else { continue };
            let mut takes = |number: i128| setting.set_text(&mut config, &number.to_string()).is_ok();
            assert!(takes(least.into()) && takes(greatest.into()), "{}", setting.key);
            assert!(!takes(i128::from(least) - 1) && !takes(i128::from(greatest) + 1), "{}", setting.key);
            assert!(takes(1), "{}: 1 is a legal size, time and rate", setting.key);
        }
    }
}
