//! Who may do what: users, login, the lock, the log of deeds.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::http::header::{FORWARDED, HOST, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER, SET_COOKIE, VIA};
use warp::reply::Response;

use super::super::App;
use super::super::auth::set_cookie;
use super::super::hosts::name_of;
use super::super::origin::is_own;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Request, SMALL};
use super::route::refused;
use super::{Needs, Query, Route, delete, get, patch, post};
use crate::access::{AccessError, AuditEntry, Identity, Kind, LoginError, MOST_AUDITED, Rights, UserView};
use crate::config::AuthMode;
use crate::wire::{LockOrder, LoginOrder, NewUser, PanelBlackout, Role, UserEdit};

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/me", "getMe", Needs::OPEN, &me)
        .says("Who asks, and what that may do.")
        .knows_who()
        .gives::<Me>(200, "Somebody, or `anonymous`.")
        .like(r#"{"name":"Anna","kind":"user","role":"operate","mode":"required","lockedBySettings":false,"hasAdmin":true}"#),
    post("/login", "logIn", Needs::OPEN, &login)
        .says("Opens a login, which no clock ends; also as the cookie `dmxd`. Of a user's wrong PINs and passwords 30 are looked at an hour.")
        .takes::<LoginOrder>()
        .gives::<LoggedIn>(200, "The token, as `x-api-key`, `Authorization: Bearer` or `?token=`.")
        .like(r#"{"token":"5f1d7a84db00d2fca7a1c2dd6cbd40f1","role":"operate","expires":null}"#)
        .refuses(&[(401, "The name or the secret is wrong."), TOO_MANY]),
    post("/logout", "logOut", Needs::OPEN, &logout)
        .says("Ends the login by which somebody asks, with its WebSockets and MQTT sessions.")
        .knows_who()
        .gives_nothing(204, "It is ended, or there was none."),
    get("/users", "listUsers", Needs::ADMIN.known(), &list)
        .says("Every user, without secrets.")
        .gives::<Users>(200, "By name."),
    post("/users", "createUser", Needs::ADMIN.known(), &create)
        .says("Makes a user, or a lamp or button (`device`).")
        .takes::<NewUser>()
        .gives::<UserView>(201, "The user; `key` only here, if one was made.")
        .like(USER)
        .refuses(&[(409, "The name is taken, or there is no room for more.")]),
    patch("/users/{id}", "changeUser", Needs::ADMIN.known(), &change)
        .says("Changes the named fields. A new role, name or secret ends what the user has open.")
        .takes::<UserEdit>()
        .gives::<UserView>(200, "The user; `key` only here, if one was made.")
        .like(USER)
        .refuses(&[(409, "The name is taken, or it is the last admin.")]),
    delete("/users/{id}", "deleteUser", Needs::ADMIN.known(), &remove)
        .says("Deletes a user, and ends what it has open.")
        .gives_nothing(204, "It is gone.")
        .refuses(&[(409, "It is the last admin.")]),
    post("/lock", "lock", Needs::OPEN, &lock)
        .says(
            "Locks the appliance: from now on who is not known may do what `auth.anonymous` says. Where there is no admin it makes the \
             first one, with the code, or from the machine itself; else an admin must do it.",
        )
        .knows_who()
        .may_take::<LockOrder>()
        .gives::<Locked>(200, "It is locked; the first admin with its key, and logged in.")
        .refuses(&[
            (401, "The first admin's code is missing or wrong."),
            (403, "An admin must do that."),
            (409, "The name is taken."),
            TOO_MANY,
        ]),
    post("/unlock", "unlock", Needs::ADMIN.known(), &unlock)
        .says("Opens the appliance to everybody on its network; users stay.")
        .gives_nothing(204, "It is open.")
        .refuses(&[(409, "`auth.mode` in the settings locks it.")]),
    get("/audit", "getAudit", Needs::ADMIN.known(), &audit)
        .says("Who did what, from where, when: logins, refusals, edits, settings, blackout; not levels.")
        .query(&[Query { name: "limit", says: "How many at most: 1 to 1000; 100 if absent.", values: &[] }])
        .gives::<AuditList>(200, "Newest first.")
        .refuses(&[(422, "`limit` is no integer from 1 to 1000.")]),
];

const TOO_MANY: (u16, &str) = (429, "Too many wrong secrets; `Retry-After` says how long none is looked at.");

const USER: &str = r#"{"id":"01JD0000000000000000000001","name":"Anna","role":"operate","secret":"pin","createdAt":1767225600000,"logins":0}"#;

/// Who asks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Me", description = "Who asks, and what that may do.")]
struct Me {
    /// Its name; `anonymous` if nobody is known.
    name: String,
    /// `anonymous`, `key`, `user` or `panel`.
    kind: &'static str,
    /// What it may do; `null`: only what is open to everybody, or what the panel has.
    role: Option<Role>,
    /// `required` while the appliance is locked.
    mode: &'static str,
    /// Whether the settings lock it, so that the app cannot open it.
    locked_by_settings: bool,
    /// Whether there is an admin; if not, locking makes the first one.
    has_admin: bool,
    /// The panel, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    panel: Option<PanelPage>,
}

/// What a panel shows.
#[derive(Serialize, JsonSchema)]
struct PanelPage {
    /// Its name.
    name: String,
    /// Whether it moves the grand master.
    master: bool,
    /// What it does with blackout.
    blackout: PanelBlackout,
    /// Its scenes in their order, with their names; without those that are gone.
    scenes: Vec<PanelScene>,
}

/// A scene of a panel.
#[derive(Serialize, JsonSchema)]
struct PanelScene {
    /// For `POST /scenes/{id}/recall`.
    id: String,
    /// What people call it.
    name: String,
}

/// A new login.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "LoggedIn", description = "A login.")]
struct LoggedIn {
    /// What to present from now on.
    token: String,
    /// What it may do.
    role: Option<Role>,
    /// Always `null`: the appliance may have no clock. Only a logout ends it.
    expires: Option<u64>,
}

/// All users.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Users", description = "Every user.")]
struct Users {
    /// By name.
    users: Vec<UserView>,
}

/// The appliance is locked.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Locked", description = "The appliance is locked.")]
struct Locked {
    /// The first admin, if it was made just now.
    admin: Option<UserView>,
    /// Its login.
    token: Option<String>,
}

/// The log of deeds.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "AuditList", description = "Who did what.")]
struct AuditList {
    /// Newest first.
    entries: Vec<AuditEntry>,
}

async fn me(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let who = &request.who;
    let kind = match who.kind() {
        Kind::Anonymous | Kind::House => "anonymous",
        Kind::Key => "key",
        Kind::User(..) => "user",
        Kind::Panel(..) => "panel",
    };
    let me = Me {
        name: who.name().to_owned(),
        kind,
        role: who.role(),
        mode: match app.access.mode() {
            AuthMode::Audit => "audit",
            AuthMode::Required => "required",
        },
        locked_by_settings: app.access.is_locked_by_settings(),
        has_admin: app.access.has_admin(),
        panel: panel(&app, who),
    };
    reply::json(StatusCode::OK, &me)
}

fn panel(app: &App, who: &Identity) -> Option<PanelPage> {
    let (panel, Rights::Panel(_)) = (app.access.panel_of(who)?, who.rights()) else { return None };
    let view = app.library.view();
    let looks = panel.looks.iter().filter_map(|id| view.looks().iter().find(|look| look.id.as_str() == id));
    let scenes = looks.map(|look| PanelScene { id: look.id.to_string(), name: look.name.clone() }).collect();
    Some(PanelPage { name: panel.name, master: panel.master, blackout: panel.blackout, scenes })
}

async fn login(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let LoginOrder { name, secret } = LoginOrder::from_json(&request.bytes(SMALL).await?)?;
    let from = request.peer.addr.ip();
    let known = app.access.login(&name, secret.as_bytes(), from).await;
    // who mistypes may have typed a password there
    let typed = if app.access.has_user(&name) { name.as_str() } else { "unknown name" };
    let identity = known.inspect_err(|_| app.access.refused(typed, "login", Some(from)))?;
    let access = app.access.clone();
    let login = whole(async move { access.open_login(&identity, from).await }).await?;
    app.access.did(&login.identity, "login", Some(from));
    tracing::info!(user = login.identity.name(), %from, "login");
    let answer = LoggedIn { token: login.token.clone(), role: login.identity.role(), expires: None };
    let mut response = reply::json(StatusCode::OK, &answer)?;
    response.headers_mut().insert(SET_COOKIE, set_cookie(Some(&login.token), request.peer.is_secure));
    Ok(response)
}

async fn logout(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (access, who) = (app.access.clone(), request.who.clone());
    if whole(async move { Ok(access.logout(&who).await) }).await? {
        app.access.did(&request.who, "logout", Some(request.peer.addr.ip()));
    }
    let mut response = nothing();
    response.headers_mut().insert(SET_COOKIE, set_cookie(None, request.peer.is_secure));
    Ok(response)
}

/// Makes an edit to its end, also when the client goes away meanwhile: what is stored must be in force.
pub(super) async fn whole<T: Send + 'static>(
    edit: impl Future<Output = Result<T, AccessError>> + Send + 'static,
) -> Result<T, Problem> {
    Ok(tokio::spawn(edit).await??)
}

fn nothing() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

async fn list(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Users { users: app.access.users() })
}

async fn create(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let edit = UserEdit::from_json(&request.bytes(SMALL).await?, true)?;
    let (access, from) = (app.access.clone(), request.peer.addr.ip());
    let user = whole(async move { access.create_user(edit, from).await }).await?;
    app.access.did(&request.who, &format!("POST /users ({}, {})", user.name, user.role), Some(request.peer.addr.ip()));
    reply::json(StatusCode::CREATED, &user)
}

async fn change(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let edit = UserEdit::from_json(&request.bytes(SMALL).await?, false)?;
    let (access, id, from) = (app.access.clone(), request.parameter(0).to_owned(), request.peer.addr.ip());
    let user = whole(async move { access.edit_user(&id, edit, from).await }).await?;
    reply::json(StatusCode::OK, &user)
}

async fn remove(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (access, id) = (app.access.clone(), request.parameter(0).to_owned());
    whole(async move { access.delete_user(&id).await }).await?;
    Ok(nothing())
}

async fn lock(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let order = LockOrder::from_json(&request.bytes(SMALL).await?)?;
    let from = request.peer.addr.ip();
    let (access, who, here) = (app.access.clone(), request.who.clone(), is_here(&request));
    let locked = whole(async move {
        let made = access.lock(order, &who, (from, here)).await?;
        let login = match &made {
            Some(admin) => Some(access.login_of(&admin.id, from).await?),
            None => None,
        };
        Ok((made, login))
    });
    let locked = locked.await.inspect_err(|_| app.access.refused(request.who.name(), "lock", Some(from)));
    let (made, login) = locked?;
    let by = login.as_ref().map_or(&request.who, |login| &login.identity);
    app.access.did(by, "lock", Some(from));
    tracing::warn!(by = by.name(), "locked");
    let token = login.map(|login| login.token);
    let mut response = reply::json(StatusCode::OK, &Locked { admin: made, token: token.clone() })?;
    if let Some(token) = token {
        response.headers_mut().insert(SET_COOKIE, set_cookie(Some(&token), request.peer.is_secure));
    }
    Ok(response)
}

/// Whether a person on the machine itself asks: no page of others, and no proxy, behind which everybody is.
fn is_here(request: &Request) -> bool {
    let text = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).map(name_of);
    let named =
        host.is_none_or(|host| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback()));
    let forwarded = [FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip"), VIA];
    let own = text(ORIGIN).is_none_or(|origin| is_own(origin, &request.headers));
    request.peer.addr.ip().is_loopback()
        && named
        && own
        && !forwarded.into_iter().any(|name| request.headers.contains_key(name))
}

async fn unlock(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let access = app.access.clone();
    whole(async move { access.unlock().await }).await?;
    tracing::warn!(by = request.who.name(), "unlocked");
    Ok(nothing())
}

async fn audit(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let limit = match request.query("limit") {
        None => 100,
        Some(limit) => std::str::from_utf8(&limit)
            .ok()
            .and_then(|limit| limit.parse().ok())
            .filter(|limit| (1..=MOST_AUDITED).contains(limit))
            .ok_or_else(|| refused("limit", format!("must be an integer from 1 to {MOST_AUDITED}")))?,
    };
    reply::json(StatusCode::OK, &AuditList { entries: app.access.audit(limit) })
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let words = error.to_string();
        match error {
            LoginError::Wrong => Self::new(StatusCode::UNAUTHORIZED, words),
            LoginError::TooMany(wait) => Self::too_many(words, wait.as_secs().max(1)),
            LoginError::Busy => Self::too_many(words, 1),
            LoginError::Full(full) => full.into(),
            LoginError::Internal(_) | LoginError::Task(_) => Self::internal(words),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let words = error.to_string();
        match error {
            AccessError::NotFound(..) => Self::new(StatusCode::NOT_FOUND, words),
            AccessError::Taken(_)
            | AccessError::LastAdmin
            | AccessError::TooMany(..)
            | AccessError::LockedBySettings => Self::new(StatusCode::CONFLICT, words),
            AccessError::CodeNeeded => Self::new(StatusCode::UNAUTHORIZED, words),
            AccessError::AdminNeeded => Self::needs(Role::Admin),
            AccessError::Login(error) => error.into(),
            AccessError::Random(_) => Self::internal(words),
        }
    }
}

impl Problem {
    fn too_many(words: String, seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, words).with(RETRY_AFTER, HeaderValue::from(seconds))
    }
}
