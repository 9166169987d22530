//! The servers under measurement: dmxd as it is shipped, Mosquitto as Debian ships it. Killed by pid at the end.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_dmxd");

pub(crate) fn binary_size() -> io::Result<u64> {
    Ok(std::fs::metadata(BINARY)?.len())
}

pub(crate) struct Dmxd {
    child: Child,
    pub(crate) mqtt: u16,
    pub(crate) http: u16,
}

impl Dmxd {
    /// On a real disk, in a folder of this name under `target`; returns when both doors are open.
    pub(crate) fn start(folder: &str) -> io::Result<Self> {
        Self::start_with(folder, &[])
    }

    /// The same, with more settings.
    pub(crate) fn start_with(folder: &str, settings: &[(&str, &str)]) -> io::Result<Self> {
        let data: PathBuf =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("figures-{folder}-{}", std::process::id()));
        let mut child = Command::new(BINARY)
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
        let (mut doors, mut mqtt, mut http, mut line) = (0, 0, 0, String::new());
        while doors < 2 {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(io::Error::other("dmxd ended before its doors were open"));
            }
            if line.contains("\"listening\"") {
                doors += 1;
                let address = line.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next());
                let port =
                    address.and_then(|a| a.rsplit(':').next()?.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
                *(if line.contains("\"mqtt\"") { &mut mqtt } else { &mut http }) = port;
            }
        }
        std::thread::spawn(move || {
            let mut sink = [0; 64 * 1024];
            while lines.get_mut().read(&mut sink).is_ok_and(|n| n > 0) {}
        });
        Ok(Self { child, mqtt, http })
    }

    /// `VmRSS`.
    pub(crate) fn rss_kb(&self) -> io::Result<u64> {
        self.proc("status", "VmRSS:")
    }

    /// Bytes the process caused to be written to disks.
    pub(crate) fn written(&self) -> io::Result<u64> {
        self.proc("io", "write_bytes:")
    }

    /// Ticks of the CPU that all its threads have taken, in user and kernel space.
    pub(crate) fn ticks(&self) -> io::Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        // utime and stime are fields 14 and 15, the name is the second.
        Ok(after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
    }

    fn proc(&self, file: &str, name: &str) -> io::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
        value.ok_or(io::ErrorKind::InvalidData.into())
    }

    /// SIGTERM, and waits.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.child.wait().map(drop)
    }
}

impl Drop for Dmxd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Mosquitto {
    child: Child,
    pub(crate) port: u16,
}

impl Mosquitto {
    pub(crate) fn start() -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mosquitto.conf");
        std::fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"))?;
        let child = Command::new("mosquitto").arg("-c").arg(config).stderr(Stdio::null()).spawn()?;
        let mosquitto = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("mosquitto does not answer"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(mosquitto)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
