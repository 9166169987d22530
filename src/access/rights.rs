//! What somebody may do, deed by deed: the one table that all doors ask. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::Anonymous;
use crate::dmx::SceneId;
use crate::wire::Role;

/// What an identity may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Nothing but what is open to everybody.
    None,
    /// What the role says.
    Role(Role),
    /// Exactly what the panel has.
    Panel(Arc<PanelRights>),
}

/// What a panel shows and does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PanelRights {
    /// Scenes it recalls.
    pub looks: BTreeSet<SceneId>,
    /// Whether it moves the master.
    pub master: bool,
    /// Whether it makes dark.
    pub blackout_on: bool,
    /// Whether it makes light again.
    pub blackout_off: bool,
}

/// Something that is done by a command, whatever door it comes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed<'a> {
    /// The lamp gets a colour, or channels get levels.
    Light,
    /// A scene becomes light.
    Recall(&'a SceneId),
    /// The grand master moves.
    Master,
    /// Blackout: on or off.
    Blackout(bool),
    /// Running fades end.
    StopFades,
    /// A scene is stored.
    SaveScene,
}

impl Deed<'_> {
    /// The role that it needs.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Light | Self::Recall(_) | Self::Master | Self::Blackout(_) | Self::StopFades => Role::Operate,
            Self::SaveScene => Role::Edit,
        }
    }
}

impl From<Anonymous> for Rights {
    fn from(anonymous: Anonymous) -> Self {
        match anonymous {
            Anonymous::None => Self::None,
            Anonymous::View => Self::Role(Role::View),
            Anonymous::Operate => Self::Role(Role::Operate),
        }
    }
}

impl Rights {
    /// Whether they have all rights of a role.
    #[must_use]
    pub fn cover(&self, role: Role) -> bool {
        matches!(self, Self::Role(mine) if mine.covers(role))
    }

    /// Whether they allow a deed.
    ///
    /// # Errors
    /// The role that is needed.
    pub fn may(&self, deed: &Deed<'_>) -> Result<(), Role> {
        let role = deed.role();
        let may = match self {
            Self::None => false,
            // a button sets light, calls looks and makes dark; the whole house is not a lamp's
            Self::Role(Role::Device) => match deed {
                Deed::Light | Deed::Recall(_) | Deed::Blackout(_) => true,
                Deed::Master | Deed::StopFades | Deed::SaveScene => false,
            },
            Self::Role(mine) => mine.covers(role),
            Self::Panel(panel) => match deed {
                Deed::Recall(scene) => panel.looks.contains(*scene),
                Deed::Master => panel.master,
                Deed::Blackout(true) => panel.blackout_on,
                Deed::Blackout(false) => panel.blackout_off,
                Deed::Light | Deed::StopFades | Deed::SaveScene => false,
            },
        };
        if may { Ok(()) } else { Err(role) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_does_exactly_what_it_has() {
        let (own, other): (SceneId, SceneId) = ("warm".parse().unwrap(), "cold".parse().unwrap());
        let bare = Rights::Panel(Arc::default());
        let full = Rights::Panel(Arc::new(PanelRights {
            looks: [own.clone()].into(),
            master: true,
            blackout_on: true,
            blackout_off: false,
        }));
        for (deed, may) in [
            (Deed::Recall(&own), true),
            (Deed::Recall(&other), false),
            (Deed::Master, true),
            (Deed::Blackout(true), true),
            (Deed::Blackout(false), false),
            (Deed::Light, false),
            (Deed::StopFades, false),
            (Deed::SaveScene, false),
        ] {
            assert_eq!(full.may(&deed).is_ok(), may, "{deed:?}");
            assert!(bare.may(&deed).is_err(), "{deed:?}");
        }
        assert!(Role::ALL.into_iter().all(|role| !full.cover(role)));
    }

    #[test]
    fn a_role_does_what_its_word_says() {
        let scene: SceneId = "warm".parse().unwrap();
        let deeds = [
            Deed::Light,
            Deed::Recall(&scene),
            Deed::Master,
            Deed::Blackout(true),
            Deed::Blackout(false),
            Deed::StopFades,
        ];
        for deed in &deeds {
            for (rights, may) in [
                (Rights::None, false),
                (Rights::Role(Role::View), false),
                (Rights::Role(Role::Operate), true),
                (Rights::Role(Role::Edit), true),
                (Rights::Role(Role::Admin), true),
            ] {
                assert_eq!(rights.may(deed), if may { Ok(()) } else { Err(Role::Operate) }, "{deed:?} {rights:?}");
            }
        }
        for deed in &deeds {
            let may = !matches!(deed, Deed::Master | Deed::StopFades);
            assert_eq!(Rights::Role(Role::Device).may(deed).is_ok(), may, "{deed:?}");
        }
        for (role, may) in [(Role::Operate, false), (Role::Edit, true), (Role::Device, false)] {
            assert_eq!(Rights::Role(role).may(&Deed::SaveScene).is_ok(), may, "{role}");
        }
    }
}
