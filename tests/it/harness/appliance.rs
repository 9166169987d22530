//! The real binary in a home of its own: a temporary folder that outlives restarts, free ports, a log that is kept.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Lines, Web, eventually, patiently};

/// A data folder with its settings, while no process uses it.
pub struct Home {
    folder: TempDir,
    variables: BTreeMap<String, OsString>,
    wrapper: Vec<OsString>,
}

/// A process that ended by itself.
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its log.
    pub stdout: String,
    /// Its output for people.
    pub stderr: String,
}

impl Home {
    /// An empty data folder and free loopback ports.
    pub fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), variables: BTreeMap::new(), wrapper: Vec::new() };
        let data = home.data();
        home.set("DMX_HOST", "127.0.0.1")
            .set("DMX_PORT", "0")
            .set("DMX_MQTT_BIND", "127.0.0.1")
            .set("DMX_MQTT_PORT", "0")
            .set("DMX_DATA_DIR", data)
    }

    /// A home whose data folder is a copy of another one.
    pub fn copy_of(data: &Path) -> Self {
        let home = Self::new();
        copy_folder(data, &home.data());
        home
    }

    /// Sets a variable of the process.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Starts it through another process, which must become it (`exec`), so that signals reach it.
    #[must_use]
    pub fn started_by(mut self, wrapper: impl IntoIterator<Item = OsString>) -> Self {
        self.wrapper = wrapper.into_iter().collect();
        self
    }

    /// The data folder; it exists after the first start.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A path beside the data folder.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the appliance, and waits until both doors are open.
    pub async fn start(self) -> Appliance {
        Appliance::start_in(self).await
    }

    /// Runs a process that is expected to end by itself.
    pub async fn run_to_its_end(&self) -> Ended {
        self.run(&[]).await
    }

    /// Runs a job of the command line to its end.
    pub async fn run(&self, args: &[&str]) -> Ended {
        let child = self.command().args(args).spawn().unwrap();
        let output = patiently("the end of the process", child.wait_with_output()).await.unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into(),
            stderr: String::from_utf8_lossy(&output.stderr).into(),
        }
    }

    /// Starts the process and kills it after this many milliseconds, whatever it has done by then.
    pub async fn kill_at_start(self, after_ms: u64) -> Self {
        let mut child = self.command().spawn().unwrap();
        // the moment of the kill is the test's input, not something to wait for
        let _ = tokio::time::timeout(Duration::from_millis(after_ms), child.wait()).await;
        child.kill().await.unwrap();
        self
    }

    fn command(&self) -> Command {
        let mut words = self.wrapper.iter().cloned().chain([env!("CARGO_BIN_EXE_dmxd").into()]);
        let mut command = Command::new(words.next().expect("at least the binary itself"));
        command.args(words);
        // nothing in the developer's own environment may decide a test
        command.env_clear().envs(&self.variables).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// A running appliance. Dropping it kills the process.
pub struct Appliance {
    home: Option<Home>,
    child: Child,
    readers: Vec<JoinHandle<()>>,
    /// Its log (stdout).
    pub log: Lines,
    /// Its output for people (stderr).
    pub stderr: Lines,
    /// Where the broker listens.
    pub mqtt: SocketAddr,
    /// Where the web server listens.
    pub http: SocketAddr,
}

impl Appliance {
    /// A fresh appliance with default settings.
    pub async fn start() -> Self {
        Home::new().start().await
    }

    async fn start_in(home: Home) -> Self {
        let mut child = home.command().spawn().unwrap();
        let (log, log_reader) = Lines::reading(child.stdout.take().unwrap());
        let (stderr, stderr_reader) = Lines::reading(child.stderr.take().unwrap());
        let doors = eventually("both doors open", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the appliance ended at its start: {status}\n{}\n{}", stderr.tail(40), log.tail(40));
            }
            // with tls.only MQTT has no plain door
            Some((door(&log, "mqtt").or_else(|| door(&log, "mqtts"))?, door(&log, "http")?))
        });
        let (mqtt, http) = doors.await;
        Self { home: Some(home), child, readers: vec![log_reader, stderr_reader], log, stderr, mqtt, http }
    }

    /// A client of REST.
    pub fn web(&self) -> Web {
        Web::new(self.http)
    }

    /// Where another door listens.
    pub async fn door(&self, name: &str) -> SocketAddr {
        eventually(name, async || door(&self.log, name)).await
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.home.as_ref().unwrap().data()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("the process is still ours")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Stops the process; ends when each of its threads stands, since until then some may go on for a while.
    pub async fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id().expect("the process is still ours"));
        let stands = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        };
        eventually("every thread stands", async || {
            std::fs::read_dir(&tasks).unwrap().flatten().all(stands).then_some(())
        })
        .await;
    }

    /// The most memory that the process has used so far.
    pub fn peak_memory_mib(&self) -> u64 {
        self.memory("VmHWM:") / 1024
    }

    /// The memory that the process uses now.
    pub fn memory_mib(&self) -> u64 {
        self.memory("VmRSS:") / 1024
    }

    /// The same without pages of files, in KiB.
    pub fn own_memory_kib(&self) -> u64 {
        self.memory("RssAnon:")
    }

    /// What all its threads have taken of the processor so far; to 10 ms.
    pub fn processor_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.child.id().expect("the process is still ours"));
        let stat = std::fs::read_to_string(path).unwrap();
        // utime and stime are fields 14 and 15; the second, a name, may hold spaces
        let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        Duration::from_millis(10) * ticks.map(|ticks| ticks.parse::<u32>().expect("ticks")).sum::<u32>()
    }

    fn memory(&self, which: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().expect("the process is still ours"));
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(which)).expect("a figure");
        line.trim().trim_end_matches("kB").trim().parse().expect("kB")
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// kill -9, unless it has ended already; the data folder stays.
    pub async fn kill9(mut self) -> Home {
        if self.is_alive() {
            self.signal(Signal::KILL);
            self.ended().await;
        }
        self.home.take().unwrap()
    }

    /// SIGTERM and, this many milliseconds later, kill -9 if it still runs.
    pub async fn kill9_while_stopping(mut self, after_ms: u64) -> Home {
        self.signal(Signal::TERM);
        // the moment of the kill is the test's input, not something to wait for
        let _ = tokio::time::timeout(Duration::from_millis(after_ms), self.child.wait()).await;
        self.kill9().await
    }

    /// SIGTERM, then the exit status and the data folder.
    pub async fn terminate(mut self) -> (ExitStatus, Home) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        (status, self.home.take().unwrap())
    }

    /// A clean stop and a new start on the same data.
    pub async fn restart(self) -> Self {
        let (status, home) = self.terminate().await;
        assert_eq!(status.code(), Some(0), "a clean stop");
        home.start().await
    }

    /// Waits for the end; after it the log is complete.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = patiently("the end of the process", self.child.wait()).await.unwrap();
        for reader in self.readers.drain(..) {
            patiently("the end of the log", reader).await.unwrap();
        }
        status
    }

    /// Checks that the light can still be commanded through MQTT and seen on REST.
    pub async fn assert_serves(&self) {
        let mut link = super::Link::join(self.mqtt, &super::Connect::new("prober")).await;
        let before = self.web().state().await;
        let [r, g, b] = [7, 77, 177];
        let body = super::command([r, g, b]);
        link.publish(super::CMD, body.to_string().as_bytes()).await;
        let after = self.web().state().await;
        assert_eq!(after["seq"].as_u64(), before["seq"].as_u64().map(|seq| seq + 1), "the next command works");
        assert_eq!(super::rgb_of(&after), [r, g, b]);
        link.leave().await;
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- stderr\n{}\n--- log\n{}", self.stderr.tail(40), self.log.tail(60));
        }
    }
}

/// The address of a door, from the log.
fn door(log: &Lines, name: &str) -> Option<SocketAddr> {
    let line: Value = log.find(|line| line["message"] == "listening" && line["door"] == name)?;
    Some(line["address"].as_str().expect("listening names its address").parse().expect("an address with a port"))
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
