//! A fixture type: what fixtures of one make can do, mode by mode.

use serde::{Deserialize, Serialize};

use super::{Parameter, TypeId};

/// What fixtures of one make can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixtureType {
    /// Its id, in addresses and in the patch.
    pub id: TypeId,
    /// Who makes it; empty for a generic one.
    pub manufacturer: String,
    /// Its name.
    pub name: String,
    /// At least one; the first is taken if none is named.
    pub modes: Vec<Mode>,
}

/// One way of its channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// Its name, unique in the type.
    pub name: String,
    /// The names of its channels, in order: as many as it takes.
    pub channels: Vec<String>,
    /// What they do. A channel that no parameter names does nothing that is known.
    pub parameters: Vec<Parameter>,
}

impl FixtureType {
    /// The mode of that name, or the first.
    #[must_use]
    pub fn mode(&self, name: Option<&str>) -> Option<&Mode> {
        match name {
            Some(name) => self.modes.iter().find(|mode| mode.name == name),
            None => self.modes.first(),
        }
    }
}
