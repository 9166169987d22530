//! The servers under measurement: dmxd as it is shipped, Mosquitto as Debian ships it. Killed by pid at the end.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_dmxd");

/// A tick in `/proc/<pid>/stat`; it is this long on every architecture we build for.
const TICK: Duration = Duration::from_millis(10);

pub(crate) fn binary_size() -> io::Result<u64> {
    Ok(std::fs::metadata(BINARY)?.len())
}

/// A process under measurement; killed when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// `VmRSS`.
    pub(crate) fn rss_kb(&self) -> io::Result<u64> {
        self.proc("status", "VmRSS:")
    }

    /// Bytes the process caused to be written to disks.
    pub(crate) fn written(&self) -> io::Result<u64> {
        self.proc("io", "write_bytes:")
    }

    /// What all its threads have taken of the CPU, in user and kernel space; to 10 ms.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        // utime and stime are fields 14 and 15, the name is the second.
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(TICK * ticks as u32)
    }

    fn proc(&self, file: &str, name: &str) -> io::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id()))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
        value.ok_or(io::ErrorKind::InvalidData.into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Dmxd {
    pub(crate) process: Process,
    pub(crate) mqtt: u16,
    pub(crate) http: u16,
    /// 0 without TLS, and the next as well.
    pub(crate) https: u16,
    pub(crate) mqtts: u16,
}

impl Dmxd {
    /// On a real disk, in a folder of this name under `target`; returns when both doors are open.
    pub(crate) fn start(folder: &str) -> io::Result<Self> {
        Self::start_with(folder, &[])
    }

    /// The same, with more settings.
    pub(crate) fn start_with(folder: &str, settings: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_of(Path::new(BINARY), folder, settings)
    }

    /// The same of another build.
    pub(crate) fn start_of(binary: &Path, folder: &str, settings: &[(&str, &str)]) -> io::Result<Self> {
        let data: PathBuf =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("figures-{folder}-{}", std::process::id()));
        let mut child = Command::new(binary)
            .envs([
                ("DMX_HOST", "127.0.0.1"),
                ("DMX_MQTT_BIND", "127.0.0.1"),
                ("DMX_PORT", "0"),
                ("DMX_MQTT_PORT", "0"),
            ])
            .env("DMX_DATA_DIR", data)
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let wanted = if settings.contains(&("DMX_TLS_ENABLED", "true")) { 4 } else { 2 };
        let (mut doors, mut line) = (BTreeMap::new(), String::new());
        while doors.len() < wanted {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(io::Error::other("dmxd ended before its doors were open"));
            }
            if line.contains("\"listening\"") {
                let named = |name: &str| line.split(&format!("\"{name}\":\"")).nth(1)?.split('"').next();
                let address = named("address");
                let port =
                    address.and_then(|a| a.rsplit(':').next()?.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
                doors.insert(named("door").unwrap_or_default().to_owned(), port);
            }
        }
        std::thread::spawn(move || {
            let mut sink = [0; 64 * 1024];
            while lines.get_mut().read(&mut sink).is_ok_and(|n| n > 0) {}
        });
        let port = |door: &str| doors.get(door).copied().unwrap_or_default();
        let (mqtt, http, https, mqtts) = (port("mqtt"), port("http"), port("https"), port("mqtts"));
        Ok(Self { process: Process(child), mqtt, http, https, mqtts })
    }

    /// SIGTERM, and waits.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.process.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.process.0.wait().map(drop)
    }
}

pub(crate) struct Mosquitto {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Mosquitto {
    /// Sends at once, as dmxd does.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_with("set_tcp_nodelay true\n")
    }

    /// With these lines in its configuration.
    pub(crate) fn start_with(settings: &str) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mosquitto-{port}.conf"));
        std::fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\n{settings}"))?;
        let child = Command::new("mosquitto").arg("-c").arg(&config).stderr(Stdio::null()).spawn()?;
        let mosquitto = Self { process: Process(child), port };
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("mosquitto does not answer"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::fs::remove_file(config)?;
        Ok(mosquitto)
    }
}
