//! Panels: edits like those of users.

use schemars::JsonSchema;
use serde::Serialize;
use ulid::Ulid;

use super::digest::{Digest, new_key};
use super::error::AccessError;
use super::identity::{Identity, Kind};
use super::table::{MOST_PANELS, Panel};
use super::{Access, stored};
use crate::kit::clock;
use crate::wire::{PanelBlackout, PanelEdit};

/// A panel, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(
    rename = "Panel",
    title = "Panel",
    description = "A page for guests, which does exactly what is named here."
)]
pub struct PanelView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Ids of the scenes that it recalls.
    pub looks: Vec<String>,
    /// Ids of the cue lists that it plays.
    pub cuelists: Vec<String>,
    /// Whether it moves the grand master.
    pub master: bool,
    /// What it does with blackout.
    pub blackout: PanelBlackout,
    /// Made by who was not known: it works only while the appliance is open, until somebody who is known changes it.
    pub only_while_open: bool,
    /// When it was made, Unix milliseconds.
    pub created_at: u64,
    /// Its address, only where it was made just now: it is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Panel {
    fn view(&self, url: Option<String>) -> PanelView {
        PanelView {
            id: self.id.clone(),
            name: self.name.clone(),
            looks: self.looks.iter().map(ToString::to_string).collect(),
            cuelists: self.cuelists.clone(),
            master: self.master,
            blackout: self.blackout,
            only_while_open: self.of_stranger,
            created_at: self.created_at,
            url,
        }
    }
}

fn no_panel(id: &str) -> AccessError {
    AccessError::NotFound("panel", id.to_owned())
}

impl Access {
    /// Every panel, oldest first.
    #[must_use]
    pub fn panels(&self) -> Vec<PanelView> {
        self.table().panels.values().map(|panel| panel.view(None)).collect() // ids begin with the time
    }

    /// The panel of an identity, if it is one.
    #[must_use]
    pub fn panel_of(&self, identity: &Identity) -> Option<PanelView> {
        let Kind::Panel(id, _) = identity.kind() else { return None };
        self.table().panels.get(id).map(|panel| panel.view(None))
    }

    /// One panel.
    ///
    /// # Errors
    /// There is none.
    pub fn panel(&self, id: &str) -> Result<PanelView, AccessError> {
        self.table().panels.get(id).map(|panel| panel.view(None)).ok_or_else(|| no_panel(id))
    }

    /// Makes a panel; the answer has its address.
    ///
    /// # Errors
    /// There are too many.
    pub async fn create_panel(&self, edit: PanelEdit, by: &Identity) -> Result<PanelView, AccessError> {
        let _editing = self.0.editing.lock().await;
        if self.table().panels.len() >= MOST_PANELS {
            return Err(AccessError::TooMany(MOST_PANELS, "panels"));
        }
        let secret = new_key()?;
        let panel = Panel {
            id: Ulid::generate().to_string(),
            name: edit.name.unwrap_or_default(),
            looks: edit.looks.unwrap_or_default(),
            cuelists: edit.cuelists.unwrap_or_default(),
            master: edit.master.unwrap_or_default(),
            blackout: edit.blackout.unwrap_or_default(),
            secret: Digest::of(secret.as_bytes()),
            of_stranger: *by.kind() == Kind::Anonymous,
            created_at: clock::now_ms(),
        };
        self.0.store.keep(stored::panel(&panel)).await;
        self.change(|table| table.put_panel(panel.clone()));
        Ok(panel.view(Some(address(&secret))))
    }

    /// Changes the named fields of a panel; whoever has it open gets it anew.
    ///
    /// # Errors
    /// There is none.
    pub async fn edit_panel(&self, id: &str, edit: PanelEdit, by: &Identity) -> Result<PanelView, AccessError> {
        let _editing = self.0.editing.lock().await;
        let mut panel = self.table().panels.get(id).cloned().ok_or_else(|| no_panel(id))?;
        let PanelEdit { name, looks, cuelists, master, blackout, renew } = edit;
        let mut url = None;
        if renew {
            let secret = new_key()?;
            panel.secret = Digest::of(secret.as_bytes());
            url = Some(address(&secret));
        }
        panel.name = name.unwrap_or(panel.name);
        panel.looks = looks.unwrap_or(panel.looks);
        panel.cuelists = cuelists.unwrap_or(panel.cuelists);
        panel.master = master.unwrap_or(panel.master);
        panel.blackout = blackout.unwrap_or(panel.blackout);
        panel.of_stranger = *by.kind() == Kind::Anonymous;
        self.0.store.keep(stored::panel(&panel)).await;
        self.change(|table| table.put_panel(panel.clone()));
        Ok(panel.view(url))
    }

    /// Deletes a panel; its page ends.
    ///
    /// # Errors
    /// There is none.
    pub async fn delete_panel(&self, id: &str) -> Result<(), AccessError> {
        let _editing = self.0.editing.lock().await;
        if !self.table().panels.contains_key(id) {
            return Err(no_panel(id));
        }
        self.0.store.keep(stored::no_panel(id)).await;
        self.change(|table| drop(table.remove_panel(id)));
        Ok(())
    }
}

fn address(secret: &str) -> String {
    format!("/panel/{secret}")
}
