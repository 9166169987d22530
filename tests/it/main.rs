//! Black-box tests, a module per protocol.
#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

mod config;
