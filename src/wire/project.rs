//! A project: one show with its state, scenes, show document and dedupe cache. Here: its description.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::document::TEXT_CHARS;
use super::fields::{Body, Field, ID, ID_PATTERN, Kind, described};
use crate::dmx::ProjectId;

/// Most characters of a project's name (issue: "up to 120 characters, any language").
pub const NAME_CHARS: usize = 120;

/// What people and dmxd have recorded of a project. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Project", description = "A project's description.")]
pub struct Project {
    /// Its id.
    #[schemars(with = "String", regex(pattern = ID_PATTERN))]
    pub id: ProjectId,
    /// Its name; 1 to 120 characters.
    #[schemars(length(min = 1, max = NAME_CHARS))]
    pub name: String,
    /// The venue.
    pub venue: Option<String>,
    /// The date, as people write it.
    pub event_date: Option<String>,
    /// Notes.
    pub notes: Option<String>,
    /// When it was created.
    pub created_at: u64,
    /// When its description, its scenes or its show was last changed.
    pub updated_at: u64,
    /// When the last verified backup was made.
    pub last_backup_at: Option<u64>,
}

impl Project {
    /// A new one.
    #[must_use]
    pub fn new(id: ProjectId, name: impl Into<String>, now_ms: u64) -> Self {
        Self {
            id,
            name: name.into(),
            venue: None,
            event_date: None,
            notes: None,
            created_at: now_ms,
            updated_at: now_ms,
            last_backup_at: None,
        }
    }

    /// Changes the named fields, and keeps the others.
    pub fn edit(&mut self, edit: ProjectEdit, now_ms: u64) {
        let ProjectEdit { name, venue, event_date, notes, template: _ } = edit;
        if let Some(name) = name {
            self.name = name;
        }
        for (field, new) in [(&mut self.venue, venue), (&mut self.event_date, event_date), (&mut self.notes, notes)] {
            if let Some(new) = new {
                *field = new;
            }
        }
        self.updated_at = now_ms;
    }
}

/// An edit of a project's description; a field that is not named is `None`, one set to `null` is `Some(None)`.
/// A project needs a name: `null` keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectEdit {
    /// 1 to 120 characters.
    pub name: Option<String>,
    /// At most 2,000 characters.
    pub venue: Option<Option<String>>,
    /// At most 2,000 characters.
    pub event_date: Option<Option<String>>,
    /// At most 2,000 characters.
    pub notes: Option<Option<String>>,
    /// Project whose state, scenes and show a new one copies.
    pub template: Option<ProjectId>,
}

/// The schema of a new project.
#[derive(Debug)]
pub enum NewProject {}

described!(NewProject: NEW, ProjectEdit: EDIT);

pub(super) const NEW: Body = Body {
    title: "NewProject",
    says: "A new project.",
    fields: &[
        NAME,
        VENUE,
        EVENT_DATE,
        NOTES,
        Field::new("templateId", ID, "The project whose state, scenes and show it copies.").nullable(),
    ],
    open: false,
    example: r#"{"name":"Summer party","venue":"Town hall"}"#,
};

pub(super) const EDIT: Body = Body {
    title: "ProjectEdit",
    says: "A project's description; `null` removes a text.",
    fields: &[NAME.nullable().says("Its name; `null` keeps it."), VENUE, EVENT_DATE, NOTES],
    open: false,
    example: r#"{"notes":"Doors open at 19:00"}"#,
};

const NAME: Field = Field::new("name", Kind::Text(1, NAME_CHARS), "Its name.");
const VENUE: Field = Field::new("venue", Kind::Text(0, TEXT_CHARS), "Where.").nullable();
const EVENT_DATE: Field =
    Field::new("eventDate", Kind::Text(0, TEXT_CHARS), "The date, as people write it.").nullable();
const NOTES: Field = Field::new("notes", Kind::Text(0, TEXT_CHARS), "Anything else.").nullable();

impl ProjectEdit {
    /// Reads a body of `POST /projects` (`new`: the name is required, and it may have a template) or `PUT /projects/{id}`.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8], new: bool) -> Result<Self, Refusal> {
        let body = if new { NEW.read(body)? } else { EDIT.read(body)? };
        let given = |name| body.get(name).map(|_| body.string(name));
        Ok(Self {
            name: body.string("name"),
            venue: given("venue"),
            event_date: given("eventDate"),
            notes: given("notes"),
            template: body.string("templateId").and_then(|id| id.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(body: &str, new: bool) -> Result<ProjectEdit, Vec<String>> {
        ProjectEdit::from_json(body.as_bytes(), new).map_err(|r| r.errors.into_iter().map(|e| e.path).collect())
    }

    #[test]
    fn an_edit_tells_null_from_absent_and_names_every_fault() {
        let read = edit(r#"{"venue":null,"notes":"x"}"#, false).unwrap();
        assert_eq!(
            (read.name, read.venue, read.event_date, read.notes),
            (None, Some(None), None, Some(Some("x".into())))
        );
        assert_eq!(edit(r#"{"name":null}"#, false), Ok(ProjectEdit::default()));
        assert_eq!(edit(r#"{"name":null}"#, true), Err(vec!["/name".into()]));
        assert_eq!(
            edit(r#"{"name":"","venue":1,"id":"x"}"#, false),
            Err(vec!["/name".into(), "/venue".into(), "/id".into()])
        );
        assert_eq!(edit("{}", true), Err(vec!["/name".into()]));
        assert_eq!(edit(r#"{"name":"a","templateId":"../b"}"#, true), Err(vec!["/templateId".into()]));
        assert!(edit(&format!(r#"{{"name":"{}"}}"#, "é".repeat(120)), true).is_ok());
        assert_eq!(edit(&format!(r#"{{"name":"{}"}}"#, "é".repeat(121)), true), Err(vec!["/name".into()]));
    }
}
