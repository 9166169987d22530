//! Users and their logins: edits are made one after the other, and are on the medium before they are answered.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use ulid::Ulid;

use super::digest::{Digest, new_key};
use super::error::AccessError;
use super::identity::{Identity, Kind};
use super::login::LoginError;
use super::table::{MOST_USERS, Secret, Table, User};
use super::{Access, stored};
use crate::kit::clock;
use crate::wire::{NewSecret, Role, UserEdit};

/// The name of a first admin without one.
const FIRST_ADMIN: &str = "admin";

/// A user, as shown: never with a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "User", title = "User", description = "Somebody who may do something here.")]
pub struct UserView {
    /// Its id.
    pub id: String,
    /// Its name; of a device also its client id.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// How it proves to be one: `pin`, `password` or `key`.
    pub secret: &'static str,
    /// When it was made, Unix milliseconds.
    pub created_at: u64,
    /// Open logins.
    pub logins: usize,
    /// Only where it was made just now: it is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A login that is open from now on.
#[derive(Clone, PartialEq, Eq)]
pub struct NewLogin {
    /// What to present from now on.
    pub token: String,
    /// Whose it is.
    pub identity: Identity,
}

impl User {
    pub(super) fn view(&self, key: Option<String>) -> UserView {
        UserView {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
            secret: self.secret.word(),
            created_at: self.created_at,
            logins: self.tokens.len(),
            key,
        }
    }
}

/// In the log of deeds these names stand for somebody else.
fn is_reserved(name: &str) -> bool {
    let name = name.to_lowercase();
    ["anonymous", "console", "mqtt"].contains(&name.as_str())
        || ["panel ", "key ", "unknown "].iter().any(|one| name.starts_with(one))
}

fn no_user(id: &str) -> AccessError {
    AccessError::NotFound("user", id.to_owned())
}

impl Access {
    /// Every user, by name.
    #[must_use]
    pub fn users(&self) -> Vec<UserView> {
        let mut users: Vec<_> = self.table().users.values().map(|user| user.view(None)).collect();
        users.sort_by_cached_key(|user| user.name.to_lowercase());
        users
    }

    /// The name of the user or panel that a path is about.
    #[must_use]
    pub fn called(&self, path: &str) -> Option<String> {
        let table = self.0.table.borrow();
        let user = path.strip_prefix("/users/").and_then(|id| table.users.get(id)).map(|user| user.name.clone());
        user.or_else(|| {
            path.strip_prefix("/panels/").and_then(|id| table.panels.get(id)).map(|panel| panel.name.clone())
        })
    }

    /// Whether a user has this name.
    #[must_use]
    pub fn has_user(&self, name: &str) -> bool {
        self.0.table.borrow().user_named(name).is_some()
    }

    /// Makes a user; the answer has the key, if one was made.
    ///
    /// # Errors
    /// The name is taken, or there are too many.
    pub async fn create_user(&self, edit: UserEdit, from: IpAddr) -> Result<UserView, AccessError> {
        let secret = self.secret(edit.secret.clone().unwrap_or(NewSecret::Generated), from).await?;
        let _editing = self.0.editing.lock().await;
        self.make_user(edit, secret).await
    }

    /// By the one who edits.
    pub(super) async fn make_user(
        &self,
        edit: UserEdit,
        (secret, key): (Secret, Option<String>),
    ) -> Result<UserView, AccessError> {
        let table = self.table();
        if table.users.len() >= MOST_USERS {
            return Err(AccessError::TooMany(MOST_USERS, "users"));
        }
        let name = edit.name.unwrap_or_else(|| FIRST_ADMIN.to_owned());
        if table.user_named(&name).is_some() || is_reserved(&name) {
            return Err(AccessError::Taken(name));
        }
        let user = User {
            id: Ulid::generate().to_string(),
            name,
            role: edit.role.unwrap_or(Role::View),
            secret,
            created_at: clock::now_ms(),
            changes: 0,
            tokens: Vec::new(),
            addresses: Vec::new(),
        };
        self.0.store.keep(stored::user(&user)).await;
        self.put(user.clone());
        Ok(user.view(key))
    }

    pub(super) async fn secret(
        &self,
        secret: NewSecret,
        from: IpAddr,
    ) -> Result<(Secret, Option<String>), AccessError> {
        Ok(match secret {
            NewSecret::Pin(pin) => (Secret::Pin(self.keep_password(pin, from).await?), None),
            NewSecret::Password(word) => (Secret::Password(self.keep_password(word, from).await?), None),
            NewSecret::Generated => {
                let key = new_key()?;
                (Secret::Key(Digest::of(key.as_bytes())), Some(key))
            }
        })
    }

    /// Changes the named fields of a user, and ends what it has open if that is concerned.
    ///
    /// # Errors
    /// There is none, the name is taken, or it is the last admin.
    pub async fn edit_user(&self, id: &str, edit: UserEdit, from: IpAddr) -> Result<UserView, AccessError> {
        let UserEdit { name, role, secret } = edit;
        // worked out before, or every other edit would wait for it
        let secret = match secret {
            Some(secret) => Some(self.secret(secret, from).await?),
            None => None,
        };
        let _editing = self.0.editing.lock().await;
        let table = self.table();
        let mut user = table.users.get(id).cloned().ok_or_else(|| no_user(id))?;
        if let Some(name) = name {
            if table.user_named(&name).is_some_and(|other| other.id != id) || is_reserved(&name) {
                return Err(AccessError::Taken(name));
            }
            user.changes += u32::from(user.name != name);
            user.name = name;
        }
        if let Some(role) = role {
            if user.role == Role::Admin && role != Role::Admin && table.admins() == 1 {
                return Err(AccessError::LastAdmin);
            }
            user.changes += u32::from(user.role != role);
            user.role = role;
        }
        let mut made = None;
        if let Some(secret) = secret {
            (user.secret, made) = secret;
            user.changes += 1;
            user.tokens.clear(); // whoever had the old secret has them too
            user.addresses.clear();
        }
        self.0.store.keep(stored::user(&user)).await;
        self.put(user.clone());
        Ok(user.view(made))
    }

    /// Deletes a user, and ends what it has open.
    ///
    /// # Errors
    /// There is none, or it is the last admin.
    pub async fn delete_user(&self, id: &str) -> Result<(), AccessError> {
        let _editing = self.0.editing.lock().await;
        let table = self.table();
        let user = table.users.get(id).ok_or_else(|| no_user(id))?;
        if user.role == Role::Admin && table.admins() == 1 {
            return Err(AccessError::LastAdmin);
        }
        self.0.store.keep(stored::no_user(id)).await;
        self.change(|table| drop(table.remove_user(id)));
        Ok(())
    }

    pub(super) fn change(&self, with: impl FnOnce(&mut Table)) {
        self.0.table.send_modify(|table| with(Arc::make_mut(table)));
    }

    /// Opens a login of a user, who is known by a name and a secret.
    ///
    /// # Errors
    /// The user is gone, or there are no random bytes.
    pub async fn open_login(&self, identity: &Identity, from: IpAddr) -> Result<NewLogin, AccessError> {
        let Kind::User(id, changes, _) = identity.kind() else { return Err(no_user(identity.name())) };
        let _editing = self.0.editing.lock().await;
        let mut user = self.table().users.get(id).cloned().ok_or_else(|| no_user(id))?;
        if user.changes != *changes {
            return Err(LoginError::Wrong.into()); // the secret was the right one until a moment ago
        }
        let token = new_key()?;
        user.logged_in(Digest::of(token.as_bytes()), from);
        user.came_from(from);
        self.0.store.keep(stored::user(&user)).await;
        let identity = user.identity(Some(Digest::of(token.as_bytes())));
        self.put(user);
        Ok(NewLogin { token, identity })
    }

    /// Opens a login of a user that was made just now.
    ///
    /// # Errors
    /// As above.
    pub async fn login_of(&self, id: &str, from: IpAddr) -> Result<NewLogin, AccessError> {
        let identity = self.table().users.get(id).map(|user| user.identity(None)).ok_or_else(|| no_user(id))?;
        self.open_login(&identity, from).await
    }

    /// Ends the login by which somebody is here; whether it was one.
    pub async fn logout(&self, identity: &Identity) -> bool {
        let Kind::User(id, _, Some(token)) = identity.kind() else { return false };
        let _editing = self.0.editing.lock().await;
        let Some(mut user) = self.table().users.get(id).cloned() else { return false };
        user.tokens.retain(|open| open.digest != *token);
        self.0.store.keep(stored::user(&user)).await;
        self.put(user);
        true
    }
}
