//! Settings from appliance.toml. Every fault names its line; a line that is not TOML gives only its first fault.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Origin, nearest};
use super::draft::Draft;
use super::machine::{MACHINE, Machine};
use super::table::{FORMER, SECTIONS, Section, settings};

/// The file that is read when none is named.
pub(crate) const DEFAULT: &str = "appliance.toml";

/// Ours has some 6 kB; more than this is another file, or a device that never ends.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// How the parser words a name that stands twice, and a section's head without its end.
const TWICE: &str = "duplicate key";
const HEADS: [&str; 2] = ["unclosed table", "unclosed array table"];

/// Finds and reads the file: the one named by `--config`, the one in `DMX_CONFIG`, or the default one if it is there.
pub(crate) fn find(option: Option<&Path>, variable: Option<&OsStr>) -> Result<Option<(PathBuf, String)>, Diagnostic> {
    let (path, named_by) = named(option, variable);
    match text(path, named_by) {
        Ok(Some(text)) => Ok(Some((path.to_owned(), text))),
        Ok(None) if named_by.is_empty() => Ok(None),
        Ok(None) => {
            let about = format!("{named_by}{}", path.display());
            Err(Diagnostic::new(about, "there is no such file", "name one that is there, or none"))
        }
        Err(fault) => Err(fault),
    }
}

/// The file to read, and what named it.
pub(crate) fn named<'a>(option: Option<&'a Path>, variable: Option<&'a OsStr>) -> (&'a Path, &'static str) {
    match (option, variable) {
        (Some(path), _) => (path, "--config: "),
        (None, Some(path)) => (Path::new(path), "DMX_CONFIG: "),
        (None, None) => (Path::new(DEFAULT), ""),
    }
}

/// Files that are laid over `appliance.toml`, in the order of their names: `appliance.d/*.toml` beside it.
pub(crate) fn drop_ins(path: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let folder = path.with_extension("d");
    let fault = |error: io::Error| {
        let about = folder.display().to_string();
        Diagnostic::new(
            about,
            format!("it cannot be read: {error}"),
            "make it a folder that dmxd may read, or remove it",
        )
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound || path.extension().is_none() => return Ok(Vec::new()),
        Err(error) => return Err(fault(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(&fault)?.path();
        if file.extension() == Some(OsStr::new("toml")) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file; nothing when it is not there.
pub(crate) fn text(path: &Path, named_by: &str) -> Result<Option<String>, Diagnostic> {
    text_of(path, path, named_by)
}

/// The same; messages call the file by another name.
///
/// # Errors
/// As `--check` words them.
pub fn text_called(path: &Path, shown_as: &Path) -> Result<Option<String>, Diagnostic> {
    text_of(path, shown_as, "")
}

fn text_of(path: &Path, shown_as: &Path, named_by: &str) -> Result<Option<String>, Diagnostic> {
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let about = format!("{named_by}{}", shown_as.display());
            return Err(Diagnostic::new(
                about,
                format!("it cannot be read: {error}"),
                "make it a file that dmxd may read",
            ));
        }
    };
    decode(bytes).map(Some).map_err(|NotText { line, wrong }| {
        Diagnostic::new(format!("{}:{line}", shown_as.display()), wrong, "save the file as UTF-8")
    })
}

/// Bytes that are not text.
struct NotText {
    /// The line of the first such byte, from 1.
    line: usize,
    wrong: &'static str,
}

/// The text of bytes: UTF-8, or what Windows calls "Unicode", UTF-16 with a mark. The mark stays as a character, which TOML
/// skips. Text in another code page of Windows ("ANSI") cannot be recognised.
fn decode(bytes: Vec<u8>) -> Result<String, NotText> {
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => return utf_16(&bytes, u16::from_le_bytes),
        [0xfe, 0xff, ..] => return utf_16(&bytes, u16::from_be_bytes),
        _ => {}
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        NotText { line: 1 + good.filter(|byte| **byte == b'\n').count(), wrong: "it is not UTF-8" }
    })?;
    match text.split_once('\0') {
        Some((good, _)) => Err(NotText { line: line_behind(good), wrong: "it is not UTF-8: there are zeros in it" }),
        None => Ok(text),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NotText> {
    let (units, rest) = bytes.as_chunks();
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(units.iter().map(|pair| unit(*pair))) {
        let Ok(character) = character else { return Err(NotText::broken(&text)) };
        text.push(character);
    }
    if rest.is_empty() { Ok(text) } else { Err(NotText::broken(&text)) }
}

impl NotText {
    fn broken(good: &str) -> Self {
        Self { line: line_behind(good), wrong: "it is broken UTF-16" }
    }
}

/// The line where a text ends, from 1.
fn line_behind(text: &str) -> usize {
    1 + text.matches('\n').count()
}

/// The bytes of a small file.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = File::open(path)?.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if length as u64 > LARGEST_BYTES { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Lays the text of a file over the draft.
pub(crate) fn read(draft: &mut Draft, path: &Path, text: &str) {
    read_all(draft, None, path, text);
}

/// Lays the text of a file over the draft; the machine's own settings go into `machine`.
pub(crate) fn read_with_machine(draft: &mut Draft, machine: &mut Machine, path: &Path, text: &str) {
    read_all(draft, Some(machine), path, text);
}

fn read_all(draft: &mut Draft, machine: Option<&mut Machine>, path: &Path, text: &str) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let breaks = text.match_indices('\n').map(|(offset, _)| offset).collect();
    let mut reader = Reader { draft, machine, path, breaks, broken: BTreeSet::new(), faults: Vec::new() };
    let (twice, broken): (Vec<_>, Vec<_>) = errors.into_iter().partition(|error| error.message() == TWICE);
    for error in &broken {
        // without a place: the end of the text lacks something
        reader.syntax(text, error.span().unwrap_or(text.len()..text.len()), error.message());
    }
    for head in broken.iter().filter(|error| HEADS.iter().any(|broken| error.message().starts_with(broken))) {
        reader.no_section(text, head.span().map_or(text.len(), |span| span.start));
    }
    for error in twice {
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
    /// Only if the file may have sections of the machine.
    machine: Option<&'a mut Machine>,
    path: &'a Path,
    /// Offsets of the line breaks.
    breaks: Vec<usize>,
    /// Lines that are not TOML, and those below a broken head: what else seems wrong there only follows from it.
    broken: BTreeSet<usize>,
    /// With their lines.
    faults: Vec<(usize, Diagnostic)>,
}

impl Reader<'_> {
    /// Line of an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        1 + self.breaks.partition_point(|at| *at < offset)
    }

    fn syntax(&mut self, text: &str, span: Range<usize>, message: &str) {
        let line = self.line(span.start);
        match text.get(span).filter(|_| message == TWICE) {
            Some(name) => self.fault(line, Some(name), "it stands here a second time", "keep one of them"),
            None => {
                let wrong = format!("not TOML: {message}");
                self.fault(line, None, &wrong, "write name = value below a [section], texts in quotes");
            }
        }
        self.broken.insert(line);
    }

    /// What stands below a broken head, up to the next one, belongs to an unknown section: it gets no messages, and no check
    /// draws conclusions from what is missing elsewhere.
    fn no_section(&mut self, text: &str, head: usize) {
        let lines = (1..).zip(text.lines()).skip(self.line(head));
        let below = lines.take_while(|(_, line)| !line.trim_start().starts_with('['));
        self.broken.extend(below.map(|(number, _)| number));
        let machines = MACHINE.iter().flat_map(|section| section.settings).map(|setting| setting.key);
        self.draft.unclear.extend(settings().map(|setting| setting.key).chain(machines));
    }

    fn fault(&mut self, line: usize, key: Option<&str>, wrong: &str, right: &str) {
        if !self.broken.contains(&line) {
            let at = Origin::File(self.path.to_owned(), line);
            let about = key.map_or_else(|| at.to_string(), |key| format!("{at}: {key}"));
            self.faults.push((line, Diagnostic::new(about, wrong, right)));
        }
    }

    fn section(&mut self, name: &str, offset: usize, value: &DeValue<'_>) {
        let line = self.line(offset);
        let own = SECTIONS.iter().find(|section| section.name == name);
        let machines = MACHINE.iter().find(|section| section.name == name && self.machine.is_some());
        match (own, machines, value) {
            (Some(section), _, DeValue::Table(table)) => {
                self.settings(section, table, |reader| Some(&mut reader.draft.config));
            }
            (None, Some(section), DeValue::Table(table)) => {
                self.settings(section, table, |reader| reader.machine.as_deref_mut());
            }
            (Some(_), ..) | (_, Some(_), _) => {
                self.fault(line, Some(name), "it is a section, not a value", &format!("write [{name}] on a line"));
            }
            (None, None, DeValue::Table(_) | DeValue::Array(_)) => {
                let right = right_section(name, self.machine.is_some());
                self.fault(line, Some(name), "unknown section", &right);
            }
            (None, None, _) => {
                let right = settings().find(|setting| setting.name() == name).map_or_else(
                    || "put settings below their [section]".to_owned(),
                    |setting| format!("did you mean {}?", setting.key),
                );
                self.fault(line, Some(name), "it stands outside of a section", &right);
            }
        }
    }

    fn settings<C>(
        &mut self,
        section: &Section<C>,
        table: &DeTable<'_>,
        target: for<'r> fn(&'r mut Self) -> Option<&'r mut C>,
    ) {
        for (name, value) in table {
            self.setting(section, name.get_ref(), name.span().start, value, target);
        }
    }

    fn setting<C>(
        &mut self,
        section: &Section<C>,
        name: &str,
        offset: usize,
        value: &Spanned<DeValue<'_>>,
        target: for<'r> fn(&'r mut Self) -> Option<&'r mut C>,
    ) {
        let line = self.line(offset);
        let Some(setting) = section.settings.iter().find(|setting| setting.name() == name) else {
            let key = format!("{}.{name}", section.name);
            if let Some(former) = FORMER.iter().find(|former| former.key == key) {
                let at = Origin::File(self.path.to_owned(), line);
                return self.draft.warnings.push(former.warning(format!("{at}: {key}")));
            }
            return self.fault(line, Some(&key), "unknown setting", &right_setting(section, name));
        };
        if self.broken.contains(&line) {
            self.draft.unclear.insert(setting.key);
            return;
        }
        let outcome = target(self).map_or(Ok(()), |target| setting.set_toml(target, value.get_ref()));
        if let Err(wrong) = &outcome {
            self.fault(line, Some(setting.key), &wrong.wrong, &wrong.right);
            self.draft.unclear.insert(setting.key);
        }
        self.draft.origins.insert(setting.key, Origin::File(self.path.to_owned(), line));
    }
}

fn right_section(name: &str, with_machine: bool) -> String {
    let own = SECTIONS.iter().map(|section| section.name);
    let machines = MACHINE.iter().filter(|_| with_machine).map(|section| section.name);
    let names: Vec<_> = machines.chain(own).collect();
    match nearest(name, names.iter().copied()) {
        Some(section) => format!("did you mean [{section}]?"),
        None => format!("there are {}", names.join(", ")),
    }
}

fn right_setting<C>(section: &Section<C>, name: &str) -> String {
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
