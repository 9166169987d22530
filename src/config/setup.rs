//! `dmxd.toml` of the boot partition as text: where each value stands, so that one can be replaced and the rest stays as it
//! was; and a check of the whole, as by `--check`.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::diagnostic::ConfigError;
use super::draft::Draft;
use super::load::{Loaded, drop_ins, finish};
use super::machine::{self, MACHINE, Machine};
use super::table::SECTIONS;
use super::variables::Variables;
use super::{Config, file, secrets};

/// Stands in for a secret that the appliance has taken.
pub const IMPORTED: &str = "<imported>";

/// A value in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// `wifi.key`
    pub key: &'static str,
    /// Whether it must not stay in the file.
    pub is_secret: bool,
    /// Whether it stands for a secret that was imported earlier.
    pub is_imported: bool,
    /// Whether it is empty.
    pub is_empty: bool,
    /// Whether it belongs to the machine and not to the appliance.
    pub is_machines: bool,
    /// Where it is, in bytes.
    pub span: Range<usize>,
}

/// How strict a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// Strict: the writer can correct the text.
    New,
    /// Lenient: the text was in force before, perhaps under laxer rules. Useless addresses only give a warning, since falling
    /// back to the built-in settings would lose the good ones too.
    Accepted,
}

/// A text, checked.
pub struct Prepared {
    /// The settings of the appliance, all sources together.
    pub loaded: Loaded,
    /// Those of the machine.
    pub machine: Machine,
}

/// The values of known settings in a text, in its order. From a text that is not TOML, as many as can be found.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece> {
    let (table, _) = DeTable::parse_recoverable(text);
    let (config, machine) = (Config::default(), Machine::default());
    let own = SECTIONS.iter().flat_map(|section| section.settings);
    let own = own.map(|setting| (setting.key, setting.is_secret(&config), false));
    let machines = MACHINE.iter().flat_map(|section| section.settings);
    let machines = machines.map(|setting| (setting.key, setting.is_secret(&machine), true));
    let mut pieces: Vec<_> = own
        .chain(machines)
        .filter_map(|(key, is_secret, is_machines)| {
            let (section, name) = key.split_once('.')?;
            let DeValue::Table(section) = table.get_ref().get(section)?.get_ref() else { return None };
            let value = section.get(name)?;
            let text = value.get_ref().as_str();
            let is_imported = is_secret && text == Some(IMPORTED);
            let empty_list = matches!(value.get_ref(), DeValue::Array(items) if items.is_empty());
            let is_empty = text == Some("") || empty_list;
            Some(Piece { key, is_secret, is_imported, is_empty, is_machines, span: value.span() })
        })
        .collect();
    pieces.sort_by_key(|piece| piece.span.start);
    pieces
}

/// The settings of the appliance in a text, as a file of `appliance.d`.
#[must_use]
pub fn appliance_part(text: &str) -> String {
    let mut part = String::new();
    let pieces = pieces(text);
    for section in SECTIONS {
        let of_section = pieces.iter().filter(|piece| piece.key.split('.').next() == Some(section.name));
        for (n, piece) in of_section.enumerate() {
            if n == 0 {
                part += &format!("\n[{}]\n", section.name);
            }
            let name = piece.key.split_once('.').map_or(piece.key, |(_, name)| name);
            part += &format!("{name} = {}\n", text.get(piece.span.clone()).unwrap_or("\"\""));
        }
    }
    part
}

/// Checks a text called `path` as it would be in force: over the file `base` and its folder without `left_out`, and under
/// variables.
///
/// All faults of all of these.
/// All faults of all of these.
pub fn prepare<K: Into<OsString>, V: Into<OsString>>(
    base: Option<&Path>,
    left_out: &str,
    (path, text, edition): (&Path, &str, Edition),
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<Prepared, ConfigError> {
    let variables = Variables::ours(variables);
    let (mut draft, mut machine) = (Draft::default(), Machine::default());
    match file::find(base, variables.file()) {
        Ok(Some((path, text))) => {
            file::read(&mut draft, &path, &text);
            drop_ins(&mut draft, &path, Some(left_out));
        }
        Ok(None) => {}
        Err(fault) => draft.faults.push(fault),
    }
    file::read_with_machine(&mut draft, &mut machine, path, text);
    machine::check(&mut draft, &machine);
    let of_no_use = machine::addresses(&mut draft, &machine);
    match edition {
        Edition::New => draft.faults.extend(of_no_use),
        Edition::Accepted => draft.warnings.extend(of_no_use),
    }
    variables.read(&mut draft);
    secrets::read(&mut draft, &variables);
    finish(draft).map(|loaded| Prepared { loaded, machine })
}
