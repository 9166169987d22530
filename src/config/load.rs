//! Reads the configuration: built-in defaults, the file over them, variables over both, then the checks.
//!
//! It does not stop at the first fault: an operator gets all of them at once.

use std::ffi::OsString;
use std::path::{self, Path, PathBuf};

use super::diagnostic::{ConfigError, Diagnostic};
use super::draft::{Draft, Origins};
use super::variables::Variables;
use super::{Config, check, file, secrets};

/// A configuration that can run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings in force.
    pub config: Config,
    /// What is odd about them, for stderr and the log.
    pub warnings: Vec<Diagnostic>,
    /// Where each setting that is not a built-in default comes from, by key (`mqtt.port`).
    pub origins: Origins,
    /// The file of settings, whether it is there or not.
    pub file: PathBuf,
}

/// Loads the file `named` on the command line, else the one in `DMX_CONFIG`, else `appliance.toml` when there is one;
/// and our part of `variables`.
///
/// # Errors
/// All faults of the file and the variables.
pub fn load<K: Into<OsString>, V: Into<OsString>>(
    named: Option<&Path>,
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<Loaded, ConfigError> {
    let variables = Variables::ours(variables);
    let mut draft = Draft::default();
    let file = file::named(named, variables.file()).0;
    let file = path::absolute(file).unwrap_or_else(|_| file.to_owned()); // Err: the working folder was deleted
    match file::find(named, variables.file()) {
        Ok(Some((path, text))) => {
            file::read(&mut draft, &path, &text);
            drop_ins(&mut draft, &path, None);
        }
        Ok(None) => {}
        Err(fault) => draft.faults.push(fault),
    }
    variables.read(&mut draft);
    secrets::read(&mut draft, &variables);
    finish(draft).map(|loaded| Loaded { file, ..loaded })
}

/// The same without a disk, so without secrets from files: `text` is the content of appliance.toml. Never panics (fuzzed).
///
/// # Errors
/// All faults of the text and the variables.
pub fn parse<K: Into<OsString>, V: Into<OsString>>(
    text: &str,
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<Loaded, ConfigError> {
    let mut draft = Draft::default();
    file::read(&mut draft, Path::new(file::DEFAULT), text);
    Variables::ours(variables).read(&mut draft);
    finish(draft)
}

/// Lays the files beside `path` over the draft in the order of their names, without `left_out`.
pub(crate) fn drop_ins(draft: &mut Draft, path: &Path, left_out: Option<&str>) {
    let files = match file::drop_ins(path) {
        Ok(files) => files,
        Err(fault) => return draft.faults.push(fault),
    };
    for file in files.into_iter().filter(|file| left_out.is_none_or(|name| !file.ends_with(name))) {
        match file::text(&file, "") {
            Ok(Some(text)) => file::read(draft, &file, &text),
            Ok(None) => {} // removed since it was listed
            Err(fault) => draft.faults.push(fault),
        }
    }
}

pub(crate) fn finish(mut draft: Draft) -> Result<Loaded, ConfigError> {
    check::check(&mut draft);
    let Draft { config, origins, faults, warnings, unclear: _ } = draft;
    if faults.is_empty() {
        Ok(Loaded { config, warnings, origins, file: file::DEFAULT.into() })
    } else {
        Err(ConfigError { faults, warnings })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use proptest::prelude::*;

    use super::super::Origin;
    use super::super::table::settings;
    use super::*;

    /// The predecessor's table "Configuration", without its two folders, whose defaults the contract moved; of origins it
    /// allowed any.
    const PREDECESSOR: [(&str, &str); 34] = [
        ("DMX_MQTT_HOST", "localhost"),
        ("DMX_MQTT_PORT", "1883"),
        ("DMX_QUEUE_SIZE", "10000"),
        ("DMX_CMD_DEDUPE_TTL_SECONDS", "900"),
        ("DMX_CMD_DEDUPE_CAPACITY", "4096"),
        ("DMX_ALLOW_ORIGINS", "local"),
        ("DMX_OLA_ENABLED", "false"),
        ("DMX_OLA_URL", "http://localhost:9090/set_dmx"),
        ("DMX_OLA_UNIVERSE", "1"),
        ("DMX_OLA_FPS", "44"),
        ("DMX_USB_ENABLED", "false"),
        ("DMX_USB_PORT", ""),
        ("DMX_USB_VENDOR_IDS", "0x0403"),
        ("DMX_USB_PRODUCT_IDS", "0x6001,0x6010,0x0400"),
        ("DMX_USB_BAUDRATE", "57600"),
        ("DMX_USB_FPS", "40"),
        ("DMX_USB_SCAN_INTERVAL", "5"),
        ("DMX_INPUT_ENABLED", "false"),
        ("DMX_INPUT_PORT", ""),
        ("DMX_INPUT_BAUDRATE", "115200"),
        ("DMX_INPUT_CHANNELS", "3"),
        ("DMX_INPUT_UNIVERSE", "0"),
        ("DMX_INPUT_SRC", "dmx-input"),
        ("DMX_PROJECTS_ENABLED", "false"),
        ("DMX_CLOUD_BACKUP_ENABLED", "false"),
        ("DMX_CLOUD_BACKUP_PROVIDER", "local"),
        ("DMX_CLOUD_BACKUP_ENCRYPTION_KEY", ""),
        ("DMX_CLOUD_BACKUP_AUTO_INTERVAL", "0"),
        ("DMX_CLOUD_BACKUP_S3_BUCKET", ""),
        ("DMX_CLOUD_BACKUP_S3_PREFIX", "dmx-controller/backups"),
        ("DMX_CLOUD_BACKUP_S3_REGION", ""),
        ("DMX_CLOUD_BACKUP_S3_ACCESS_KEY", ""),
        ("DMX_CLOUD_BACKUP_S3_SECRET_KEY", ""),
        ("DMX_CLOUD_BACKUP_S3_SESSION_TOKEN", ""),
    ];

    fn read(text: &str, variables: &[(&str, &str)]) -> Loaded {
        parse(text, variables.iter().copied()).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let faults = parse(text, variables.iter().copied()).err().map(|faults| faults.faults);
        faults.unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_variable_of_the_predecessor_keeps_its_name_and_default() {
        for (name, default) in PREDECESSOR {
            let loaded = read("", &[(name, default)]);
            assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
            assert!(loaded.config == Config::default(), "{name} is no longer {default} by default");
            assert!(settings().any(|setting| setting.variables.last() == Some(&name)), "{name} belongs to no setting");
        }
    }

    #[test]
    fn a_variable_wins_over_the_file_and_the_file_over_the_default() {
        let loaded = read("[mqtt]\nport = 2000\nmax_pending = 7", &[("DMX_MQTT_PORT", "3000")]);
        assert_eq!(loaded.config.mqtt.port, 3000);
        assert_eq!(loaded.config.mqtt.max_pending, 7);
        assert_eq!(loaded.config.http.port, 8080);
        assert_eq!(loaded.origins.get("mqtt.port"), Some(&Origin::Variable("DMX_MQTT_PORT")));
        assert_eq!(loaded.origins.get("mqtt.max_pending"), Some(&Origin::File("appliance.toml".into(), 3)));
        assert_eq!(loaded.origins.get("http.port"), None);
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        assert_eq!(read("[http]\nport = 81", &[("DMX_PORT", "")]).config.http.port, 81);
    }

    #[test]
    fn an_unknown_variable_is_a_warning_with_a_suggestion() {
        let unknown = ["DMX_MQTT_PROT", "DMX_HTTP_PORT", "dmx_port", "DMX_X", "PORT"].map(|name| (name, "1"));
        let loaded = read("", &unknown);
        assert!(loaded.config == Config::default());
        let warnings: Vec<_> = loaded.warnings.iter().map(|w| (w.about.as_str(), w.right.as_str())).collect();
        let expected = [
            ("DMX_HTTP_PORT", "did you mean DMX_PORT?"),
            ("DMX_MQTT_PROT", "did you mean DMX_MQTT_PORT?"),
            ("DMX_X", "dmxd --print-config names all of them"),
            ("dmx_port", "did you mean DMX_PORT?"),
        ];
        assert_eq!(warnings, expected);
    }

    #[test]
    fn settings_that_went_are_a_warning_wherever_they_stand() {
        let loaded = read("[mqtt]\nmax_topics = 7\nmax_filters = \"x\"", &[("DMX_MQTT_MAX_TOPICS", "none")]);
        assert!(loaded.config == Config::default() && loaded.origins.is_empty());
        let about: Vec<_> = loaded.warnings.iter().map(|warning| warning.about.as_str()).collect();
        let lines = ["appliance.toml:2: mqtt.max_topics", "appliance.toml:3: mqtt.max_filters", "DMX_MQTT_MAX_TOPICS"];
        assert_eq!(about.iter().collect::<BTreeSet<_>>(), lines.iter().collect());
        assert!(loaded.warnings.iter().all(|warning| warning.wrong.contains("no longer")), "{:?}", loaded.warnings);
        assert_eq!(faults("[http]\nmax_topics = 7", &[]).len(), 1, "only where they stood");
    }

    #[test]
    fn both_names_of_the_output_mode_are_taken() {
        for name in ["OUTPUT_MODE", "DMX_OUTPUT_MODE"] {
            let taken = read("", &[(name, "Enttec")]);
            assert_eq!(taken.config.output.mode, super::super::OutputMode::Enttec);
            assert!(taken.warnings.is_empty());
        }
        assert_eq!(read("", &[("OUTPUT_MODE", "ola"), ("DMX_OUTPUT_MODE", "null")]).warnings.len(), 1);
    }

    /// Names that its code read although its table has others.
    #[test]
    fn the_other_names_of_the_predecessor_are_taken_too() {
        let loaded = read(
            "",
            &[
                ("DMX_CLOUD_BACKUP_AUTO_INTERVAL_MINUTES", "30"),
                ("DMX_USB_SCAN_INTERVAL_SEC", "9"),
                ("DMX_DMX_INPUT_ENABLED", "true"),
                ("DMX_DMX_INPUT_PORT", "/dev/ttyUSB7"),
                ("DMX_DMX_INPUT_BAUDRATE", "9600"),
                ("DMX_DMX_INPUT_CHANNELS", "2"),
                ("DMX_DMX_INPUT_UNIVERSE", "4"),
                ("DMX_DMX_INPUT_SRC", "console"),
            ],
        );
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let Config { input, backup, usb, .. } = loaded.config;
        assert_eq!((backup.auto_interval_minutes, usb.scan_interval_seconds), (30, 9));
        assert_eq!((input.enabled, input.port.as_str(), input.src.as_str()), (true, "/dev/ttyUSB7", "console"));
        assert_eq!((input.baudrate, input.channels, input.universe), (9600, 2, 4));
        // the name of the table wins, with a warning
        let both = read("", &[("DMX_USB_SCAN_INTERVAL", "7"), ("DMX_USB_SCAN_INTERVAL_SEC", "9")]);
        assert_eq!((both.config.usb.scan_interval_seconds, both.warnings.len()), (7, 1));
    }

    #[test]
    fn more_input_channels_than_three_count_as_three() {
        assert_eq!(read("[input]\nchannels = 512", &[]).config.input.channels, 3);
        assert_eq!(read("", &[("DMX_INPUT_CHANNELS", "2")]).config.input.channels, 2);
    }

    #[test]
    fn an_input_without_a_port_is_a_warning() {
        assert_eq!(read("[input]\nenabled = true", &[]).warnings.len(), 1);
    }

    #[test]
    fn a_fault_in_one_setting_draws_no_conclusions_in_another() {
        let told = faults("[mqtt]\nusername = 7\npassword = \"x\"", &[]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told.iter().all(|fault| fault.starts_with("appliance.toml:2: mqtt.username: ")), "{told:?}");
    }

    #[test]
    fn the_file_is_the_named_one_then_the_variables_one() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        fs::write(&a, "[http]\nport = 1").unwrap();
        fs::write(&b, "[http]\nport = 2").unwrap();
        let variables = [("DMX_CONFIG", b.as_os_str())];
        assert_eq!(load(Some(&a), variables).unwrap().config.http.port, 1);
        assert_eq!(load(None, variables).unwrap().config.http.port, 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_fault_beside_those_of_the_variables() {
        let folder = tempfile::tempdir().unwrap();
        let not_text = folder.path().join("not-text.toml");
        fs::write(&not_text, b"[http]\n\xff").unwrap();
        for path in [&folder.path().join("none.toml"), folder.path(), &not_text, Path::new("/dev/zero")] {
            let told = load(Some(path), [("DMX_PORT", "x")]).unwrap_err();
            assert_eq!(told.faults.len(), 2, "{told}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf8_is_a_fault() {
        use std::os::unix::ffi::OsStringExt;
        let told = parse("", [("DMX_DATA_DIR", OsString::from_vec(vec![0xff]))]).unwrap_err();
        assert_eq!(told.faults.first().map(|fault| fault.about.as_str()), Some("DMX_DATA_DIR"));
    }

    /// Texts that look like a file of ours, most of them a little wrong.
    fn almost_toml() -> impl Strategy<Value = String> {
        let keys: Vec<_> = settings().map(|setting| setting.name()).chain(["", r#""\n""#, "a.b"]).collect();
        let values =
            ["1", "-0x1", "1.5e9", "true", r#""é\u0000""#, "[[]]", "'''", "{a=1}", "1979-05-27", "nan", "\"", "["];
        let heads = ["[http]", "[mqtt]", "[[auth]]", "[usb", "[x]", "\u{feff}[log]"];
        let pair = (prop::sample::select(keys), prop::sample::select(values.to_vec()));
        let line = prop_oneof![
            pair.prop_map(|(key, value)| format!("{key} = {value}")),
            prop::sample::select(heads.to_vec()).prop_map(str::to_owned),
            ".*",
        ];
        prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #[test]
        fn no_file_and_no_variable_makes_it_panic(text in almost_toml(), value in ".*", at in 0..settings().count()) {
            let name = settings().nth(at).and_then(|setting| setting.variables.first()).unwrap();
            if let Err(told) = parse(&text, [(*name, value)]) {
                prop_assert!(told.faults.iter().all(|fault| !fault.to_string().contains('\n')), "{told}");
            }
        }
    }
}
