#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod backup;
pub mod broker;
pub mod config;
pub mod dmx;
pub mod engine;
pub mod http;
pub mod input;
pub mod intake;
pub mod kit;
pub mod library;
pub mod metrics;
pub mod output;
pub mod setup;
pub mod store;
pub mod wire;
