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
    use schemars::JsonSchema;

    use super::*;
    use crate::dmx::{Rgb, Source, State};
    use crate::wire::{
        Ack, CMD_SCHEMA, DeskView, RgbCommand, RgbState, STATE_SCHEMA, StateUpdate, Unified, lamp_command,
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
            ("dmx.command", generated::<Unified>("dmx.command")),
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

    proptest! {
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
