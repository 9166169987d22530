//! The lock: one step from open to locked, and back.

use std::net::IpAddr;

use super::error::AccessError;
use super::identity::{Identity, Kind};
use super::users::UserView;
use super::{Access, USERS_LOST, stored};
use crate::wire::{LockOrder, NewSecret, Role};

impl Access {
    /// Locks the appliance; makes the first admin where there is none. `here`: the order came from the machine itself.
    ///
    /// # Errors
    /// The code is wrong, or an admin must do that.
    pub async fn lock(
        &self,
        order: LockOrder,
        by: &Identity,
        (from, here): (IpAddr, bool),
    ) -> Result<Option<UserView>, AccessError> {
        // before a secret is worked out, which takes its time: a stranger is not worth that
        self.may_lock(&order, by, here)?;
        let secret = match (self.has_admin(), &order.admin.secret) {
            (true, _) => None,
            (false, secret) => Some(self.secret(secret.clone().unwrap_or(NewSecret::Generated), from).await?),
        };
        let _editing = self.0.editing.lock().await;
        self.may_lock(&order, by, here)?; // another one may have been first
        let mut made = None;
        if !self.has_admin() {
            let secret = secret.ok_or(AccessError::AdminNeeded)?; // the last admin went meanwhile: once more
            made = Some(self.make_user(order.admin, secret).await?);
            self.0.health.clear(USERS_LOST);
        }
        self.set_lock(true).await;
        Ok(made)
    }

    fn may_lock(&self, order: &LockOrder, by: &Identity, here: bool) -> Result<(), AccessError> {
        if *by.kind() != Kind::Anonymous && by.rights().cover(Role::Admin) {
            return Ok(());
        }
        if self.has_admin() {
            return Err(AccessError::AdminNeeded);
        }
        let knows_code = order.code.as_deref().is_some_and(|code| self.is_first_code(code));
        if here || knows_code { Ok(()) } else { Err(AccessError::CodeNeeded) }
    }

    /// Opens the appliance to everybody on its network.
    ///
    /// # Errors
    /// The settings lock it.
    pub async fn unlock(&self) -> Result<(), AccessError> {
        let _editing = self.0.editing.lock().await;
        if self.is_locked_by_settings() {
            return Err(AccessError::LockedBySettings);
        }
        self.set_lock(false).await;
        Ok(())
    }

    async fn set_lock(&self, locked: bool) {
        let mut batch = crate::store::Batch::default();
        stored::lock(&mut batch, locked);
        self.0.store.keep(batch).await;
        self.change(|table| table.locked = locked);
        self.tell_setup().await;
    }

    /// Tells `dmxd setup` whether it is locked: a file, so not on a worker's time.
    pub(super) async fn tell_setup(&self) {
        let access = self.clone();
        let said = tokio::task::spawn_blocking(move || access.say_locked());
        let _ = said.await; // Err: the house is closing
    }
}
