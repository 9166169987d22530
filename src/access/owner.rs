//! Ways back in, at the start: a reset that was asked for on the box, and an owner who stands in the settings.

use std::io;

use super::digest::Digest;
use super::error::AccessError;
use super::password::Password;
use super::table::{Secret, User};
use super::{Access, places, stored};
use crate::config;
use crate::kit::clock;
use crate::store::Batch;
use crate::wire::Role;

impl Access {
    /// Forgets every admin, and the lock, if somebody on the box has asked for that.
    pub(super) async fn heed_reset(&self) -> io::Result<()> {
        let data_dir = &self.0.data_dir;
        if !places::is_reset_asked_for(data_dir) {
            return Ok(());
        }
        let mut batch = Batch::default();
        let admins: Vec<_> = self.table().users.values().filter(|user| user.role == Role::Admin).cloned().collect();
        admins.iter().for_each(|admin| stored::remove_user(&mut batch, &admin.id));
        stored::lock(&mut batch, false);
        self.0.store.keep(batch).await;
        self.change(|table| {
            table.locked = false;
            admins.iter().for_each(|admin| drop(table.remove_user(&admin.id)));
        });
        tracing::warn!(admins = admins.len(), "users_reset");
        self.0.audit.note("console", "users reset", None, false);
        places::reset_done(data_dir)
    }

    /// Makes the owner of the settings an admin, and locks the appliance, unless it has done that for this very name and PIN.
    ///
    /// # Errors
    /// The PIN cannot be worked out.
    pub(super) async fn heed_owner(&self, owner: &config::Owner) -> Result<(), AccessError> {
        let Some(pin) = &owner.pin else { return Ok(()) };
        let both = format!("{}\0{}", owner.name, pin.reveal()).into_bytes();
        let known = stored::owner(&self.0.store);
        let (pin, name) = (pin.clone(), owner.name.clone());
        let worked_out = tokio::task::spawn_blocking(move || {
            if let Some(known) = known
                && known.is(&both)?
            {
                return Ok(None);
            }
            Ok::<_, super::password::NoPassword>(Some((Password::new(&both)?, Password::new(pin.reveal().as_bytes())?)))
        });
        let Some((mark, secret)) =
            worked_out.await.map_err(super::LoginError::from)?.map_err(super::LoginError::from)?
        else {
            return Ok(());
        };
        let id = ulid::Ulid::generate().to_string();
        let before = self.table().user_named(&name).cloned();
        let fresh = User {
            id,
            name: name.clone(),
            role: Role::Admin,
            secret: Secret::Key(Digest::of(b"")),
            created_at: clock::now_ms(),
            changes: 0,
            tokens: Vec::new(),
            addresses: Vec::new(),
        };
        let before = before.unwrap_or(fresh);
        let user = User {
            name,
            role: Role::Admin,
            secret: Secret::Pin(secret),
            changes: before.changes + 1,
            tokens: Vec::new(),
            addresses: Vec::new(),
            ..before
        };
        let mut batch = stored::user(&user);
        stored::put_owner(&mut batch, &mark);
        stored::lock(&mut batch, true);
        self.0.store.keep(batch).await;
        self.change(|table| {
            table.locked = true;
            table.put_user(user);
        });
        tracing::warn!(name = owner.name, "owner_made");
        Ok(())
    }
}
