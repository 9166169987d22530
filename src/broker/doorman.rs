//! Who a client is: its login becomes an identity, and the identity what it may do here.
//!
//! A login is the one of the settings, a user's, or a key or token under any name. Who has none is let in as far as
//! `mqtt.anonymous` says. A wrong one is never taken for none once the appliance is locked.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::codec::{Connect, Reason};
use super::policy::Topics;
use super::rights::{Grant, Holder, Standing};
use crate::access::{Access, Identity, Kind, LoginError, Rights};
use crate::config::{self, AuthMode, MqttAnonymous};
use crate::kit::secret::Secret;
use crate::wire::Role;

/// Stands for everybody who has a key of the settings as owner of a session. No user's id is like it.
const KEY: &str = "key";

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotYou {
    pub(super) reason: Reason,
    pub(super) why: Cow<'static, str>,
}

impl NotYou {
    fn new(reason: Reason, why: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, why: why.into() }
    }
}

/// Knows who is who.
pub(super) struct Doorman {
    access: Access,
    /// The login of the settings.
    login: Option<(String, Secret)>,
    anonymous: MqttAnonymous,
    acl: Vec<config::AclLine>,
    topics: Topics,
}

impl Doorman {
    pub(super) fn new(access: Access, settings: &config::Mqtt, topics: Topics) -> Self {
        let password = settings.password.clone().unwrap_or_else(|| Secret::new(""));
        let login = (!settings.username.is_empty()).then(|| (settings.username.clone(), password));
        Self { access, login, anonymous: settings.anonymous, acl: settings.acl.clone(), topics }
    }

    /// What clients without a login may do now.
    fn for_anonymous(&self) -> MqttAnonymous {
        match self.anonymous {
            MqttAnonymous::ByMode if self.login.is_some() => MqttAnonymous::None,
            MqttAnonymous::ByMode if self.access.mode() == AuthMode::Audit => MqttAnonymous::All,
            MqttAnonymous::ByMode => MqttAnonymous::None,
            set => set,
        }
    }

    /// Who has no login now; `None`: nobody is let in without one.
    fn anonymous(&self) -> Option<Identity> {
        let rights = match (self.for_anonymous(), self.access.mode()) {
            (MqttAnonymous::All, AuthMode::Audit) => Role::Admin, // as on every other door
            (MqttAnonymous::All | MqttAnonymous::ByMode, _) => Role::Edit,
            (MqttAnonymous::Devices, _) => Role::Device,
            (MqttAnonymous::None, _) => return None,
        };
        Some(Identity::anonymous(Rights::Role(rights)))
    }

    /// Who a client is that comes from there.
    ///
    /// # Errors
    /// It is not let in.
    pub(super) async fn identify(&self, connect: &Connect, from: IpAddr) -> Result<Identity, NotYou> {
        let (name, secret) = (connect.username.as_deref(), connect.password.as_deref().unwrap_or_default());
        let is_open = self.access.mode() == AuthMode::Audit;
        if let Some((known, password)) = &self.login
            && name == Some(known)
            && password.matches(secret)
            && (is_open || !secret.is_empty())
        {
            // many lamps share it: in a locked house it takes no other device's place
            let role = if is_open { Role::Admin } else { Role::Edit };
            return Ok(Identity::new(Kind::Key, known.clone(), Rights::Role(role)));
        }
        let refused = match self.by_secret(name, secret, from).await {
            Ok(Some(identity)) => return Ok(identity),
            Ok(None) => None,
            Err(refused) => Some(refused),
        };
        let takes_any_login = self.login.is_none() && self.access.mode() == AuthMode::Audit;
        match refused.filter(|_| !takes_any_login) {
            Some(refused) => {
                self.access.refused(name.unwrap_or("anonymous"), "MQTT login", Some(from));
                Err(refused)
            }
            None => {
                self.anonymous().ok_or_else(|| NotYou::new(Reason::NotAuthorized, "no user name, and one is needed"))
            }
        }
    }

    /// Who has a key, token, or the password of a user; `None`: nothing was shown.
    async fn by_secret(&self, name: Option<&str>, secret: &[u8], from: IpAddr) -> Result<Option<Identity>, NotYou> {
        if name.is_none_or(str::is_empty) && secret.is_empty() {
            return Ok(None);
        }
        let bearer = if secret.is_empty() { None } else { self.access.bearer(secret) };
        // a panel's secret is for its page
        if let Some(identity) = bearer.filter(|identity| !matches!(identity.kind(), Kind::Panel(..))) {
            return Ok(Some(identity));
        }
        let wrong = || NotYou::new(Reason::BadLogin, "wrong user name or password");
        let Some(name) = name.filter(|_| !secret.is_empty()) else { return Err(wrong()) };
        match self.access.login(name, secret, from).await {
            Ok(identity) => {
                if identity.device().is_none() {
                    self.access.did(&identity, "MQTT login", Some(from));
                }
                Ok(Some(identity))
            }
            Err(LoginError::Wrong) => Err(wrong()),
            Err(error @ (LoginError::TooMany(_) | LoginError::Busy | LoginError::Full(_))) => {
                Err(NotYou::new(Reason::QuotaExceeded, error.to_string()))
            }
            Err(error @ (LoginError::Internal(_) | LoginError::Task(_))) => {
                tracing::error!(%error, "mqtt_login");
                Err(NotYou::new(Reason::Unavailable, "the login could not be checked"))
            }
        }
    }

    /// Whether somebody may have this client id. A device has its name, and nobody else has a device's, but who may
    /// administrate.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_be(&self, identity: &Identity, client: &str) -> Result<(), NotYou> {
        if let (Kind::User(..), Some(name)) = (identity.kind(), identity.device()) {
            return if client == name {
                Ok(())
            } else {
                Err(NotYou::new(Reason::BadClientId, format!("the client id of this device must be its name, {name}")))
            };
        }
        if !identity.rights().cover(Role::Admin) && self.access.is_device(client) {
            return Err(NotYou::new(Reason::BadClientId, "this client id is the name of a device, which has a key"));
        }
        Ok(())
    }

    /// Whether a client's will may be published by it.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_will(&self, identity: &Identity, connect: &Connect, client: &str) -> Result<(), NotYou> {
        let (Some(will), Some(grant)) = (&connect.will, self.grant(identity, client)) else { return Ok(()) };
        if grant.may_write(&will.topic) {
            return Ok(());
        }
        Err(NotYou::new(Reason::NotAuthorized, "its last will is on a topic that it may not publish to"))
    }

    /// What somebody may do with this client id; `None`: everything.
    pub(super) fn grant(&self, identity: &Identity, client: &str) -> Option<Arc<Grant>> {
        let is_known = matches!(identity.kind(), Kind::User(..) | Kind::Key);
        let standing = match (identity.rights(), identity.kind()) {
            (Rights::Role(Role::Device), Kind::Anonymous) => Standing::Unnamed,
            (Rights::Role(Role::Edit | Role::Admin), _) => Standing::Everything,
            (Rights::Role(role), _) => Standing::Role(*role),
            (Rights::None | Rights::Panel(_), _) => Standing::Nothing,
        };
        let user = is_known.then(|| identity.name());
        Grant::new(&Holder { standing, user, client }, &self.acl, &self.topics).map(Arc::new)
    }

    /// Whether somebody is still what they were when they were let in.
    fn holds(&self, identity: &Identity) -> bool {
        match identity.kind() {
            Kind::Anonymous => self.anonymous().unwrap_or_else(|| self.nobody()) == *identity,
            _ => self.access.holds(identity),
        }
    }

    /// The same, and whether it may still have its client id.
    pub(super) fn is_still(&self, identity: &Identity, client: &str) -> bool {
        self.holds(identity) && self.may_be(identity, client).is_ok()
    }

    /// Who may do nothing.
    pub(super) fn nobody(&self) -> Identity {
        self.access.nobody()
    }

    /// Who the owner of a session is now; `Err`: it is no more.
    pub(super) fn owner(&self, owner: Option<&str>) -> Result<Identity, Gone> {
        match owner {
            None => Ok(self.anonymous().unwrap_or_else(|| self.nobody())),
            Some(KEY) => Ok(Identity::new(Kind::Key, KEY, Rights::Role(Role::Edit))),
            Some(id) => self.access.user(id).ok_or(Gone),
        }
    }

    /// Whose command it is that an earlier run's client left as its will: it was allowed then.
    pub(super) fn left(&self) -> Identity {
        match self.access.mode() {
            AuthMode::Audit => self.access.anonymous(),
            AuthMode::Required => Identity::house("mqtt will"),
        }
    }
}

/// The user whose session it was is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// Whose a session is by what it is known of its client; `None`: nobody's, so whoever may have its client id may have it.
pub(super) fn owner_of(identity: &Identity) -> Option<Arc<str>> {
    match identity.kind() {
        Kind::User(id, ..) => Some(id.as_str().into()),
        Kind::Key => Some(KEY.into()),
        Kind::Anonymous | Kind::House | Kind::Panel(..) => None,
    }
}

/// Whether somebody may have the session of this client id and owner: its queue, its subscriptions, an end of its connection.
/// A device always gets the one of its name.
pub(super) fn may_have(client: &str, owner: Option<&str>, identity: &Identity) -> bool {
    let is_device = matches!(identity.kind(), Kind::User(..)) && identity.device() == Some(client);
    let is_admin = || identity.rights().cover(Role::Admin);
    owner.is_none_or(|owner| is_device || is_admin() || owner_of(identity).as_deref() == Some(owner))
}
