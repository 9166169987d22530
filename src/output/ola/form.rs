//! The form for `set_dmx`, and what its answers mean.

use std::fmt::Write;

use serde::Deserialize;

use super::super::driver::{OutputError, OutputErrorKind, ReadBack};
use crate::dmx::{CHANNELS, Frame};

/// Writes `u=<universe>&d=v1,…,v512` over `body`. Always all 512: OLA makes a universe as short as what it gets.
pub(super) fn write(body: &mut String, universe: u32, frame: &Frame) {
    body.clear();
    body.reserve("u=4294967295&d=".len() + CHANNELS * "255,".len());
    let _ = write!(body, "u={universe}&d="); // writing to a String cannot fail
    for (i, level) in frame.levels().iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{level}");
    }
}

/// Whether OLA took the frame. An unknown universe is a 500, and a request that OLA does not understand is redirected to a
/// help page (302); only 200 with the word `ok` is success.
pub(super) fn judge(target: &str, universe: u32, status: u16, body: &[u8]) -> Result<(), OutputError> {
    let what = match status {
        200 if body.trim_ascii() == b"ok" => return Ok(()),
        200 => "answered 200 without the word ok: is ola.url really OLA's set_dmx?".to_owned(),
        500 => format!("does not know universe {universe}: patch universe {universe} in OLA first"),
        300..=399 => format!("answered {status} to another page: is ola.url really OLA's set_dmx?"),
        401 | 403 => format!("answered {status}: it wants a login; put it into ola.url as http://user:password@…"),
        404 => "answered 404: ola.url must end in /set_dmx".to_owned(),
        _ => format!("answered {status}: look at its own log"),
    };
    Err(OutputError::new(OutputErrorKind::Answer, format!("sending to {target}: OLA {what}")))
}

/// The answer of `get_dmx`.
#[derive(Deserialize)]
struct Shown {
    /// As many channels as were sent last; none before.
    dmx: Vec<u8>,
    error: String,
}

/// Whether a universe shows the last frame sent; `None` if the answer does not tell.
pub(super) fn proof(universe: u32, frame: &Frame, status: u16, body: &[u8]) -> Option<ReadBack> {
    let shown: Shown = serde_json::from_slice(body).ok().filter(|_| status == 200)?;
    if !shown.error.is_empty() || shown.dmx.len() > CHANNELS {
        return None;
    }
    // a universe is as short as what it was sent: the rest is dark
    let levels = shown.dmx.iter().chain(std::iter::repeat(&0));
    Some(if levels.zip(frame.levels()).all(|(shown, sent)| shown == sent) {
        ReadBack::Ours
    } else {
        ReadBack::Others(format!(
            "OLA's universe {universe} shows other light than dmxd sends, so BLACKOUT may not reach it either: another \
             program, or an input that is patched to it, writes there too; end that one, or give dmxd a universe of its own \
             (ola.universe, ola.universes)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_of_a_frame_stands_in_its_place(levels in prop::collection::vec(any::<u8>(), 512), universe: u32) {
            let mut body = "left from before".to_owned();
            write(&mut body, universe, &Frame::from(<[u8; 512]>::try_from(levels.clone()).unwrap()));
            let (u, d) = body.strip_prefix("u=").unwrap().split_once("&d=").unwrap();
            prop_assert_eq!(u.parse::<u32>().unwrap(), universe);
            let read: Vec<u8> = d.split(',').map(|level| level.parse().unwrap()).collect();
            prop_assert_eq!(read, levels);
        }
    }

    #[test]
    fn what_is_read_back_is_ours_or_others_or_tells_nothing() {
        let mut frame = Frame::DARK;
        frame.set(&[(crate::dmx::Channel::new(2).unwrap(), 9)]);
        let proof = |status, body: &str| proof(7, &frame, status, body.as_bytes());
        let whole = format!(r#"{{"dmx":[0,9{}],"error":""}}"#, ",0".repeat(510));
        for ours in [&whole, r#"{"dmx":[0,9],"error":"","universe":7}"#] {
            assert_eq!(proof(200, ours), Some(ReadBack::Ours), "{ours}");
        }
        for others in ["[]", "[0]", "[0,8]", "[0,9,0,1]", "[1,9]"] {
            let others = proof(200, &format!(r#"{{"dmx":{others},"error":""}}"#));
            assert!(matches!(others, Some(ReadBack::Others(why)) if why.contains("universe 7")));
        }
        let long = format!(r#"{{"dmx":[0,9{}],"error":""}}"#, ",0".repeat(511));
        for (status, nothing) in [
            (500, whole.as_str()),
            (302, &whole),
            (200, r#"{"dmx":[],"error":"no such universe"}"#),
            (200, r#"{"dmx":[0,256],"error":""}"#),
            (200, r#"{"error":""}"#),
            (200, "ok"),
            (200, &long),
        ] {
            assert_eq!(proof(status, nothing), None, "{status} {nothing}");
        }
    }

    #[test]
    fn only_ok_is_ok_and_everything_else_says_what_to_do() {
        assert_eq!(judge("x", 1, 200, b"ok\n"), Ok(()));
        for (status, body, advice) in [
            (500, "", "patch universe 7 in OLA first"),
            (302, "ok", "set_dmx"),
            (200, "<html>", "set_dmx"),
            (200, "", "set_dmx"),
            (404, "ok", "/set_dmx"),
            (401, "", "login"),
            (503, "", "log"),
        ] {
            let fault = judge("http://h:9090/set_dmx", 7, status, body.as_bytes()).unwrap_err();
            assert_eq!(fault.kind, OutputErrorKind::Answer);
            assert!(fault.message.contains(advice), "{status}: {fault}");
        }
    }
}
