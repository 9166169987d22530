//! Patches as documents: whatever a show says, it is read; what an edit wrote reads back as it was meant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dmx::{FixtureType, Kind, Mode, Parameter, Rig, TypeId};
use crate::wire::{Show, ShowFile};

/// Types of one channel each for every kind that a name says.
struct Few;

impl KnownTypes for Few {
    fn of(&self, id: &TypeId) -> Option<Arc<FixtureType>> {
        let channels: usize = id.as_str().strip_prefix("wide-")?.parse().ok()?;
        let names = (0..channels).map(|n| format!("Channel {n}")).collect();
        let parameters = (0..).take(channels).map(|place| Parameter::plain(Kind::Intensity, place)).collect();
        let mode = Mode { name: "only".into(), channels: names, parameters };
        Some(FixtureType { id: id.clone(), manufacturer: String::new(), name: "Wide".into(), modes: vec![mode] }.into())
    }

    fn named(&self, names: &[&str]) -> Vec<Parameter> {
        assert!(names.len() <= 512, "{} names are read", names.len());
        Vec::new()
    }
}

fn show(value: &Value) -> Show {
    ShowFile::from_json(value.to_string().as_bytes(), 0).unwrap().show
}

fn places(rig: &Rig) -> Vec<(String, u8, u16, u16)> {
    let place =
        |it: &Arc<crate::dmx::Fixture>| (it.id.to_string(), it.universe.index(), it.first.number(), it.last().number());
    rig.fixtures().iter().map(place).collect()
}

/// Something like a field of a fixture, right or wrong.
fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-1..600_i64).prop_map(Value::from),
        "[a-c1-3]{0,3}".prop_map(Value::from),
        Just(json!([{"id": "a", "name": "Red"}, 5, {"id": 7}])),
        Just(json!({"1": {}, "0": {"id": "a"}})),
        Just(json!(["a", 1, null])),
        Just(json!("wide-3")),
    ]
}

fn odd_fixture() -> impl Strategy<Value = Value> {
    let fields =
        ["id", "name", "universeId", "dmxAddress", "channelCount", "channels", "type", "mode", "groups", "topic"];
    prop::collection::btree_map(prop::sample::select(fields.to_vec()), anything(), 0..10)
        .prop_map(|fields| json!(fields))
}

proptest! {
    #[test]
    fn whatever_a_document_says_is_read_and_shown_and_a_place_is_never_beyond_a_universe(
        fixtures in prop::collection::vec(odd_fixture(), 0..8), universes in anything(), groups in anything()
    ) {
        let mut value = json!({"fixtures": fixtures, "groups": groups});
        if universes.is_array() || universes.is_object() {
            value["universes"] = universes;
        }
        let show = show(&value);
        let patch = show_patch(&show, 2, &Few);
        let all_placed = places(patch.rig());
        prop_assert!(all_placed.iter().all(|(_, universe, first, last)| *universe < 2 && first <= last && *last <= 512));
        let shown: Value = serde_json::from_slice(ShownPatch::of(&show, &patch).document().unwrap()).unwrap();
        prop_assert_eq!(shown["fixtures"].as_array().unwrap().len(), fixtures.len());
        let lit = shown["fixtures"].as_array().unwrap().iter().filter(|it| it.get("footprint").is_some()).count();
        prop_assert_eq!(lit, all_placed.len());
    }

    #[test]
    fn what_was_patched_reads_back_and_is_never_in_the_way_of_another(
        orders in prop::collection::vec((1..9_usize, 0..2_u8, 1..513_u16, 1..5_u64), 1..12)
    ) {
        let mut written = Show::default();
        let mut expected = Vec::new();
        for (channels, universe, address, count) in orders {
            let body = json!({"type": format!("wide-{channels}"), "universe": universe, "address": address, "count": count});
            let mut after = written.clone();
            let edit = PatchEdit::add(body.to_string().as_bytes()).unwrap();
            let Ok(ids) = edit.apply(&mut after, &[], 2, &Few) else { continue };
            let first = |n: usize| address + u16::try_from(n * channels).unwrap();
            let last = |n: usize| first(n) + u16::try_from(channels).unwrap() - 1;
            expected.extend(ids.iter().enumerate().map(|(n, id)| (id.to_string(), universe, first(n), last(n))));
            written = show(&after.fields().clone().into());
        }
        let patch = show_patch(&written, 2, &Few);
        prop_assert_eq!(patch.warnings(), []);
        prop_assert_eq!(places(patch.rig()), expected.clone());
        for (fixture, keys) in patch.fixtures() {
            for (place, key) in (0..).zip(keys) {
                prop_assert_eq!(patch.channel(key), fixture.channel(place).map(|channel| (fixture.universe, channel)));
            }
        }
        for (n, one) in expected.iter().enumerate() {
            for other in expected.iter().skip(n + 1).filter(|other| other.1 == one.1) {
                let twins = (one.2, one.3) == (other.2, other.3);
                prop_assert!(twins || one.3 < other.2 || other.3 < one.2, "{one:?} {other:?}");
            }
        }
    }
}

#[test]
fn a_show_without_an_end_lights_what_is_within_the_limits_and_is_read_at_once() {
    let fixture = |n: usize| json!({"id": n, "universeId": 0, "dmxAddress": 1, "channelCount": 512, "name": "x"});
    let fixtures: Vec<_> = (0..20_000).map(fixture).collect();
    let show = show(&json!({"universes": {"0": {}}, "fixtures": fixtures}));
    let begun = Instant::now();
    let patch = show_patch(&show, 64, &Few);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(patch.rig().fixtures().len(), 128, "65,536 channels");
    assert_eq!(patch.warnings().len(), 101);
}

#[test]
fn more_channels_than_a_universe_has_are_not_read_by_their_names() {
    let channels = vec![json!({"name": "Red fine"}); 65_535];
    let fixture = json!({"id": "a", "universeId": 0, "dmxAddress": 1, "channels": channels});
    let patch = show_patch(&show(&json!({"universes": {"0": {}}, "fixtures": [fixture]})), 1, &Few);
    assert!(patch.rig().is_empty());
    let warnings: Vec<_> = patch.warnings().iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["its 65535 channels from 1 on do not fit into a universe, so it does not light up"]);
}
