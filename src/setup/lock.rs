//! What the card says of the lock: who may do what, and how the first admin is made.

use std::path::PathBuf;

use crate::access;
use crate::config::{AuthMode, Config};

/// Where the appliance says whether it is locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    data_dir: PathBuf,
    /// By these settings it will be.
    by_settings: bool,
    /// There is a key in the settings, which is the way in then.
    has_key: bool,
}

impl Lock {
    pub(super) fn of(config: &Config) -> Self {
        let by_settings = config.auth.mode == AuthMode::Required || config.owner.pin.is_some();
        let has_key = !config.auth.keys.is_empty();
        Self { data_dir: config.storage.data_dir.clone(), by_settings, has_key }
    }

    /// Lines for the status.
    pub(super) fn told(&self) -> String {
        // made by root, the folder would be closed to the appliance
        let code = self.data_dir.is_dir().then(|| access::first_code(&self.data_dir).ok()).flatten();
        let code = code.map_or_else(|| "stands here from the next start on".to_owned(), |code| format!("is {code}"));
        let code = if self.has_key { "is not needed by who has a key of auth.keys".to_owned() } else { code };
        if self.by_settings || access::was_locked(&self.data_dir).is_some() {
            return format!(
                "\nLocked: users, keys and panels decide who may do what (app, Settings, People). Where there is no admin yet, \
                 the code that makes the first one {code}\n"
            );
        }
        format!(
            "\nOpen to everyone on this network. To lock it: app, Settings, Lock this box. The code that makes the first admin {code}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_says_open_or_locked_and_the_code() {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.storage.data_dir = data.path().into();
        let told = Lock::of(&config).told();
        let code = access::first_code(data.path()).unwrap();
        assert!(told.contains("Open to everyone on this network") && told.contains(&code), "{told}");
        config.owner.pin = Some(crate::kit::secret::Secret::new("123456"));
        let told = Lock::of(&config).told();
        assert!(told.contains("Locked") && !told.contains("123456"), "{told}");
        config.storage.data_dir = data.path().join("none");
        assert!(Lock::of(&config).told().contains("next start"));
    }
}
