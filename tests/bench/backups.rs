//! The figures of backups: how long they take, and what they cost those who send commands meanwhile.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::mqtt::{Client, Packet};
use super::server::Dmxd;
use super::{CMD, command, percentiles};

/// Bytes of the show.
const SIZE: usize = 1_000_000;

/// Backups and restores that are timed.
const ROUNDS: usize = 20;

/// Commands a second, and how many.
const RATE: u32 = 200;
const SAMPLES: usize = 3000;

pub(crate) fn measure() -> io::Result<()> {
    let moto = Moto::start()?;
    let s3 = [
        ("DMX_CLOUD_BACKUP_PROVIDER", "s3"),
        ("DMX_BACKUP_S3_ENDPOINT", moto.endpoint.as_str()),
        ("DMX_CLOUD_BACKUP_S3_BUCKET", "bench"),
        ("DMX_CLOUD_BACKUP_S3_ACCESS_KEY", "x"),
        ("DMX_CLOUD_BACKUP_S3_SECRET_KEY", "x"),
    ];
    let key = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"; // of the age specification's tests
    let sealed = [("DMX_CLOUD_BACKUP_ENCRYPTION_KEY", key)];
    let phrase = [("DMX_CLOUD_BACKUP_ENCRYPTION_KEY", "passphrase:correct horse")];
    for (name, settings) in [
        ("local", &[][..]),
        ("local, sealed with age", &sealed[..]),
        ("local, sealed with a passphrase", &phrase[..]),
        ("s3 (moto)", &s3[..]),
    ] {
        let on = [("DMX_PROJECTS_ENABLED", "true"), ("DMX_CLOUD_BACKUP_ENABLED", "true")];
        let dmxd = Dmxd::start_with("backups", &[settings, &on].concat())?;
        target(name, &dmxd)?;
        dmxd.stop()?;
    }
    Ok(())
}

/// Times in one vault; then those of commands, alone and while backups and restores follow each other.
fn target(name: &str, dmxd: &Dmxd) -> io::Result<()> {
    let show = format!(r#"{{"version":"1.0","ballast":"{}"}}"#, "x".repeat(SIZE));
    http(dmxd.http, "POST", "/import", &show)?;
    let (mut backups, mut restores) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (backup, restore) = round(dmxd.http)?;
        backups.push(backup);
        restores.push(restore);
    }
    for (what, times) in [("backup", backups), ("restore", restores)] {
        let (p50, _, max) = percentiles(times);
        println!("{name}: {what} of 1 MB p50 {:.1} ms max {:.1} ms", ms(p50), ms(max));
    }
    let idle = commands(dmxd.mqtt)?;
    let over = Arc::new(AtomicBool::new(false));
    let (port, done) = (dmxd.http, Arc::clone(&over));
    let busy = thread::spawn(move || -> io::Result<usize> {
        let mut rounds = 0;
        while !done.load(Ordering::Relaxed) {
            round(port)?;
            rounds += 1;
        }
        Ok(rounds)
    });
    let meanwhile = commands(dmxd.mqtt)?;
    over.store(true, Ordering::Relaxed);
    let rounds = busy.join().expect("the other thread does not panic")?;
    for (when, (p50, p99, max)) in [("idle", idle), ("meanwhile", meanwhile)] {
        println!(
            "{name}: {RATE}/s command -> PUBACK {when} p50 {:.2} ms p99 {:.2} ms max {:.2} ms",
            ms(p50),
            ms(p99),
            ms(max)
        );
    }
    println!("{name}: {rounds} backups and restores meanwhile");
    Ok(())
}

/// A backup, a restore of it, and its deletion.
fn round(port: u16) -> io::Result<(Duration, Duration)> {
    let started = Instant::now();
    let made = http(port, "POST", "/projects/default/backups", "{}")?;
    let backup = started.elapsed();
    let id = made.split("\"versionId\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let started = Instant::now();
    http(port, "POST", "/projects/default/restore", &format!(r#"{{"versionId":"{id}"}}"#))?;
    let restore = started.elapsed();
    http(port, "DELETE", &format!("/projects/default/backups/{id}"), "")?;
    Ok((backup, restore))
}

/// p50, p99 and the longest of the time from writing a command to its PUBACK.
fn commands(port: u16) -> io::Result<(Duration, Duration, Duration)> {
    let mut client = Client::connect(port, "bench-pace")?;
    let mut times = Vec::with_capacity(SAMPLES);
    let start = Instant::now();
    for n in 0..SAMPLES {
        let due = start + Duration::from_secs(1) * n as u32 / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let command = command(n, 7);
        let sent = Instant::now();
        client.publish(CMD, command.as_bytes())?;
        while !matches!(client.packet()?, Packet::PubAck) {}
        times.push(sent.elapsed());
    }
    Ok(percentiles(times))
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The body of a successful answer.
pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let signed = "AWS4-HMAC-SHA256 Credential=x/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {signed}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let good = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    if good { Ok(body.to_owned()) } else { Err(io::Error::other(format!("{method} {path}: {head}\n{body}"))) }
}

/// An S3 server that is not ours, with a bucket.
struct Moto {
    child: Child,
    endpoint: String,
}

impl Moto {
    fn start() -> io::Result<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target"));
        let mut child = Command::new(target.join("strangers/venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?).lines();
        let mut address = None;
        while address.is_none() {
            let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
            address = line.split_once("http://").and_then(|(_, rest)| Some(rest.split_whitespace().next()?.to_owned()));
        }
        thread::spawn(move || lines.for_each(drop)); // it logs every request
        let address = address.unwrap_or_default();
        let moto = Self { child, endpoint: format!("http://{address}") };
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        http(port, "PUT", "/bench", "")?;
        Ok(moto)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
