//! MQTT 5 packet by packet, and what it has in common with 3.1.1 and 3.1 (CONTRACT section 10).

mod aliases;
mod bridges;
mod counted;
mod expiry;
mod limits;
mod properties;
mod refusals;
mod sessions;
mod shares;
mod subscriptions;
mod wills;
