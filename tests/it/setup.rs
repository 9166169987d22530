//! `dmxd setup`: the real binary between a boot partition, a data partition and an /etc, all of them RAM disks of a mount
//! name space of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Home, command};

/// A machine with a card.
struct Card {
    folder: TempDir,
}

const GOOD: &str = "# The hall\r\n[host]\r\nname = \"hall\"\r\n[wifi]\r\nname = \"Hall\"\r\nkey = \"geheim 123\" # of the hall\r\n\
                    country = \"DE\"\r\n[mqtt]\r\nusername = \"lamps\"\r\npassword = \"geheim\"\r\n";

impl Card {
    fn new() -> Self {
        let card = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["boot", "data", "etc/dmxd/appliance.d", "kept"] {
            fs::create_dir_all(card.path(name)).unwrap();
        }
        fs::write(card.path("etc/dmxd/appliance.toml"), "[http]\nport = 8181\n").unwrap();
        card
    }

    fn with(self, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path("boot/dmxd.toml"), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// One start: both partitions are mounted, the boot one read-only; afterwards they are what they were before.
    fn start(&self) -> Vec<(String, String)> {
        self.start_by(
            "mkdir b; cp -a boot/. b/; mount -t tmpfs b boot; cp -a b/. boot/; mount -o remount,ro boot
             mount -t tmpfs d data; cp -a kept/. data/",
            "cp -a data/. kept/; touch boot/x 2>x && exit 9; cp -a boot/. b/; umount boot; cp -a b/. boot/; rm -r b",
        )
    }

    /// A start without a data partition.
    fn start_without_data(&self) -> Vec<(String, String)> {
        self.start_by("", "")
    }

    /// Code and message of each problem that the start reports.
    fn start_by(&self, before: &str, after: &str) -> Vec<(String, String)> {
        let script = format!(
            "set -e; {before}
             \"$0\" --config etc/dmxd/appliance.toml setup --boot boot --data data --etc etc --report run/report.json
             {after}"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_dmxd")]).current_dir(self.folder.path());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let notes: Vec<Value> = serde_json::from_str(&self.read("run/report.json")).unwrap();
        let text = |note: &Value, name: &str| note[name].as_str().unwrap().to_owned();
        notes.iter().map(|note| (text(note, "code"), text(note, "message"))).collect()
    }

    /// What the appliance would start with.
    fn printed(&self) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmxd"));
        command.env_clear().args(["--print-config", "--config"]).arg(self.path("etc/dmxd/appliance.toml"));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_card_shows_the_fingerprint_that_the_appliance_will_have() {
    let card = Card::new().with("[host]\nname = \"hall\"\n[tls]\nenabled = true\n");
    let data = card.path("dmxd-data");
    fs::write(card.path("etc/dmxd/appliance.toml"), format!("[storage]\ndata_dir = {data:?}\n")).unwrap();
    assert_eq!(card.start(), []);
    let status = card.read("boot/dmxd-status.txt");
    assert!(status.contains("https://hall.local:8443/") && status.contains("from the next one"), "{status}");
    assert!(!data.exists(), "made by root, it would be closed to the appliance");
    fs::create_dir(&data).unwrap();
    assert_eq!(card.start(), []);
    let status = card.read("boot/dmxd-status.txt");
    let made = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(data.join("tls/authority.pem"))
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let fingerprint = made.trim().split_once('=').unwrap().1;
    assert!(status.contains(fingerprint) && status.contains("dmxd hall "), "{status}");
    assert!(!status.contains("PRIVATE"), "{status}");
    card.start();
    assert_eq!(card.read("boot/dmxd-status.txt"), status, "the same at each further start");
}

/// The owner's way: the card says that it is open and how to lock it; a PIN on the card locks it, and leaves the card.
#[test]
fn the_card_says_open_or_locked_and_an_owners_pin_leaves_it() {
    let card = Card::new().with("[host]\nname = \"hall\"\n");
    let data = card.path("dmxd-data");
    fs::create_dir(&data).unwrap();
    fs::write(card.path("etc/dmxd/appliance.toml"), format!("[storage]\ndata_dir = {data:?}\n")).unwrap();
    assert_eq!(card.start(), []);
    let status = card.read("boot/dmxd-status.txt");
    let code = fs::read_to_string(data.join("access/first-code")).unwrap();
    assert!(status.contains("Open to everyone on this network") && status.contains(&code), "{status}");
    assert_eq!(mode(&data.join("access/first-code")), 0o600);

    let card = card.with("[host]\nname = \"hall\"\n[owner]\nname = \"Anna\"\npin = \"294817\"\n");
    assert_eq!(card.start(), []);
    let status = card.read("boot/dmxd-status.txt");
    assert!(status.contains("Locked") && !status.contains("Open to everyone"), "{status}");
    assert!(card.read("boot/dmxd.toml").contains("pin = \"<imported>\"") && !status.contains("294817"));
    assert!(card.read("etc/dmxd/appliance.d/50-setup.toml").contains("294817"), "for the appliance alone");

    let card = card.with("[owner]\npin = \"12345\"\n");
    let problems = card.start();
    assert!(
        problems.iter().any(|(code, message)| code == "SETUP_FAULT" && message.contains("owner.pin")),
        "{problems:?}"
    );
}

#[test]
fn a_good_file_is_in_force_and_its_secrets_leave_the_card() {
    let card = Card::new().with(GOOD);
    assert_eq!(card.start(), []);
    let file = card.read("boot/dmxd.toml");
    assert_eq!(file, GOOD.replace("\"geheim 123\"", "\"<imported>\"").replace("\"geheim\"", "\"<imported>\""));
    assert!(card.read("boot/dmxd-status.txt").contains("Nothing is wrong"));
    assert!(!card.path("boot/dmxd.toml.new").exists());
    assert_eq!(card.read("etc/hostname"), "hall\n");
    assert!(card.read("etc/wpa_supplicant/wpa_supplicant-wlan0.conf").contains("psk=\"geheim 123\""));
    assert_eq!(mode(&card.path("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")), 0o600);
    assert_eq!(mode(&card.path("etc/dmxd/appliance.d/50-setup.toml")), 0o640);
    assert_eq!(mode(&card.path("kept/setup/dmxd.toml")), 0o600);
    let printed = card.printed();
    assert!(printed.contains("username = \"lamps\"") && printed.contains("# password = "), "{printed}");
    assert!(printed.contains("port = 8181"), "the image's own settings stay: {printed}");
    assert!(!card.read("etc/dmxd/appliance.d/50-setup.toml").contains("geheim 123"), "the Wi-Fi key is root's");
}

#[test]
fn a_second_start_on_a_fresh_etc_has_the_same_settings() {
    let card = Card::new().with(GOOD);
    card.start();
    let names = ["etc/wpa_supplicant/wpa_supplicant-wlan0.conf", "etc/dmxd/appliance.d/50-setup.toml", "etc/hostname"];
    let first = names.map(|name| card.read(name));
    for name in names {
        fs::remove_file(card.path(name)).unwrap();
    }
    assert_eq!(card.start(), []);
    assert_eq!(names.map(|name| card.read(name)), first);
}

#[test]
fn a_faulty_file_changes_nothing_and_says_where_it_is_faulty() {
    let card = Card::new().with(GOOD);
    card.start();
    let before = card.printed();
    for (wrong, about) in [
        (&b"[mqtt]\nprot = 1\n"[..], "dmxd.toml:2: mqtt.prot: unknown setting; did you mean mqtt.port?"),
        (b"[http]\nport = 1883\n", "dmxd.toml:2: http.port: mqtt.port and http.port are the same"),
        (b"[wifi\n", "dmxd.toml:1: "),
        (b"\xff\xfe[\0w\0", "dmxd.toml:1: not TOML"),
        (b"[\0w\0", "dmxd.toml:1: it is not UTF-8: there are zeros in it; save the file as UTF-8"),
        (b"\xff\xfe#\0\n\0a", "dmxd.toml:2: it is broken UTF-16; save the file as UTF-8"),
        (b"[wifi]\nname = \"B\xfchne\"\n", "dmxd.toml:2: it is not UTF-8; save the file as UTF-8"),
        (
            b"[network]\naddress = \"192.168.1.255/24\"\n",
            "dmxd.toml:2: network.address: \"192.168.1.255/24\" is the broadcast",
        ),
        (
            b"[network]\naddress = \"10.0.0.5/8\"\ngateway = \"11.0.0.1\"\n",
            "dmxd.toml:3: network.gateway: \"11.0.0.1\" is not in",
        ),
        (b"[mqtt]\nbind = \"224.0.0.1\"\n", "dmxd.toml:2: mqtt.bind: \"224.0.0.1\" stands for many"),
    ] {
        fs::write(card.path("boot/dmxd.toml"), wrong).unwrap();
        let notes = card.start();
        assert!(notes.iter().any(|(code, message)| code == "SETUP_FAULT" && message.starts_with(about)), "{notes:?}");
        let status = card.read("boot/dmxd-status.txt");
        assert!(status.contains("The last good settings are in force.\r\n") && status.contains(about), "{status}");
        assert_eq!(fs::read(card.path("boot/dmxd.toml")).unwrap(), wrong, "the file is its writer's");
        assert_eq!(card.printed(), before);
        assert_eq!(card.read("etc/hostname"), "hall\n");
    }
    fs::remove_file(card.path("boot/dmxd.toml")).unwrap();
    assert_eq!(card.start(), [], "no file at all is no fault");
    assert_eq!(card.printed(), before);
}

#[test]
fn a_file_in_what_windows_calls_unicode_is_read_and_loses_its_secrets() {
    let marked = format!("\u{feff}{}", GOOD.replace("\"Hall\"", "\"Bühne\""));
    for unit in [u16::to_le_bytes, u16::to_be_bytes] {
        let card = Card::new().with(marked.encode_utf16().flat_map(unit).collect::<Vec<_>>());
        assert_eq!(card.start(), []);
        let expected = marked.replace("\"geheim 123\"", "\"<imported>\"").replace("\"geheim\"", "\"<imported>\"");
        assert_eq!(card.read("boot/dmxd.toml"), expected, "in UTF-8, with its mark");
        let ssid = "Bühne".bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(card.read("etc/wpa_supplicant/wpa_supplicant-wlan0.conf").contains(&format!("ssid={ssid}\n")));
        assert_eq!(card.start(), [], "and a second time");
    }
}

#[test]
fn a_wifi_keeps_the_blanks_of_its_name() {
    let card = Card::new().with("[wifi]\nname = \"Stage \"\nkey = \"geheim 123 \"\ncountry = \"DE\"\n");
    assert_eq!(card.start(), []);
    let conf = card.read("etc/wpa_supplicant/wpa_supplicant-wlan0.conf");
    assert!(conf.contains("ssid=537461676520\n") && conf.contains("psk=\"geheim 123 \"\n"), "{conf}");
}

#[test]
fn a_file_that_an_editor_has_misnamed_is_noticed() {
    for name in ["dmxd.toml.txt", "DMXD.TOML.TXT", "dmxd.txt"] {
        let card = Card::new().with(GOOD);
        fs::write(card.path("boot").join(name), "[host]\nname = \"stage\"\n").unwrap();
        fs::write(card.path("boot/dmxd-notes.txt"), "mine").unwrap();
        let notes = card.start();
        let about = format!("{name}: a file of this name is not read; rename it to dmxd.toml");
        assert!(notes.len() == 1 && notes[0].0 == "SETUP_FAULT" && notes[0].1.starts_with(&about), "{notes:?}");
        let status = card.read("boot/dmxd-status.txt");
        assert!(status.contains("The settings of dmxd.toml are in force") && status.contains(&about), "{status}");
        assert_eq!(card.read("etc/hostname"), "hall\n");
    }
}

#[test]
fn without_a_data_partition_the_file_is_in_force_and_keeps_its_secrets() {
    let card = Card::new().with(GOOD);
    let notes = card.start_without_data();
    assert_eq!(notes.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["DATA_MISSING"]);
    assert_eq!(card.read("boot/dmxd.toml"), GOOD, "the appliance has nowhere to keep them");
    assert!(card.printed().contains("username = \"lamps\""));
    assert!(card.read("boot/dmxd-status.txt").contains("no data partition"));
}

#[test]
fn what_was_switched_off_again_leaves_no_file() {
    let card = Card::new().with("[ssh]\nenabled = true\nkeys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbcdefghijklmnopqrstuvwxyz0123456789ABCDEF me\"]\n[network]\naddress = \"10.0.0.5/8\"\n");
    assert_eq!(card.start(), []);
    let files = ["etc/ssh/authorized_keys", "etc/systemd/network/10-dmxd-wired.network"].map(|name| card.path(name));
    assert!(files.iter().all(|file| file.exists()));
    let card = card.with("");
    assert_eq!(card.start(), []);
    assert!(files.iter().all(|file| !file.exists()));
}

#[tokio::test]
async fn the_appliance_starts_whatever_was_found_and_readyz_tells_it() {
    let card = Card::new().with("[mqtt]\nprot = 1\n");
    card.start_without_data();
    let report = card.path("run/report.json");
    let starter = ["sh", "-c", "exec \"$1\" --setup-report \"$0\""].map(Into::into).into_iter();
    let appliance = Home::new().started_by(starter.chain([report.into_os_string()])).start().await;
    assert_eq!(appliance.web().accepted(&command([1, 2, 3])).await, 1);
    assert_eq!(appliance.web().problems().await, ["DATA_MISSING", "SETUP_FAULT"]);
    let settings = appliance.web().get("/about").await.json()["settings"].clone();
    assert_eq!(settings, serde_json::json!({ "file": "dmxd.toml", "onCard": true }));
    appliance.terminate().await;
}

#[tokio::test]
async fn an_appliance_that_is_set_up_from_a_card_says_so_even_if_the_setup_left_no_report() {
    let options = ["sh", "-c", "exec \"$0\" --setup-report /nowhere/report.json"].map(Into::into).into_iter();
    let appliance = Home::new().started_by(options).start().await;
    let settings = appliance.web().get("/about").await.json()["settings"].clone();
    assert_eq!(settings, serde_json::json!({ "file": "dmxd.toml", "onCard": true }));
    appliance.terminate().await;
}
