//! The one reader of `demo.rgb.cmd.v1` for all doors.

use super::fields::{Body, Field, Form, Kind, SRC, described};
use super::object::{CMD_SCHEMA, Object};
use super::{Faults, Reason, Refusal, Unified};
use crate::dmx::{Command, CommandId, Patch, Rgb};

/// Reads a `demo.rgb.cmd.v1` body (MQTT, REST): the command, and when the client's clock says it was sent (Unix milliseconds).
///
/// # Errors
/// Every fault of the body; nothing else happens.
pub fn lamp_command(body: &[u8]) -> Result<(Command, Option<u64>), Refusal> {
    read(&Object::from_client(body)?, &LAMP)
}

/// Reads a WebSocket `set` message: the same fields, with `"type":"set"` in place of `schema`.
///
/// # Errors
/// Every fault of the message; nothing else happens.
pub fn set_message(body: &[u8]) -> Result<(Command, Option<u64>), Refusal> {
    read(&Object::parse(body)?, &SET)
}

/// The schema of `demo.rgb.cmd.v1`.
#[derive(Debug)]
pub enum RgbCommand {}

described!(RgbCommand: LAMP);

pub(super) const LAMP: Body = Body {
    title: CMD_SCHEMA,
    says: "A request to change the colour of the lamp.",
    fields: &[
        Field::new("schema", Kind::Words(&[CMD_SCHEMA]), "Filled in when absent.").optional(),
        CMD_ID,
        SRC.says("Who sends it. `ui` and `ui-…` are drags: the oldest is dropped when the queue is full."),
        R,
        G,
        B,
        TS,
    ],
    open: false,
    example: r#"{"cmdId":"01JD0000000000000000000001","src":"me","r":255,"g":80,"b":0}"#,
};

/// The same on a WebSocket.
pub(super) const SET: Body = Body {
    title: "set",
    fields: &[Field::new("type", Kind::Words(&["set"]), "Which message.").optional(), CMD_ID, SRC, R, G, B, TS],
    ..LAMP
};

const CMD_ID: Field = Field::new(
    "cmdId",
    Kind::Form(&Form {
        chars: (26, 26),
        pattern: "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$",
        fits: |text| text.parse::<CommandId>().map(drop).map_err(|wrong| wrong.to_string()),
    }),
    "ULID, in any case. A second command with the same id has no effect.",
);

const R: Field =
    Field::new("r", Kind::Clamped, "Red; clamped to 0..255. Written as an integer: 1.0 and 1e2 are refused.");
const G: Field = Field::new("g", Kind::Clamped, "Green, as red.");
const B: Field = Field::new("b", Kind::Clamped, "Blue, as red.");
const TS: Field = Field::new(
    "ts",
    Kind::Integer(1, u64::MAX as i128),
    "The client's clock, Unix milliseconds: a level that is up to 2 s older than the newest of this client is `STALE`.",
)
.optional();

/// Reads the fields of a lamp command.
fn read(object: &Object<'_>, body: &Body) -> Result<(Command, Option<u64>), Refusal> {
    let mut faults = Faults::default();
    if let Some(unified) = object.string("type").filter(|kind| body.title == CMD_SCHEMA && Unified::is_kind(kind)) {
        faults.add(
            "/type",
            format!("{unified} is a unified command: send it to dmx/command (MQTT), POST /command or /ws"),
        );
        let cmd_id = object.echoed("cmdId").or_else(|| object.echoed("id"));
        return Err(Refusal { reason: Reason::ValidationFailed, cmd_id, errors: faults.into_errors() });
    }
    body.check::<&str>(object, "", &mut faults);
    let id = object.string("cmdId").and_then(|id| id.parse().ok());
    let source = object.string("src").and_then(|source| source.parse().ok());
    let [r, g, b] = ["r", "g", "b"].map(|name| object.level(name));
    match (id, source, r, g, b) {
        (Some(id), Some(source), Some(r), Some(g), Some(b)) if faults.is_empty() => {
            Ok((Command::set(id, source, Patch::lamp(Rgb { r, g, b })), object.number("ts")))
        }
        _ => {
            let (cmd_id, errors) = (object.echoed("cmdId"), faults.into_errors());
            Err(Refusal { reason: Reason::ValidationFailed, cmd_id, errors })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF";

    fn body(rest: &str) -> String {
        format!(r#"{{"cmdId":"{ID}","src":"t",{rest}}}"#)
    }

    fn colour(rest: &str) -> Option<Rgb> {
        let (command, _) = lamp_command(body(rest).as_bytes()).ok()?;
        let mut frame = crate::dmx::Frame::DARK;
        frame.set(&command.patches()[0].levels);
        Some(frame.rgb())
    }

    #[test]
    fn integers_of_64_bits_are_clamped() {
        assert_eq!(colour(r#""r":300,"g":-5,"b":7"#), Some(Rgb { r: 255, g: 0, b: 7 }));
        assert_eq!(
            colour(r#""r":18446744073709551615,"g":-9223372036854775808,"b":-0"#),
            Some(Rgb { r: 255, g: 0, b: 0 })
        );
    }

    #[test]
    fn what_is_no_integer_is_refused_with_its_place() {
        let many = "9".repeat(5000);
        for value in ["1.5", "1.0", "1e2", "\"1\"", "null", "true", "[]", "{}", "18446744073709551616", &many] {
            let refusal = lamp_command(body(&format!(r#""r":1,"g":{value},"b":1"#)).as_bytes()).unwrap_err();
            assert_eq!(refusal.reason, Reason::ValidationFailed, "{value}");
            assert_eq!(refusal.cmd_id.as_deref(), Some(ID));
            assert_eq!(refusal.errors.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), ["/g"], "{value}");
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let refusal = lamp_command(br#"{"schema":"x","cmdId":1,"r":"1","ts":0,"a/b":1}"#).unwrap_err();
        let paths: Vec<_> = refusal.errors.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["/schema", "/cmdId", "/src", "/r", "/g", "/b", "/ts", "/a~1b"]);
        assert_eq!(refusal.cmd_id, None);
    }

    #[test]
    fn no_json_scalars_and_deep_nesting_are_refusals() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (text, reason) in [
            ("", Reason::NotJson),
            ("{", Reason::NotJson),
            ("{} x", Reason::NotJson),
            ("null", Reason::ValidationFailed),
            ("1", Reason::ValidationFailed),
            ("[]", Reason::ValidationFailed),
            (&deep, Reason::ValidationFailed),
        ] {
            assert_eq!(lamp_command(text.as_bytes()).unwrap_err().reason, reason, "{:.20}", text);
        }
        assert_eq!(lamp_command(b"\xff").unwrap_err().reason, Reason::NotJson);
        let nested = body(&format!(r#""r":1,"g":1,"b":{deep}"#));
        assert_eq!(lamp_command(nested.as_bytes()).unwrap_err().reason, Reason::ValidationFailed);
    }

    #[test]
    fn a_set_message_is_the_same_command() {
        let set = format!(r#"{{"type":"set","cmdId":"{ID}","src":"ui","r":1,"g":2,"b":3}}"#);
        let (command, _) = set_message(set.as_bytes()).unwrap();
        assert_eq!(command.patches()[0], Patch::lamp(Rgb { r: 1, g: 2, b: 3 }));
        assert!(command.is_ui_drag());
    }
}
