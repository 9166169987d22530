//! A row of the table: what a client may ask for, who may, and the answers. Rows are constants, built by the verbs below, which
//! do not compile without the role; whatever is not set is the usual: a key in the header, no parameters, no body.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use warp::http::Method;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::request::Request;
use crate::access::{Identity, Kind, Rights};
use crate::wire::{FieldError, Reason, Refusal, Role};

/// Media type of almost every body.
const JSON: &str = "application/json";

/// One thing that a client may ask for.
pub(in super::super) struct Route {
    pub(in super::super) verb: Verb,
    /// OpenAPI's template: `{name}` stands for a segment, or for what remains of one before its ending.
    pub(in super::super) path: &'static str,
    /// The name in generated clients (OpenAPI's operationId).
    pub(in super::super) id: &'static str,
    /// What it does: one sentence for a list, then the rest.
    pub(in super::super) says: &'static str,
    pub(in super::super) needs: Needs,
    pub(in super::super) key: Key,
    /// Open to everybody, but it tells apart who asks.
    pub(in super::super) knows_who: bool,
    pub(in super::super) query: &'static [Query],
    /// A header that it requires.
    pub(in super::super) header: Option<&'static Header>,
    pub(in super::super) takes: Option<Takes>,
    /// The answer on success.
    pub(in super::super) gives: Answer,
    /// Another successful answer.
    pub(in super::super) or_gives: Option<Answer>,
    pub(in super::super) etag: Etag,
    /// Statuses of its own, or with words of its own, besides those that follow from the rest of the row.
    pub(in super::super) refuses: &'static [(u16, &'static str)],
    pub(in super::super) handler: &'static dyn Handler,
}

/// Methods of the table. HEAD comes with GET, OPTIONS with everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Needs {
    /// `None`: everybody.
    pub(in super::super) role: Option<Role>,
    /// Panels as well, as far as the intake lets them.
    pub(in super::super) or_panel: bool,
    /// Lamps and buttons as well.
    pub(in super::super) or_device: bool,
    /// Also in `audit` only somebody who is known.
    pub(in super::super) known: bool,
}

impl Needs {
    /// Everybody: probes, the page, our descriptions.
    pub(super) const OPEN: Self = Self { role: None, or_panel: false, or_device: false, known: false };
    pub(super) const VIEW: Self = Self { role: Some(Role::View), ..Self::OPEN };
    pub(super) const OPERATE: Self = Self { role: Some(Role::Operate), ..Self::OPEN };
    pub(super) const EDIT: Self = Self { role: Some(Role::Edit), ..Self::OPEN };
    pub(super) const ADMIN: Self = Self { role: Some(Role::Admin), ..Self::OPEN };

    pub(super) const fn or_panel(self) -> Self {
        Self { or_panel: true, ..self }
    }

    pub(super) const fn or_device(self) -> Self {
        Self { or_device: true, ..self }
    }

    pub(super) const fn known(self) -> Self {
        Self { known: true, ..self }
    }

    /// Whether somebody may ask.
    ///
    /// # Errors
    /// The role that is needed.
    pub(in super::super) fn allow(self, who: &Identity) -> Result<(), Role> {
        let Some(role) = self.role else { return Ok(()) };
        let may = who.rights().cover(role)
            || (self.or_panel && matches!(who.rights(), Rights::Panel(_)))
            || (self.or_device && who.role() == Some(Role::Device));
        if may && !(self.known && *who.kind() == Kind::Anonymous) { Ok(()) } else { Err(role) }
    }
}

/// Where a key is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Key {
    /// `x-api-key`, `Authorization: Bearer` or the cookie; for reading also `?token=`, since a link sends no header.
    Header,
    /// `?token=` or the cookie, because a browser's WebSocket cannot send headers. Its Origin is checked for the same reason: no
    /// preflight protects it.
    Token,
    /// None of ours: the login in MQTT's own CONNECT counts. Its Origin is checked as well.
    Login,
}

impl Key {
    /// Whether it opens a WebSocket, for which a browser asks no leave.
    pub(in super::super) fn opens_socket(self) -> bool {
        matches!(self, Self::Token | Self::Login)
    }
}

/// What the `ETag` of an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Etag {
    /// There is none.
    None,
    /// It names the content that an edit expects.
    Shown,
    /// `If-None-Match` asks for a newer one.
    Cached,
    /// `If-Match` names the content to edit.
    Expected,
}

/// A parameter after the `?`.
pub(in super::super) struct Query {
    pub(in super::super) name: &'static str,
    pub(in super::super) says: &'static str,
    /// The first one is the default. None: any text of 1 to 64 bytes.
    pub(in super::super) values: &'static [&'static str],
}

/// A header that a row requires.
pub(in super::super) struct Header {
    pub(in super::super) name: &'static str,
    pub(in super::super) says: &'static str,
    /// Its form.
    pub(in super::super) pattern: &'static str,
}

/// A body.
#[derive(Clone, Copy)]
pub(in super::super) struct Takes {
    pub(in super::super) media: &'static str,
    pub(in super::super) shape: Shape,
    /// Whether it may be empty.
    pub(in super::super) optional: bool,
}

/// One kind of answer.
#[derive(Clone, Copy)]
pub(in super::super) struct Answer {
    pub(in super::super) status: u16,
    pub(in super::super) says: &'static str,
    /// Media type and schema.
    pub(in super::super) body: Option<(&'static str, Shape)>,
    /// JSON; may be empty.
    pub(in super::super) example: &'static str,
}

/// A body's schema, added to the generator's components.
pub(in super::super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// A handler at work.
pub(in super::super) type Handling = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// The handler: any `async fn` of the app and a request.
pub(in super::super) trait Handler: Sync {
    fn handle(&self, app: Arc<App>, request: Request) -> Handling;
}

impl<F, Work> Handler for F
where
    F: Fn(Arc<App>, Request) -> Work + Sync,
    Work: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    fn handle(&self, app: Arc<App>, request: Request) -> Handling {
        Box::pin(self(app, request))
    }
}

/// Reads.
pub(super) const fn get(path: &'static str, id: &'static str, needs: Needs, handler: &'static dyn Handler) -> Route {
    Route::new(Verb::Get, path, id, needs, handler)
}

/// Creates or does something.
pub(super) const fn post(path: &'static str, id: &'static str, needs: Needs, handler: &'static dyn Handler) -> Route {
    Route::new(Verb::Post, path, id, needs, handler)
}

/// Replaces.
pub(super) const fn put(path: &'static str, id: &'static str, needs: Needs, handler: &'static dyn Handler) -> Route {
    Route::new(Verb::Put, path, id, needs, handler)
}

/// Changes the named fields.
pub(super) const fn patch(path: &'static str, id: &'static str, needs: Needs, handler: &'static dyn Handler) -> Route {
    Route::new(Verb::Patch, path, id, needs, handler)
}

/// Deletes.
pub(super) const fn delete(path: &'static str, id: &'static str, needs: Needs, handler: &'static dyn Handler) -> Route {
    Route::new(Verb::Delete, path, id, needs, handler)
}

impl Route {
    const fn new(
        verb: Verb,
        path: &'static str,
        id: &'static str,
        needs: Needs,
        handler: &'static dyn Handler,
    ) -> Self {
        Self {
            verb,
            path,
            id,
            says: "",
            needs,
            key: Key::Header,
            knows_who: false,
            query: &[],
            header: None,
            takes: None,
            gives: Answer { status: 200, says: "", body: None, example: "" },
            or_gives: None,
            etag: Etag::None,
            refuses: &[],
            handler,
        }
    }

    /// What it does.
    pub(super) const fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    /// The key that it requires, if not the one in the header.
    pub(super) const fn key(self, key: Key) -> Self {
        Self { key, ..self }
    }

    /// It is open to everybody, but tells apart who asks.
    pub(super) const fn knows_who(self) -> Self {
        Self { knows_who: true, ..self }
    }

    /// The parameters that it knows.
    pub(super) const fn query(self, query: &'static [Query]) -> Self {
        Self { query, ..self }
    }

    /// The header that it requires.
    pub(super) const fn header(self, header: &'static Header) -> Self {
        Self { header: Some(header), ..self }
    }

    /// A JSON body.
    pub(super) const fn takes<T: JsonSchema>(self) -> Self {
        Self { takes: Some(Takes { media: JSON, shape: shape::<T>, optional: false }), ..self }
    }

    /// A body of bytes.
    pub(super) const fn takes_bytes(self, media: &'static str) -> Self {
        Self { takes: Some(Takes { media, shape: octets, optional: false }), ..self }
    }

    /// A JSON body that may be empty.
    pub(super) const fn may_take<T: JsonSchema>(self) -> Self {
        Self { takes: Some(Takes { media: JSON, shape: shape::<T>, optional: true }), ..self }
    }

    /// Its answer: JSON.
    pub(super) const fn gives<T: JsonSchema>(self, status: u16, says: &'static str) -> Self {
        self.gives_as(JSON, shape::<T>, status, says)
    }

    /// Its answer of any media type.
    pub(super) const fn gives_as(self, media: &'static str, shape: Shape, status: u16, says: &'static str) -> Self {
        Self { gives: Answer { status, says, body: Some((media, shape)), example: "" }, ..self }
    }

    /// Its answer, which has no body.
    pub(super) const fn gives_nothing(self, status: u16, says: &'static str) -> Self {
        Self { gives: Answer { status, says, body: None, example: "" }, ..self }
    }

    /// What its answer looks like.
    pub(super) const fn like(self, example: &'static str) -> Self {
        Self { gives: Answer { example, ..self.gives }, ..self }
    }

    /// Another answer: JSON.
    pub(super) const fn or_gives<T: JsonSchema>(self, status: u16, says: &'static str) -> Self {
        let body = Some((JSON, shape::<T> as Shape));
        Self { or_gives: Some(Answer { status, says, body, example: "" }), ..self }
    }

    /// What the `ETag` of its answer is for.
    pub(super) const fn etag(self, etag: Etag) -> Self {
        Self { etag, ..self }
    }

    /// Statuses of its own, or with words of its own.
    pub(super) const fn refuses(self, refuses: &'static [(u16, &'static str)]) -> Self {
        Self { refuses, ..self }
    }

    /// Refuses unknown parameters, since a misspelt dry run must not be carried out. Reading requests, and those without any
    /// parameter, may carry anything, as always, except a dry run. A key in the address is no fault: where it does not count,
    /// the header is required.
    ///
    /// # Errors
    /// 422 with the names that it knows.
    pub(in super::super) fn check_query(&self, request: &Request, reads: bool) -> Result<(), Problem> {
        if reads {
            return Ok(());
        }
        if self.query.is_empty() {
            let dry = request.asked().find(|(name, _)| name.replace(['_', '-'], "").eq_ignore_ascii_case("dryrun"));
            return dry.map_or(Ok(()), |(name, _)| Err(refused(&name, "is not known here; no parameter is")));
        }
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in request.asked() {
            let known = self.query.iter().map(|query| query.name).find(|known| *known == name);
            match known {
                Some(known) if seen.contains(&known) => return Err(refused(&name, "must stand there once")),
                Some(known) => seen.push(known),
                None if name == "token" => {}
                None => return Err(refused(&name, format!("is not known here; {}", self.known()))),
            }
        }
        Ok(())
    }

    fn known(&self) -> String {
        let names: Vec<_> = self.query.iter().map(|query| query.name).collect();
        match names.as_slice() {
            [name] => format!("known is {name}"),
            names => format!("known are {}", names.join(", ")),
        }
    }
}

impl Verb {
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    pub(super) fn takes(self, method: &Method) -> bool {
        method == self.as_str() || (self == Self::Get && method == Method::HEAD)
    }
}

/// The schema of a type.
pub(super) fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Text that people read.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string"})
}

/// Bytes.
pub(super) fn octets(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "binary"})
}

/// A JSON document with a shape of its own.
pub(super) fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": true})
}

/// Refuses a parameter.
pub(super) fn refused(name: &str, msg: impl Into<String>) -> Problem {
    let fault = FieldError { path: format!("?{name}"), msg: msg.into() };
    Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }.into()
}
