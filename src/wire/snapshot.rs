//! A snapshot: everything a project is, as one document. What backups hold (CONTRACT, section 6).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::document::{self, TEXT_CHARS};
use super::fields::{Body, Field, Kind, described};
use super::project::Project;
use super::refusal::{Faults, Reason, Refusal, pointer};
use super::salvage;
use super::scene::{Scene, list_of_scenes};
use super::show::{ListChanges, Show, ShowFile};
use super::{FieldError, RgbState};
use crate::dmx::{Channel, Frame, Rgb, State, UniverseId};

/// Format that is written.
const VERSION: &str = "1.2";

/// Formats that can be read: earlier ones of the same kind.
const READABLE: &str = "1.";

/// Longest label of a backup, in characters.
pub const LABEL_CHARS: usize = 200;

/// A project's light and documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Levels of every known universe, before master and blackout.
    pub levels: BTreeMap<UniverseId, Frame>,
    /// Its scenes.
    pub scenes: Vec<Scene>,
    /// Its show, without the scenes.
    pub show: Show,
}

impl Snapshot {
    /// As a document; `now_ms` is Unix milliseconds. `state` gives levels, `seq` and the last source.
    #[must_use]
    pub fn document(project: &Project, state: &State, file: &ShowFile, now_ms: u64) -> Value {
        let levels = |frame: &Frame| -> Map<String, Value> {
            frame.lit().map(|(channel, level)| (channel.number().to_string(), level.into())).collect()
        };
        let universes: Map<String, Value> =
            state.universes().map(|(id, frame)| (id.to_string(), levels(frame).into())).collect();
        json!({
            "project": project,
            "state": RgbState::levels(state),
            "scenes": file.scenes.as_deref().unwrap_or_default(),
            "show": file.show,
            "universes": universes,
            "timestamp": now_ms,
            "version": VERSION,
        })
    }

    /// Reads a document, even a predecessor's, and the project id in it. `now_ms` (Unix milliseconds) is for scenes without
    /// times.
    ///
    /// # Errors
    /// Every fault with its place; nothing else happens.
    pub fn from_json(body: &[u8], now_ms: u64) -> Result<(Self, Option<String>), Refusal> {
        let mut fields = document::object_within(body, document::SNAPSHOT_DEPTH)?;
        let mut faults = Faults::default();
        let version = fields.get("version").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with(READABLE) {
            return Err(Refusal {
                errors: vec![FieldError {
                    path: "/version".into(),
                    msg: format!("is not {VERSION} or an earlier one: this is no snapshot of ours, or a newer one"),
                }],
                ..Refusal::whole(Reason::ValidationFailed, "")
            });
        }
        let project = match fields.get("project") {
            Some(Value::Object(project)) => project.get("id").and_then(Value::as_str).map(str::to_owned),
            None | Some(Value::Null) => None,
            Some(_) => {
                faults.add("/project", "must be a project");
                None
            }
        };
        let levels = match fields.get("universes") {
            None | Some(Value::Null) => lamp(fields.get("state"), &mut faults),
            Some(universes) => levels(universes, &mut faults),
        };
        let ShowFile { show, scenes: shown } = match fields.remove("show") {
            None | Some(Value::Null) => ShowFile::default(),
            Some(Value::Object(mut show)) => {
                if let Some(Value::Array(list)) = show.get_mut("scenes") {
                    salvage::clamp(list);
                }
                ShowFile::from_fields(show, "/show", now_ms, &mut faults)
            }
            Some(_) => {
                faults.add("/show", "must be a show");
                ShowFile::default()
            }
        };
        let scenes = match fields.remove("scenes") {
            None | Some(Value::Null) => shown.unwrap_or_default(),
            Some(Value::Array(mut list)) => {
                salvage::clamp(&mut list); // the predecessor accepted levels beyond 255, and sealed them
                list_of_scenes(list, "/scenes", now_ms, &mut faults)
            }
            Some(_) => {
                faults.add("/scenes", "must be a list of scenes");
                Vec::new()
            }
        };
        faults.or_refuse((Self { levels, scenes, show }, project))
    }

    /// Removes the universes from this one on, which may not be commanded; gives those of them that have light.
    pub fn leave_out(&mut self, universes: u8) -> Vec<UniverseId> {
        let Some(first) = UniverseId::new(universes) else { return Vec::new() };
        let hidden = self.levels.split_off(&first).into_iter();
        hidden.filter(|(_, frame)| frame.lit().next().is_some()).map(|(id, _)| id).collect()
    }

    /// How it differs from present light and documents.
    #[must_use]
    pub fn changes(self, state: &State, now: &ShowFile) -> SnapshotChanges {
        let universes: BTreeSet<_> = state.universes().map(|(id, _)| id).chain(self.levels.keys().copied()).collect();
        let differ = |id| {
            let [old, new] =
                [state.frame(id), self.levels.get(&id)].map(|frame| *frame.unwrap_or(&Frame::DARK).levels());
            old.iter().zip(new).filter(|&(&old, new)| old != new).count()
        };
        let channels = universes.into_iter().map(differ).sum();
        let file = ShowFile { show: self.show, scenes: Some(self.scenes) };
        SnapshotChanges { channels, lists: file.changes(now) }
    }
}

/// What a restore would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotChanges {
    /// Channels that would get another level.
    pub channels: usize,
    /// Scenes and show, by list; lists without changes are left out.
    pub lists: BTreeMap<String, ListChanges>,
}

/// A body of `POST /projects/{id}/backups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupOrder {
    /// Its label.
    pub label: Option<String>,
}

/// A body of `POST /projects/{id}/restore`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreOrder {
    /// Which one.
    pub version_id: String,
    /// The project it belongs to, if not this one.
    pub project_id: Option<String>,
    /// Whether another project's version is wanted.
    pub force: Option<bool>,
}

described!(BackupOrder: BACKUP, RestoreOrder: RESTORE);

pub(super) const BACKUP: Body = Body {
    title: "BackupOrder",
    says: "Makes a backup; the body may be empty.",
    fields: &[Field::new("label", Kind::Text(0, LABEL_CHARS), "What people call it.").nullable()],
    open: false,
    example: r#"{"label":"before the premiere"}"#,
};

pub(super) const RESTORE: Body = Body {
    title: "RestoreOrder",
    says: "Restores a version.",
    fields: &[
        Field::new("versionId", Kind::Text(1, 128), "Which one."),
        Field::new(
            "projectId",
            Kind::Text(0, TEXT_CHARS),
            "The project it belongs to, if not this one: perhaps deleted, or on another box. Needs `force`.",
        )
        .nullable(),
        Field::new("force", Kind::Flag, "Whether another project's version is wanted.").nullable(),
    ],
    open: false,
    example: r#"{"versionId":"01JD0000000000000000000009"}"#,
};

impl BackupOrder {
    /// Reads a body; an empty one has no label.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self { label: BACKUP.read_if_any(body)?.string("label") })
    }
}

impl RestoreOrder {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let body = RESTORE.read(body)?;
        let version_id = body.string("versionId").unwrap_or_default();
        Ok(Self { version_id, project_id: body.string("projectId"), force: body.flag("force") })
    }
}

fn lamp(state: Option<&Value>, faults: &mut Faults) -> BTreeMap<UniverseId, Frame> {
    let mut frame = Frame::DARK;
    let Some(Value::Object(state)) = state else {
        faults.add("/state", "must be a state");
        return BTreeMap::new();
    };
    for (name, channel) in ["r", "g", "b"].into_iter().zip(Rgb::CHANNELS) {
        match level(state.get(name)) {
            Some(level) => drop(frame.set(&[(channel, level)])),
            None => faults.add(pointer("/state", name), "must be an integer from 0 to 255"),
        }
    }
    BTreeMap::from([(UniverseId::LAMP, frame)])
}

fn levels(universes: &Value, faults: &mut Faults) -> BTreeMap<UniverseId, Frame> {
    let Value::Object(universes) = universes else {
        faults.add("/universes", "must be an object of universes");
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (number, levels) in universes {
        let at = pointer("/universes", number);
        let (Some(universe), Value::Object(levels)) = (number.parse().ok().and_then(UniverseId::new), levels) else {
            faults.add(at, "must be levels of a universe from 0 to 63");
            continue;
        };
        let mut frame = Frame::DARK;
        for (channel, value) in levels {
            match (channel.parse().ok().and_then(Channel::new), level(Some(value))) {
                (Some(channel), Some(level)) => drop(frame.set(&[(channel, level)])),
                _ => faults.add(pointer(&at, channel), "must be a level from 0 to 255 of a channel from 1 to 512"),
            }
        }
        all.insert(universe, frame);
    }
    all
}

fn level(value: Option<&Value>) -> Option<u8> {
    value?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::{ProjectId, Source};
    use proptest::prelude::*;

    fn frames() -> impl Strategy<Value = BTreeMap<u8, Vec<(u16, u8)>>> {
        prop::collection::btree_map(0u8..64, prop::collection::vec((1u16..=512, any::<u8>()), 0..20), 0..5)
    }

    proptest! {
        #[test]
        fn a_project_comes_back_as_it_was(frames in frames(), seq: u64) {
            let frames = frames.into_iter().map(|(universe, levels)| {
                let mut frame = Frame::DARK;
                for (channel, level) in levels {
                    frame.set(&[(Channel::new(channel).unwrap(), level)]);
                }
                (UniverseId::new(universe).unwrap(), frame)
            });
            let state = State::restore(seq, 7, Source::init(), frames);
            let body = json!({"fixtures": [{"id": 1}], "more": {}, "scenes": [{"id": "a", "name": "b", "channelValues": {}, "timestamp": 3}]});
            let file = ShowFile::from_json(body.to_string().as_bytes(), 5).unwrap();
            let project = Project::new(ProjectId::default_project(), "Default", 1);
            let document = Snapshot::document(&project, &state, &file, 9).to_string();
            let (read, id) = Snapshot::from_json(document.as_bytes(), 5).unwrap();
            prop_assert_eq!(id.as_deref(), Some("default"));
            prop_assert_eq!(read.clone().changes(&state, &file), SnapshotChanges::default());
            prop_assert_eq!(read.levels, state.universes().map(|(id, frame)| (id, frame.clone())).collect());
            prop_assert_eq!((read.show, Some(read.scenes)), (file.show, file.scenes));
        }
    }

    #[test]
    fn a_predecessors_snapshot_with_nulls_is_read() {
        let body = json!({
            "project": {"id": "default", "name": "x", "venue": null},
            "state": {"schema": "demo.rgb.state.v1", "r": 1, "g": 2, "b": 3, "seq": 4, "updatedBy": "ui", "ts": 5},
            "scenes": [{"id": "a", "name": "b", "channelValues": {"1": 300}, "timestamp": 3, "tags": null}],
            "show": null, "timestamp": 5, "version": "1.2"
        });
        let (read, _) = Snapshot::from_json(body.to_string().as_bytes(), 5).unwrap();
        assert_eq!(read.levels[&UniverseId::LAMP].rgb(), Rgb { r: 1, g: 2, b: 3 });
        let levels: Vec<_> = read.scenes.iter().map(|scene| scene.fields()["channelValues"].clone()).collect();
        assert_eq!(levels, [json!({"1": 255})], "clamped, as it did itself");
    }

    #[test]
    fn what_is_no_snapshot_is_refused_with_the_places() {
        let faults = |body: Value| -> Vec<String> {
            let refusal = Snapshot::from_json(body.to_string().as_bytes(), 5).unwrap_err();
            refusal.errors.into_iter().map(|fault| fault.path).collect()
        };
        assert_eq!(faults(json!({})), ["/version"]);
        assert_eq!(faults(json!({"version": "2.0", "state": {}})), ["/version"]);
        assert_eq!(faults(json!({"version": "1.2"})), ["/state"]);
        assert_eq!(
            faults(
                json!({"version": "1.2", "project": 1, "universes": {"64": {}, "1": {"513": 1, "1": 256}, "2": []}, "scenes": 1, "show": []})
            ),
            ["/project", "/universes/1/1", "/universes/1/513", "/universes/2", "/universes/64", "/show", "/scenes"]
        );
    }

    #[test]
    fn orders_name_every_fault_and_an_empty_backup_order_is_one() {
        assert_eq!(BackupOrder::from_json(b""), Ok(BackupOrder::default()));
        let label = |label: &str| BackupOrder::from_json(json!({ "label": label }).to_string().as_bytes());
        assert!(label(&"é".repeat(200)).is_ok() && label(&"é".repeat(201)).is_err());
        let faults = |body: &[u8]| -> Vec<String> {
            RestoreOrder::from_json(body).unwrap_err().errors.into_iter().map(|fault| fault.path).collect()
        };
        assert_eq!(faults(br#"{"force":1,"x":2}"#), ["/versionId", "/force", "/x"]);
        let order = RestoreOrder::from_json(br#"{"versionId":"a","force":null}"#).unwrap();
        assert_eq!(order, RestoreOrder { version_id: "a".into(), project_id: None, force: None });
    }
}
