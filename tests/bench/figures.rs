//! The figures: dmxd beside Mosquitto's plain relay, in one run. `tests/bench/run` starts it.

#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that goes wrong shall stop"
)]

#[path = "access.rs"]
mod access;
#[path = "backups.rs"]
mod backups;
#[path = "broker.rs"]
mod broker;
#[path = "crowd.rs"]
mod crowd;
#[path = "fixtures.rs"]
mod fixtures;
#[path = "looks.rs"]
mod looks;
#[path = "mqtt.rs"]
mod mqtt;
#[path = "outputs.rs"]
mod outputs;
#[path = "server.rs"]
mod server;
#[path = "tls.rs"]
mod tls;

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mqtt::{Client, Packet};
use server::{Dmxd, Mosquitto};

const CMD: &str = "v1/demo/rgb/cmd";
const STATE: &str = "v1/demo/rgb/state";

/// What may be selected by name.
type Part = (&'static str, fn() -> io::Result<()>);

fn main() -> io::Result<()> {
    let parts: [Part; 8] = [
        ("heart", heart),
        ("broker", broker::measure),
        ("outputs", outputs::measure),
        ("backups", backups::measure),
        ("looks", looks::measure),
        ("fixtures", fixtures::measure),
        ("tls", tls::measure),
        ("access", access::measure),
    ];
    let named: Vec<String> =
        std::env::args().filter(|argument| parts.iter().any(|(name, _)| argument == name)).collect();
    for (name, measure) in parts {
        if named.is_empty() || named.iter().any(|one| one == name) {
            measure()?;
        }
    }
    Ok(())
}

/// Commands, state and card.
fn heart() -> io::Result<()> {
    let dmxd = Dmxd::start("latency")?;
    println!("binary: {:.1} MB stripped", server::binary_size()? as f64 / 1e6);
    println!("ready: {} ms (median of 5 starts)", ready()?.as_millis());
    thread::sleep(Duration::from_secs(3));
    println!("idle RSS: {:.1} MB", dmxd.process.rss_kb()? as f64 / 1024.0);
    let mosquitto = Mosquitto::start()?;
    for rate in [20, 200] {
        let samples = (rate * 15) as usize;
        let relay = latency(mosquitto.port, CMD, CMD, rate, samples)?;
        let plain = latency(dmxd.mqtt, "bench/relay", "bench/relay", rate, samples)?;
        let ours = latency(dmxd.mqtt, CMD, STATE, rate, samples)?;
        println!("{rate}/s  Mosquitto relay p50 {} us p99 {} us", relay.0.as_micros(), relay.1.as_micros());
        println!("{rate}/s  dmxd's own relay p50 {} us p99 {} us", plain.0.as_micros(), plain.1.as_micros());
        println!(
            "{rate}/s  command -> state p50 {} us p99 {} us: {:.2} and {:.2} times the relay",
            ours.0.as_micros(),
            ours.1.as_micros(),
            ours.0.as_secs_f64() / relay.0.as_secs_f64(),
            ours.1.as_secs_f64() / relay.1.as_secs_f64(),
        );
    }
    drop((dmxd, mosquitto));
    throughput(4, 25_000)?;
    card()
}

/// From the start of the process to both doors open, on an existing folder.
fn ready() -> io::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..6 {
        let started = Instant::now();
        let dmxd = Dmxd::start("ready")?;
        times.push(started.elapsed());
        dmxd.stop()?;
    }
    times.remove(0); // made the folder
    times.sort();
    Ok(times[times.len() / 2])
}

/// p50 and p99 of the time from writing a command to the arrival of its effect.
fn latency(port: u16, to: &str, from: &str, rate: u32, samples: usize) -> io::Result<(Duration, Duration)> {
    let tag = rate as u8;
    let mut subscriber = Client::connect(port, "bench-sub")?;
    subscriber.subscribe(from)?;
    let (arrivals, arrived) = mpsc::channel();
    let reader = thread::spawn(move || -> io::Result<()> {
        let mut seen = 0;
        while seen < samples {
            if let Packet::Publish { payload, .. } = subscriber.packet()? {
                let at = Instant::now();
                let Some(n) = number(&payload, tag) else { continue };
                seen += 1;
                let _ = arrivals.send((n, at));
            }
        }
        Ok(())
    });
    let sent = publish(port, to, rate, samples)?;
    reader.join().expect("the reader does not panic")?;
    let (p50, p99, _) = percentiles(arrived.iter().map(|(n, at): (usize, Instant)| at - sent[n]).collect());
    Ok((p50, p99))
}

/// This many commands, at this many a second; when each was written.
fn publish(port: u16, to: &str, rate: u32, samples: usize) -> io::Result<Vec<Instant>> {
    let mut publisher = Client::connect(port, "bench-pub")?;
    let mut sent = Vec::with_capacity(samples);
    let start = Instant::now();
    for n in 0..samples {
        let due = start + Duration::from_secs(1) * n as u32 / rate;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let command = command(n, rate as u8);
        sent.push(Instant::now());
        publisher.publish(to, command.as_bytes())?;
        while !matches!(publisher.packet()?, Packet::PubAck) {}
    }
    Ok(sent)
}

/// p50, p99 and the longest.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1])
}

/// Commands a second from this many publishers, each with at most 100 unanswered; fails when one is lost.
fn throughput(publishers: usize, each: usize) -> io::Result<()> {
    let dmxd = Dmxd::start("throughput")?;
    let port = dmxd.mqtt;
    let started = Instant::now();
    let workers: Vec<_> = (0..publishers)
        .map(|worker| {
            thread::spawn(move || -> io::Result<()> {
                let mut client = Client::connect(port, &format!("bench-{worker}"))?;
                let mut unanswered = 0;
                for n in 0..each {
                    client.publish(CMD, command(n, 7).as_bytes())?;
                    unanswered += 1;
                    while unanswered >= 100 {
                        unanswered -= usize::from(matches!(client.packet()?, Packet::PubAck));
                    }
                }
                while unanswered > 0 {
                    unanswered -= usize::from(matches!(client.packet()?, Packet::PubAck));
                }
                Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("a worker does not panic")?;
    }
    let total = publishers * each;
    let rate = total as f64 / started.elapsed().as_secs_f64();
    let mut late = Client::connect(port, "bench-late")?;
    late.subscribe(STATE)?;
    let seq = loop {
        if let Packet::Publish { payload, .. } = late.packet()? {
            break field(&payload, "\"seq\":").unwrap_or_default();
        }
    };
    println!("commands: {rate:.0}/s with {publishers} publishers, {} of {total} lost", total as u64 - seq);
    assert_eq!(seq, total as u64, "every acknowledged command is a change");
    dmxd.stop()
}

/// What is written to the card.
fn card() -> io::Result<()> {
    let dmxd = Dmxd::start("card")?;
    thread::sleep(Duration::from_secs(5));
    let before = dmxd.process.written()?;
    let mut publisher = Client::connect(dmxd.mqtt, "bench-card")?;
    let start = Instant::now();
    for n in 0..1000u32 {
        thread::sleep((start + Duration::from_millis(100) * n).saturating_duration_since(Instant::now()));
        publisher.publish(CMD, command(n as usize, 7).as_bytes())?;
        while !matches!(publisher.packet()?, Packet::PubAck) {}
    }
    thread::sleep(Duration::from_secs(2));
    println!("card: {:.2} MB for 1,000 commands at 10/s", (dmxd.process.written()? - before) as f64 / 1e6);
    thread::sleep(Duration::from_secs(70)); // the last checkpoint of what was dirty
    let before = dmxd.process.written()?;
    thread::sleep(Duration::from_secs(60));
    println!("card: {} bytes in 60 s of idleness", dmxd.process.written()? - before);
    dmxd.stop()
}

/// `tag` is the blue of all commands of one measurement, which tells them from earlier retained states.
fn command(n: usize, tag: u8) -> String {
    let id = ulid::Ulid::generate();
    format!(r#"{{"cmdId":"{id}","src":"bench","r":{},"g":{},"b":{tag}}}"#, n / 256 % 256, n % 256)
}

/// The `n` of a command, from the colour of a command or state.
fn number(payload: &[u8], tag: u8) -> Option<usize> {
    (field(payload, "\"b\":")? == u64::from(tag)).then_some(())?;
    Some(field(payload, "\"r\":")? as usize * 256 + field(payload, "\"g\":")? as usize)
}

fn field(payload: &[u8], name: &str) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    let digits = &text[text.find(name)? + name.len()..];
    digits[..digits.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}
