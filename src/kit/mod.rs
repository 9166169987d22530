//! Tools that know nothing of light: tasks, stop signal, back-off, clock, deadlines, secrets, health board, systemd, the memory budget, files, fingerprints, listening sockets, serial lines, USB devices, rates and limits.

pub mod backoff;
pub mod budget;
pub mod clock;
pub mod deadline;
pub mod files;
pub mod fingerprint;
pub mod health;
pub mod listen;
pub mod log_limiter;
pub mod rate;
pub mod secret;
pub mod shelf;
pub mod stop;
pub mod systemd;
pub mod tasks;
pub mod tty;
pub mod usb;
