//! Settings as text: the shipped appliance.toml, `--print-config`, the table of docs/settings.md. Secrets are masked.

use std::fmt::{self, Write};

use super::Config;
use super::diagnostic::Origin;
use super::load::Loaded;
use super::machine::{MACHINE, Machine};
use super::table::{SECTIONS, Setting, settings};
use super::value::MASK;

/// appliance.toml as it is shipped: every setting with its default and what it does.
#[must_use]
pub fn shipped() -> String {
    let mut out = "# Settings of dmxd, each with its built-in default. The variable in brackets wins over this file.\n\
                   # An empty text stands for \"not set\". `dmxd --check` looks for faults, `dmxd --print-config` shows what is in force.\n\
                   # A secret may come from a file as well: its variable with _FILE behind it names one, or it is a systemd credential\n\
                   # with the name of the setting (LoadCredential=backup.encryption_key:/etc/dmxd/backup.key).\n\
                   # Files of the folder appliance.d beside this one (*.toml, in the order of their names) are laid over it.\n"
        .to_owned();
    let defaults = Config::default();
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n# {}\n[{}]\n", section.doc, section.name);
        for setting in section.settings {
            let _ = writeln!(out, "# {} ({})", setting.doc, setting.variables.join(" or "));
            let _ = writeln!(out, "{} = {}", setting.name(), setting.to_toml(&defaults));
        }
    }
    out
}

/// dmxd.toml as it lies on the boot partition of a fresh image: everything of the machine, commented out.
#[must_use]
pub fn machine_template() -> String {
    let mut out = "# Set-up of this appliance. Edit it on any computer, put the card back, switch on; dmxd-status.txt says how it went.\n\
                   # Take the # away in front of a line to make it count. A file with faults changes nothing.\n\
                   # Keys and passwords are taken out once the appliance has them: \"<imported>\" stands for what it has, another\n\
                   # text replaces it, an empty one (\"\") or no line at all forgets it.\n"
        .to_owned();
    let nothing = Machine::default();
    for section in MACHINE {
        let _ = write!(out, "\n# {}\n[{}]\n", section.doc, section.name);
        for setting in section.settings {
            let _ = write!(out, "# {}\n#{} = {}\n", setting.doc, setting.name(), setting.to_toml(&nothing));
        }
    }
    out + "\n# Who owns this appliance. With a PIN it is locked before the first light: only who is known may use it.\n\
           [owner]\n# Name to log in with.\n#name = \"owner\"\n\
           # PIN of 6 to 12 digits, or a password of 8 to 128 characters. Taken out of this file once it is stored; a new one is the\n\
           # way back in for who has lost every other.\n#pin = \"\"\n\
           \n# Any setting of the appliance below its section (docs/settings.md lists them), for example:\n\
           #[usb]\n#enabled = true\n#[mqtt]\n#username = \"lamps\"\n#password = \"…\"\n"
}

/// The configuration in force, each value with its origin: TOML that can be read back. Secrets are masked and, so that
/// nobody starts with a mask for a password, commented out.
#[must_use]
pub fn in_force(loaded: &Loaded) -> String {
    let mut out = format!("# Settings of dmxd {} as they are in force.\n", env!("CARGO_PKG_VERSION"));
    for section in SECTIONS {
        let _ = writeln!(out, "\n[{}]", section.name);
        let lines: Vec<_> = section.settings.iter().map(|setting| line(setting, &loaded.config)).collect();
        let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        for (setting, line) in section.settings.iter().zip(lines) {
            let _ = writeln!(out, "{line:width$} # {}", origin(setting, loaded));
        }
    }
    out
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(settings().map(|setting| (setting.key, setting.to_toml(self)))).finish()
    }
}

fn line(setting: &Setting, config: &Config) -> String {
    let value = setting.to_toml(config);
    let masked = setting.is_secret(config) && value.contains(MASK);
    format!("{}{} = {value}", if masked { "# " } else { "" }, setting.name())
}

/// Where a value comes from and, unless it is a variable, which variable would override it.
fn origin(setting: &Setting, loaded: &Loaded) -> String {
    let variables = setting.variables.join(" or ");
    match loaded.origins.get(setting.key) {
        None => format!("default ({variables})"),
        // A path may have a line break in it, a comment may not.
        Some(file @ Origin::File(..)) => format!("{file} ({variables})").replace(char::is_control, "?"),
        Some(variable @ (Origin::Variable(_) | Origin::SecretFile(_))) => variable.to_string(),
    }
}

/// The table of docs/settings.md.
#[must_use]
pub fn markdown() -> String {
    let mut out = "| Setting | Variable | Default | Meaning |\n| --- | --- | --- | --- |\n".to_owned();
    let defaults = Config::default();
    for setting in settings() {
        let variables: Vec<_> = setting.variables.iter().map(|name| format!("`{name}`")).collect();
        let (key, default, doc) = (setting.key, setting.to_toml(&defaults), setting.doc);
        let _ = writeln!(out, "| `{key}` | {} | `{default}` | {doc} |", variables.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path};

    use proptest::prelude::*;

    use super::super::{LogLevel, parse};
    use super::*;
    use crate::kit::secret::Secret;

    const NO_VARIABLES: [(&str, &str); 0] = [];

    fn printed_and_read_back(config: Config) -> Config {
        let loaded = Loaded { config, warnings: Vec::new(), origins: [].into(), file: "".into() };
        let text = in_force(&loaded);
        parse(&text, NO_VARIABLES).unwrap_or_else(|faults| panic!("{faults}\n{text}")).config
    }

    /// `UPDATE_GOLDEN=1 cargo test shipped` writes the file anew after a change of the table.
    #[test]
    fn the_shipped_file_is_the_built_in_defaults() {
        let file = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("appliance.toml");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, shipped()).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), shipped());
        let loaded = parse(&shipped(), NO_VARIABLES).unwrap();
        assert!(loaded.config == Config::default() && loaded.warnings.is_empty());
        assert_eq!(loaded.origins.len(), settings().count(), "each setting stands in the file");
    }

    /// `UPDATE_GOLDEN=1` writes the table anew.
    #[test]
    fn the_page_of_settings_has_a_row_for_each() {
        let file = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
        let page = fs::read_to_string(&file).unwrap();
        let (before, rest) = page.split_once("<!-- settings").unwrap();
        let (mark, rest) = rest.split_once("-->\n").unwrap();
        let (table, after) = rest.split_once("<!-- end of settings -->").unwrap();
        if env::var_os("UPDATE_GOLDEN").is_some() {
            let rows = markdown();
            fs::write(&file, format!("{before}<!-- settings{mark}-->\n{rows}<!-- end of settings -->{after}")).unwrap();
        } else {
            assert_eq!(table, markdown());
        }
        assert_eq!(markdown().lines().count(), 2 + settings().count());
    }

    #[test]
    fn each_value_is_printed_with_its_origin() {
        let text = "[http]\nallow_origins = []\nport = 81";
        let printed = in_force(&parse(text, [("DMX_PORT", "82"), ("DMX_LOG_LEVEL", "WARNING")]).unwrap());
        for line in [
            "host = \"0.0.0.0\"      # default (DMX_HOST)",
            "port = 82             # DMX_PORT",
            "allow_origins = []    # appliance.toml:2 (DMX_ALLOW_ORIGINS)",
            "level = \"warn\" # DMX_LOG_LEVEL",
        ] {
            assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
        }
    }

    #[test]
    fn a_secret_is_never_printed_and_its_mask_never_read_back() {
        let mut config = Config::default();
        config.mqtt.username = "ola".into();
        config.mqtt.password = Some(Secret::new("geheim"));
        config.auth.keys = vec![Secret::new("geheim")];
        config.backup.old_keys = vec![Secret::new("passphrase:geheim")];
        let text =
            in_force(&Loaded { config: config.clone(), warnings: Vec::new(), origins: [].into(), file: "".into() });
        assert!(!text.contains("geheim"), "{text}");
        assert_eq!(text.matches(MASK).count(), 3, "{text}");

        let read = printed_and_read_back(config);
        assert!(read.mqtt.username == "ola" && read.mqtt.password.is_none());
        assert!(read.auth.keys.is_empty() && read.backup.old_keys.is_empty());
    }

    prop_compose! {
        /// Legal values of every kind; what this version refuses is left alone.
        fn configs()(
            host in any::<std::net::IpAddr>().prop_filter("of one machine", |ip| !ip.is_multicast() && ip.to_string() != "255.255.255.255"),
            ports in (0..=1000_u16, 1001..=u16::MAX, prop::option::of(1..=u16::MAX)),
            origins in prop::collection::vec("(http|https)://[a-z][a-z0-9]{0,9}(:[1-9][0-9]{0,3})?", 0..4),
            sizes in (1..=65_535_usize, 1..=1_000_000_usize, 1..=315_360_000_u64),
            texts in ("[^\\p{C}\\p{Z}]{0,20}", "[^\\p{C}\\p{Z}]{1,20}", prop::option::of("[^\\p{C}\\p{Z}]{1,20}")),
            prefix in "[a-z]{4,8}(/[^+#/\\p{C}\\p{Z}]{1,4}){0,2}",
            level in prop::sample::select(vec![LogLevel::Trace, LogLevel::Debug, LogLevel::Warn, LogLevel::Error]),
            ids: Vec<u16>,
        ) -> Config {
            let mut config = Config::default();
            (config.http.host, config.http.allow_origins) = (host, origins);
            (config.http.port, config.mqtt.port, config.mqtt.uplink_port) = ports;
            (config.http.max_connections, config.engine.queue_size, config.engine.dedupe_ttl_seconds) = sizes;
            (config.mqtt.topic_prefix, config.log.level, config.usb.vendor_ids) = (prefix, level, ids);
            config.usb.port = texts.0;
            config.storage.data_dir = texts.1.into();
            config.projects.root = texts.2.map(Into::into);
            config
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_read_back(config in configs()) {
            prop_assert!(printed_and_read_back(config.clone()) == config);
        }
    }
}
