//! Peers that are not ours, as child processes: mosquitto and its clients, Python's paho, aiomqtt and websockets, CircuitPython's
//! MiniMQTT, MicroPython's umqtt, mqtt.js, Node-RED, moto, ESPHome, Schemathesis, makers of clients of openapi.json.
//! `tests/run` installs them; a missing one fails the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::patience::PATIENCE;
use super::{Lines, patiently};

/// A running stranger. Dropping it kills the process.
pub struct Stranger {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    /// Its output.
    pub lines: Lines,
    stderr: Lines,
}

impl Stranger {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{:?}: {error} (tests/run installs the peers)", command.as_std().get_program())
        });
        let (lines, reader) = Lines::reading(child.stdout.take().unwrap());
        let (stderr, stderr_reader) = Lines::reading(child.stderr.take().unwrap());
        Self { child, readers: vec![reader, stderr_reader], lines, stderr }
    }

    /// Waits until it ends on its own, with success; gives its output.
    pub async fn succeed(self) -> Vec<String> {
        self.succeed_within(PATIENCE).await
    }

    /// The same, within this time.
    pub async fn succeed_within(mut self, limit: Duration) -> Vec<String> {
        let status = timeout(limit, self.child.wait()).await.expect("a stranger's end").unwrap();
        self.read_to_the_end().await;
        assert!(status.success(), "{status}\n{}\n{}", self.lines.tail(20), self.stderr.tail(20));
        self.lines.all()
    }

    /// The same; each line must say what holds, and there must be so many. What does not hold is on its stderr.
    pub async fn holds(self, count: usize, limit: Duration) {
        let lines = self.succeed_within(limit).await;
        assert!(lines.iter().all(|line| line.starts_with("holds: ")), "{lines:#?}");
        assert_eq!(lines.len(), count, "{lines:#?}");
    }

    /// kill -9.
    pub async fn kill9(mut self) {
        self.child.kill().await.unwrap();
        self.read_to_the_end().await;
    }

    /// Closes its stdin, which tells our scripts to leave politely, and waits for that.
    pub async fn leave(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        self.succeed().await
    }

    /// Writes lines to its stdin.
    pub async fn tell(&mut self, lines: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{lines}\n").as_bytes()).await.unwrap();
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its stderr.
    pub fn complaints(&self) -> &Lines {
        &self.stderr
    }

    async fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            patiently("a stranger's last words", reader).await.unwrap();
        }
    }
}

/// `mosquitto_pub` at a broker.
pub fn mosquitto_pub(broker: SocketAddr, arguments: &[&str]) -> Stranger {
    mosquitto("mosquitto_pub", broker, arguments)
}

/// `mosquitto_sub` at a broker.
pub fn mosquitto_sub(broker: SocketAddr, arguments: &[&str]) -> Stranger {
    mosquitto("mosquitto_sub", broker, arguments)
}

/// `mosquitto_rr` at a broker.
pub fn mosquitto_rr(broker: SocketAddr, arguments: &[&str]) -> Stranger {
    mosquitto("mosquitto_rr", broker, arguments)
}

/// The broker, by its configuration; it says what happens on stderr.
pub fn mosquitto_broker(config: &Path) -> Stranger {
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(config);
    Stranger::start(command)
}

fn mosquitto(program: &str, broker: SocketAddr, arguments: &[&str]) -> Stranger {
    let mut command = Command::new(program);
    command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string()]).args(arguments);
    Stranger::start(command)
}

/// A script of `tests/it/strangers` in the virtual environment that `tests/run` makes.
pub fn python(script: &str, address: SocketAddr, arguments: &[&str]) -> Stranger {
    python_in("venv", &[], script, address, arguments)
}

/// A script of `tests/it/strangers` in the environment of aiomqtt.
pub fn aiomqtt(script: &str, address: SocketAddr) -> Stranger {
    python_in("aiomqtt", &[], script, address, &[])
}

/// A board with `MicroPython`'s umqtt.
pub fn umqtt_board(address: SocketAddr, arguments: &[&str]) -> Stranger {
    let modules = installed().join("umqtt");
    python_in("venv", &[modules.to_str().unwrap()], "umqtt_board.py", address, arguments)
}

/// Writes GDTF files into a folder, and says what pygdtf reads in them.
pub fn gdtf_files(folder: &Path) -> Stranger {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    python_in("pygdtf", &[], "gdtf_files.py", nobody, &[folder.to_str().unwrap()])
}

/// Patches 50 definitions in QLC+, with a folder for its files, and says what it takes their channels for.
pub fn qlcplus_channels(folder: &Path) -> Stranger {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    python_in("venv", &[], "qlcplus_channels.py", nobody, &[folder.to_str().unwrap()])
}

/// The definitions of `qlcplus-data`, a folder for each maker.
pub fn qlcplus_definitions() -> PathBuf {
    installed().join("qlcplus-data/usr/share/qlcplus/fixtures")
}

fn python_in(venv: &str, first: &[&str], script: &str, address: SocketAddr, arguments: &[&str]) -> Stranger {
    let mut command = Command::new(installed().join(venv).join("bin/python"));
    command.args(["-u", "-B"]).arg(scripts().join(script)).args(first); // -B: scripts share modules, which leave no files
    command.args([address.ip().to_string(), address.port().to_string()]).args(arguments);
    Stranger::start(command)
}

/// A script of `tests/it/strangers` with the modules that `tests/run` installs.
pub fn node(script: &str, address: SocketAddr, arguments: &[&str]) -> Stranger {
    let mut command = Command::new("node");
    command.arg(scripts().join(script)).arg(installed().join("node"));
    command.args([address.ip().to_string(), address.port().to_string()]).args(arguments);
    Stranger::start(command)
}

/// mqtt.js at a URL, in a version of the protocol (4 is 3.1.1), on the Node that `tests/run` brings.
pub fn mqtt_js(url: &str, version: u8) -> Stranger {
    let mut command = Command::new(installed().join("node/node_modules/.bin/node"));
    command.arg(scripts().join("mqttjs.mjs")).arg(installed().join("node")).args([url, &version.to_string()]);
    Stranger::start(command)
}

/// The same, with an authority that it trusts.
pub fn mqtt_js_trusting(url: &str, version: u8, authority: &Path) -> Stranger {
    let mut command = Command::new(installed().join("node/node_modules/.bin/node"));
    command.arg(scripts().join("mqttjs.mjs")).arg(installed().join("node")).args([url, &version.to_string()]);
    command.env("NODE_EXTRA_CA_CERTS", authority);
    Stranger::start(command)
}

/// Node-RED with two flows, in a version of the protocol.
pub fn node_red(address: SocketAddr, version: u8, from: &str, to: &str) -> Stranger {
    let mut command = Command::new(installed().join("node/node_modules/.bin/node"));
    command.arg(scripts().join("node_red.mjs")).arg(installed().join("node-red"));
    command.args([address.ip().to_string(), address.port().to_string(), version.to_string(), from.into(), to.into()]);
    Stranger::start(command)
}

/// A sketch compiled for this machine. Its time runs this many times faster.
pub fn board(sketch: &Path, broker_port: u16, speed: u32) -> Stranger {
    let mut command = Command::new(sketch);
    command.env("BROKER_PORT", broker_port.to_string()).env("SPEED", speed.to_string());
    Stranger::start(command)
}

/// `esphome` in a folder.
pub fn esphome(folder: &Path, arguments: &[&str]) -> Stranger {
    let mut command = Command::new(installed().join("esphome/bin/esphome"));
    command.args(arguments).current_dir(folder);
    Stranger::start(command)
}

/// Schemathesis over what an appliance serves; its configuration names what it overlooks, and why.
pub fn schemathesis(web: SocketAddr) -> Stranger {
    let mut command = Command::new(installed().join("schemathesis/bin/schemathesis"));
    command.arg("--config-file").arg(scripts().join("schemathesis.toml"));
    command.args(["run", &format!("http://{web}/openapi.json")]);
    command.env("SCHEMATHESIS_HOOKS", "schemathesis_hooks").env("PYTHONPATH", scripts());
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(std::env::temp_dir()); // it leaves a folder behind
    Stranger::start(command)
}

/// Makes the package `dmxd_client` in a folder, of the `openapi.json` there.
pub fn openapi_python_client(folder: &Path) -> Stranger {
    let programs = installed().join("openapi-python/bin");
    let mut command = Command::new(programs.join("openapi-python-client"));
    command.args(["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "dmxd_client"]);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).current_dir(folder); // it calls ruff
    Stranger::start(command)
}

/// The script that uses that package.
pub fn openapi_python_script(web: SocketAddr, folder: &Path) -> Stranger {
    let mut command = Command::new(installed().join("openapi-python/bin/python"));
    command.arg("-B").arg(scripts().join("openapi_client.py"));
    command.args([web.ip().to_string(), web.port().to_string()]).arg(folder);
    Stranger::start(command)
}

/// A program of the modules beside `openapi-typescript`, in a folder that sees them.
pub fn openapi_node(folder: &Path, program: &str, arguments: &[&str]) -> Stranger {
    let modules = folder.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(installed().join("openapi-node/node_modules"), modules).unwrap();
        std::fs::write(folder.join("package.json"), r#"{"type":"module"}"#).unwrap();
        std::fs::copy(scripts().join("openapi_client.ts"), folder.join("openapi_client.ts")).unwrap();
    }
    let mut command = Command::new(installed().join("node/node_modules/.bin/node"));
    command.arg(program).args(arguments).current_dir(folder);
    Stranger::start(command)
}

/// moto's S3 server on a free loopback port, which it names on stderr.
pub fn moto_server() -> Stranger {
    let mut command = Command::new(installed().join("venv/bin/moto_server"));
    command.args(["-H", "127.0.0.1", "-p", "0"]);
    Stranger::start(command)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers")
}

/// `target/strangers`, wherever the target folder is.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp is in target").join("strangers")
}
