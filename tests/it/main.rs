//! Black-box tests of the real binary: real sockets, real peers, one module per door or duty.
//!
//! Nothing here may know the code behind the doors; it knows the contract. Run by `tests/run`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says on stdout what it did"
)]
#![allow(unreachable_pub, reason = "nothing leaves this crate")]

mod access;
mod appliance_files;
mod backup_vaults;
mod backups;
mod broker_traps;
mod card_lost;
mod clients;
mod config;
mod docs;
mod doors;
mod examples;
mod fixture_types;
mod floors;
mod harness;
mod hostile;
mod http;
mod life;
mod limits;
mod looks;
mod marks;
mod mqtt;
mod offline;
mod ola;
mod operations;
mod outputs;
mod patch;
mod places;
mod power;
mod projects;
mod setup;
mod stop;
mod storage;
mod tls;
mod websocket;

/// The long runs: the same checks as `life`, `storage` and `power`, many times.
#[path = "../long/crash.rs"]
mod long;

/// The same for the outputs.
#[path = "../long/outputs.rs"]
mod long_outputs;

/// What QLC+ takes its own definitions for.
#[path = "../long/fixtures.rs"]
mod long_fixtures;

#[path = "../long/broker.rs"]
mod long_broker;
/// The same for projects.
#[path = "../long/projects.rs"]
mod long_projects;
