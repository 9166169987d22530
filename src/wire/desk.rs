//! The desk as clients see it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::dmx::{Fade, KeptDesk, State};

/// Fades that a [`DeskView`] lists: whenever one changes, every client gets them all.
const FADES_SHOWN: usize = 64;

/// The desk as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Desk", description = "What stands over the levels.")]
pub struct DeskView {
    /// Grand master, 0..=255.
    pub master: u8,
    /// Whether everything is dark, or on its way there.
    pub blackout: bool,
    /// Id of the scene in effect: the last one recalled, until a channel of it is commanded elsewhere.
    pub scene: Option<String>,
    /// Running fades, the youngest 64, oldest first.
    pub fades: Vec<FadeView>,
}

/// A running fade as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Fade", description = "A running fade.")]
pub struct FadeView {
    /// Id of the command behind it.
    pub id: String,
    /// Who sent it.
    pub src: String,
    /// The universes in which it moves channels.
    pub universes: Vec<u8>,
    /// Channels that it still moves: one that is commanded elsewhere leaves it.
    pub channels: usize,
    /// The server's clock when it began, Unix milliseconds.
    pub started_at: u64,
    /// How long it takes.
    pub duration_ms: u64,
    /// Its curve.
    #[schemars(schema_with = "super::easing::easing", description = super::easing::SAYS)]
    pub easing: &'static str,
}

impl From<&State> for DeskView {
    fn from(state: &State) -> Self {
        let KeptDesk { master, blackout, scene } = state.desk().kept();
        let (scene, fades) = (scene.map(|scene| scene.scene.to_string()), state.fades());
        let shown = fades.len().saturating_sub(FADES_SHOWN);
        Self { master, blackout, scene, fades: fades.skip(shown).map(FadeView::from).collect() }
    }
}

impl From<&Fade> for FadeView {
    fn from(fade: &Fade) -> Self {
        Self {
            id: fade.id.to_string(),
            src: fade.source.to_string(),
            universes: fade.channels().keys().map(|universe| universe.index()).collect(),
            channels: fade.count(),
            started_at: fade.started_at,
            duration_ms: u64::try_from(fade.over().as_millis()).unwrap_or(u64::MAX),
            easing: fade.easing().word(),
        }
    }
}
