//! The real olad with its dummy plugin only. It listens on every interface: only `in_its_own_network`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::own_network::is_root;
use super::{Web, eventually};

/// Each would search the network or the USB bus for devices.
const OTHER_PLUGINS: [&str; 21] = [
    "artnet",
    "e131",
    "espnet",
    "ftdidmx",
    "gpio",
    "karate",
    "kinet",
    "milinst",
    "nanoleaf",
    "opendmx",
    "openpixelcontrol",
    "osc",
    "pathport",
    "renard",
    "sandnet",
    "shownet",
    "spi",
    "stageprofi",
    "uartdmx",
    "usbdmx",
    "usbserial",
];

/// Its settings and its address, while it does not run.
pub struct OladHome {
    folder: TempDir,
    http: u16,
    rpc: u16,
}

/// A running olad. Dropping it kills the process.
pub struct Olad {
    home: OladHome,
    child: Child,
}

impl OladHome {
    /// With its only port patched to a universe, or to none.
    pub fn new(patched: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(format!("ola-{name}.conf")), text).unwrap();
        for plugin in OTHER_PLUGINS {
            write(plugin, "enabled = false\n");
        }
        write("dummy", "enabled = true\n");
        if let Some(universe) = patched {
            write("port", &format!("1-1-O-0 = {universe}\n"));
        }
        // all at once, so that they differ
        let [http, rpc] = [0, 0].map(|any| TcpListener::bind((Ipv4Addr::LOCALHOST, any)).unwrap());
        let [http, rpc] = [http, rpc].map(|door| door.local_addr().unwrap().port());
        Self { folder, http, rpc }
    }

    /// Its address for frames.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/set_dmx", self.http)
    }

    /// Starts it and waits until its web server answers.
    pub async fn start(self) -> Olad {
        let child = self.command().spawn().expect("olad and setpriv are installed (tests/run)");
        let mut olad = Olad { home: self, child };
        eventually("olad answers", async || {
            assert!(olad.child.try_wait().unwrap().is_none(), "olad ended at its start; its own words are above");
            olad.web().try_get("/json/server_stats").await
        })
        .await;
        olad
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]); // it does not outlive a killed test
        if is_root() {
            let owner = std::process::Command::new("chown").args(["-R", "olad"]).arg(self.folder.path()).status();
            assert!(owner.expect("chown is installed").success(), "there is a user olad (tests/run)");
            command.args(["--reuid=olad", "--regid=olad", "--clear-groups"]);
        }
        command.arg("olad").arg("-c").arg(self.folder.path());
        command.args(["-p", &self.http.to_string(), "-r", &self.rpc.to_string()]);
        command.args(["--no-register-with-dns-sd", "--no-http-quit", "-l", "1"]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

impl Olad {
    /// Starts one with its only port patched to a universe, or to none.
    pub async fn start(patched: Option<u32>) -> Self {
        OladHome::new(patched).start().await
    }

    /// Its address for frames.
    pub fn url(&self) -> String {
        self.home.url()
    }

    /// Patches its only port to a universe, as a person does on its web page.
    pub async fn patch(&self, universe: u32) {
        let form = format!("id={universe}&name=test&add_ports=1-O-0");
        let request = self.web().request(reqwest::Method::POST, "/new_universe").body(form);
        let answer = self.web().send(request.header("content-type", "application/x-www-form-urlencoded")).await;
        assert_eq!(answer.json()["ok"], true, "{answer:?}");
    }

    /// What a universe shows; nothing if it is unknown or was never sent anything.
    pub async fn levels(&self, universe: u32) -> Vec<u64> {
        let answer = self.web().get(&format!("/get_dmx?u={universe}")).await.json();
        let levels = answer["dmx"].as_array().expect("a list of levels");
        levels.iter().map(|level| level.as_u64().expect("a level")).collect()
    }

    /// Waits until a universe shows exactly this light: 512 channels, dark above the lamp.
    pub async fn wait_light(&self, universe: u32, rgb: [u8; 3]) {
        eventually(&format!("{rgb:?} in OLA's universe {universe}"), async || {
            (self.levels(universe).await == light(rgb)).then_some(())
        })
        .await;
    }

    /// kill -9.
    pub async fn kill9(mut self) -> OladHome {
        self.child.kill().await.unwrap();
        self.home
    }

    fn web(&self) -> Web {
        Web::new(SocketAddr::from((Ipv4Addr::LOCALHOST, self.home.http)))
    }
}

/// A whole universe with this lamp in it.
pub fn light(rgb: [u8; 3]) -> Vec<u64> {
    let mut levels: Vec<u64> = rgb.map(u64::from).into();
    levels.resize(512, 0);
    levels
}
