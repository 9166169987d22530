//! The command readers of all doors: any bytes give a command or a refusal, never a panic.

#![no_main]

use dmxd::dmx::{Source, State};
use dmxd::wire::{
    BlackoutOrder, Captured, MasterOrder, Order, PATCH_CHANNELS, RecallOrder, Refusal, SceneEdit, ShowPatch, Unified,
    lamp_command, set_message,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for read in [lamp_command(body), set_message(body)] {
        if let Some((command, _)) = check(body, read) {
            assert_eq!(command.id.as_str().len(), 26);
            assert_eq!(command.patches()[0].levels.len(), 3, "a lamp command sets three channels");
        }
    }
    if let Some(unified) = check(body, Unified::from_json(body, &Source::init(), 64)) {
        assert!((1..=64).contains(&unified.id.as_str().chars().count()));
        if let Order::Levels { patch, .. } = unified.order {
            assert!((1..=PATCH_CHANNELS).contains(&patch.levels.len()));
        }
    }
    check(body, MasterOrder::from_json(body));
    check(body, BlackoutOrder::from_json(body));
    if !body.trim_ascii().is_empty() {
        check(body, RecallOrder::from_json(body)); // an empty body is one
    }
    let mut scenes = Vec::new();
    let (state, patch) = (State::default(), ShowPatch::none(64));
    let light = Captured { state: &state, patch: &patch };
    if let Some(edit) = check(body, SceneEdit::add(body, light, &"s".parse().unwrap(), 1)) {
        let scene = edit.apply(&mut scenes, 2).expect("there is room");
        let _ = scene.look(&patch);
        if let Some(edit) = check(body, SceneEdit::change(scene.id().clone(), body)) {
            let _ = edit.apply(&mut scenes, 3); // refused or done, the list is whole
            assert_eq!(scenes.len(), 1);
        }
    }
});

fn check<T>(body: &[u8], read: Result<T, Refusal>) -> Option<T> {
    match read {
        Ok(read) => {
            assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok(), "what is read is JSON");
            Some(read)
        }
        Err(refusal) => {
            assert!(!refusal.errors.is_empty(), "a refusal says why");
            for error in &refusal.errors {
                assert!(error.path.is_empty() || error.path.starts_with('/'), "a JSON pointer: {}", error.path);
            }
            None
        }
    }
}
