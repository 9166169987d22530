//! Every body against its schema: the reader and the schema accept the same. The bodies are made from the tables; anything
//! that a schema cannot say is documented beside each table, and is not generated here.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::command::{LAMP, SET as SET_MESSAGE};
use super::controls::{BLACKOUT, MASTER};
use super::fields::{Body, Field, Kind, Need};
use super::patch::{FIXTURE, FIXTURES, GROUP};
use super::project::{EDIT, NEW as NEW_PROJECT};
use super::scene::SCENE;
use super::scene_edit::{FIELDS, NEW as NEW_SCENE, RECALL as RECALL_ORDER};
use super::show::SHOW;
use super::snapshot::{BACKUP, RESTORE};
use super::unified::KINDS;
use super::*;
use crate::dmx::{FixtureId, State};

type Reader = fn(&[u8]) -> bool;

/// Whether a new scene is read; nothing is patched, so fixtures that it names are left out.
fn reads_new_scene(body: &[u8]) -> bool {
    let mut value: Value = serde_json::from_slice(body).unwrap();
    let named = |only: &Value| only.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(is_an_id));
    if value.get("only").is_some_and(named) {
        value.as_object_mut().unwrap().remove("only");
    }
    let (state, patch) = (State::default(), ShowPatch::none(64));
    let light = Captured { state: &state, patch: &patch };
    SceneEdit::add(value.to_string().as_bytes(), light, &"a".parse().unwrap(), 5).is_ok()
}

fn is_an_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<FixtureId>().is_ok())
}

/// Every body and its reader.
fn bodies() -> Vec<(&'static Body, Reader)> {
    let unified: Reader = |body| Unified::from_json(body, &"rest".parse().unwrap(), 64).is_ok();
    let mut all: Vec<(&'static Body, Reader)> = vec![
        (&LAMP, |body| lamp_command(body).is_ok()),
        (&SET_MESSAGE, |body| set_message(body).is_ok()),
        (&MASTER, |body| MasterOrder::from_json(body).is_ok()),
        (&BLACKOUT, |body| BlackoutOrder::from_json(body).is_ok()),
        (&RECALL_ORDER, |body| RecallOrder::from_json(body).is_ok()),
        (&NEW_PROJECT, |body| ProjectEdit::from_json(body, true).is_ok()),
        (&EDIT, |body| ProjectEdit::from_json(body, false).is_ok()),
        (&BACKUP, |body| BackupOrder::from_json(body).is_ok()),
        (&RESTORE, |body| RestoreOrder::from_json(body).is_ok()),
        (&SCENE, |body| scenes(&[b"[", body, b"]"].concat(), 5).is_ok()),
        (&NEW_SCENE, reads_new_scene),
        (&FIELDS, |body| SceneEdit::change("a".parse().unwrap(), body).is_ok()),
        (&FIXTURES, |body| PatchEdit::add(body).is_ok()),
        (&FIXTURE, |body| PatchEdit::change("a".parse().unwrap(), body).is_ok()),
        (&GROUP, |body| PatchEdit::groups(&[b"[", body, b"]"].concat()).is_ok()),
        (&SHOW, |body| ShowFile::from_json(body, 5).is_ok()),
    ];
    all.extend(KINDS.map(|(_, body)| (body, unified)));
    all
}

fn validator(body: &Body) -> jsonschema::Validator {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = body.schema(&mut generator);
    schema.insert("$defs".to_owned(), generator.take_definitions(true).into());
    jsonschema::draft202012::new(&schema.to_value()).unwrap()
}

/// Values of a kind, and values that are nearly of it.
fn of(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Any => anything(),
        Kind::Types(_) => prop_oneof![Just(json!("1.0")), Just(json!(2)), Just(json!([])), Just(json!({}))].boxed(),
        Kind::Flag => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Integer(least, most) => {
            let near = [least - 1, least, most, most + 1].into_iter().filter_map(number).collect::<Vec<_>>();
            let within = (least..=most).prop_map(|n| number(n).unwrap());
            prop_oneof![8 => within, 1 => prop::sample::select(near)].boxed()
        }
        Kind::Clamped => prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from)].boxed(),
        Kind::Part => {
            prop_oneof![90 => (0.0..=1.0).prop_map(Value::from), 9 => Just(json!(0)), 1 => Just(json!(1.5))].boxed()
        }
        Kind::Text(least, most) => {
            let most = most.min(200);
            let some = || prop::collection::vec(any::<char>(), 0..6);
            let of_length = move |chars: usize| some().prop_map(move |some| text(some, chars));
            prop_oneof![
                8 => (least..=most).prop_flat_map(of_length),
                1 => of_length(least.saturating_sub(1)),
                1 => of_length(most + 1),
            ]
            .boxed()
        }
        Kind::Form(form) => {
            let short = format!("[0-9A-Za-z._ -]{{0,{}}}", form.chars.1.min(28) + 1);
            let short = prop::string::string_regex(&short).unwrap();
            let form = prop::string::string_regex(form.pattern.trim_matches(['^', '$'])).unwrap();
            // a blank to everybody, to Unicode, and to ECMA-262
            let blank = prop::sample::select(vec![" ", "\u{85}", "\u{feff}"]);
            prop_oneof![
                8 => form.prop_map(Value::from),
                1 => short.prop_map(Value::from),
                1 => blank.prop_map(Value::from),
            ]
            .boxed()
        }
        Kind::Words(words) => {
            prop_oneof![12 => prop::sample::select(words).prop_map(Value::from), 1 => Just(json!("other"))].boxed()
        }
        Kind::List(kind, least) => prop_oneof![
            9 => prop::collection::vec(of(*kind), least..4).prop_map(Value::from),
            1 => prop::collection::vec(of(*kind), 0..2).prop_map(Value::from),
        ]
        .boxed(),
        Kind::Map(kind) => {
            let entries = prop::collection::btree_map("[0-9a-z/]{0,5}", of(*kind), 0..4);
            entries.prop_map(|all| all.into_iter().collect::<Map<_, _>>().into()).boxed()
        }
        // a schema cannot say that two scenes of a list must not share an id
        Kind::Body(body) => of_body(body),
    }
}

fn number(n: i128) -> Option<Value> {
    i64::try_from(n).map(Value::from).ok().or_else(|| u64::try_from(n).map(Value::from).ok())
}

/// A text of this many characters that begins with these.
fn text(some: Vec<char>, chars: usize) -> Value {
    some.into_iter().chain(std::iter::repeat('é')).take(chars).collect::<String>().into()
}

fn anything() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-300i64..300).prop_map(|n| Value::from(n as f64 + 0.5)), // with a fraction: not an integer to anybody
        "[0-9]{0,3}".prop_map(Value::from),
        Just(json!([1])),
        Just(json!({})),
    ]
    .boxed()
}

/// Mostly valid values, so that both verdicts are common.
fn of_field(field: Field, fields: usize) -> BoxedStrategy<Option<Value>> {
    let right = u32::try_from(fields * 8).unwrap();
    let absent = if field.need == Need::Required { 1 } else { right / 2 };
    prop_oneof![
        right => of(field.kind).prop_map(Some),
        1 => anything().prop_map(Some),
        absent => Just(None),
    ]
    .boxed()
}

fn of_body(body: &'static Body) -> BoxedStrategy<Value> {
    let fields: Vec<_> = body.fields.iter().map(|&field| of_field(field, body.fields.len())).collect();
    let other = prop_oneof![9 => Just(None), 1 => anything().prop_map(Some)];
    let value = (fields, other).prop_map(|(values, other)| {
        let named = body.fields.iter().map(|field| field.name).zip(values).chain([("other", other)]);
        named.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
    });
    value.boxed()
}

/// What the schema of a scene's fields cannot say: `id` is the one in the address.
fn is_beyond_schema(body: &Body, value: &Value) -> bool {
    let of_another = |id: &Value| id.is_string() && id != "a";
    let scenes = value["scenes"].as_array().map_or(&[][..], Vec::as_slice);
    let ids: Vec<_> = scenes.iter().map(|scene| scene["id"].as_str()).collect();
    body.title == FIELDS.title && value.get("id").is_some_and(of_another)
        || (1..ids.len()).any(|n| ids[n].is_some() && ids[..n].contains(&ids[n]))
}

#[test]
fn what_a_reader_accepts_its_schema_accepts_and_the_other_way() {
    for (body, read) in bodies() {
        let schema = validator(body);
        let config = ProptestConfig { cases: 600, ..ProptestConfig::with_source_file(file!()) };
        let of_this = of_body(body).prop_filter("beyond its schema", |value| !is_beyond_schema(body, value));
        let agree = TestRunner::new(config).run(&of_this, |value| {
            let read = read(value.to_string().as_bytes());
            prop_assert_eq!(read, schema.is_valid(&value), "{:?}", schema.iter_errors(&value).next());
            Ok(())
        });
        agree.unwrap_or_else(|failed| panic!("{}: {failed}", body.title));
    }
}

#[test]
fn of_the_bodies_that_are_tried_many_are_accepted_and_many_refused() {
    for (body, _) in bodies() {
        let (schema, made, mut runner) = (validator(body), of_body(body), TestRunner::deterministic());
        let right = (0..200).filter(|_| schema.is_valid(&made.new_tree(&mut runner).unwrap().current())).count();
        assert!((20..180).contains(&right), "{}: {right} of 200 are accepted", body.title);
    }
}
