//! Bodies about people: users, login, panels, the lock.

use super::Refusal;
use super::fields::{Body, Field, Form, Kind, described};
use super::refusal::{FieldError, Reason};
use super::role::Role;
use crate::dmx::{SCENE_ID_CHARS, SceneId};

/// Most characters of a name: short enough for a topic and a log line.
pub(super) const PERSON_CHARS: usize = 64;

/// Characters of a PIN, of a password.
const PIN: (usize, usize) = (6, 12);
const PASSWORD: (usize, usize) = (8, 128);

/// Most looks, and most lists, of a panel.
const MOST_ON_PANEL: usize = 64;

/// The secret that somebody gets.
#[derive(Clone, PartialEq, Eq)]
pub enum NewSecret {
    /// 6 to 12 digits.
    Pin(String),
    /// 8 to 128 characters.
    Password(String),
    /// A key that dmxd makes.
    Generated,
}

/// A body of `POST /users` and `PATCH /users/{id}`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserEdit {
    /// Its name; a device's is also its client id.
    pub name: Option<String>,
    /// What it may do.
    pub role: Option<Role>,
    /// Its new secret.
    pub secret: Option<NewSecret>,
}

/// A body of `POST /login`.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginOrder {
    /// Of a user.
    pub name: String,
    /// PIN, password or key.
    pub secret: String,
}

/// A body of `POST /lock`: the first admin.
#[derive(Clone, PartialEq, Eq)]
pub struct LockOrder {
    /// The code of the first admin; not needed on the machine itself, nor by an admin.
    pub code: Option<String>,
    /// The first admin, unless there is one.
    pub admin: UserEdit,
}

/// A body of `POST /panels` and `PATCH /panels/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PanelEdit {
    /// Its name.
    pub name: Option<String>,
    /// Scenes that it recalls.
    pub looks: Option<Vec<SceneId>>,
    /// Cue lists that it plays.
    pub cuelists: Option<Vec<String>>,
    /// Whether it moves the master.
    pub master: Option<bool>,
    /// What it does with blackout.
    pub blackout: Option<PanelBlackout>,
    /// Whether it gets a new address; the old one ends.
    pub renew: bool,
}

/// What a panel does with blackout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PanelBlackout {
    /// Nothing.
    None,
    /// It makes dark.
    #[default]
    On,
    /// It makes dark and light again.
    Both,
}

/// The schema of a new user.
#[derive(Debug)]
pub enum NewUser {}

/// The schema of a new panel.
#[derive(Debug)]
pub enum NewPanel {}

described!(
    NewUser: NEW_USER,
    UserEdit: EDIT_USER,
    LoginOrder: LOGIN,
    LockOrder: LOCK,
    NewPanel: NEW_PANEL,
    PanelEdit: EDIT_PANEL
);

/// Fit for a topic, a log line and a screen.
const A_NAME: Kind = Kind::Form(&Form {
    chars: (1, PERSON_CHARS),
    pattern: r"^[^\s+#/\u0000-\u001f\u007f-\u009f](.*[^\s+#/\u0000-\u001f\u007f-\u009f])?$",
    fits: |name| {
        let plain = name.trim() == name && !name.chars().any(|c| c.is_control() || "+#/".contains(c));
        if plain {
            Ok(())
        } else {
            Err("must not begin or end with a space, nor hold +, #, / or control characters".into())
        }
    },
});

const DIGITS: Kind = Kind::Form(&Form {
    chars: PIN,
    pattern: "^[0-9]+$",
    fits: |pin| if pin.bytes().all(|digit| digit.is_ascii_digit()) { Ok(()) } else { Err("must be digits".into()) },
});

const NAME: Field =
    Field::new("name", A_NAME, "Unique; a device's is also its MQTT client id and its place under v1/devices/.");
const ROLE: Field =
    Field::new("role", Kind::Words(&["view", "operate", "edit", "admin", "device"]), "What they may do.");
const A_PIN: Field = Field::new("pin", DIGITS, "6 to 12 digits. One of pin, password, generate.").optional();
const A_PASSWORD: Field = Field::new("password", Kind::Text(PASSWORD.0, PASSWORD.1), "Instead of a PIN.").optional();
const GENERATE: Field =
    Field::new("generate", Kind::Flag, "Makes a key of 128 bits, which is in this answer and never shown again.")
        .optional();

pub(super) const NEW_USER: Body = Body {
    title: "NewUser",
    says: "Somebody who may do something here.",
    fields: &[NAME, ROLE, A_PIN, A_PASSWORD, GENERATE],
    open: false,
    example: r#"{"name":"Anna","role":"operate","pin":"294817"}"#,
};

pub(super) const EDIT_USER: Body = Body {
    title: "UserEdit",
    says: "Changes the named fields of a user. A new role or secret ends what they have open.",
    fields: &[NAME.optional(), ROLE.optional(), A_PIN, A_PASSWORD, GENERATE],
    open: false,
    example: r#"{"role":"edit"}"#,
};

pub(super) const LOGIN: Body = Body {
    title: "LoginOrder",
    says: "Who wants to be known here.",
    fields: &[
        Field::new("name", Kind::Text(1, PERSON_CHARS), "Of a user."),
        Field::new("secret", Kind::Text(1, PASSWORD.1), "PIN, password or key."),
    ],
    open: false,
    example: r#"{"name":"Anna","secret":"294817"}"#,
};

pub(super) const LOCK: Body = Body {
    title: "LockOrder",
    says: "Locks the appliance. Where no admin exists it makes the first one, with the code of `dmxd-status.txt` or the log, \
           or from the machine itself.",
    fields: &[
        Field::new("code", Kind::Text(1, PERSON_CHARS), "The first admin's code.").optional(),
        NAME.optional().says("Of the first admin; \"admin\" if absent."),
        A_PIN,
        A_PASSWORD,
        GENERATE,
    ],
    open: false,
    example: r#"{"code":"k3v9pq2x","name":"Anna","generate":true}"#,
};

const PANEL_NAME: Field = Field::new("name", Kind::Text(1, PERSON_CHARS), "What it is called.");
const LOOKS: Field =
    Field::new("looks", Kind::List(&Kind::Text(1, SCENE_ID_CHARS), 0), "Ids of the scenes that it recalls.").optional();
const CUELISTS: Field =
    Field::new("cuelists", Kind::List(&Kind::Text(1, SCENE_ID_CHARS), 0), "Ids of the cue lists that it plays.")
        .optional();
const MASTER: Field = Field::new("master", Kind::Flag, "Whether it moves the grand master.").optional();
const BLACKOUT: Field = Field::new(
    "blackout",
    Kind::Types(&["string", "boolean"]),
    "`none`, `on` (it makes dark; the default, also for `true`) or `both` (it makes light again as well).",
)
.optional();

pub(super) const NEW_PANEL: Body = Body {
    title: "NewPanel",
    says: "A page for guests, which does exactly what is named here.",
    fields: &[PANEL_NAME, LOOKS, CUELISTS, MASTER, BLACKOUT],
    open: false,
    example: r#"{"name":"Bar","looks":["scene-warm"],"master":false,"blackout":"on"}"#,
};

pub(super) const EDIT_PANEL: Body = Body {
    title: "PanelEdit",
    says: "Changes the named fields of a panel.",
    fields: &[
        PANEL_NAME.optional(),
        LOOKS,
        CUELISTS,
        MASTER,
        BLACKOUT,
        Field::new("renew", Kind::Flag, "Gives it a new address; the old one ends.").optional(),
    ],
    open: false,
    example: r#"{"master":true}"#,
};

fn fault(path: &str, msg: &str) -> Refusal {
    let errors = vec![FieldError { path: path.into(), msg: msg.into() }];
    Refusal { errors, ..Refusal::whole(Reason::ValidationFailed, "") }
}

impl UserEdit {
    /// Reads a body of `POST /users` (`new`) or `PATCH /users/{id}`.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8], new: bool) -> Result<Self, Refusal> {
        let body = if new { NEW_USER.read(body)? } else { EDIT_USER.read(body)? };
        let edit = Self::of(&body)?;
        if new && edit.secret.is_none() {
            return Err(fault("/pin", "one of pin, password, generate is needed"));
        }
        Ok(edit)
    }

    fn of(body: &super::Object<'_>) -> Result<Self, Refusal> {
        let name = body.string("name");
        let pin = body.string("pin");
        let generated = body.flag("generate").unwrap_or_default();
        let secrets = [
            pin.map(NewSecret::Pin),
            body.string("password").map(NewSecret::Password),
            generated.then_some(NewSecret::Generated),
        ];
        let mut secrets = secrets.into_iter().flatten();
        let secret = secrets.next();
        if secrets.next().is_some() {
            return Err(fault("/pin", "only one of pin, password, generate is possible"));
        }
        Ok(Self { name, role: body.string("role").and_then(|role| role.parse().ok()), secret })
    }
}

impl LoginOrder {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let body = LOGIN.read(body)?;
        let text = |name| body.string(name).unwrap_or_default();
        Ok(Self { name: text("name"), secret: text("secret") })
    }
}

impl LockOrder {
    /// Reads a body, which may be empty.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let body = LOCK.read_if_any(body)?;
        Ok(Self { code: body.string("code"), admin: UserEdit { role: Some(Role::Admin), ..UserEdit::of(&body)? } })
    }
}

impl PanelEdit {
    /// Reads a body of `POST /panels` (`new`) or `PATCH /panels/{id}`.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8], new: bool) -> Result<Self, Refusal> {
        let body = if new { NEW_PANEL.read(body)? } else { EDIT_PANEL.read(body)? };
        let list = |name: &str| -> Result<Option<Vec<String>>, Refusal> {
            let list = body.get(name).and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
            match list {
                Some(list) if list.len() > MOST_ON_PANEL => Err(fault(&format!("/{name}"), "has more than 64 entries")),
                list => Ok(list),
            }
        };
        let looks = list("looks")?.map(|looks| looks.iter().filter_map(|look| look.parse().ok()).collect());
        let blackout = match (body.string("blackout").as_deref(), body.flag("blackout")) {
            (Some("none"), _) | (_, Some(false)) => Some(PanelBlackout::None),
            (Some("on"), _) | (_, Some(true)) => Some(PanelBlackout::On),
            (Some("both"), _) => Some(PanelBlackout::Both),
            (None, None) => None,
            _ => return Err(fault("/blackout", "must be one of none, on, both")),
        };
        Ok(Self {
            name: body.string("name"),
            looks,
            cuelists: list("cuelists")?,
            master: body.flag("master"),
            blackout,
            renew: body.flag("renew").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(refusal: Refusal) -> Vec<String> {
        refusal.errors.into_iter().map(|e| e.path).collect()
    }

    #[test]
    fn a_user_has_one_secret_of_a_fit_form() {
        let read = |body: &str| UserEdit::from_json(body.as_bytes(), true).map_err(paths);
        assert!(read(r#"{"name":"A","role":"view","pin":"123456"}"#).is_ok());
        assert!(read(r#"{"name":"A","role":"device","generate":true}"#).is_ok());
        for (body, path) in [
            (r#"{"name":"A","role":"view"}"#, "/pin"),
            (r#"{"name":"A","role":"view","generate":false}"#, "/pin"),
            (r#"{"name":"A","role":"view","pin":"12345"}"#, "/pin"),
            (r#"{"name":"A","role":"view","pin":"12345a"}"#, "/pin"),
            (r#"{"name":"A","role":"view","pin":"123456","generate":true}"#, "/pin"),
            (r#"{"name":"A","role":"view","password":"short"}"#, "/password"),
            (r#"{"name":"A","role":"boss","pin":"123456"}"#, "/role"),
            (r#"{"name":"a/b","role":"view","pin":"123456"}"#, "/name"),
            (r#"{"name":"+","role":"view","pin":"123456"}"#, "/name"),
            (r#"{"name":" a","role":"view","pin":"123456"}"#, "/name"),
        ] {
            assert_eq!(read(body).map(drop), Err(vec![path.to_owned()]), "{body}");
        }
    }

    #[test]
    fn a_panels_blackout_is_one_of_three_and_true_is_on() {
        let read = |value: &str| {
            let body = format!(r#"{{"name":"Bar","blackout":{value}}}"#);
            PanelEdit::from_json(body.as_bytes(), true).map(|edit| edit.blackout).map_err(paths)
        };
        assert_eq!(read("true"), Ok(Some(PanelBlackout::On)));
        assert_eq!(read("false"), Ok(Some(PanelBlackout::None)));
        assert_eq!(read("\"both\""), Ok(Some(PanelBlackout::Both)));
        assert_eq!(read("\"off\""), Err(vec!["/blackout".to_owned()]));
        assert_eq!(read("1"), Err(vec!["/blackout".to_owned()]));
    }
}
