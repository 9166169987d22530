//! docs/man/appliance.toml.5, made from the table of settings. It is committed; `UPDATE_GOLDEN=1 cargo test --lib manual`
//! writes it anew.

use std::path::Path;
use std::{env, fs};

use roff::{Roff, bold, italic, roman};

use super::Config;
use super::table::{SECTIONS, settings};

/// Of all manuals: when their words last changed.
pub(crate) const DATE: &str = "2026-11-29";

/// Who they belong to.
pub(crate) const SOURCE: &str = concat!("dmxd ", env!("CARGO_PKG_VERSION"));

const DESCRIPTION: [&str; 4] = [
    "dmxd reads appliance.toml (TOML) over its built-in defaults: the file that --config or the variable DMX_CONFIG names, \
     else the one in the working folder. Files of the folder appliance.d beside it (*.toml, in the order of their names) are \
     laid over it. A variable wins over all of them.",
    "An empty text stands for \"not set\". A faulty file does not start: dmxd --check names every fault at once, dmxd \
     --print-config shows what is in force and where it comes from.",
    "A secret may also come from a file, without one line break at its end: its variable with _FILE behind it names the \
     file, or it is a systemd credential with the setting's name, for example \
     LoadCredential=backup.encryption_key:/etc/dmxd/backup.key. A secret that is given in two ways at once is a fault.",
    "On the card's image the same sections stand in dmxd.toml on the boot partition, which can be edited on any computer.",
];

fn page() -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["appliance.toml", "5", DATE, SOURCE]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("appliance.toml - settings of dmxd")]);
    roff.control("SH", ["DESCRIPTION"]);
    for (at, paragraph) in DESCRIPTION.into_iter().enumerate() {
        if at > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(paragraph)]);
    }
    roff.control("SH", ["SETTINGS"]);
    let defaults = Config::default();
    for section in SECTIONS {
        roff.control("SS", [format!("[{}]", section.name).as_str()]);
        roff.text([roman(section.doc)]);
        for setting in section.settings {
            roff.control("TP", []);
            roff.text([bold(setting.name()), roman(" = "), roman(setting.to_toml(&defaults))]);
            roff.text([roman(setting.doc), roman(" Variable: "), italic(setting.variables.join(" or ")), roman(".")]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("dmxd"), roman("(1)")]);
    roff.render()
}

#[test]
fn the_manual_has_every_setting() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man/appliance.toml.5");
    let page = page();
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), page, "UPDATE_GOLDEN=1 cargo test --lib manual");
    assert_eq!(page.lines().filter(|line| line.contains("Variable: ")).count(), settings().count());
}
