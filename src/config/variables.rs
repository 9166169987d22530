//! Settings from `DMX_` variables. An empty one counts as unset; an unknown one gives a warning.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::Config;
use super::diagnostic::{Diagnostic, Origin, nearest};
use super::draft::Draft;
use super::table::{FORMER, Setting, settings};

/// Names the file; not a setting itself.
const FILE: &str = "DMX_CONFIG";

/// Where systemd puts credentials (systemd.exec(5)).
pub(crate) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Ending of variables that name a file.
pub(crate) const ENDING: &str = "_FILE";

/// Variables that are meant for us, by name.
pub(crate) struct Variables(BTreeMap<String, OsString>);

impl Variables {
    /// Picks ours. Names in lower case count as ours too, so that they get a warning instead of silence.
    pub(crate) fn ours<K: Into<OsString>, V: Into<OsString>>(all: impl IntoIterator<Item = (K, V)>) -> Self {
        let all = all.into_iter().map(|(name, value)| (name.into().to_string_lossy().into_owned(), value.into()));
        let is_ours = |name: &str| {
            let ours = name.to_ascii_uppercase().starts_with("DMX_") || setting_of(name).is_some();
            ours || name == CREDENTIALS
        };
        Self(all.filter(|(name, value)| is_ours(name) && !value.is_empty()).collect())
    }

    /// The file that they name.
    pub(crate) fn file(&self) -> Option<&OsStr> {
        self.0.get(FILE).map(OsString::as_os_str)
    }

    /// A variable's value.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    /// The folder of systemd's credentials.
    pub(crate) fn credentials(&self) -> Option<&OsStr> {
        self.get(CREDENTIALS)
    }

    /// Lays them over the draft, in the order of the table.
    pub(crate) fn read(&self, draft: &mut Draft) {
        for setting in settings() {
            let given = setting.variables.iter().filter_map(|&name| Some((name, self.0.get(name)?)));
            let mut taken: Option<(&str, &OsString)> = None;
            for (name, value) in given {
                if let Some((other, _)) = taken.filter(|(_, other)| *other != value) {
                    draft.warnings.push(Diagnostic::new(other, "not used", format!("{name} is set too and wins")));
                }
                taken = Some((name, value));
                read_one(draft, setting, name, value);
            }
        }
        let known =
            |name: &str| [FILE, CREDENTIALS].contains(&name) || setting_of(name).is_some() || names_secret_file(name);
        let unknown = self.0.keys().filter(|name| !known(name));
        draft.warnings.extend(unknown.map(|name| match FORMER.iter().find(|former| former.variable == name) {
            Some(former) => former.warning(name.clone()),
            None => Diagnostic::new(name, "unknown variable, not used", suggestion(name)),
        }));
    }
}

fn read_one(draft: &mut Draft, setting: &'static Setting, name: &'static str, value: &OsStr) {
    let Some(text) = value.to_str() else {
        draft.faults.push(Diagnostic::new(name, "the value is not UTF-8", "write it in UTF-8"));
        draft.unclear.insert(setting.key);
        return;
    };
    let outcome = setting.set_text(&mut draft.config, text);
    draft.note(setting, Origin::Variable(name), outcome);
}

/// Whether a variable names the file of a secret.
pub(crate) fn names_secret_file(variable: &str) -> bool {
    let Some(name) = variable.strip_suffix(ENDING) else { return false };
    let defaults = Config::default();
    settings().any(|setting| setting.variables.contains(&name) && setting.is_secret(&defaults))
}

fn setting_of(variable: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.variables.contains(&variable))
}

/// `DMX_HTTP_PORT` for `http.port`: the first guess of someone who knows the file.
fn guessed(setting: &Setting) -> String {
    format!("DMX_{}", setting.key.replace('.', "_").to_uppercase())
}

fn suggestion(unknown: &str) -> String {
    let exact = settings().find(|setting| guessed(setting).eq_ignore_ascii_case(unknown));
    let found = match exact.and_then(|setting| setting.variables.last()) {
        Some(name) => Some(*name),
        None => nearest(unknown, settings().flat_map(|setting| setting.variables).copied().chain([FILE])),
    };
    found.map_or_else(|| "dmxd --print-config names all of them".to_owned(), |name| format!("did you mean {name}?"))
}
