//! Secrets from files: the one that `<VARIABLE>_FILE` names, or a systemd credential called like the setting
//! (`LoadCredential=backup.encryption_key:/…`). Like variables they win over the file of settings; if a secret is given in
//! two ways, that is a fault. No message shows their content.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Origin};
use super::draft::Draft;
use super::file;
use super::table::{Setting, settings};
use super::variables::{ENDING, Variables};

/// Lays them over the draft.
pub(crate) fn read(draft: &mut Draft, variables: &Variables) {
    for setting in settings().filter(|setting| setting.is_secret(&draft.config)).collect::<Vec<_>>() {
        let given: Vec<_> = setting.variables.iter().filter(|name| variables.get(name).is_some()).collect();
        let mut files = files(setting, variables);
        let Some((name, path)) = files.pop() else { continue };
        let other = given.first().map(|name| (**name).to_owned()).or_else(|| files.pop().map(|(name, _)| name));
        let outcome = match other {
            Some(other) => {
                Err(Diagnostic::new(&*name, format!("{other} gives this secret too"), "keep one of the two"))
            }
            None => text(&name, &path),
        };
        match outcome {
            Ok(text) => {
                let outcome = setting.set_text(&mut draft.config, &text);
                draft.note(setting, Origin::SecretFile(name), outcome);
            }
            Err(fault) => {
                draft.faults.push(fault);
                draft.unclear.insert(setting.key);
            }
        }
    }
}

/// Files that hold a setting, by the name that messages use.
fn files(setting: &Setting, variables: &Variables) -> Vec<(String, PathBuf)> {
    let named = setting.variables.iter().filter_map(|variable| {
        let name = format!("{variable}{ENDING}");
        let path = variables.get(&name)?.into();
        Some((name, path))
    });
    let credential = variables.credentials().map(|folder| Path::new(folder).join(setting.key));
    let credential = credential.filter(|path| path.exists()).map(|path| (format!("credential {}", setting.key), path));
    named.chain(credential).collect()
}

/// What is in a file, without the line break that editors put at its end.
fn text(name: &str, path: &Path) -> Result<String, Diagnostic> {
    let fault = |wrong: String, right: &str| Err(Diagnostic::new(name, format!("{}: {wrong}", path.display()), right));
    let bytes = match file::bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return fault("there is no such file".to_owned(), "name one that is there, or none");
        }
        Err(error) => return fault(format!("it cannot be read: {error}"), "make it a file that dmxd may read"),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return fault("it is not UTF-8".to_owned(), "put nothing but the secret into it");
    };
    let text = text.trim_start_matches('\u{feff}'); // Notepad writes one
    let line = text.strip_suffix('\n').unwrap_or(text);
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => fault("it is empty".to_owned(), "put the secret into it, or do not name it"),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::variables::{CREDENTIALS, names_secret_file};
    use super::super::{Loaded, load};
    use super::*;
    use crate::kit::secret::Secret;

    fn loaded(variables: &[(&str, &Path)]) -> Loaded {
        let variables = variables.iter().map(|(name, path)| ((*name).to_owned(), path.as_os_str().to_owned()));
        load(Some(Path::new("/dev/null")), variables).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn a_secret_comes_from_a_file_or_a_credential_without_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let (key, credential) = (folder.path().join("key"), folder.path().join("backup.encryption_key"));
        for (text, secret) in [("passphrase: a b ", " a b "), ("passphrase:c\n", "c"), ("passphrase:d\r\n", "d")] {
            fs::write(&key, text).unwrap();
            let loaded = loaded(&[("DMX_CLOUD_BACKUP_ENCRYPTION_KEY_FILE", &key)]);
            assert!(loaded.config.backup.encryption_key == Some(Secret::new(format!("passphrase:{secret}"))));
            assert!(loaded.warnings.is_empty());
            let origin = loaded.origins.get("backup.encryption_key").map(ToString::to_string);
            assert_eq!(origin.as_deref(), Some("DMX_CLOUD_BACKUP_ENCRYPTION_KEY_FILE"));
        }
        fs::write(&credential, "passphrase:e\n").unwrap();
        let loaded = loaded(&[(CREDENTIALS, folder.path())]);
        assert!(loaded.config.backup.encryption_key == Some(Secret::new("passphrase:e")));
        assert!(loaded.warnings.is_empty());
    }

    #[test]
    fn only_secrets_have_files() {
        assert!(names_secret_file("DMX_MQTT_PASSWORD_FILE") && names_secret_file("DMX_AUTH_KEYS_FILE"));
        assert!(!names_secret_file("DMX_PORT_FILE") && !names_secret_file("DMX_MQTT_PASSWORD"));
    }
}
