//! What to do about the file on the boot partition, given what was kept of earlier ones. Pure: texts in, texts out.

use std::path::Path;

use super::lock::Lock;
use super::render::{self, Written};
use super::report::{Kind, Note};
use super::trust::Encrypted;
use crate::config::{self, ConfigError, Edition, IMPORTED, Piece, Prepared};

/// The file that people edit.
pub(super) const FILE: &str = "dmxd.toml";

/// What was found.
#[derive(Default)]
pub(super) struct Inputs<'a> {
    /// The file on the boot partition, or why it cannot be read; with its name.
    pub(super) file: Option<Result<&'a str, String>>,
    /// The last good one, with its secrets.
    pub(super) kept: Option<&'a str>,
}

/// What to do.
#[derive(Default)]
pub(super) struct Plan {
    /// What to keep as the last good one, secrets included; nothing if the kept one stays.
    pub(super) keep: Option<String>,
    /// The file without its secrets, to be written once the kept one is on the medium.
    pub(super) file: Option<String>,
    /// Files below /etc.
    pub(super) etc: Vec<Written>,
    /// What people should know, the worst first.
    pub(super) notes: Vec<Note>,
    /// For `dmxd-status.txt`.
    pub(super) status: String,
    /// The host name, if one is set.
    pub(super) host: Option<String>,
    /// What it says of the lock.
    pub(super) lock: Option<Lock>,
    /// What the status says of encrypted doors.
    pub(super) encrypted: Option<Encrypted>,
}

/// Decides. `check` checks a text, under the given path, against everything else that is in force.
pub(super) fn plan(found: &Inputs<'_>, check: impl Fn(&Path, &str, Edition) -> Result<Prepared, ConfigError>) -> Plan {
    let mut plan = Plan::default();
    match &found.file {
        Some(Ok(text)) => {
            let (whole, lost) = with_secrets(text, found.kept.unwrap_or_default());
            match check(Path::new(FILE), &whole, Edition::New) {
                Ok(prepared) => {
                    plan.notes.extend(lost.iter().map(|key| Note::setup(lost_secret(key))));
                    // weak keys are a problem of their own
                    let told = prepared.loaded.warnings.iter().filter(|warning| !warning.is_of_a_weak_key());
                    plan.notes.extend(told.map(Note::setup));
                    plan.file = without_secrets(text);
                    plan.put_in_force(&whole, &prepared, &lost);
                    plan.keep = (found.kept != Some(whole.as_str())).then_some(whole);
                    plan.status = "The settings of dmxd.toml are in force.\n".to_owned();
                    plan.finish();
                    return plan;
                }
                Err(faults) => plan.notes.extend(faults.faults.iter().map(Note::setup)),
            }
        }
        Some(Err(why)) => plan.notes.push(Note::setup(why)),
        None => {}
    }
    let kept = found.kept.map(|text| (text, check(Path::new("the last good dmxd.toml"), text, Edition::Accepted)));
    plan.status = match &kept {
        Some((text, Ok(prepared))) => {
            plan.put_in_force(text, prepared, &[]);
            "The last good settings are in force.\n".to_owned()
        }
        Some((_, Err(faults))) => {
            plan.notes.extend(faults.faults.iter().map(Note::setup));
            plan.put_nothing_in_force()
        }
        None => plan.put_nothing_in_force(),
    };
    plan.finish();
    plan
}

impl Plan {
    fn put_in_force(&mut self, text: &str, prepared: &Prepared, lost: &[&str]) {
        let mut machine = prepared.machine.clone();
        if lost.contains(&"wifi.key") {
            machine.wifi.name = config::Ssid::default(); // never an open network of the same name
        }
        self.etc = render::all(&config::appliance_part(text), &machine);
        self.encrypted = Encrypted::of(&prepared.loaded.config);
        self.lock = Some(Lock::of(&prepared.loaded.config));
        self.host = Some(machine.host.name).filter(|name| !name.is_empty());
    }

    fn put_nothing_in_force(&mut self) -> String {
        self.etc = render::all("", &config::Machine::default());
        "The built-in settings are in force.\n".to_owned()
    }

    fn finish(&mut self) {
        if self.notes.is_empty() {
            self.status += "Nothing is wrong.\n";
        } else {
            self.status += "\nWhat is wrong:\n";
            for note in &self.notes {
                self.status += &format!("- {}\n", note.message);
            }
        }
    }

    /// Adds what was found while carrying out the plan.
    pub(super) fn add(&mut self, kind: Kind, message: String) {
        self.status = self.status.replace("Nothing is wrong.\n", "\nWhat is wrong:\n");
        self.status += &format!("- {message}\n");
        self.notes.push(Note { code: kind, message });
    }
}

fn lost_secret(key: &str) -> String {
    format!("{FILE}: {key}: {IMPORTED} stands for what the appliance had, which is gone; write it anew")
}

/// The text with the kept secrets in place of those that were imported, and the keys of secrets that are gone.
fn with_secrets(text: &str, kept: &str) -> (String, Vec<&'static str>) {
    let had = config::pieces(kept);
    let mut lost = Vec::new();
    let whole = replaced(text, |piece| {
        if !piece.is_imported {
            return None;
        }
        let known = had.iter().find(|had| had.key == piece.key && !had.is_imported && !had.is_empty);
        let value = known.and_then(|known| kept.get(known.span.clone()));
        if value.is_none() {
            lost.push(piece.key);
        }
        Some(value.unwrap_or("\"\"").to_owned())
    });
    (whole.unwrap_or_else(|| text.to_owned()), lost)
}

/// The text with a placeholder for each secret; nothing if there is none.
fn without_secrets(text: &str) -> Option<String> {
    replaced(text, |piece| {
        let goes = piece.is_secret && !piece.is_imported && !piece.is_empty;
        goes.then(|| format!("\"{IMPORTED}\""))
    })
}

/// The text with other values in some places; nothing if there are no such places.
fn replaced(text: &str, mut by: impl FnMut(&Piece) -> Option<String>) -> Option<String> {
    let changes: Vec<_> =
        config::pieces(text).into_iter().filter_map(|piece| by(&piece).map(|value| (piece.span, value))).collect();
    let mut out = text.to_owned();
    for (span, value) in changes.iter().rev() {
        if out.get(span.clone()).is_some() {
            out.replace_range(span.clone(), value);
        }
    }
    (!changes.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(&str, &str); 0] = [];

    fn planned(file: Option<&str>, kept: Option<&str>) -> Plan {
        let found = Inputs { file: file.map(Ok), kept };
        plan(&found, |path, text, edition| {
            config::prepare(Some(Path::new("/dev/null")), "", (path, text, edition), NONE)
        })
    }

    fn etc<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
        plan.etc.iter().find(|written| written.path.ends_with(name)).and_then(|written| written.text.as_deref())
    }

    const GOOD: &str = "# Hall\r\n[wifi]\r\nname = \"Hall\" # ours\r\nkey = \"geheim 123\" # mine\r\ncountry = \"DE\"\r\n\
                        [mqtt]\r\nusername = \"lamps\"\r\npassword = '''geheim'''\r\n[auth]\r\nkeys = [\r\n  \"geheim\", # one\r\n]\r\n";

    #[test]
    fn secrets_leave_the_file_and_everything_around_them_stays() {
        let plan = planned(Some(GOOD), None);
        assert_eq!(plan.notes, [], "{}", plan.status);
        let expected = GOOD.replace("\"geheim 123\"", "\"<imported>\"").replace("'''geheim'''", "\"<imported>\"");
        let expected = expected.replace("[\r\n  \"geheim\", # one\r\n]", "\"<imported>\"");
        assert_eq!(plan.file.as_deref(), Some(expected.as_str()));
        assert_eq!(plan.keep.as_deref(), Some(GOOD));
        assert!(!plan.status.contains("geheim"));
    }

    #[test]
    fn what_was_imported_is_the_same_at_each_further_start() {
        let first = planned(Some(GOOD), None);
        let (file, kept) = (first.file.clone().unwrap(), first.keep.clone().unwrap());
        let second = planned(Some(&file), Some(&kept));
        assert_eq!((second.notes.as_slice(), second.file.as_deref()), (&[][..], None));
        assert_eq!(second.etc, first.etc);
        let kept = second.keep.unwrap_or(kept);
        let third = planned(Some(&file), Some(&kept));
        assert_eq!((third.keep, third.file), (None, None), "nothing is written any more");
    }

    #[test]
    fn another_text_replaces_a_secret_and_none_forgets_it() {
        let first = planned(Some(GOOD), None);
        let (file, kept) = (first.file.unwrap(), first.keep.unwrap());
        let other = file.replace("name = \"Hall\"", "name = \"Foyer\"").replacen("<imported>", "another one", 1);
        let plan = planned(Some(&other), Some(&kept));
        assert!(etc(&plan, "wlan0.conf").unwrap().contains("psk=\"another one\""));
        assert!(etc(&plan, "50-setup.toml").unwrap().contains("geheim"), "the others are kept");
        let none = file.replace("password = \"<imported>\"\r\n", "");
        let plan = planned(Some(&none), Some(&kept));
        assert!(!etc(&plan, "50-setup.toml").unwrap().contains("password"));
    }

    #[test]
    fn a_faulty_file_leaves_the_last_good_one_in_force_and_keeps_its_text() {
        let kept = planned(Some(GOOD), None);
        for (wrong, about) in [
            ("[wifi]\nname = 7\n", "dmxd.toml:2: wifi.name: "),
            ("[wlan]\nname = \"x\"\n", "dmxd.toml:1: wlan: unknown section"),
            ("[mqtt]\n\nprot = 1\n", "dmxd.toml:3: mqtt.prot: unknown setting; did you mean mqtt.port?"),
            (
                "[wifi]\nname = \"x\"\nkey = \"kurz\"\ncountry = \"DE\"\n",
                "dmxd.toml:3: wifi.key: the value (not shown)",
            ),
            ("[network]\naddress = \"10.0.0.1\"\n", "dmxd.toml:2: network.address: "),
            ("[ssh]\nenabled = true\n", "dmxd.toml:2: ssh.enabled: "),
            ("[owner]\npin = \"12345\"\n", "dmxd.toml:2: owner.pin: "),
            ("hello", "dmxd.toml:1: "),
        ] {
            let plan = planned(Some(wrong), Some(GOOD));
            assert!(plan.notes.iter().any(|note| note.message.starts_with(about)), "{wrong}: {:?}", plan.notes);
            assert_eq!((plan.keep, plan.file), (None, None), "{wrong}");
            assert_eq!(plan.etc, kept.etc, "{wrong}");
            assert!(plan.status.contains("last good") && plan.status.contains(about), "{}", plan.status);
            assert!(!plan.status.contains("geheim") && !plan.status.contains("kurz"));
        }
    }

    #[test]
    fn what_was_accepted_when_less_was_asked_stays_in_force() {
        let old = "[network]\naddress = \"10.0.0.5/8\"\ngateway = \"11.0.0.1\"\n";
        let plan = planned(Some(old), Some(old));
        assert!(plan.notes.iter().any(|note| note.message.starts_with("dmxd.toml:3: network.gateway: ")));
        assert!(plan.status.contains("last good"), "{}", plan.status);
        assert!(etc(&plan, "wired.network").unwrap().contains("Address=10.0.0.5/8"), "lamps know it by that");
        assert!(planned(Some(old), None).status.starts_with("The built-in settings"));
    }

    #[test]
    fn without_a_file_the_last_good_one_stays_and_without_both_the_defaults() {
        assert_eq!(planned(None, Some(GOOD)).etc, planned(Some(GOOD), None).etc);
        let nothing = planned(None, None);
        assert!(nothing.notes.is_empty() && nothing.etc.iter().all(|written| written.text.is_none()));
        let lost = planned(Some("[http]\nprot = 1"), None);
        assert!(lost.status.starts_with("The built-in settings"), "{}", lost.status);
    }

    #[test]
    fn a_secret_that_is_gone_is_told_and_its_network_not_joined_without_a_key() {
        let file = planned(Some(GOOD), None).file.unwrap() + "[network]\r\naddress = \"10.0.0.5/8\"\r\n";
        let plan = planned(Some(&file), None);
        assert_eq!(plan.notes.len(), 3, "{:?}", plan.notes);
        assert_eq!(etc(&plan, "wlan0.conf"), None);
        assert!(etc(&plan, "wired.network").unwrap().contains("Address=10.0.0.5/8"), "the rest is in force");
    }

    #[test]
    fn a_mark_of_order_at_the_beginning_does_no_harm() {
        let with_mark = format!("\u{feff}{GOOD}");
        let plan = planned(Some(&with_mark), None);
        let file = plan.file.unwrap();
        assert!(
            file.starts_with("\u{feff}# Hall\r\n")
                && !file.contains("geheim")
                && file.contains("key = \"<imported>\" # mine")
        );
    }

    #[test]
    fn the_file_of_a_fresh_image_is_good_and_changes_nothing() {
        let plan = planned(Some(&config::machine_template()), None);
        assert_eq!((plan.notes.as_slice(), plan.file.as_deref()), (&[][..], None));
        assert!(plan.etc.iter().all(|written| written.text.is_none()), "{:?}", plan.etc);
    }

    /// `UPDATE_GOLDEN=1` writes it anew.
    #[test]
    fn the_file_of_a_fresh_image_is_in_the_repository() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/image/dmxd.toml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, config::machine_template()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), config::machine_template());
    }
}
