//! The configuration as an operator meets it: the real binary, its messages word for word, its exit codes.
//!
//! Each case in tests/golden/config is `<name>.toml`, `<name>.env` or both, and `<name>.txt`: the expected stderr.
//! After a deliberate change `UPDATE_GOLDEN=1 cargo test --test it config` rewrites the texts.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config")
}

/// `dmxd` in `folder`, without any of our variables set.
fn dmxd(folder: &Path, args: &[&str], variables: &str) -> Output {
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    Command::new(env!("CARGO_BIN_EXE_dmxd"))
        .current_dir(folder)
        .env_clear()
        .envs(variables)
        .args(args)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// What is wrong with one case, if anything.
fn difference(name: &str) -> Option<String> {
    let (file, text) = (format!("{name}.toml"), golden().join(format!("{name}.txt")));
    let variables = fs::read_to_string(golden().join(format!("{name}.env"))).unwrap_or_default();
    let args: &[&str] = if golden().join(&file).exists() { &["--check", "--config", &file] } else { &["--check"] };
    let output = dmxd(&golden(), args, &variables);
    let (stdout, stderr) = said(&output);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&text, &stderr).unwrap();
    }
    let expected = fs::read_to_string(&text).unwrap_or_default();
    let right = stderr == expected && stdout.is_empty() && output.status.code() == Some(2);
    (!right).then(|| format!("{name}: {}\nexpected:\n{expected}\nfound:\n{stdout}{stderr}", output.status))
}

#[test]
fn each_wrong_configuration_ends_the_start_with_its_message() {
    let files = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<_> =
        files.filter_map(|file| file.file_stem().and_then(OsStr::to_str).map(str::to_owned)).collect();
    assert!(names.len() >= 20, "{names:?}");
    let differences: Vec<_> = names.iter().filter_map(|name| difference(name)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn no_message_shows_a_secret() {
    for file in fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension() == Some(OsStr::new("txt")) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains("geheim") && !text.contains("secret-without"), "{}", file.display());
        }
    }
}

#[test]
fn a_file_on_the_command_line_that_is_not_there_is_a_fault() {
    let output = dmxd(&golden(), &["--check", "--config", "no-such-file.toml"], "");
    let told = "dmxd: 1 fault in the configuration, nothing was started:\n  \
                --config: no-such-file.toml: there is no such file; name one that is there, or none\n";
    assert_eq!(said(&output), (String::new(), told.to_owned()));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_shipped_file_and_no_file_at_all_are_valid() {
    let empty = tempfile::tempdir().unwrap();
    for folder in [Path::new(env!("CARGO_MANIFEST_DIR")), empty.path()] {
        let output = dmxd(folder, &["--check"], "");
        assert_eq!(said(&output), ("the configuration is valid\n".to_owned(), String::new()));
        assert_eq!(output.status.code(), Some(0));
    }
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "a check leaves nothing behind");
}

#[test]
fn the_file_in_the_folder_is_read_when_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("appliance.toml"), "[http]\nport = 8181\n").unwrap();
    let (printed, _) = said(&dmxd(folder.path(), &["--print-config"], ""));
    assert!(printed.contains("# appliance.toml:2 (DMX_PORT)"), "{printed}");
}

#[test]
fn files_of_the_folder_beside_it_are_laid_over_the_file_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let beside = folder.path().join("appliance.d");
    fs::create_dir(&beside).unwrap();
    fs::write(folder.path().join("appliance.toml"), "[http]\nport = 1\nmax_connections = 5\n").unwrap();
    fs::write(beside.join("50-b.toml"), "[http]\nport = 3\n").unwrap();
    fs::write(beside.join("10-a.toml"), "[http]\nport = 2\nalso_port = 80\n").unwrap();
    fs::write(beside.join("90-editor.toml~"), "not toml").unwrap();
    let (printed, _) = said(&dmxd(folder.path(), &["--print-config"], ""));
    for (line, origin) in [
        ("port = 3 ", "# appliance.d/50-b.toml:2 (DMX_PORT)"),
        ("also_port = 80 ", "# appliance.d/10-a.toml:3 (DMX_HTTP_ALSO_PORT)"),
        ("max_connections = 5 ", "# appliance.toml:3 (DMX_HTTP_MAX_CONNECTIONS)"),
    ] {
        assert!(
            printed.lines().any(|found| found.starts_with(line) && found.ends_with(origin)),
            "{line} in\n{printed}"
        );
    }
    fs::write(beside.join("60-c.toml"), "[http]\nprot = 3\n").unwrap();
    let (_, told) = said(&dmxd(folder.path(), &["--check"], ""));
    assert!(told.contains("appliance.d/60-c.toml:2: http.prot: unknown setting"), "{told}");
}

#[test]
fn what_print_config_prints_is_a_configuration_that_prints_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let variables = "DMX_PORT=0\nDMX_DATA_DIR=/var/lib/\"dmxd\"\nDMX_ALLOW_ORIGINS=[\"http://a\",\"http://b:81\"]\n\
                     DMX_MQTT_USERNAME=světlo\nDMX_MQTT_PASSWORD=geheim\nDMX_LOG_LEVEL=WARNING\nDMX_USB_VENDOR_IDS=403";
    let (first, _) = said(&dmxd(folder.path(), &["--print-config"], variables));
    assert!(!first.contains("geheim") && first.contains("# password = \"********\""), "{first}");

    fs::write(folder.path().join("printed.toml"), &first).unwrap();
    let output = dmxd(folder.path(), &["--print-config", "--config", "printed.toml"], "");
    let (second, complaints) = said(&output);
    let about_the_password = |line: &str| line.contains("mqtt.username: the login has no password");
    assert!(complaints.lines().all(about_the_password) && output.status.code() == Some(0), "{complaints}");
    let values = |printed: &str| -> Vec<String> {
        let lines =
            printed.lines().filter_map(|line| line.rsplit_once(" # ").map(|(value, _)| value.trim().to_owned()));
        lines.filter(|line| !line.contains("password")).collect()
    };
    assert!(values(&first).len() > 50, "{first}");
    assert_eq!(values(&first), values(&second));
}

#[test]
fn warnings_go_to_stderr_and_do_not_make_a_configuration_invalid() {
    let folder = tempfile::tempdir().unwrap();
    for (variables, warning) in [
        ("DMX_MQTT_PROT=1\nDMX_PORT=", "DMX_MQTT_PROT: unknown variable, not used; did you mean DMX_MQTT_PORT?"),
        (
            "DMX_INPUT_ENABLED=1",
            "DMX_INPUT_ENABLED: the input has no port, so nothing is read; name it in input.port, /dev/ttyUSB0 for example",
        ),
        ("OUTPUT_MODE=null\nDMX_OUTPUT_MODE=ola", "OUTPUT_MODE: not used; DMX_OUTPUT_MODE is set too and wins"),
    ] {
        let output = dmxd(folder.path(), &["--check"], variables);
        let (stdout, stderr) = said(&output);
        assert_eq!(stdout, "the configuration is valid\n");
        assert_eq!(stderr, format!("dmxd: warning: {warning}\n"));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_the_version_is_told() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(dmxd(folder.path(), &["--chek"], "").status.code(), Some(2));
    let (version, _) = said(&dmxd(folder.path(), &["--version"], ""));
    assert_eq!(version, concat!("dmxd ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn input_and_output_that_lead_to_one_device_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let port = |name: &str| folder.path().join(name).display().to_string();
    fs::write(port("ttyUSB0"), "").unwrap();
    std::os::unix::fs::symlink("ttyUSB0", port("by-id")).unwrap();
    let variables = |usb: &str, input: &str| {
        let (usb, input) = (port(usb), port(input));
        format!("DMX_USB_ENABLED=1\nDMX_USB_PORT={usb}\nDMX_INPUT_ENABLED=1\nDMX_INPUT_PORT={input}")
    };
    let output = dmxd(folder.path(), &["--check"], &variables("by-id", "ttyUSB0"));
    let (_, told) = said(&output);
    assert!(told.contains("usb.port and input.port lead to the same device"), "{told}");
    assert_eq!(output.status.code(), Some(0), "links move with what is plugged in, and one of the two works: {told}");
    let (_, told) = said(&dmxd(folder.path(), &["--check"], &variables("ttyUSB0", "ttyUSB1")));
    assert_eq!(told, "", "two devices");
}
