//! The figures of who may do what: a look at a deed, a key that is looked up among 300 users, a login with a PIN.

use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use dmxd::access::{Access, AccessDeps, Deed};
use dmxd::config::Config;
use dmxd::kit::budget::Budget;
use dmxd::kit::health::Health;
use dmxd::metrics::Metrics;
use dmxd::store::Store;
use dmxd::wire::UserEdit;

use super::percentiles;

const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Looks of each kind; logins are a twentieth of that.
const TIMES: usize = 2_000;

pub(crate) fn measure() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let data = tempfile::tempdir()?;
    runtime.block_on(async {
        let mut config = Config::default();
        config.storage.data_dir = data.path().into();
        let (metrics, health) = (Metrics::new().expect("metrics"), Health::default());
        let store = Store::open(&config.storage, &health, &metrics).expect("a store").store;
        let budget = Budget::new(&config, health.clone(), metrics.memory.clone());
        let deps = AccessDeps::of(&config, &store, &budget, &health);
        let access = Access::open(deps).await;
        let user = |body: String| UserEdit::from_json(body.as_bytes(), true).expect("a user");
        let mut key = String::new();
        for n in 0..300 {
            let lamp = user(format!(r#"{{"name":"lamp {n}","role":"device","generate":true}}"#));
            key = access.create_user(lamp, FROM).await.expect("a user").key.expect("a key");
        }
        access
            .create_user(user(r#"{"name":"Anna","role":"operate","pin":"294817"}"#.into()), FROM)
            .await
            .expect("Anna");
        let lamp = access.bearer(key.as_bytes()).expect("somebody");
        tell(
            "a deed allowed",
            (0..TIMES).map(|_| timed(|| assert!(black_box(lamp.rights().may(black_box(&Deed::Light))).is_ok()))),
        );
        tell("a key among 300", (0..TIMES).map(|_| timed(|| drop(black_box(access.bearer(key.as_bytes()))))));
        let mut logins = Vec::new();
        for _ in 0..TIMES / 20 {
            let start = Instant::now();
            access.login("Anna", b"294817", FROM).await.expect("Anna");
            logins.push(start.elapsed());
        }
        tell("a login with a PIN", logins.into_iter());
    });
    Ok(())
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn tell(what: &str, times: impl Iterator<Item = Duration>) {
    let (p50, p99, _) = percentiles(times.collect());
    println!("{what}: p50 {:.2} us p99 {:.2} us", p50.as_secs_f64() * 1e6, p99.as_secs_f64() * 1e6);
}
