//! Users, their tokens, panels and the lock: one value, which everybody reads and one at a time changes. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::identity::{Identity, Kind};
use super::password::Password;
use super::rights::{PanelRights, Rights};
use crate::dmx::SceneId;
use crate::wire::{PanelBlackout, Role};

/// Most users, lamps among them.
pub(super) const MOST_USERS: usize = 500;

/// Most panels.
pub(super) const MOST_PANELS: usize = 100;

/// Most logins of one user that are open at a time. Beyond that the oldest of the address that has most of them goes: many share
/// one user, and none of them is to put the others out.
pub(super) const MOST_TOKENS: usize = 100;

/// Addresses that are remembered for a user.
const MOST_ADDRESSES: usize = 16;

/// Somebody who may do something here, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) secret: Secret,
    pub(super) created_at: u64,
    /// Rises with each change that ends what the user has open.
    #[serde(default)]
    pub(super) changes: u32,
    /// Logins that are open, oldest first.
    #[serde(default)]
    pub(super) tokens: Vec<Token>,
    /// Addresses that it has logged in from, oldest first.
    #[serde(default)]
    pub(super) addresses: Vec<IpAddr>,
}

/// An open login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) digest: Digest,
    /// Where it was opened.
    pub(super) from: IpAddr,
}

/// How a user proves to be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Secret {
    Pin(Password),
    Password(Password),
    Key(Digest),
}

impl Secret {
    /// Its word on the wire.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Pin(_) => "pin",
            Self::Password(_) => "password",
            Self::Key(_) => "key",
        }
    }
}

impl User {
    /// Notes where it has logged in from; whether that is news.
    pub(super) fn came_from(&mut self, from: IpAddr) -> bool {
        if self.addresses.contains(&from) {
            return false;
        }
        self.addresses.push(from);
        let extra = self.addresses.len().saturating_sub(MOST_ADDRESSES);
        self.addresses.drain(..extra);
        true
    }

    /// Notes an open login.
    pub(super) fn logged_in(&mut self, digest: Digest, from: IpAddr) {
        self.tokens.push(Token { digest, from });
        if self.tokens.len() > MOST_TOKENS {
            let many = |from| self.tokens.iter().filter(|token| token.from == from).count();
            let most = self.tokens.iter().map(|token| many(token.from)).max();
            let oldest = self.tokens.iter().position(|token| Some(many(token.from)) == most);
            oldest.map(|oldest| self.tokens.remove(oldest));
        }
    }

    /// Whether this login is open.
    pub(super) fn has_token(&self, digest: Digest) -> bool {
        self.tokens.iter().any(|token| token.digest == digest)
    }

    /// Who it is, by one of its tokens, or by its own secret.
    pub(super) fn identity(&self, token: Option<Digest>) -> Identity {
        let kind = Kind::User(self.id.clone(), self.changes, token);
        Identity::new(kind, self.name.clone(), Rights::Role(self.role))
    }
}

/// A page for guests, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Panel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) looks: Vec<SceneId>,
    #[serde(default)]
    pub(super) cuelists: Vec<String>,
    pub(super) master: bool,
    pub(super) blackout: PanelBlackout,
    pub(super) secret: Digest,
    /// Made by who was not known: a guest of an open evening must not be left with a key to a locked house.
    #[serde(default)]
    pub(super) of_stranger: bool,
    pub(super) created_at: u64,
}

impl Panel {
    fn identity(&self) -> Identity {
        let rights = PanelRights {
            looks: self.looks.iter().cloned().collect::<BTreeSet<_>>(),
            master: self.master,
            blackout_on: self.blackout != PanelBlackout::None,
            blackout_off: self.blackout == PanelBlackout::Both,
        };
        let kind = Kind::Panel(self.id.clone(), self.secret);
        Identity::new(kind, format!("panel {}", self.name), Rights::Panel(Arc::new(rights)))
    }
}

/// Everything that is known of who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) users: BTreeMap<String, User>,
    pub(super) panels: BTreeMap<String, Panel>,
    /// Somebody has locked the appliance in the app.
    pub(super) locked: bool,
    by_digest: HashMap<Digest, Holder>,
    by_name: HashMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    User(String),
    Token(String),
    Panel(String),
}

impl Table {
    pub(super) fn new(users: Vec<User>, panels: Vec<Panel>) -> Self {
        let mut table = Self::default();
        users.into_iter().for_each(|user| table.put_user(user));
        panels.into_iter().for_each(|panel| table.put_panel(panel));
        table
    }

    /// Adds a user, or puts it in the place of what it was.
    pub(super) fn put_user(&mut self, user: User) {
        self.remove_user(&user.id);
        if let Secret::Key(key) = user.secret {
            self.by_digest.insert(key, Holder::User(user.id.clone()));
        }
        for token in &user.tokens {
            self.by_digest.insert(token.digest, Holder::Token(user.id.clone()));
        }
        self.by_name.insert(folded(&user.name), user.id.clone());
        self.users.insert(user.id.clone(), user);
    }

    pub(super) fn remove_user(&mut self, id: &str) -> Option<User> {
        let user = self.users.remove(id)?;
        self.by_name.remove(&folded(&user.name));
        self.by_digest.retain(|_, holder| !matches!(holder, Holder::User(of) | Holder::Token(of) if of == id));
        Some(user)
    }

    pub(super) fn put_panel(&mut self, panel: Panel) {
        self.remove_panel(&panel.id);
        self.by_digest.insert(panel.secret, Holder::Panel(panel.id.clone()));
        self.panels.insert(panel.id.clone(), panel);
    }

    pub(super) fn remove_panel(&mut self, id: &str) -> Option<Panel> {
        let panel = self.panels.remove(id)?;
        self.by_digest.remove(&panel.secret);
        Some(panel)
    }

    /// The user of a name, in any case of letters.
    pub(super) fn user_named(&self, name: &str) -> Option<&User> {
        self.users.get(self.by_name.get(&folded(name))?)
    }

    /// Whether a panel works.
    fn serves(panel: &Panel, is_open: bool) -> bool {
        is_open || !panel.of_stranger
    }

    /// Who has a key, token or panel's secret. `is_open`: whether the appliance is.
    pub(super) fn holder(&self, digest: Digest, is_open: bool) -> Option<Identity> {
        match self.by_digest.get(&digest)? {
            Holder::User(id) => self.users.get(id).map(|user| user.identity(None)),
            Holder::Token(id) => self.users.get(id).map(|user| user.identity(Some(digest))),
            Holder::Panel(id) => self.panels.get(id).filter(|panel| Self::serves(panel, is_open)).map(Panel::identity),
        }
    }

    /// Whether a user or panel is still what it was when it was let in.
    pub(super) fn still(&self, identity: &Identity, is_open: bool) -> bool {
        match identity.kind() {
            Kind::Anonymous | Kind::House | Kind::Key => true,
            Kind::User(id, changes, token) => self
                .users
                .get(id)
                .is_some_and(|user| user.changes == *changes && token.is_none_or(|token| user.has_token(token))),
            Kind::Panel(id, _) => {
                let served = |panel: &&Panel| Self::serves(panel, is_open) && panel.identity() == *identity;
                self.panels.get(id).filter(served).is_some()
            }
        }
    }

    pub(super) fn admins(&self) -> usize {
        self.users.values().filter(|user| user.role == Role::Admin).count()
    }
}

/// Names differ in more than the case of their letters: people type them on a tablet.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str, name: &str, role: Role) -> User {
        User {
            id: id.into(),
            name: name.into(),
            role,
            secret: Secret::Key(Digest::of(id.as_bytes())),
            created_at: 1,
            changes: 0,
            tokens: Vec::new(),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn whoever_is_gone_or_changed_is_not_what_they_were() {
        let mut table = Table::new(vec![user("1", "Anna", Role::Edit)], Vec::new());
        let by_key = table.holder(Digest::of(b"1"), true).unwrap();
        let mut anna = table.users["1"].clone();
        anna.logged_in(Digest::of(b"token"), [10, 0, 0, 1].into());
        table.put_user(anna.clone());
        let by_token = table.holder(Digest::of(b"token"), true).unwrap();
        assert!(table.still(&by_key, true) && table.still(&by_token, true));
        anna.tokens.clear();
        table.put_user(anna.clone());
        assert!(
            table.still(&by_key, true)
                && !table.still(&by_token, true)
                && table.holder(Digest::of(b"token"), true).is_none()
        );
        table.put_user(User { role: Role::View, changes: 1, ..anna.clone() });
        assert!(!table.still(&by_key, true));
        table.put_user(anna);
        assert!(table.still(&by_key, true));
        table.remove_user("1");
        assert!(
            !table.still(&by_key, true)
                && table.holder(Digest::of(b"1"), true).is_none()
                && table.user_named("anna").is_none()
        );
    }

    #[test]
    fn a_new_key_ends_the_old_one_and_a_new_name_the_old_name() {
        let mut table = Table::new(vec![user("1", "Anna", Role::Edit)], Vec::new());
        table.put_user(User {
            name: "Eva".into(),
            secret: Secret::Key(Digest::of(b"new")),
            ..table.users["1"].clone()
        });
        assert!(table.holder(Digest::of(b"1"), true).is_none() && table.holder(Digest::of(b"new"), true).is_some());
        assert!(table.user_named("ANNA").is_none() && table.user_named("eva").is_some());
    }

    #[test]
    fn a_panel_with_other_rights_or_another_address_is_another() {
        let panel = Panel {
            id: "p".into(),
            name: "Bar".into(),
            looks: Vec::new(),
            cuelists: Vec::new(),
            master: false,
            blackout: PanelBlackout::On,
            secret: Digest::of(b"bar"),
            of_stranger: false,
            created_at: 1,
        };
        let mut table = Table::new(Vec::new(), vec![panel.clone()]);
        let bar = table.holder(Digest::of(b"bar"), true).unwrap();
        assert!(table.still(&bar, true));
        table.put_panel(Panel { of_stranger: true, ..panel.clone() });
        assert!(
            table.still(&bar, true) && !table.still(&bar, false) && table.holder(Digest::of(b"bar"), false).is_none()
        );
        table.put_panel(Panel { master: true, ..panel.clone() });
        assert!(!table.still(&bar, true));
        table.put_panel(Panel { secret: Digest::of(b"new"), ..panel });
        assert!(!table.still(&bar, true) && table.holder(Digest::of(b"bar"), true).is_none());
    }

    #[test]
    fn of_logins_and_addresses_the_newest_are_kept_and_nobody_puts_others_out() {
        let mut anna = user("1", "Anna", Role::View);
        anna.logged_in(Digest::of(b"another tablet"), [10, 0, 0, 2].into());
        for n in 0..=u8::MAX {
            anna.logged_in(Digest::of(&[n]), [10, 0, 0, 1].into());
            assert!(anna.came_from([10, 0, 0, n].into()) && !anna.came_from([10, 0, 0, n].into()));
        }
        assert!(
            anna.tokens.len() == MOST_TOKENS && anna.has_token(Digest::of(&[255])) && !anna.has_token(Digest::of(&[0]))
        );
        assert!(anna.has_token(Digest::of(b"another tablet")));
        assert!(anna.addresses.len() == MOST_ADDRESSES && anna.addresses.contains(&[10, 0, 0, 255].into()));
    }
}
