//! Roles: who may do what, in five words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody may do. The first four have all rights of those before them; `device` stands outside that chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything that is no secret.
    View,
    /// Moves light: levels, looks, cues, master, blackout.
    Operate,
    /// Changes looks, cues, patch, projects, backups.
    Edit,
    /// Users, settings, restores, devices.
    Admin,
    /// A lamp or button: commands, the state, and its own topics.
    Device,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::View, Self::Operate, Self::Edit, Self::Admin, Self::Device];

    /// Whether this role has all rights of the other.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Device, Self::Device) => true,
            (Self::Device, _) | (_, Self::Device) => false,
            (mine, needed) => mine as u8 >= needed as u8,
        }
    }

    /// Its word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
            Self::Edit => "edit",
            Self::Admin => "admin",
            Self::Device => "device",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_the_rights_of_those_before_it_and_a_device_only_its_own() {
        use Role::{Admin, Device, Edit, Operate, View};
        let chain = [View, Operate, Edit, Admin];
        for (at, mine) in chain.into_iter().enumerate() {
            for (needs, needed) in chain.into_iter().enumerate() {
                assert_eq!(mine.covers(needed), at >= needs, "{mine} {needed}");
            }
            assert!(!mine.covers(Device) && !Device.covers(mine));
        }
        assert!(Device.covers(Device));
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
    }
}
