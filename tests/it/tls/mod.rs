//! The encrypted doors, by the eyes of programs that are not ours: whom the certificate is for, what its authority may do, who
//! gets in, and what happens when something is missing.

mod clocks;
mod doors;
mod files;
mod renewal;
mod strangers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;

use tokio::process::Command;

use crate::harness::{Appliance, Home, patiently};

/// An appliance with both encrypted doors.
struct Secure {
    appliance: Appliance,
    https: SocketAddr,
    mqtts: SocketAddr,
    /// A file with the authority's certificate.
    ca: PathBuf,
    _folder: tempfile::TempDir,
}

fn home() -> Home {
    Home::new().set("DMX_TLS_ENABLED", "true").set("DMX_TLS_PORT", "0").set("DMX_TLS_MQTT_PORT", "0")
}

impl Secure {
    async fn start(home: Home) -> Self {
        Self::of(home.start().await).await
    }

    async fn of(appliance: Appliance) -> Self {
        let (https, mqtts) = (appliance.door("https").await, appliance.door("mqtts").await);
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.crt");
        let certificate = appliance.web().get("/trust/ca.crt").await;
        assert_eq!(certificate.status, 200, "{certificate:?}");
        std::fs::write(&ca, certificate.text).unwrap();
        Self { appliance, https, mqtts, ca, _folder: folder }
    }

    fn ca(&self) -> &str {
        self.ca.to_str().unwrap()
    }

    /// What `curl` says to a path by a name.
    async fn curl(&self, host: &str, path: &str, more: &[&str]) -> Output {
        let resolve = format!("{host}:{}:127.0.0.1", self.https.port());
        let url = format!("https://{host}:{}{path}", self.https.port());
        let mut arguments = vec!["-sS", "--max-time", "20", "--cacert", self.ca(), "--resolve", &resolve];
        arguments.extend(more);
        arguments.push(&url);
        run("curl", &arguments).await
    }

    /// The certificate that a new connection gets, as `openssl` describes it.
    async fn leaf(&self) -> String {
        describe(&self.handshake("-showcerts").await)
    }

    /// What `openssl s_client` says of https.
    async fn handshake(&self, more: &str) -> String {
        let script = format!("openssl s_client -connect {} -CAfile {} {more} </dev/null 2>&1", self.https, self.ca());
        text(&run("sh", &["-c", &script]).await.stdout)
    }
}

async fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    patiently(program, command.output()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first certificate in a text, as `openssl` describes it.
fn describe(pem: &str) -> String {
    let from = pem.find("-----BEGIN CERTIFICATE").unwrap_or_else(|| panic!("a certificate in {pem}"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cert.pem");
    std::fs::write(&file, &pem[from..]).unwrap();
    let output = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-text", "-fingerprint", "-sha256", "-dates", "-dateopt", "iso_8601", "-in"])
        .arg(&file)
        .output()
        .unwrap();
    text(&output.stdout)
}

/// The value behind a heading of `openssl`'s: the next line.
fn under<'a>(description: &'a str, heading: &str) -> &'a str {
    let mut lines = description.lines().skip_while(|line| !line.contains(heading)).skip(1);
    lines.next().unwrap_or_else(|| panic!("{heading} in {description}")).trim()
}
