//! Settings from appliance.toml. Every fault names its line; one line has one fault.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Origin, nearest};
use super::load::Draft;
use super::table::{SECTIONS, Section, settings};

/// The file that is read when none is named.
pub(crate) const DEFAULT: &str = "appliance.toml";

/// Ours has some 6 kB; more than this is another file, or a device that never ends.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// Finds and reads the file: the one named by `--config`, the one in `DMX_CONFIG`, or the default one if it is there.
pub(crate) fn find(option: Option<&Path>, variable: Option<&OsStr>) -> Result<Option<(PathBuf, String)>, Fault> {
    let (named_by, path) = match (option, variable) {
        (Some(path), _) => (Some("--config"), path),
        (None, Some(path)) => (Some("DMX_CONFIG"), Path::new(path)),
        (None, None) => (None, Path::new(DEFAULT)),
    };
    let fault = |wrong: String, right: &str| match named_by {
        Some(name) => Fault::new(format!("{name}: {}", path.display()), wrong, right),
        None => Fault::new(path.display().to_string(), wrong, right),
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound && named_by.is_none() => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(fault("there is no such file".to_owned(), "name one that is there, or none"));
        }
        Err(error) => return Err(fault(format!("it cannot be read: {error}"), "make it a file that dmxd may read")),
        Ok(_) => {}
    }
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(fault("it is larger than 1 MiB".to_owned(), "name a file of settings"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) => {
            let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = 1 + good.filter(|byte| **byte == b'\n').count();
            Err(Fault::new(format!("{}:{line}", path.display()), "it is not UTF-8", "save the file as UTF-8"))
        }
    }
}

/// Lays the text of a file over the draft.
pub(crate) fn read(draft: &mut Draft, path: &Path, text: &str) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { draft, path, text, faults: BTreeMap::new() };
    for error in errors {
        // Without a place it is the end of the text that is missing something.
        let line = reader.line(error.span().map_or(text.len(), |span| span.start));
        match error.span().and_then(|span| text.get(span)).filter(|_| error.message() == "duplicate key") {
            Some(name) => reader.fault(line, Some(name), "it stands here a second time", "keep one of them"),
            None => {
                let wrong = format!("not TOML: {}", error.message());
                reader.fault(line, None, &wrong, "write name = value below a [section], texts in quotes");
            }
        }
    }
    for (name, value) in table.get_ref() {
        reader.section(name.get_ref(), name.span().start, value.get_ref());
    }
    let faults = reader.faults.into_values();
    draft.faults.extend(faults);
}

struct Reader<'a> {
    draft: &'a mut Draft,
    path: &'a Path,
    text: &'a str,
    /// By line, the first of each: what follows a syntax error on its line is only its echo.
    faults: BTreeMap<usize, Fault>,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn fault(&mut self, line: usize, key: Option<&str>, wrong: &str, right: &str) {
        let at = Origin::File(self.path.to_owned(), line);
        let about = key.map_or_else(|| at.to_string(), |key| format!("{at}: {key}"));
        self.faults.entry(line).or_insert_with(|| Fault::new(about, wrong, right));
    }

    fn section(&mut self, name: &str, offset: usize, value: &DeValue<'_>) {
        let line = self.line(offset);
        let section = SECTIONS.iter().find(|section| section.name == name);
        match (section, value) {
            (Some(section), DeValue::Table(table)) => {
                for (name, value) in table {
                    self.setting(section, name.get_ref(), name.span().start, value);
                }
            }
            (Some(_), _) => {
                self.fault(line, Some(name), "it is a section, not a value", &format!("write [{name}] on a line"));
            }
            (None, DeValue::Table(_) | DeValue::Array(_)) => {
                self.fault(line, Some(name), "unknown section", &right_section(name));
            }
            (None, _) => {
                let right = settings().find(|setting| setting.name() == name).map_or_else(
                    || "put settings below their [section]".to_owned(),
                    |setting| format!("did you mean {}?", setting.key),
                );
                self.fault(line, Some(name), "it stands outside of a section", &right);
            }
        }
    }

    fn setting(&mut self, section: &Section, name: &str, offset: usize, value: &Spanned<DeValue<'_>>) {
        let line = self.line(offset);
        let Some(setting) = section.settings.iter().find(|setting| setting.name() == name) else {
            let key = format!("{}.{name}", section.name);
            return self.fault(line, Some(&key), "unknown setting", &right_setting(section, name));
        };
        if self.faults.contains_key(&line) {
            self.draft.unclear.insert(setting.key);
            return;
        }
        let outcome = setting.set_toml(&mut self.draft.config, value.get_ref());
        if let Err(wrong) = &outcome {
            self.fault(line, Some(setting.key), &wrong.wrong, &wrong.right);
            self.draft.unclear.insert(setting.key);
        }
        self.draft.origins.insert(setting.key, Origin::File(self.path.to_owned(), line));
    }
}

fn right_section(name: &str) -> String {
    match nearest(name, SECTIONS.iter().map(|section| section.name)) {
        Some(section) => format!("did you mean [{section}]?"),
        None => {
            let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
            format!("there are {}", names.join(", "))
        }
    }
}

fn right_setting(section: &Section, name: &str) -> String {
    let here = nearest(name, section.settings.iter().map(|setting| setting.name()));
    if let Some(name) = here {
        return format!("did you mean {}.{name}?", section.name);
    }
    if let Some(elsewhere) = settings().find(|setting| setting.name() == name) {
        return format!("did you mean {}?", elsewhere.key);
    }
    let names: Vec<_> = section.settings.iter().map(|setting| setting.name()).collect();
    format!("[{}] has {}", section.name, names.join(", "))
}
