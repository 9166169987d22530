//! The figures of the outputs: a DMX USB PRO at the far end of a pty and a peer in OLA's place, both in this process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

use super::server::{Dmxd, Mosquitto};
use super::{CMD, latency, percentiles, publish};

/// Commands a second at idle: 250 ms apart, so that no frame waits for its slot.
const IDLE: u32 = 4;

/// Commands a second of a drag. Not 200: five of those are exactly one slot at 40 fps, and each frame's command would be
/// equally old, by chance a little or a lot.
const DRAG: u32 = 199;

/// Commands a second that keep both outputs at their full rate (40 and 44) and not much more.
const FULL: u32 = 44;

/// The time over which the CPU is measured.
const SPAN: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> io::Result<()> {
    let mosquitto = Mosquitto::start()?;
    let widget = Widget::plug_in()?;
    let dmxd = Dmxd::start_with("enttec", &[("DMX_USB_ENABLED", "true"), ("DMX_USB_PORT", &widget.path)])?;
    for (rate, samples) in [(IDLE, 200), (DRAG, 1990)] {
        let relay = latency(mosquitto.port, CMD, CMD, rate, samples)?;
        let sent = publish(dmxd.mqtt, CMD, rate, samples)?;
        thread::sleep(Duration::from_millis(100)); // the last frame
        let frames = widget.frames(rate as u8);
        let (p50, p99, _) = percentiles(frames.iter().map(|&(n, at)| at - sent[n]).collect());
        println!(
            "{rate}/s  command -> first byte on the pty p50 {} us p99 {} us: {:.1} and {:.1} times the relay ({} and {} us)",
            p50.as_micros(),
            p99.as_micros(),
            p50.as_secs_f64() / relay.0.as_secs_f64(),
            p99.as_secs_f64() / relay.1.as_secs_f64(),
            relay.0.as_micros(),
            relay.1.as_micros(),
        );
        if rate > IDLE {
            let (p50, p99, max) = percentiles(frames.windows(2).map(|pair| pair[1].1 - pair[0].1).collect());
            let span = frames[frames.len() - 1].1 - frames[0].1;
            println!(
                "{rate}/s  frames on the pty: {:.2}/s, gap p50 {:.2} ms p99 {:.2} ms max {:.2} ms",
                (frames.len() - 1) as f64 / span.as_secs_f64(),
                p50.as_secs_f64() * 1e3,
                p99.as_secs_f64() * 1e3,
                max.as_secs_f64() * 1e3,
            );
        }
    }
    drop((dmxd, widget));
    cpu()
}

/// What the outputs cost, compared with the same commands without any output.
fn cpu() -> io::Result<()> {
    let widget = Widget::plug_in()?;
    let (url, posts) = ola()?;
    let both = [
        ("DMX_USB_ENABLED", "true"),
        ("DMX_USB_PORT", widget.path.as_str()),
        ("DMX_OLA_ENABLED", "true"),
        ("DMX_OLA_URL", url.as_str()),
    ];
    for (name, settings) in [("no output", &both[..0]), ("both outputs", &both[..])] {
        let dmxd = Dmxd::start_with("cpu", settings)?;
        thread::sleep(Duration::from_secs(2));
        let idle = share(&dmxd, || {
            thread::sleep(SPAN);
            Ok(())
        })?;
        let before = (widget.count(), posts.load(Ordering::Relaxed));
        let busy = share(&dmxd, || publish(dmxd.mqtt, CMD, FULL, (FULL as usize) * SPAN.as_secs() as usize))?;
        let frames = (widget.count() - before.0, posts.load(Ordering::Relaxed) - before.1);
        println!(
            "CPU with {name}: {:.1} % idle, {:.1} % at {FULL} commands/s ({:.1} frames/s Enttec, {:.1} OLA)",
            idle * 100.0,
            busy * 100.0,
            frames.0 as f64 / SPAN.as_secs_f64(),
            frames.1 as f64 / SPAN.as_secs_f64(),
        );
        dmxd.stop()?;
    }
    Ok(())
}

/// The part of one core that the process uses meanwhile.
fn share<T>(dmxd: &Dmxd, meanwhile: impl FnOnce() -> io::Result<T>) -> io::Result<f64> {
    let (before, start) = (dmxd.process.cpu()?, Instant::now());
    meanwhile()?;
    Ok((dmxd.process.cpu()? - before).as_secs_f64() / start.elapsed().as_secs_f64())
}

/// Frames of commands, and when their first byte came.
type Frames = Arc<Mutex<Vec<([u8; 3], Instant)>>>;

/// A DMX USB PRO.
struct Widget {
    path: String,
    frames: Frames,
}

impl Widget {
    fn plug_in() -> io::Result<Self> {
        let (mut far, near) = TTYPort::pair()?;
        far.set_timeout(Duration::from_secs(1))?;
        let path = near.name().ok_or(io::ErrorKind::NotFound)?;
        let frames = Frames::default();
        let kept = frames.clone();
        thread::spawn(move || {
            let (mut bytes, mut began) = (Vec::new(), Instant::now());
            while Arc::strong_count(&kept) > 1 {
                let mut chunk = [0; 4096];
                let Ok(count) = far.read(&mut chunk) else {
                    thread::sleep(Duration::from_millis(5)); // nobody has opened the near end yet
                    continue;
                };
                let now = Instant::now();
                if bytes.is_empty() {
                    began = now;
                }
                bytes.extend_from_slice(&chunk[..count]);
                while let Some(message) = message(&mut bytes) {
                    let answer: &[u8] = match message[1] {
                        3 => &[0x7E, 3, 5, 0, 44, 1, 9, 1, 40, 0xE7],
                        10 => &[0x7E, 10, 4, 0, 0x78, 0x56, 0x34, 0x12, 0xE7],
                        _ => {
                            kept.lock().expect("no panic").push(([message[5], message[6], message[7]], began));
                            &[]
                        }
                    };
                    let _ = far.write_all(answer);
                    began = now; // the rest came with the last chunk
                }
            }
        });
        Ok(Self { path, frames })
    }

    /// Number and time of the frames that commands with this tag made, without refreshes.
    fn frames(&self, tag: u8) -> Vec<(usize, Instant)> {
        let frames = self.frames.lock().expect("no panic");
        let ours = frames.iter().filter(|([_, _, b], _)| *b == tag);
        let mut numbered: Vec<_> = ours.map(|([r, g, _], at)| (usize::from(*r) * 256 + usize::from(*g), *at)).collect();
        numbered.dedup_by_key(|(n, _)| *n);
        numbered
    }

    fn count(&self) -> usize {
        self.frames.lock().expect("no panic").len()
    }
}

/// Takes out the first whole message.
fn message(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let start = bytes.iter().position(|byte| *byte == 0x7E).unwrap_or(bytes.len());
    bytes.drain(..start);
    let length = 5 + usize::from(u16::from_le_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    (bytes.len() >= length).then(|| bytes.drain(..length).collect())
}

/// A peer in place of OLA, and how many frames it has received.
fn ola() -> io::Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/set_dmx", listener.local_addr()?);
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = counted.clone();
            thread::spawn(move || answer(stream, &counted));
        }
    });
    Ok((url, posts))
}

fn answer(mut stream: TcpStream, posts: &AtomicUsize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        posts.fetch_add(1, Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
}
