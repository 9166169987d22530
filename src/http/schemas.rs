//! `schemas/`: generated from the wire types, committed, embedded; a test holds the three together.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;

/// One committed schema.
pub(super) struct Schema {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! committed {
    ($name:literal) => {
        Schema { name: $name, text: include_str!(concat!("../../schemas/", $name, ".json")) }
    };
}

/// Every schema.
pub(super) const ALL: &[Schema] = &[
    committed!("demo.rgb.cmd.v1"),
    committed!("demo.rgb.state.v1"),
    committed!("dmx.command"),
    committed!("dmx.ack"),
    committed!("state.update"),
    committed!("desk"),
];

/// How schemas are made from types.
pub(super) fn settings() -> SchemaSettings {
    // schemars' own formats of integers ("uint8", …) make strict validators refuse a schema
    let plain = RecursiveTransform(|schema: &mut schemars::Schema| {
        schema.remove("format");
    });
    SchemaSettings::draft2020_12().for_serialize().with_transform(plain)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use schemars::JsonSchema;
    use serde_json::{Value, json};

    use super::*;
    use crate::dmx::{Rgb, Source, State};
    use crate::wire::{
        Ack, CMD_SCHEMA, DeskView, RgbCommand, RgbState, STATE_SCHEMA, StateUpdate, UnifiedCommand, lamp_command,
    };

    fn generated<T: JsonSchema>(name: &str) -> String {
        let mut schema = settings().into_generator().into_root_schema_for::<T>();
        schema.insert("$id".into(), format!("urn:dmxd:{name}").into());
        serde_json::to_string_pretty(&schema).unwrap() + "\n"
    }

    fn validator(name: &str) -> jsonschema::Validator {
        let text = ALL.iter().find(|schema| schema.name == name).unwrap().text;
        jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
    }

    /// `DMXD_WRITE_SCHEMAS=1 cargo test schemas` writes them anew.
    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        let made = [
            (CMD_SCHEMA, generated::<RgbCommand>(CMD_SCHEMA)),
            (STATE_SCHEMA, generated::<RgbState>(STATE_SCHEMA)),
            ("dmx.command", generated::<UnifiedCommand>("dmx.command")),
            ("dmx.ack", generated::<Ack>("dmx.ack")),
            ("state.update", generated::<StateUpdate>("state.update")),
            ("desk", generated::<DeskView>("desk")),
        ];
        assert_eq!(made.len(), ALL.len());
        for (schema, (name, text)) in ALL.iter().zip(made) {
            assert_eq!(schema.name, name);
            if std::env::var_os("DMXD_WRITE_SCHEMAS").is_some() {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.json"));
                std::fs::write(path, text).unwrap();
            } else {
                assert_eq!(schema.text, text, "{name}: DMXD_WRITE_SCHEMAS=1 cargo test schemas");
            }
        }
    }

    fn whole() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-300i64..300).prop_map(Value::from),
        ]
    }

    fn anything() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-300i64..300).prop_map(|n| Value::from(n as f64 + 0.5)), // with a fraction: not an integer to anybody
            "[0-9]{0,3}".prop_map(Value::from),
            Just(json!([1])),
            Just(json!({})),
        ]
    }

    /// Mostly valid values, so that both verdicts are common.
    fn field(right: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
        prop_oneof![12 => right.prop_map(Some), 1 => anything().prop_map(Some), 1 => Just(None)]
    }

    fn body() -> impl Strategy<Value = Value> {
        let ulid = prop_oneof![
            8 => "[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}",
            1 => "[0-9A-Za-z]{25,27}",
            1 => ".{26}"
        ];
        let schema = prop_oneof![Just(json!(CMD_SCHEMA)), Just(json!("demo.rgb.cmd.v2"))];
        let source = prop_oneof![4 => ".{1,64}", 1 => ".{0,66}"];
        let ts = prop_oneof![any::<u64>().prop_map(Value::from), (-1i64..2).prop_map(Value::from)];
        let optional = |right: BoxedStrategy<Value>| prop_oneof![2 => field(right), 3 => Just(None)];
        let fields = (
            optional(schema.boxed()),
            field(ulid.prop_map(Value::from)),
            field(source.prop_map(Value::from)),
            [field(whole()), field(whole()), field(whole())],
            optional(ts.boxed()),
            prop_oneof![9 => Just(None), 1 => whole().prop_map(Some)],
        );
        fields.prop_map(|(schema, id, src, [r, g, b], ts, other)| {
            let names = ["schema", "cmdId", "src", "r", "g", "b", "ts", "other"];
            let values = [schema, id, src, r, g, b, ts, other];
            names.into_iter().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_program_accepts_what_the_schema_accepts(body in body()) {
            let schema = validator(CMD_SCHEMA);
            let accepted = lamp_command(body.to_string().as_bytes()).is_ok();
            prop_assert_eq!(accepted, schema.is_valid(&body), "{}", body);
        }

        #[test]
        fn the_program_emits_what_the_schema_accepts(
            seq in any::<u64>(), ts in 1u64.., by in ".{1,64}", r in any::<u8>(), g in any::<u8>(), b in any::<u8>(),
        ) {
            let mut frame = crate::dmx::Frame::DARK;
            frame.set(&Rgb { r, g, b }.levels());
            let by: Source = by.parse().unwrap();
            let state = State::restore(seq, ts, by, [(crate::dmx::UniverseId::LAMP, frame)]);
            let document = serde_json::to_value(RgbState::light(&state)).unwrap();
            prop_assert!(validator(STATE_SCHEMA).is_valid(&document), "{}", document);
            prop_assert_eq!(document["r"].as_u64(), Some(u64::from(r)));
        }
    }

    #[test]
    fn both_verdicts_are_common_among_the_generated_bodies() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let schema = validator(CMD_SCHEMA);
        let valid = (0..400).filter(|_| schema.is_valid(&body().new_tree(&mut runner).unwrap().current())).count();
        assert!((40..360).contains(&valid), "{valid} of 400");
    }

    /// JSON Schema counts 1.0 as an integer (2020-12 core, 4.2.3) and cannot say otherwise; the contract refuses it.
    #[test]
    fn the_one_gap_between_schema_and_program_is_an_integer_written_with_a_fraction() {
        let text = r#"{"cmdId":"01HZX3YJ9YJ3M5QAZ3GZ8K3QFF","src":"t","r":1.0,"g":0,"b":0}"#;
        assert!(validator(CMD_SCHEMA).is_valid(&serde_json::from_str(text).unwrap()));
        assert!(lamp_command(text.as_bytes()).is_err());
    }

    #[test]
    fn a_first_start_is_valid_too() {
        let document = serde_json::to_value(RgbState::light(&State::default())).unwrap();
        assert!(validator(STATE_SCHEMA).is_valid(&document), "{document}");
    }
}
