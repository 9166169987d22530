//! The figures of the broker as a broker, beside Mosquitto's: relay to few and many, throughput, memory, connections.
//! Both get the same from the same thread in turns, so that other work of the machine affects both.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, News};
use super::percentiles;
use super::server::{Dmxd, Mosquitto, Process};

/// Bytes of a message: about a small JSON object.
const PAYLOAD: usize = 100;

/// Where the relay publishes, and a wildcard that means it.
const ROOM: &str = "bench/room";
const WILDCARD: &str = "bench/+";

/// Messages that a publisher may have unacknowledged.
const WINDOW: usize = 20;

/// Rounds of figures that are not measured per message; the median counts.
const ROUNDS: usize = 3;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Mosquitto without its own limits, which are 20 messages in flight and 1,000 more per client. By default it uses
/// Nagle's algorithm: a second small packet waits until the first is confirmed.
const UNLIMITED: &str = "max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n";
const NAGLE: &str = "max_inflight_messages 0\nmax_queued_messages 0\n";

/// Names of the three that are measured side by side. With another build of dmxd (`BENCH_BEFORE`) that is the third.
fn names() -> [&'static str; 3] {
    ["dmxd", "Mosquitto", if before().is_some() { "dmxd before" } else { "Mosquitto without nodelay" }]
}

fn before() -> Option<PathBuf> {
    std::env::var_os("BENCH_BEFORE").map(PathBuf::from)
}

enum Broker {
    Dmxd(Dmxd),
    Mosquitto(Mosquitto),
}

impl Broker {
    fn ours() -> io::Result<Self> {
        Dmxd::start("broker").map(Self::Dmxd)
    }

    fn theirs(settings: &str) -> io::Result<Self> {
        Mosquitto::start_with(settings).map(Self::Mosquitto)
    }

    fn third() -> io::Result<Self> {
        match before() {
            Some(binary) => Dmxd::start_of(&binary, "broker-before", &[]).map(Self::Dmxd),
            None => Self::theirs(NAGLE),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Dmxd(dmxd) => dmxd.mqtt,
            Self::Mosquitto(mosquitto) => mosquitto.port,
        }
    }

    fn process(&self) -> &Process {
        match self {
            Self::Dmxd(dmxd) => &dmxd.process,
            Self::Mosquitto(mosquitto) => &mosquitto.process,
        }
    }
}

pub(crate) fn measure() -> io::Result<()> {
    println!("broker: load average {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    {
        let brokers = [Broker::ours()?, Broker::theirs(UNLIMITED)?, Broker::third()?];
        for (subscribers, rate, samples) in [(1, 60, 600), (50, 15, 150), (500, 4, 60)] {
            relay(&brokers, (subscribers, ROOM), (rate, samples))?;
        }
        for (subscribers, rate, samples) in [(1, 60, 300), (500, 4, 60)] {
            relay(&brokers, (subscribers, WILDCARD), (rate, samples))?;
        }
        for (pairs, each) in [(1, 100_000), (4, 30_000)] {
            throughput(&brokers, pairs, each)?;
        }
    }
    memory()?;
    connections()?;
    println!("broker: load average {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    Ok(())
}

/// `holds` or `missed`.
fn verdict(expected: &str, holds: bool) -> String {
    format!("expected {expected}: {}", if holds { "holds" } else { "missed" })
}

/// From a publisher's write to the arrival at so many with this filter and at the last one, at this many messages a second to
/// each broker in turn.
fn relay(brokers: &[Broker; 3], (subscribers, by): (usize, &str), (rate, samples): (u32, usize)) -> io::Result<()> {
    let mut rooms = Vec::new();
    for broker in brokers {
        let mut room = Crowd::new(broker.port())?;
        room.assemble((0..subscribers).map(|n| (format!("sub-{n}"), Some(by.to_owned()))))?;
        room.assemble([("pub".to_owned(), None)])?;
        rooms.push((broker.process(), room, Vec::new(), Vec::new()));
    }
    let used = rooms.iter().map(|(process, ..)| process.cpu()).collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now();
    let mut turns = 0;
    for _ in 0..samples {
        for (_, room, arrivals, lasts) in &mut rooms {
            let due = start + Duration::from_secs(1) * turns / (rate * brokers.len() as u32);
            turns += 1;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            lasts.push(one_message(room, subscribers, arrivals)?);
        }
    }
    let mut figures = Vec::new();
    for (((process, _, arrivals, lasts), used), name) in rooms.into_iter().zip(used).zip(names()) {
        let cost = (process.cpu()? - used).as_secs_f64() * 1e6 / arrivals.len() as f64;
        let (each, last) = (percentiles(arrivals), percentiles(lasts));
        println!(
            "relay to {subscribers} by {by}  {name}: arrival p50 {} us p99 {} us, the last p50 {} us p99 {} us; {cost:.0} us of CPU an arrival",
            each.0.as_micros(),
            each.1.as_micros(),
            last.0.as_micros(),
            last.1.as_micros(),
        );
        figures.push((each, last));
    }
    let beside =
        |at: usize, of: fn(&Figures) -> Duration| of(&figures[0]).as_secs_f64() / of(&figures[at]).as_secs_f64();
    if before().is_some() {
        let (p50, last) = (beside(2, |(each, _)| each.0), beside(2, |(_, last)| last.0));
        println!("relay to {subscribers} by {by}  dmxd / dmxd before: p50 {p50:.2}, the last p50 {last:.2}");
    }
    let ratio = |of| beside(1, of);
    let (p50, last) = (ratio(|(each, _)| each.0), ratio(|(_, last)| last.0));
    println!(
        "relay to {subscribers} by {by}  dmxd / Mosquitto: p50 {p50:.2} p99 {:.2}, the last p50 {last:.2} p99 {:.2}{}",
        ratio(|(each, _)| each.1),
        ratio(|(_, last)| last.1),
        match subscribers {
            1 if by == WILDCARD => format!("; {}", verdict("p50 1.5 or less", p50 <= 1.5)),
            1 => format!("; {}", verdict("p50 1.2 or less", p50 <= 1.2)),
            500 => format!("; {}", verdict("both p50 below 1", p50 < 1.0 && last < 1.0)),
            _ => String::new(),
        }
    );
    Ok(())
}

/// How long a message takes to each subscriber, and to the last one. Its publisher connects after them.
fn one_message(room: &mut Crowd, subscribers: usize, arrivals: &mut Vec<Duration>) -> io::Result<Duration> {
    room.publish(subscribers, ROOM, &[b'x'; PAYLOAD]);
    let sent = Instant::now();
    room.flush(subscribers)?;
    let (mut missing, mut acknowledged, mut last) = (subscribers, false, Duration::ZERO);
    while missing > 0 || !acknowledged {
        let something = room.turn(PATIENCE, |_, news, at| match news {
            News::Message(_) => {
                missing -= 1;
                last = at - sent;
                arrivals.push(last);
            }
            News::PubAck => acknowledged = true,
            News::In | News::ShownOut => {}
        })?;
        assert!(something, "none lost");
    }
    Ok(last)
}

type Figures = ((Duration, Duration, Duration), (Duration, Duration, Duration));

/// Messages a second at QoS 1 in this many pairs of publisher and subscriber, each with a topic of its own.
fn throughput(brokers: &[Broker; 3], pairs: usize, each: u32) -> io::Result<()> {
    let mut rates = [const { Vec::new() }; 3];
    let mut costs = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (broker, (rates, costs)) in brokers.iter().zip(rates.iter_mut().zip(&mut costs)) {
            let before = broker.process().cpu()?;
            let took = rush(broker.port(), pairs, each)?;
            let messages = pairs as f64 * f64::from(each);
            rates.push((messages / took.as_secs_f64()) as u64);
            costs.push((broker.process().cpu()? - before).as_secs_f64() * 1e6 / messages);
        }
    }
    let mut medians = [0; 3];
    for (at, name) in names().into_iter().enumerate() {
        rates[at].sort_unstable();
        costs[at].sort_by(f64::total_cmp);
        medians[at] = rates[at][ROUNDS / 2];
        println!(
            "throughput {pairs} -> {pairs}  {name}: {}/s ({} to {}), none lost; {:.1} us of CPU a message",
            medians[at],
            rates[at][0],
            rates[at][ROUNDS - 1],
            costs[at][ROUNDS / 2]
        );
    }
    let ours = medians[0] as f64;
    if before().is_some() {
        println!("throughput {pairs} -> {pairs}  dmxd / dmxd before: {:.2}", ours / medians[2] as f64);
        medians[2] = 0;
    }
    // Nagle's algorithm, which gathers packets, may make it the faster one here.
    let ratio = ours / medians[1].max(medians[2]) as f64;
    println!(
        "throughput {pairs} -> {pairs}  dmxd / the faster Mosquitto: {ratio:.2}; {}",
        verdict("above 1", ratio > 1.0)
    );
    Ok(())
}

/// How long it takes until every message has arrived, in order, and is acknowledged.
fn rush(port: u16, pairs: usize, each: u32) -> io::Result<Duration> {
    let mut room = Crowd::new(port)?;
    let topic = |pair| format!("bench/pair/{pair}");
    room.assemble((0..pairs).map(|pair| (format!("rush-sub-{pair}"), Some(topic(pair)))))?;
    room.assemble((0..pairs).map(|pair| (format!("rush-pub-{pair}"), None)))?;
    let topics: Vec<String> = (0..pairs).map(topic).collect();
    let mut payload = [b'x'; PAYLOAD];
    let mut message = |room: &mut Crowd, pair: usize, n: u32| {
        payload[..4].copy_from_slice(&n.to_be_bytes());
        room.publish(pairs + pair, &topics[pair], &payload);
    };
    let (mut sent, mut came) = (vec![0u32; pairs], vec![0u32; pairs]);
    let mut missing = pairs * each as usize * 2;
    let mut free = vec![WINDOW; pairs];
    let start = Instant::now();
    while missing > 0 {
        for pair in 0..pairs {
            while free[pair] > 0 && sent[pair] < each {
                message(&mut room, pair, sent[pair]);
                sent[pair] += 1;
                free[pair] -= 1;
            }
            room.flush(pairs + pair)?;
        }
        let something = room.turn(PATIENCE, |who, news, _| match news {
            News::Message(payload) => {
                assert_eq!(payload[..4], came[who].to_be_bytes(), "none lost, none twice, all in order");
                came[who] += 1;
                missing -= 1;
            }
            News::PubAck => {
                free[who - pairs] += 1;
                missing -= 1;
            }
            News::In | News::ShownOut => {}
        })?;
        assert!(something, "none lost");
    }
    Ok(start.elapsed())
}

/// What a connected client with a subscription of its own costs.
fn memory() -> io::Result<()> {
    let mut costs = Vec::new();
    for (name, broker) in [("dmxd", Broker::ours()?), ("Mosquitto", Broker::theirs(UNLIMITED)?)] {
        thread::sleep(Duration::from_secs(3));
        let idle = broker.process().rss_kb()?;
        let mut crowd = Crowd::new(broker.port())?;
        let mut rss = Vec::new();
        for at in [0, 500] {
            crowd.assemble((at..at + 500).map(|n| (format!("lamp-{n}"), Some(format!("bench/lamp/{n}")))))?;
            thread::sleep(Duration::from_secs(3));
            rss.push(broker.process().rss_kb()?);
        }
        let a_client = (rss[1] - idle) as f64 / 1000.0;
        println!(
            "memory  {name}: {:.1} MB idle, {:.1} MB with 500 clients, {:.1} MB with 1,000: {a_client:.1} kB a client",
            idle as f64 / 1024.0,
            rss[0] as f64 / 1024.0,
            rss[1] as f64 / 1024.0,
        );
        costs.push(a_client);
    }
    println!("memory  dmxd / Mosquitto: {:.1}; {}", costs[0] / costs[1], verdict("60 kB or less", costs[0] <= 60.0));
    Ok(())
}

/// How 1,000 clients come.
#[derive(Clone, Copy)]
enum Coming {
    /// Each sends CONNECT as soon as its socket is open.
    Promptly,
    /// All open their sockets first and send CONNECT this much later, as over a shared radio.
    Slowly(Duration),
}

/// How long 1,000 clients take that come together.
fn connections() -> io::Result<()> {
    for coming in [Coming::Promptly, Coming::Slowly(Duration::from_millis(50))] {
        let what = match coming {
            Coming::Promptly => "1,000 clients at once".to_owned(),
            Coming::Slowly(delay) => format!("the same, CONNECT {delay:?} behind the sockets"),
        };
        let mut medians = Vec::new();
        let mut out = Vec::new();
        for name in &names()[..2] {
            let (mut times, mut shown_out, mut timed_out) = (Vec::new(), 0, 0);
            for _ in 0..ROUNDS {
                let broker = if *name == "dmxd" { Broker::ours()? } else { Broker::theirs(UNLIMITED)? };
                thread::sleep(Duration::from_secs(1));
                let (took, closed, late) = rally(broker.port(), coming)?;
                times.push(took);
                shown_out += closed;
                timed_out += late;
            }
            times.sort();
            println!(
                "{what}  {name}: {} ms ({} to {}), in {ROUNDS} rounds {shown_out} shown out, {timed_out} timed out",
                times[ROUNDS / 2].as_millis(),
                times[0].as_millis(),
                times[ROUNDS - 1].as_millis()
            );
            medians.push(times[ROUNDS / 2].as_secs_f64());
            out.push(shown_out + timed_out);
        }
        let holds = medians[0] < 2.0 && out[0] == 0;
        println!("{what}  dmxd / Mosquitto: {:.2}; {}", medians[0] / medians[1], verdict("below 2 s, all in", holds));
    }
    Ok(())
}

/// 1,000 clients, each until its SUBACK: how long they take, how many were closed, how many had no answer in time.
fn rally(port: u16, coming: Coming) -> io::Result<(Duration, usize, usize)> {
    let mut crowd = Crowd::new(port)?;
    let (is_in, shown_out) = (Cell::new(0), Cell::new(0));
    let mut count = |_: usize, news: News<'_>, _: Instant| match news {
        News::In => is_in.set(is_in.get() + 1),
        News::ShownOut => shown_out.set(shown_out.get() + 1),
        News::Message(_) | News::PubAck => {}
    };
    let start = Instant::now();
    for n in 0..1000 {
        crowd.invite(format!("lamp-{n}"), Some(format!("bench/lamp/{n}")))?;
        if let Coming::Promptly = coming {
            crowd.turn(Duration::ZERO, &mut count)?;
        }
    }
    if let Coming::Slowly(delay) = coming {
        thread::sleep(delay);
    }
    let settled = || is_in.get() + shown_out.get();
    while settled() < 1000 && crowd.turn(PATIENCE.saturating_sub(start.elapsed()), &mut count)? {}
    Ok((start.elapsed(), shown_out.get(), 1000 - settled()))
}
