//! Who somebody is, as far as a door knows.

use std::sync::Arc;

use super::digest::Digest;
use super::rights::Rights;
use crate::wire::Role;

/// Who somebody is. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    kind: Kind,
    name: Arc<str>,
    rights: Rights,
}

/// How an identity is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has shown nothing.
    Anonymous,
    /// What hangs on this machine: the console at the serial line, the appliance itself.
    House,
    /// One of `auth.keys`, or the login of the MQTT settings.
    Key,
    /// A user by id, as it is since its last change; by what token, unless by the user's own secret.
    User(String, u32, Option<Digest>),
    /// A panel by id, and the secret of its address.
    Panel(String, Digest),
}

impl Identity {
    /// Somebody.
    #[must_use]
    pub fn new(kind: Kind, name: impl Into<Arc<str>>, rights: Rights) -> Self {
        Self(Arc::new(Inner { kind, name: name.into(), rights }))
    }

    /// Who has shown nothing.
    #[must_use]
    pub fn anonymous(rights: Rights) -> Self {
        Self::new(Kind::Anonymous, "anonymous", rights)
    }

    /// Who has one of `auth.keys`.
    #[must_use]
    pub(super) fn key(secret: &[u8]) -> Self {
        Self::new(Kind::Key, format!("key {}", Digest::of(secret).short()), Rights::Role(Role::Admin))
    }

    /// What belongs to this machine and moves light.
    #[must_use]
    pub fn house(name: &str) -> Self {
        Self::new(Kind::House, name, Rights::Role(Role::Operate))
    }

    /// How it is known.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Its name, for people and the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its name, unless nobody is known.
    #[must_use]
    pub fn known_as(&self) -> Option<Arc<str>> {
        (*self.kind() != Kind::Anonymous).then(|| self.0.name.clone())
    }

    /// What it may do.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// Its role, if it has one.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self.rights() {
            Rights::Role(role) => Some(*role),
            Rights::None | Rights::Panel(_) => None,
        }
    }

    /// Its name, if it is a lamp or button.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        (self.role() == Some(Role::Device)).then(|| self.name())
    }
}
