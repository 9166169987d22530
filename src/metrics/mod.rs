//! One registry, one table of names. Every figure the appliance shows is declared here.

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

/// Every metric. Clones share one registry; two registries in one process are separate.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// `dmx_engine_…`
    pub engine: Engine,
    /// `dmx_store_…`
    pub store: Store,
    /// `dmx_mqtt_…`, `dmx_broker_…`
    pub broker: Broker,
    /// `dmx_ws_…`, `dmx_http_…`
    pub http: Http,
    /// `dmx_output_…`
    pub output: Output,
    /// `dmx_input_…`
    pub input: Input,
    /// `dmx_backup_…`
    pub backup: Backup,
    /// `dmx_memory_…`
    pub memory: Memory,
    /// `dmx_tls_…`
    pub tls: Tls,
    /// `dmx_log_dropped_total`
    pub log_dropped: IntCounter,
}

macro_rules! group {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ident$([$($label:literal),+])?($metric:literal, $help:literal)),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name { $(#[doc = $help] pub $field: $kind,)* }

        impl $name {
            fn register(registry: &Registry) -> prometheus::Result<Self> {
                Ok(Self { $($field: <$kind as Kind>::register(registry, $metric, $help, &[$($($label),+)?])?,)* })
            }
        }
    };
}

group! {
    /// The engine.
    Engine {
        processed: IntCounter("dmx_engine_processed_total", "Accepted commands."),
        deduped: IntCounter("dmx_engine_deduped_total", "Commands whose id was seen before."),
        dropped: IntCounter("dmx_engine_dropped_total", "UI drags dropped because the queue was full."),
        queue_depth: IntGauge("dmx_engine_queue_depth", "Commands waiting for the engine."),
        last_latency_ms: Gauge("dmx_engine_last_latency_ms", "Milliseconds from door to written, last command."),
        apply_seconds: Histogram("dmx_engine_apply_seconds", "Seconds from door to written."),
    }
}

group! {
    /// The store.
    Store {
        commits: IntCounter("dmx_store_commits_total", "Batches handed to the journal."),
        journal_bytes: IntCounter("dmx_store_journal_bytes_total", "Bytes written to the journal."),
        syncs: IntCounter("dmx_store_syncs_total", "fdatasync calls on the journal."),
        checkpoints: IntCounter("dmx_store_checkpoints_total", "Checkpoints of the journal into the database."),
        errors: IntCounter("dmx_store_errors_total", "Failed writes to the data folder."),
        in_ram: IntGauge("dmx_store_in_ram", "1 while changes are kept in memory only."),
        write_seconds: Histogram("dmx_store_write_seconds", "Seconds of one journal write."),
        sync_seconds: Histogram("dmx_store_sync_seconds", "Seconds of one fdatasync of the journal."),
    }
}

group! {
    /// The embedded broker.
    Broker {
        serving: IntGauge("dmx_mqtt_connected", "1 while the embedded broker serves."),
        uplink: IntGauge("dmx_uplink_connected", "1 while connected to another broker; this version connects to none."),
        clients: IntGauge("dmx_broker_clients", "Connected MQTT clients."),
        clients_most: IntGauge("dmx_broker_clients_most", "Most MQTT clients that were connected at one time."),
        sessions: IntGauge("dmx_broker_sessions", "Sessions, connected or kept for a return."),
        sessions_evicted: IntCounter("dmx_broker_sessions_evicted_total", "Sessions of absent clients ended because there were too many."),
        sessions_expired: IntCounter("dmx_broker_sessions_expired_total", "Sessions ended because their clients did not come back for mqtt.session_expiry_days."),
        laggards: IntCounter("dmx_broker_laggards_total", "Times a connected subscriber lagged so far that publishers were slowed for it."),
        letters_stored: IntCounter("dmx_broker_letters_stored_total", "Messages stored for sessions that are away."),
        subscriptions: IntGauge("dmx_broker_subscriptions", "Subscriptions of all sessions."),
        filters: IntGauge("dmx_broker_filters", "Different wildcards that the present router was given; it never forgets one."),
        topics: IntGauge("dmx_broker_topics", "Different topics that the present router was given because a wildcard wants them; it never forgets one."),
        routers: IntCounterVec["why"]("dmx_broker_routers_replaced_total", "Times the router was replaced: `dead` or stuck, or `full` of filters and topics that nobody uses any more."),
        subscriptions_refused: IntCounter("dmx_broker_subscriptions_refused_total", "Filters refused: no filters, not offered, or more than mqtt.max_subscriptions of one session."),
        lost: IntCounterVec["filter"]("dmx_broker_messages_lost_total", "Messages that a subscriber did not get because it was too slow, by filter (100 of them, then `others`; `*`: the router was dead for too long)."),
        lost_by_client: IntCounterVec["client"]("dmx_broker_client_messages_lost_total", "Messages that had to go from a client's full queue, the oldest first (100 clients, then `others`)."),
        retained: IntGauge("dmx_broker_retained", "Retained messages."),
        retained_bytes: IntGauge("dmx_broker_retained_bytes", "Bytes of topics and payloads of retained messages."),
        retained_refused: IntCounter("dmx_broker_retained_refused_total", "Messages delivered, but not retained, because of mqtt.max_retained or mqtt.max_retained_bytes."),
        received: IntCounter("dmx_broker_messages_received_total", "PUBLISH packets taken from clients."),
        sent: IntCounter("dmx_broker_messages_sent_total", "PUBLISH packets handed to clients."),
        dropped: IntCounter("dmx_broker_messages_dropped_total", "Messages lost to a full queue or log of a slow client."),
        denied: IntCounter("dmx_broker_publishes_denied_total", "Publishes to topics that are dmxd's alone, or that the client has no right to."),
        rejected: IntCounter("dmx_broker_commands_rejected_total", "Commands answered on the rejected topic."),
        retained_commands: IntCounter("dmx_broker_retained_commands_total", "Commands that were published with retain = 1."),
        refused: IntCounter("dmx_broker_connections_refused_total", "Connections closed before they became a session."),
        protocol_errors: IntCounter("dmx_broker_protocol_errors_total", "Sessions closed for breaking the protocol."),
        devices_known: IntGauge("dmx_devices_known", "Devices, online or not."),
        devices_online: IntGauge("dmx_devices_online", "Devices that are online."),
        devices_spoken_for: IntCounter("dmx_devices_spoken_for_total", "Times dmxd published that a device is offline in its place."),
        devices_forgotten: IntCounter("dmx_devices_forgotten_total", "Devices not kept, or not any more, because there were more than mqtt.max_devices."),
    }
}

group! {
    /// The web.
    Http {
        ws_clients: IntGauge("dmx_ws_clients", "Connected WebSocket clients."),
        ws_dropped: IntCounter("dmx_ws_dropped_total", "WebSocket clients dropped because they did not take their messages."),
        ws_lagged: IntCounter("dmx_ws_resynced_total", "Times a late WebSocket client was given a fresh snapshot."),
        ws_broadcast_seconds: Histogram("dmx_ws_broadcast_seconds", "Seconds from change to a client's socket."),
        requests: IntCounterVec["route", "method", "status"]("dmx_http_requests_total", "Requests by route of the table, method and status."),
    }
}

group! {
    /// Each output, by its name in `GET /outputs`.
    Output {
        frames: IntCounterVec["output"]("dmx_output_frames_total", "Frames sent."),
        skipped: IntCounterVec["output", "reason"]("dmx_output_skipped_total", "Changes that needed no frame of their own: `identical` left this universe as it was, `rate` was overtaken by a newer one before its turn."),
        errors: IntCounterVec["output", "kind"]("dmx_output_errors_total", "Tries to open or to send that failed."),
        reconnects: IntCounterVec["output"]("dmx_output_reconnects_total", "Times it came back after a fault."),
        connected: IntGaugeVec["output"]("dmx_output_connected", "1 while frames get through."),
        fps: GaugeVec["output"]("dmx_output_fps", "Frames in the last full second."),
        latency: HistogramVec["output"]("dmx_output_latency_seconds", "Seconds from a change to its first byte on the wire, pacing included."),
    }
}

group! {
    /// The serial input.
    Input {
        readings: IntCounter("dmx_input_readings_total", "Lines that said the level of a channel."),
        ignored: IntCounter("dmx_input_ignored_lines_total", "Lines that said something else."),
        commands: IntCounter("dmx_input_commands_total", "Commands submitted."),
        errors: IntCounterVec["kind"]("dmx_input_errors_total", "Tries to open or to read that failed."),
        reconnects: IntCounter("dmx_input_reconnects_total", "Times it came back after a fault."),
        connected: IntGauge("dmx_input_connected", "1 while the port is open."),
    }
}

group! {
    /// The memory that clients hold.
    Memory {
        held: IntGaugeVec["kind"]("dmx_memory_held_bytes", "Bytes that clients make the process hold, as drawn from limits.memory; queued: what waits for MQTT sessions, most of it in the store."),
        refused: IntCounterVec["kind"]("dmx_memory_refused_total", "Times there was no memory left for a kind or an address."),
    }
}

group! {
    /// The encrypted doors.
    Tls {
        handshakes: IntCounter("dmx_tls_handshakes_total", "TLS handshakes that succeeded."),
        failed: IntCounter("dmx_tls_handshakes_failed_total", "TLS handshakes that failed: no TLS, no trust in our certificate, or too slow."),
        ends: IntGauge("dmx_tls_certificate_not_after_timestamp_seconds", "Unix time at which the present certificate ends; 0 = there is none."),
    }
}

group! {
    /// Backups of projects.
    Backup {
        made: IntCounter("dmx_backup_made_total", "Backups made, read back and verified."),
        unchanged: IntCounter("dmx_backup_unchanged_total", "Automatic backups that were not needed, since nothing had changed."),
        failed: IntCounterVec["kind"]("dmx_backup_failed_total", "Backups, restores and deletions that failed."),
        restored: IntCounter("dmx_backup_restored_total", "Backups restored."),
        last_good: IntGauge("dmx_backup_last_success_timestamp_seconds", "Unix time of the last good backup, one not needed among them; 0 = none in this run."),
        last_seconds: Gauge("dmx_backup_last_duration_seconds", "Seconds that the last backup took, verification included."),
        bytes: IntCounter("dmx_backup_bytes_total", "Bytes of backups stored."),
    }
}

/// Around the targets: 100 ms to apply, 50 ms to broadcast, 25 ms between frames.
const BUCKETS: [f64; 12] = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// A kind of metric, made from its name, help and labels. Each label has few values: outputs, kinds of error, rows of
/// the route table, known methods, statuses.
trait Kind: Sized {
    fn register(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self>;
}

macro_rules! kinds {
    ($($kind:ident: |$name:ident, $help:ident, $labels:tt| $make:expr;)*) => {$(
        impl Kind for $kind {
            fn register(registry: &Registry, $name: &str, $help: &str, $labels: &[&str]) -> prometheus::Result<Self> {
                let metric = $make?;
                registry.register(Box::new(metric.clone())).map(|()| metric)
            }
        }
    )*};
}

kinds! {
    IntCounter: |name, help, _| Self::new(name, help);
    IntCounterVec: |name, help, labels| Self::new(Opts::new(name, help), labels);
    IntGauge: |name, help, _| Self::new(name, help);
    IntGaugeVec: |name, help, labels| Self::new(Opts::new(name, help), labels);
    Gauge: |name, help, _| Self::new(name, help);
    GaugeVec: |name, help, labels| Self::new(Opts::new(name, help), labels);
    Histogram: |name, help, _| Self::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()));
    HistogramVec: |name, help, labels| Self::new(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()), labels);
}

impl Metrics {
    /// A fresh registry with every metric at zero.
    ///
    /// # Errors
    /// Two metrics have one name: a bug in this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            engine: Engine::register(&registry)?,
            store: Store::register(&registry)?,
            broker: Broker::register(&registry)?,
            http: Http::register(&registry)?,
            output: Output::register(&registry)?,
            input: Input::register(&registry)?,
            backup: Backup::register(&registry)?,
            memory: Memory::register(&registry)?,
            tls: Tls::register(&registry)?,
            log_dropped: Kind::register(
                &registry,
                "dmx_log_dropped_total",
                "Log lines dropped because stdout was not read.",
                &[],
            )?,
            registry,
        })
    }

    /// The Prometheus text format, version 0.0.4.
    ///
    /// # Errors
    /// A metric that cannot be written as text.
    pub fn text(&self) -> prometheus::Result<String> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        String::from_utf8(out).map_err(|e| prometheus::Error::Msg(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_contract_stand_in_the_text_without_labels() {
        let text = Metrics::new().unwrap().text().unwrap();
        for name in [
            "dmx_engine_processed_total",
            "dmx_engine_deduped_total",
            "dmx_engine_dropped_total",
            "dmx_engine_queue_depth",
            "dmx_engine_last_latency_ms",
            "dmx_ws_clients",
            "dmx_mqtt_connected",
            "dmx_uplink_connected",
        ] {
            assert!(text.lines().any(|line| line == format!("{name} 0")), "{name}");
        }
        for name in
            ["dmx_engine_apply_seconds_count", "dmx_ws_broadcast_seconds_count", "process_resident_memory_bytes"]
        {
            assert!(text.contains(name), "{name}");
        }
    }
}
