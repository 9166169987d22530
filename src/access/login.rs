//! Names and secrets: who presents the right ones is that user.

use std::net::IpAddr;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::digest::Digest;
use super::identity::Identity;
use super::password::{BYTES, NoPassword, Password};
use super::table::{Secret, User};
use super::{Access, stored};
use crate::kit::budget::{Full, Kind};

/// Why a name and secret let nobody in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// One of them is wrong.
    #[error("wrong name or secret")]
    Wrong,
    /// Too many were wrong: none is looked at for so long.
    #[error("too many wrong attempts with this name; try again in {} minutes", minutes(.0))]
    TooMany(Duration),
    /// Another one is being worked out.
    #[error("another login is being checked; try again in a second")]
    Busy,
    /// There is no memory for it.
    #[error(transparent)]
    Full(#[from] Full),
    /// A fault of ours.
    #[error(transparent)]
    Internal(#[from] NoPassword),
    /// A fault of ours.
    #[error("working out a password: {0}")]
    Task(#[from] JoinError),
}

fn minutes(wait: &Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}

/// A secret of a user that is being worked out; its end is noted whatever happens.
struct Turn<'a>(&'a Access, &'a str);

impl<'a> Turn<'a> {
    /// `None`: one of this user is under way. Right secrets are not braked, so one at a time is enough.
    fn take(access: &'a Access, user: &'a str) -> Option<Self> {
        let is_free = access.0.brakes.lock().begin(user);
        is_free.then(|| Self(access, user)) // made only then: its drop gives the place back
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.brakes.lock().end(self.1);
    }
}

impl Access {
    /// Who presents a name and a PIN, password, key or token. Keys and tokens are never slowed.
    ///
    /// # Errors
    /// Why it is nobody.
    pub async fn login(&self, name: &str, secret: &[u8], from: IpAddr) -> Result<Identity, LoginError> {
        let user = self.table().user_named(name).cloned();
        let Some(user) = user else { return Err(LoginError::Wrong) };
        let digest = Digest::of(secret);
        let password = match &user.secret {
            Secret::Key(key) if *key == digest => return Ok(user.identity(None)),
            _ if user.has_token(digest) => return Ok(user.identity(Some(digest))),
            Secret::Key(_) => return Err(LoginError::Wrong), // 128 bits need no brake
            Secret::Pin(password) | Secret::Password(password) => password.clone(),
        };
        let known = user.addresses.contains(&from);
        // A task of its own: whoever hangs up meanwhile gives nothing back before it is done, or a thousand who do would have
        // a thousand worked out at a time.
        let (access, id, secret) = (self.clone(), user.id.clone(), secret.to_vec());
        let looked = tokio::spawn(async move { access.looks_right(&id, password, secret, (from, known)).await });
        if looked.await?? {
            if !known {
                self.remember_address(&user, from).await;
            }
            return Ok(user.identity(None));
        }
        Err(LoginError::Wrong)
    }

    /// Whether a secret is right, as far as the brakes let it be looked at.
    async fn looks_right(
        &self,
        user: &str,
        password: Password,
        secret: Vec<u8>,
        (from, known): (IpAddr, bool),
    ) -> Result<bool, LoginError> {
        let leave = self.0.brakes.lock().ask(user, from, known, Instant::now()).map_err(LoginError::TooMany)?;
        let looked = match Turn::take(self, user) {
            Some(_turn) => self.work_out(password, secret, from, known).await,
            None => Err(LoginError::Busy),
        };
        if !matches!(looked, Ok(false)) {
            self.0.brakes.lock().give_back(leave);
        }
        looked
    }

    async fn work_out(
        &self,
        password: Password,
        secret: Vec<u8>,
        from: IpAddr,
        known: bool,
    ) -> Result<bool, LoginError> {
        let _stranger = if known { None } else { Some(self.0.strangers.try_acquire().map_err(|_| LoginError::Busy)?) };
        let _lane = self.0.lane.acquire().await.map_err(|_| LoginError::Busy)?; // Err: never, it is not closed
        let _share = self.0.budget.draw(Kind::Bodies, from, BYTES)?;
        Ok(tokio::task::spawn_blocking(move || password.is(&secret)).await??)
    }

    /// A new secret as it is kept.
    ///
    /// # Errors
    /// No memory, or no random bytes.
    pub(super) async fn keep_password(&self, secret: String, from: IpAddr) -> Result<Password, LoginError> {
        let _lane = self.0.lane.acquire().await.map_err(|_| LoginError::Busy)?; // Err: never, it is not closed
        let _share = self.0.budget.draw(Kind::Bodies, from, BYTES)?;
        Ok(tokio::task::spawn_blocking(move || Password::new(secret.as_bytes())).await??)
    }

    /// Whether this is the code that makes the first admin. It has 50 bits: guesses need no brake, which strangers could use to
    /// keep the owner out.
    pub(super) fn is_first_code(&self, code: &str) -> bool {
        let code = code.trim().to_lowercase();
        self.first_code().is_some_and(|right| subtle::ConstantTimeEq::ct_eq(code.as_bytes(), right.as_bytes()).into())
    }

    async fn remember_address(&self, known: &User, from: IpAddr) {
        let _editing = self.0.editing.lock().await;
        let Some(mut user) = self.table().users.get(&known.id).cloned() else { return };
        if user.changes == known.changes && user.came_from(from) {
            self.0.store.write(stored::user(&user)).await;
            self.put(user);
        }
    }

    pub(super) fn put(&self, user: User) {
        self.0.table.send_modify(|table| std::sync::Arc::make_mut(table).put_user(user));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::access::AccessDeps;
    use crate::config::Config;
    use crate::kit::budget::Budget;
    use crate::kit::health::Health;
    use crate::metrics::Metrics;
    use crate::store::Store;
    use crate::wire::UserEdit;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    async fn access(data: &tempfile::TempDir) -> Access {
        let mut config = Config::default();
        config.storage.data_dir = data.path().into();
        let (metrics, health) = (Metrics::new().unwrap(), Health::default());
        let store = Store::open(&config.storage, &health, &metrics).unwrap().store;
        let budget = Budget::new(&config, health.clone(), metrics.memory.clone());
        let access = Access::open(AccessDeps::of(&config, &store, &budget, &health)).await;
        for (name, pin) in [("Anna", "294817"), ("Eva", "111222")] {
            let user = format!(r#"{{"name":"{name}","role":"view","pin":"{pin}"}}"#);
            access.create_user(UserEdit::from_json(user.as_bytes(), true).unwrap(), FROM).await.unwrap();
        }
        access
    }

    #[tokio::test]
    async fn whoever_hangs_up_gives_no_place_back_before_the_work_is_done() {
        let data = tempfile::tempdir().unwrap();
        let access = access(&data).await;
        access.login("Eva", b"111222", FROM).await.unwrap(); // known from here on
        assert!(access.login("Anna", b"000000", FROM).now_or_never().is_none(), "hangs up at once");
        while access.0.lane.available_permits() > 0 {
            tokio::task::yield_now().await; // its work begins all the same
        }
        assert!(
            matches!(access.login("Anna", b"294817", FROM).await, Err(LoginError::Busy)),
            "one of a user at a time"
        );
        access.login("Eva", b"111222", FROM).await.unwrap(); // waits for its turn
        access.login("Anna", b"294817", FROM).await.unwrap();
    }
}
