//! Settings as text: the shipped appliance.toml, `--print-config`, the README's rows. Secrets are masked.

use std::fmt::Write;

use super::Config;
use super::load::Loaded;
use super::table::{SECTIONS, Setting, settings};
use super::value::MASK;

/// appliance.toml as it is shipped: every setting with its default and what it does.
#[must_use]
pub fn shipped() -> String {
    let mut out = "# Settings of dmxd, each with its built-in default. The variable in brackets wins over this file.\n\
                   # An empty text stands for \"not set\". `dmxd --check` looks for faults, `dmxd --print-config` shows what is in force.\n"
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

/// The configuration in force, each value with its origin: TOML that can be read back. Secrets are masked and, so that
/// nobody starts with a mask for a password, commented out.
#[must_use]
pub fn in_force(loaded: &Loaded) -> String {
    let mut out = format!("# Settings of dmxd {} as they are in force.\n", env!("CARGO_PKG_VERSION"));
    for section in SECTIONS {
        let _ = writeln!(out, "\n[{}]", section.name);
        let lines: Vec<_> =
            section.settings.iter().map(|setting| (line(setting, &loaded.config), setting.key)).collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
        for (line, key) in lines {
            let origin = loaded.origins.get(key).map_or_else(|| "default".to_owned(), ToString::to_string);
            // A path may have a line break in it, a comment may not.
            let _ = writeln!(out, "{line:width$} # {}", origin.replace(char::is_control, "?"));
        }
    }
    out
}

fn line(setting: &Setting, config: &Config) -> String {
    let value = setting.to_toml(config);
    let masked = setting.is_secret(config) && value.contains(MASK);
    format!("{}{} = {value}", if masked { "# " } else { "" }, setting.name())
}

/// Rows of the README's table of settings, in Markdown.
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
