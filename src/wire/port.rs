//! The state of an output or input. Read by REST and the page.

use schemars::JsonSchema;
use serde::Serialize;

/// An output or input and its state.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Port", description = "An output or input and its state.")]
pub struct PortStatus {
    /// Its name here, in metrics and in the log: `enttec`, `ola`, `ola-3` (for our universe 3), `input`.
    pub name: String,
    /// Whether the settings ask for it.
    pub enabled: bool,
    /// Whether frames get through (an output) or the port is open (an input).
    pub connected: bool,
    /// The device or address; while none is found, what is looked for.
    pub target: String,
    /// Our universe, 0..=63.
    #[schemars(range(max = 63))]
    pub universe: u8,
    /// Frames sent since the start, including refreshes; of an input: commands submitted.
    pub frames_sent: u64,
    /// Frames (commands) in the last full second.
    pub fps: f64,
    /// Failed attempts to open, send or read since the start.
    pub errors: u64,
    /// How often it came back after a fault.
    pub reconnects: u64,
    /// The last error and its remedy, even after recovery.
    pub last_error: Option<String>,
    /// When that was, Unix milliseconds.
    pub last_error_at: Option<u64>,
}

impl PortStatus {
    /// One that has not done anything yet.
    #[must_use]
    pub fn new(name: impl Into<String>, universe: u8, target: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            enabled: true,
            connected: false,
            target: target.into(),
            universe,
            frames_sent: 0,
            fps: 0.0,
            errors: 0,
            reconnects: 0,
            last_error: None,
            last_error_at: None,
        }
    }

    /// An attempt failed. `at` is Unix milliseconds.
    pub fn failed(&mut self, message: &str, at: u64) {
        self.connected = false;
        self.fps = 0.0;
        self.errors += 1;
        self.last_error = Some(message.to_owned());
        self.last_error_at = Some(at);
    }

    /// It works; true when it did not before.
    pub fn works(&mut self) -> bool {
        let back = !self.connected;
        self.connected = true;
        self.reconnects += u64::from(back && self.errors > 0);
        back
    }
}
