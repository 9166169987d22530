//! The figures of fixtures: a thousand of them in 64 universes, imported, set and faded through the door.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::backups::{http, ms};
use super::percentiles;
use super::server::Dmxd;

/// Fixtures, half of them PARs of 7 channels and half heads of 13; by turns in all universes.
const FIXTURES: usize = 1_000;
const UNIVERSES: usize = 64;

/// Commands, and imports, that are timed.
const SETS: usize = 500;
const IMPORTS: usize = 20;

/// The fade over which the processor is measured.
const SPAN: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> io::Result<()> {
    let dmxd = Dmxd::start("fixtures")?;
    import(&dmxd)?;
    let mut door = Door::open(dmxd.http)?;
    set(&dmxd, &mut door)?;
    fade(&dmxd, &mut door)?;
    dmxd.stop()
}

fn import(dmxd: &Dmxd) -> io::Result<()> {
    let mut times = Vec::with_capacity(IMPORTS);
    let bytes = show(0).len();
    for round in 0..IMPORTS {
        let show = show(round);
        let start = Instant::now();
        http(dmxd.http, "POST", "/import", &show)?;
        times.push(start.elapsed());
    }
    let (p50, _, max) = percentiles(times);
    println!(
        "import of {FIXTURES} fixtures, {:.1} MB: p50 {:.0} ms max {:.0} ms",
        bytes as f64 / 1e6,
        ms(p50),
        ms(max)
    );
    Ok(())
}

/// From the first byte of the request to the last of the answer, on one connection.
fn set(dmxd: &Dmxd, door: &mut Door) -> io::Result<()> {
    let before = applied(dmxd.http)?;
    let mut times = Vec::with_capacity(SETS);
    for n in 0..SETS {
        let command =
            command(&format!(r##""intensity":{},"color":"#ff80{:02x}""##, n as f64 / SETS as f64, n % 256), 0);
        let start = Instant::now();
        door.post(&command)?;
        times.push(start.elapsed());
    }
    let after = applied(dmxd.http)?;
    let (p50, p99, _) = percentiles(times);
    println!(
        "fixture.set on {FIXTURES}: request -> answer p50 {:.2} ms p99 {:.2} ms; door -> written {:.2} ms in the mean",
        ms(p50),
        ms(p99),
        (after.0 - before.0) * 1e3 / (after.1 - before.1)
    );
    Ok(())
}

fn fade(dmxd: &Dmxd, door: &mut Door) -> io::Result<()> {
    for level in [1, 0] {
        door.post(&command(
            &format!(r##""intensity":{level},"color":"#{:06x}""##, level * 0x00ff_8040),
            SPAN.as_millis(),
        ))?;
        let (before, start) = (dmxd.process.cpu()?, Instant::now());
        thread::sleep(SPAN.saturating_sub(Duration::from_millis(200))); // while it still moves
        let share = (dmxd.process.cpu()? - before).as_secs_f64() / start.elapsed().as_secs_f64();
        println!("a fade on {FIXTURES}: {:.1} % of one core", share * 100.0);
        thread::sleep(Duration::from_millis(500)); // its end
    }
    Ok(())
}

fn command(values: &str, over_ms: u128) -> String {
    let id = ulid::Ulid::generate();
    format!(r#"{{"type":"fixture.set","id":"{id}","targets":["all"],"values":{{{values}}},"durationMs":{over_ms}}}"#)
}

/// Seconds from door to written of all commands, and how many there were.
fn applied(port: u16) -> io::Result<(f64, f64)> {
    let metrics = http(port, "GET", "/metrics", "")?;
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name))?;
        line.split(' ').nth(1)?.parse().ok()
    };
    let both = value("dmx_engine_apply_seconds_sum").zip(value("dmx_engine_apply_seconds_count"));
    both.ok_or(io::ErrorKind::InvalidData.into())
}

/// A show of one group; each round has another name.
fn show(round: usize) -> String {
    let (mut universes, mut fixtures) = (String::new(), String::new());
    for n in 0..UNIVERSES {
        let _ = write!(universes, r#"{{"id":"u-{n}","name":"U{n}","number":{n}}},"#);
    }
    for n in 0..FIXTURES {
        let (kind, count) = if (n / UNIVERSES).is_multiple_of(2) { ("par-7", 7) } else { ("moving-head", 13) };
        let (universe, address) = (n % UNIVERSES, n / UNIVERSES * 16 + 1);
        let _ = write!(
            fixtures,
            r#"{{"id":"f-{n}","name":"F{n}","universeId":"u-{universe}","dmxAddress":{address},"channelCount":{count},"type":"{kind}","groups":["all"],"channels":["#
        );
        for channel in 0..count {
            let number = channel + 1;
            let _ = write!(fixtures, r#"{{"id":"f-{n}-{channel}","number":{number},"name":"C","value":0}},"#);
        }
        fixtures.pop();
        fixtures.push_str("]},");
    }
    universes.pop();
    fixtures.pop();
    format!(
        r#"{{"version":"1.0","name":"{round}","universes":[{universes}],"fixtures":[{fixtures}],"groups":[{{"id":"all","name":"All"}}],"scenes":[]}}"#
    )
}

/// A connection that stays.
struct Door(BufReader<TcpStream>);

impl Door {
    fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command that must be accepted.
    fn post(&mut self, body: &str) -> io::Result<()> {
        let request = format!(
            "POST /command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        if answer.contains(r#""accepted":true"#) { Ok(()) } else { Err(io::Error::other(answer.into_owned())) }
    }
}
