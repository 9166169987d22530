//! Who may do what, on the way to a new card: users with their hashes, lamps with their keys, panels, the lock. Open logins
//! stay behind, since a logout must not be undone, and so does the log of deeds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::table::{MOST_PANELS, MOST_USERS, Panel, Secret, Table, User};
use super::{Access, USERS_LOST, stored};
use crate::wire::Role;

/// Everything that is carried; as it is written into a backup, so its shape changes with the format of that only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    users: Vec<User>,
    panels: Vec<Panel>,
    locked: bool,
}

/// How much was put in the place of what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// Users, lamps among them.
    pub users: usize,
    /// Panels.
    pub panels: usize,
    /// Whether the appliance is locked now.
    pub locked: bool,
}

/// Why nothing was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCarried {
    /// Nobody could change users any more.
    #[error("there is no admin in the backup, so nobody could administer the appliance; nothing was changed")]
    NoAdmin,
    /// No dmxd has written that.
    #[error("the backup holds users or panels that cannot be; nothing was changed")]
    Impossible,
}

impl Carried {
    /// Whether an appliance could be like that.
    fn check(&self) -> Result<(), NotCarried> {
        let once = |names: Vec<String>, count: usize| names.into_iter().collect::<BTreeSet<_>>().len() == count;
        let (users, panels) = (self.users.len(), self.panels.len());
        let differ = once(self.users.iter().map(|user| user.id.clone()).collect(), users)
            && once(self.users.iter().map(|user| user.name.to_lowercase()).collect(), users)
            && once(self.panels.iter().map(|panel| panel.id.clone()).collect(), panels);
        let workable = self.users.iter().all(|user| match &user.secret {
            Secret::Pin(word) | Secret::Password(word) => word.is_workable(),
            Secret::Key(_) => true,
        });
        let plain = self.users.iter().all(|user| !user.name.is_empty() && !user.name.contains(char::is_control));
        if users > MOST_USERS || panels > MOST_PANELS || !differ || !workable || !plain {
            return Err(NotCarried::Impossible);
        }
        if self.users.iter().any(|user| user.role == Role::Admin) { Ok(()) } else { Err(NotCarried::NoAdmin) }
    }

    /// What becomes of it beside what is there: whoever is the same stays logged in, whoever is not is another from now on.
    fn beside(self, now: &Table) -> Table {
        let users = self.users.into_iter().map(|user| match now.users.get(&user.id) {
            Some(here) if is_same(here, &user) => here.clone(),
            Some(here) => User { changes: here.changes.max(user.changes) + 1, ..user },
            None => user,
        });
        let mut table = Table::new(users.collect(), self.panels);
        table.locked = self.locked;
        table
    }
}

/// Whether whoever is let in as the one would be as the other.
fn is_same(one: &User, other: &User) -> bool {
    (&one.name, one.role, &one.secret) == (&other.name, other.role, &other.secret)
}

impl Access {
    /// What a new card needs to know of who may do what.
    #[must_use]
    pub fn export(&self) -> Carried {
        let table = self.table();
        let users = table.users.values().map(|user| User { tokens: Vec::new(), ..user.clone() });
        Carried { users: users.collect(), panels: table.panels.values().cloned().collect(), locked: table.locked }
    }

    /// Whether [`Self::take_over`] would.
    ///
    /// # Errors
    /// Why not.
    pub fn would_take_over(carried: &Carried) -> Result<(), NotCarried> {
        carried.check()
    }

    /// Puts users, panels and the lock in the place of what is there, and ends what those have open that are not the same any
    /// more.
    ///
    /// # Errors
    /// Nobody could administer the appliance then. Nothing has changed.
    pub async fn take_over(&self, carried: Carried) -> Result<TakenOver, NotCarried> {
        carried.check()?;
        let _editing = self.0.editing.lock().await;
        let now = self.table();
        let table = carried.beside(&now);
        self.0.store.keep(stored::replaced(&now, &table)).await;
        let taken = TakenOver { users: table.users.len(), panels: table.panels.len(), locked: table.locked };
        self.0.table.send_replace(table.into());
        self.0.health.clear(USERS_LOST);
        self.tell_setup().await;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::Digest;
    use super::super::password::Password;
    use super::super::table::Token;
    use super::*;
    use crate::wire::PanelBlackout;

    fn user(id: &str, role: Role, key: &str) -> User {
        User {
            id: id.into(),
            name: format!("user {id}"),
            role,
            secret: Secret::Key(Digest::of(key.as_bytes())),
            created_at: 1,
            changes: 0,
            tokens: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn carried(users: Vec<User>) -> Carried {
        Carried { users, panels: Vec::new(), locked: true }
    }

    #[test]
    fn whoever_is_the_same_stays_and_whoever_is_not_is_another() {
        let token = Token { digest: Digest::of(b"token"), from: [10, 0, 0, 1].into() };
        let here = |id: &str, key: &str| User { tokens: vec![token], changes: 3, ..user(id, Role::Admin, key) };
        let now = Table::new(vec![here("same", "a"), here("other", "b"), here("gone", "c")], Vec::new());
        let by_key = |key: &str| now.holder(Digest::of(key.as_bytes()), true).unwrap();
        let old = [by_key("a"), by_key("b"), by_key("c")];
        let table = carried(vec![user("same", Role::Admin, "a"), user("other", Role::Admin, "new")]).beside(&now);
        assert_eq!(old.map(|one| table.still(&one, true)), [true, false, false]);
        assert_eq!(table.users["same"].tokens, [token], "nobody has logged it out");
        assert!(table.users["other"].tokens.is_empty() && table.locked);
        assert!(table.holder(Digest::of(b"b"), true).is_none() && table.holder(Digest::of(b"new"), true).is_some());
    }

    #[test]
    fn what_no_appliance_could_be_like_is_refused_and_so_is_one_without_an_admin() {
        let admin = user("1", Role::Admin, "a");
        assert_eq!(carried(vec![admin.clone()]).check(), Ok(()));
        assert_eq!(carried(vec![user("1", Role::Edit, "a")]).check(), Err(NotCarried::NoAdmin));
        assert_eq!(carried(Vec::new()).check(), Err(NotCarried::NoAdmin));
        let named = |id: &str, name: &str| User { name: name.into(), ..user(id, Role::Admin, id) };
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
        for impossible in [
            carried(vec![admin.clone(), admin.clone()]),
            carried(vec![named("1", "Anna"), named("2", "ANNA")]),
            carried(vec![named("1", "")]),
            carried((0..=MOST_USERS).map(|n| user(&n.to_string(), Role::Admin, "a")).collect()),
            Carried { panels: vec![panel.clone(), panel], ..carried(vec![admin.clone()]) },
        ] {
            assert_eq!(impossible.check(), Err(NotCarried::Impossible));
        }
        let dear = r#"{"m":4000000,"t":2,"p":1,"salt":"00","hash":"00"}"#;
        let dear: Password = serde_json::from_str(dear).unwrap();
        let dear = User { secret: Secret::Pin(dear), ..admin };
        assert_eq!(carried(vec![dear]).check(), Err(NotCarried::Impossible), "a login would take 4 GB");
    }
}
