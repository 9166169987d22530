//! What a session's client may do, when it comes and when that changes.

use super::Session;
use crate::access::Identity;
use crate::broker::doorman::Gone;

impl Session {
    /// Its client is this one, or its owner is this one now. Whoever was let in and has changed since has to go again: the
    /// reviewer asks only for what stands in the register.
    pub(super) fn admit(&mut self, identity: Identity) {
        let grant = self.hub.doorman.grant(&identity, &self.id);
        self.outbox.restrict(grant.clone());
        self.inbound.admit(identity.clone(), grant);
        let presence = &self.entry.presence;
        presence.bell.admit();
        presence.held_by(identity.clone());
        if !self.hub.doorman.is_still(&identity, &self.id) {
            presence.bell.dismiss();
        }
    }

    /// Its client is away: what its owner may have now is what waits for it.
    pub(super) fn review(&mut self) -> Result<(), Gone> {
        let owner = self.entry.presence.owner();
        let identity = self.hub.doorman.owner(owner.as_deref())?;
        let grant = self.hub.doorman.grant(&identity, &self.id);
        self.outbox.restrict(grant.clone());
        self.inbound.admit(identity.clone(), grant);
        self.entry.presence.bell.admit();
        self.entry.presence.held_by(identity);
        Ok(())
    }

    /// The same after a change; nothing of the session stays if its owner is gone.
    pub(super) async fn look_again(&mut self) {
        if self.review().is_ok() {
            return Box::pin(self.leave_shares()).await;
        }
        tracing::info!(clientId = self.id, "session_ended: its user is no more");
        self.entry.presence.bell.admit();
        self.entry.presence.held_by(self.hub.doorman.nobody());
        self.inbound.leave_to(self.hub.doorman.nobody());
        self.kept = false;
    }

    /// Leaves groups of which it may not have everything: they would lose what it is chosen for.
    pub(super) async fn leave_shares(&mut self) {
        let Some(grant) = self.inbound.grant() else { return };
        let beyond = self.outbox.shares_beyond(grant);
        if !beyond.is_empty() {
            // Err: the router is gone; shared filters do not need it
            let _ = self.unsubscribe(&beyond).await;
        }
    }
}
