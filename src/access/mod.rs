//! Who may do what: users, keys, panels and devices are identities, each with rights; every door asks here.
//!
//! One table says who there is. Everybody reads it without waiting; edits are made one after the other, are on the medium
//! before they are answered, and end what an identity has open when it is not the same any more.

mod audit;
mod brakes;
mod carried;
mod digest;
mod entry;
mod error;
mod identity;
mod lock;
mod login;
mod owner;
mod panels;
mod password;
mod places;
mod rights;
mod stored;
mod table;
mod users;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::config::{self, AuthMode};
use crate::kit::budget::Budget;
use crate::kit::health::Health;
use crate::kit::log_limiter::LogLimiters;
use crate::store::Store;
use crate::wire::Role;

pub use audit::MOST as MOST_AUDITED;
pub use carried::{Carried, NotCarried, TakenOver};
pub use digest::Digest;
pub use entry::Entry as AuditEntry;
pub use error::AccessError;
pub use identity::{Identity, Kind};
pub use login::LoginError;
pub use panels::PanelView;
pub use places::{LockedBy, ask_for_reset, first_code, was_locked};
pub use rights::{Deed, PanelRights, Rights};
pub use users::{NewLogin, UserView};

use audit::Audit;
use brakes::Brakes;
use table::Table;

/// Problem: users are lost with the database, until there is an admin again.
const USERS_LOST: &str = "USERS_LOST";

/// Who may do what. Clones share it.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    settings: config::Auth,
    table: watch::Sender<Arc<Table>>,
    /// Held by the one who edits.
    editing: tokio::sync::Mutex<()>,
    store: Store,
    budget: Budget,
    health: Health,
    brakes: Mutex<Brakes>,
    /// One PIN or password is worked out at a time.
    lane: Semaphore,
    /// One stranger at a time waits for that: who is known from before never waits behind a crowd.
    strangers: Semaphore,
    /// Makes the first admin.
    code: OnceLock<String>,
    data_dir: PathBuf,
    audit: Audit,
    /// Limits log lines about refusals, by address.
    refusals: Mutex<LogLimiters>,
}

/// Hears of changes of who may do what.
pub struct Changes(watch::Receiver<Arc<Table>>);

impl Changes {
    /// Ends with the next change, of several with the last. Cancel-safe.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await // the house is closing
        }
    }
}

/// What it needs of the house.
pub struct AccessDeps {
    /// `[auth]`
    pub settings: config::Auth,
    /// `[owner]`
    pub owner: config::Owner,
    /// Where marks for `dmxd setup` are.
    pub data_dir: PathBuf,
    /// Where users are kept.
    pub store: Store,
    /// What working out a password is charged to.
    pub budget: Budget,
    /// What `GET /readyz` reports.
    pub health: Health,
}

impl AccessDeps {
    /// By these settings.
    #[must_use]
    pub fn of(config: &config::Config, store: &Store, budget: &Budget, health: &Health) -> Self {
        Self {
            settings: config.auth.clone(),
            owner: config.owner.clone(),
            data_dir: config.storage.data_dir.clone(),
            store: store.clone(),
            budget: budget.clone(),
            health: health.clone(),
        }
    }
}

impl Access {
    /// Reads what is stored. Whatever the card takes no more, or the settings ask for in vain, is no reason not to start.
    pub async fn open(deps: AccessDeps) -> Self {
        let AccessDeps { settings, owner, data_dir, store, budget, health } = deps;
        let mut table = stored::table(&store);
        // Lost with the database, it must not leave the appliance open to those who were locked out.
        let is_lost = || {
            let lost = places::was_locked(&data_dir) == Some(LockedBy::People);
            if lost {
                let message = "who may do what is lost with the database: the appliance stays locked; make a new first admin with \
                               the code in dmxd-status.txt or the log, or restore a backup of the appliance";
                health.raise(USERS_LOST, message);
                tracing::error!("users_lost");
            }
            lost
        };
        table.locked = stored::is_locked(&store).unwrap_or_else(is_lost);
        let access = Self(Arc::new(Inner {
            settings,
            table: watch::Sender::new(Arc::new(table)),
            editing: tokio::sync::Mutex::default(),
            audit: Audit::open(store.clone()),
            refusals: Mutex::default(),
            store,
            budget,
            health,
            brakes: Mutex::default(),
            lane: Semaphore::new(1),
            strangers: Semaphore::new(1),
            code: OnceLock::new(),
            data_dir,
        }));
        if let Err(error) = access.heed_reset().await {
            tracing::error!(%error, "users_reset");
        }
        if let Err(error) = access.heed_owner(&owner).await {
            tracing::error!(%error, "owner_not_made");
        }
        let kept = places::first_code(&access.0.data_dir);
        let code = kept.inspect_err(|error| tracing::warn!(%error, "first_code")).or_else(|_| digest::new_code());
        if let Ok(code) = code {
            let _ = access.0.code.set(code); // Err: never, nobody else does
        }
        access.say_locked();
        if let Some(code) = access.first_code() {
            tracing::info!(code, "first_admin_code");
        }
        access
    }

    fn table(&self) -> Arc<Table> {
        self.0.table.borrow().clone()
    }

    /// Whether who is not known is refused: by the settings, or because somebody has locked the appliance.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        if self.0.table.borrow().locked { AuthMode::Required } else { self.0.settings.mode }
    }

    /// Whether the settings alone refuse strangers, so that the app cannot open the appliance.
    #[must_use]
    pub fn is_locked_by_settings(&self) -> bool {
        self.0.settings.mode == AuthMode::Required
    }

    /// Whether there is an admin among the users.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        self.0.table.borrow().admins() > 0
    }

    /// The code that makes the first admin, as long as there is none and no key.
    #[must_use]
    pub fn first_code(&self) -> Option<&str> {
        let code = self.0.code.get().map(String::as_str);
        code.filter(|_| !self.has_admin() && self.0.settings.keys.is_empty())
    }

    /// Tells `dmxd setup`, which writes it on the card at the next start.
    fn say_locked(&self) {
        let by = match (self.0.table.borrow().locked, self.0.settings.mode) {
            (true, _) => Some(LockedBy::People),
            (false, AuthMode::Required) => Some(LockedBy::Settings),
            (false, AuthMode::Audit) => None,
        };
        if let Err(error) = places::say_locked(&self.0.data_dir, by) {
            tracing::warn!(%error, "lock_mark");
        }
    }

    /// Who has a key, token or panel's secret; never slowed. Every key of the settings is compared, so that the time does
    /// not reveal which one was right.
    #[must_use]
    pub fn bearer(&self, secret: &[u8]) -> Option<Identity> {
        let keys = &self.0.settings.keys;
        if !secret.is_empty() && keys.iter().fold(false, |hit, known| known.matches(secret) | hit) {
            return Some(Identity::key(secret));
        }
        let is_open = self.mode() == AuthMode::Audit;
        self.0.table.borrow().holder(Digest::of(secret), is_open)
    }

    /// Who has shown nothing.
    #[must_use]
    pub fn anonymous(&self) -> Identity {
        Identity::anonymous(match self.mode() {
            AuthMode::Audit => Rights::Role(Role::Admin),
            AuthMode::Required => self.0.settings.anonymous.into(),
        })
    }

    /// Who has shown something that nobody has.
    #[must_use]
    pub fn nobody(&self) -> Identity {
        Identity::anonymous(Rights::None)
    }

    /// Whether somebody is still what they were when they were let in.
    #[must_use]
    pub fn holds(&self, identity: &Identity) -> bool {
        match identity.kind() {
            Kind::Anonymous => *identity == self.anonymous(),
            Kind::House | Kind::Key | Kind::User(..) | Kind::Panel(..) => {
                let is_open = self.mode() == AuthMode::Audit;
                self.0.table.borrow().still(identity, is_open)
            }
        }
    }

    /// A user as it is now, by id.
    #[must_use]
    pub fn user(&self, id: &str) -> Option<Identity> {
        self.0.table.borrow().users.get(id).map(|user| user.identity(None))
    }

    /// Whether this is exactly the name of a device.
    #[must_use]
    pub fn is_device(&self, name: &str) -> bool {
        self.0.table.borrow().user_named(name).is_some_and(|user| user.role == Role::Device && user.name == name)
    }

    /// Hears of every change of who may do what.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.0.table.subscribe())
    }

    /// Ends when an identity is not what it was any more. Cancel-safe.
    pub async fn ended(&self, identity: &Identity) {
        let mut changes = self.0.table.subscribe();
        while self.holds(identity) {
            if changes.changed().await.is_err() {
                return std::future::pending().await; // the house is closing
            }
        }
    }

    /// Notes a deed in the log of deeds.
    pub fn did(&self, who: &Identity, what: &str, from: Option<IpAddr>) {
        self.0.audit.note(who.name(), what, from, false);
    }

    /// Notes a refusal there.
    pub fn refused(&self, who: &str, what: &str, from: Option<IpAddr>) {
        let address = from.map(|from| from.to_string());
        if let Some(more) = self.0.refusals.lock().due(address.as_deref().unwrap_or_default()) {
            tracing::warn!(who, what, from = address, more, "refused");
        }
        self.0.audit.note(who, what, from, true);
    }

    /// The last deeds, newest first.
    #[must_use]
    pub fn audit(&self, limit: usize) -> Vec<AuditEntry> {
        self.0.audit.last(limit)
    }
}
