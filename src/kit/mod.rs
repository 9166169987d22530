//! Tools that know nothing of light: tasks, stop signal, back-off, clock, secrets, health board, systemd, serial lines.

pub mod backoff;
pub mod clock;
pub mod health;
pub mod secret;
pub mod seldom;
pub mod stop;
pub mod systemd;
pub mod tasks;
pub mod tty;
pub mod usb;
