//! The embedded broker as MQTT 3.1.1 clients see it (CONTRACT section 2).

mod commands;
mod connect;
mod crowd;
mod defaults;
mod durable;
mod ends;
mod fairness;
mod flows;
mod foreign;
mod lasting;
mod messages;
mod mistaken;
mod model;
mod policy;
mod presence;
mod queued;
mod replays;
mod retained;
mod sessions;
mod strangers;
mod suites;
mod sys;
mod two_ways;
mod websocket;
mod wills;
