//! Settings from appliance.toml. Every fault names its line; of one line that is not TOML only the first is told.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
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
    let (path, named_by) = match (option, variable) {
        (Some(path), _) => (path, "--config: "),
        (None, Some(path)) => (Path::new(path), "DMX_CONFIG: "),
        (None, None) => (Path::new(DEFAULT), ""),
    };
    let about = format!("{named_by}{}", path.display());
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && named_by.is_empty() => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Fault::new(about, "there is no such file", "name one that is there, or none"));
        }
        Err(error) => {
            return Err(Fault::new(about, format!("it cannot be read: {error}"), "make it a file that dmxd may read"));
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) => {
            let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = 1 + good.filter(|byte| **byte == b'\n').count();
            Err(Fault::new(format!("{}:{line}", path.display()), "it is not UTF-8", "save the file as UTF-8"))
        }
    }
}

/// The bytes of a small file.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = File::open(path)?.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if length as u64 > LARGEST_BYTES { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Lays the text of a file over the draft.
pub(crate) fn read(draft: &mut Draft, path: &Path, text: &str) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let breaks = text.match_indices('\n').map(|(offset, _)| offset).collect();
    let mut reader = Reader { draft, path, breaks, broken: BTreeSet::new(), faults: Vec::new() };
    for error in errors {
        // Without a place it is the end of the text that is missing something.
        reader.syntax(text, error.span().unwrap_or(text.len()..text.len()), error.message());
    }
    for (name, value) in table.get_ref() {
        reader.section(name.get_ref(), name.span().start, value.get_ref());
    }
    let mut faults = reader.faults;
    faults.sort_by_key(|(line, _)| *line);
    draft.faults.extend(faults.into_iter().map(|(_, fault)| fault));
}

struct Reader<'a> {
    draft: &'a mut Draft,
    path: &'a Path,
    /// Offsets of the line breaks.
    breaks: Vec<usize>,
    /// Lines that are not TOML: what else seems wrong there is only an echo.
    broken: BTreeSet<usize>,
    /// With their lines.
    faults: Vec<(usize, Fault)>,
}

impl Reader<'_> {
    /// Line of an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        1 + self.breaks.partition_point(|at| *at < offset)
    }

    fn syntax(&mut self, text: &str, span: Range<usize>, message: &str) {
        let line = self.line(span.start);
        match text.get(span).filter(|_| message == "duplicate key") {
            Some(name) => self.fault(line, Some(name), "it stands here a second time", "keep one of them"),
            None => {
                let wrong = format!("not TOML: {message}");
                self.fault(line, None, &wrong, "write name = value below a [section], texts in quotes");
            }
        }
        self.broken.insert(line);
    }

    fn fault(&mut self, line: usize, key: Option<&str>, wrong: &str, right: &str) {
        if !self.broken.contains(&line) {
            let at = Origin::File(self.path.to_owned(), line);
            let about = key.map_or_else(|| at.to_string(), |key| format!("{at}: {key}"));
            self.faults.push((line, Fault::new(about, wrong, right)));
        }
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
        if self.broken.contains(&line) {
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
