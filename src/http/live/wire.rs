//! What goes over the WebSocket (CONTRACT, section 4), as text and from text.

use serde::Serialize;
use serde_json::value::RawValue;
use warp::ws::Message;

use super::super::desk_view::desk_view;
use crate::access::Rights;
use crate::dmx::{Change, Rgb, State};
use crate::kit::clock;
use crate::library::Tag;
use crate::wire::{Ack, DeskView, Device, FieldError, Object, Reason, Refusal, StateUpdate, Unified};

/// Server to client.
#[derive(Serialize)]
#[serde(tag = "type")]
enum Outgoing<'a> {
    #[serde(rename = "state")]
    State { r: u8, g: u8, b: u8, seq: u64, ts: u64 },
    #[serde(rename = "desk")]
    Desk(&'a DeskView),
    #[serde(rename = "devices")]
    Devices { devices: &'a [Device] },
    #[serde(rename = "patch")]
    Patch { etag: &'a str },
    #[serde(rename = "pong")]
    Pong { ts: &'a RawValue },
    #[serde(rename = "err", rename_all = "camelCase")]
    Err {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cmd_id: Option<&'a str>,
    },
}

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A colour: by its broadcast, or by an `err`.
    Set,
    /// A unified command: by its ack.
    Unified,
}

/// Client to server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A colour or a unified command, which is read where it is taken.
    Command(Kind),
    /// Moves the desk, likewise.
    Blackout,
    Master,
    /// With the answer's `ts`: the client's own as it wrote it, else the server's clock.
    Ping(String),
}

fn text(message: &impl Serialize) -> Message {
    // neither maps with foreign keys nor a failing Serialize, so there is no error
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

fn lamp(state: &State) -> Message {
    let Rgb { r, g, b } = state.lamp_light();
    text(&Outgoing::State { r, g, b, seq: state.seq, ts: state.ts })
}

fn desk(state: &State) -> Message {
    text(&Outgoing::Desk(&DeskView::from(state)))
}

/// Everything that a client gets at first: `state`, a full `state.update` per known universe, `desk`.
pub(super) fn snapshot(state: &State) -> Vec<Message> {
    let updates = StateUpdate::all(state).map(|update| text(&update));
    std::iter::once(lamp(state)).chain(updates).chain([desk(state)]).collect()
}

/// The desk as somebody sees it who does not see everything.
pub(super) fn desk_for(state: &State, rights: &Rights) -> Message {
    text(&Outgoing::Desk(&desk_view(state, rights)))
}

/// One change: `state` if it concerns the lamp, and what it changed.
pub(super) fn change(change: &Change, state: &State) -> Vec<Message> {
    let mut messages = Vec::new();
    if change.concerns_lamp() {
        messages.push(lamp(state));
    }
    messages.extend(StateUpdate::of(change, state).iter().map(text));
    messages
}

/// The desk, if a change has moved it. Of several, the newest is enough.
pub(super) fn changed_desk(change: &Change, state: &State) -> Option<Message> {
    change.desk.then(|| desk(state))
}

/// Devices, as in `GET /devices`.
pub(super) fn devices(devices: &[Device]) -> Message {
    text(&Outgoing::Devices { devices })
}

/// The patch is another one: its tag, as in `GET /patch`.
pub(super) fn patch(tag: &Tag) -> Message {
    text(&Outgoing::Patch { etag: tag.as_str() })
}

/// The answer to a ping.
pub(super) fn pong(ts: &str) -> Message {
    match serde_json::from_str::<&RawValue>(ts) {
        Ok(ts) => text(&Outgoing::Pong { ts }),
        Err(_) => error(&Refusal::whole(Reason::ValidationFailed, "ts is no JSON")),
    }
}

/// A refusal as an `err`.
pub(super) fn error(refusal: &Refusal) -> Message {
    let message = refusal.to_string();
    text(&Outgoing::Err { code: refusal.reason.code(), message: &message, cmd_id: refusal.cmd_id.as_deref() })
}

/// The outcome of a unified command.
pub(super) fn ack(ack: &Ack) -> Message {
    text(ack)
}

/// The longest `cmdId` repeated in an `err`: ids of unified commands have at most 64 characters.
const ECHOED_ID_CHARS: usize = 64;

/// Reads a message.
pub(super) fn read(message: &Message) -> Result<Incoming, Refusal> {
    let Ok(text) = message.to_str() else {
        return Err(Refusal::whole(Reason::NotJson, "must be text: JSON in a text message"));
    };
    let object = Object::from_client(text.as_bytes())?;
    match object.string("type").as_deref() {
        Some("set") => Ok(Incoming::Command(Kind::Set)),
        Some("ping") => ping(&object),
        Some("blackout") => Ok(Incoming::Blackout),
        Some("master") => Ok(Incoming::Master),
        Some(kind) if Unified::is_kind(kind) => Ok(Incoming::Command(Kind::Unified)),
        _ => {
            let kinds = "must be \"set\", \"blackout\", \"master\", \"ping\" or a unified command's";
            let fault = FieldError { path: "/type".into(), msg: kinds.into() };
            let cmd_id = object.string("cmdId").filter(|id| id.chars().count() <= ECHOED_ID_CHARS);
            Err(Refusal { reason: Reason::ValidationFailed, cmd_id, errors: vec![fault] })
        }
    }
}

/// A ping's `ts` is up to the client; a browser's may have a fraction (performance.now()).
fn ping(object: &Object<'_>) -> Result<Incoming, Refusal> {
    match object.get("ts") {
        None => Ok(Incoming::Ping(clock::now_ms().to_string())),
        Some(ts) if ts.len() <= 32 && ts.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            Ok(Incoming::Ping(ts.to_owned()))
        }
        Some(_) => {
            let fault = FieldError { path: "/ts".into(), msg: "must be a number of at most 32 digits".into() };
            Err(Refusal { reason: Reason::ValidationFailed, cmd_id: None, errors: vec![fault] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::{Frame, Publish, Source, UniverseId, What};
    use serde_json::{Value, json};

    fn json_of(message: &Message) -> Value {
        serde_json::from_str(message.to_str().unwrap()).unwrap()
    }

    fn state() -> State {
        let mut frame = Frame::DARK;
        frame.set(&Rgb { r: 1, g: 0, b: 3 }.levels());
        let far = UniverseId::new(7).unwrap();
        State::restore(9, 5, Source::init(), [(UniverseId::LAMP, frame), (far, Frame::DARK)])
    }

    #[test]
    fn a_snapshot_is_state_then_each_universe_in_full_then_the_desk() {
        let snapshot: Vec<_> = snapshot(&state()).iter().map(json_of).collect();
        let expected = [
            json!({"type":"state","r":1,"g":0,"b":3,"seq":9,"ts":5}),
            json!({"type":"state.update","rev":9,"ts":5,"universe":0,"delta":[{"ch":1,"val":1},{"ch":3,"val":3}],"full":true}),
            json!({"type":"state.update","rev":9,"ts":5,"universe":7,"delta":[],"full":true}),
            json!({"type":"desk","master":255,"blackout":false,"scene":null,"fades":[]}),
        ];
        assert_eq!(snapshot, expected);
    }

    #[test]
    fn a_change_away_from_the_lamp_is_an_update_alone() {
        let made = |lamp, desk| {
            let what = What::Levels(vec![(UniverseId::LAMP, Vec::new())]);
            Change { seq: 10, ts: 6, what, lamp, desk }
        };
        assert_eq!(change(&made(Publish::Now, true), &state()).len(), 2);
        assert!(changed_desk(&made(Publish::Now, true), &state()).is_some());
        let alone = change(&made(Publish::No, false), &state());
        assert_eq!(json_of(&alone[0])["type"], "state.update");
        assert!(changed_desk(&made(Publish::No, false), &state()).is_none());
        assert_eq!((alone.len(), json_of(&alone[0])["full"].as_bool()), (1, Some(false)));
    }

    #[test]
    fn another_project_is_a_whole_snapshot_and_an_end_of_universes_that_are_gone() {
        let gone = vec![UniverseId::new(9).unwrap()];
        let made = Change { seq: 9, ts: 5, what: What::Whole { gone }, lamp: Publish::Now, desk: true };
        let messages = change(&made, &state());
        assert_eq!(messages[..3], snapshot(&state())[..3]);
        let end = json!({"type":"state.update","rev":9,"ts":5,"universe":9,"delta":[],"full":true});
        assert_eq!(json_of(&messages[3]), end);
    }

    #[test]
    fn devices_are_a_list_of_what_is_known_of_each() {
        let known = |id: &str, ip: Option<&str>| Device {
            id: id.into(),
            online: true,
            since: 5,
            ip: ip.map(Into::into),
            client_id: ip.map(|_| "esp".into()),
        };
        let expected = json!({"type":"devices","devices":[
            {"id":"a","online":true,"since":5,"ip":"10.0.0.1","clientId":"esp"},
            {"id":"b","online":true,"since":5},
        ]});
        assert_eq!(json_of(&devices(&[known("a", Some("10.0.0.1")), known("b", None)])), expected);
        assert_eq!(json_of(&devices(&[])), json!({"type":"devices","devices":[]}));
    }

    #[test]
    fn a_pong_repeats_the_ts_as_it_was_written() {
        let Ok(Incoming::Ping(ts)) = read(&Message::text(r#"{"type":"ping","ts":12.50}"#)) else { panic!("no ping") };
        assert_eq!(pong(&ts).to_str().unwrap(), r#"{"type":"pong","ts":12.50}"#);
        let Ok(Incoming::Ping(ts)) = read(&Message::text(r#"{"type":"ping"}"#)) else { panic!("no ping") };
        assert!(json_of(&pong(&ts))["ts"].as_u64() > Some(0));
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_id() {
        let long = format!(r#"{{"type":"ping","ts":{}}}"#, "1".repeat(33));
        for (text, id) in [
            ("", None),
            ("[]", None),
            (r#"{"type":"get","cmdId":"a"}"#, Some("a")),
            (r#"{"cmdId":"a"}"#, Some("a")),
            (r#"{"type":"ping","ts":"1"}"#, None),
            (&long, None),
        ] {
            let refusal = read(&Message::text(text)).unwrap_err();
            let error = json_of(&error(&refusal));
            assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("err"), Some("VALIDATION_FAILED")));
            assert_eq!(error.get("cmdId").and_then(Value::as_str), id, "{text}");
        }
        assert!(read(&Message::binary(&b"{}"[..])).is_err());
    }
}
