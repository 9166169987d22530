//! Fixture types: built-in ones, and files that people bring.

mod gdtf;
mod qlcplus;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Appliance};

/// Brings a file.
pub async fn bring(appliance: &Appliance, file: Vec<u8>) -> Answer {
    let web = appliance.web();
    web.send(web.request(Method::POST, "/fixture-types").body(file)).await
}

async fn delete(appliance: &Appliance, id: &str) -> Answer {
    let web = appliance.web();
    web.send(web.request(Method::DELETE, &format!("/fixture-types/{id}"))).await
}

/// A definition of one mode.
fn definition(model: &str, channels: &[(&str, &str)]) -> Vec<u8> {
    let described: String =
        channels.iter().map(|(name, preset)| format!("<Channel Name='{name}' Preset='{preset}'/>")).collect();
    let listed: String = channels.iter().map(|(name, _)| format!("<Channel>{name}</Channel>")).collect();
    format!(
        "<!DOCTYPE FixtureDefinition><FixtureDefinition xmlns='http://www.qlcplus.org/FixtureDefinition'>\
         <Manufacturer>Acme</Manufacturer><Model>{model}</Model>{described}<Mode Name='plain'>{listed}</Mode>\
         </FixtureDefinition>"
    )
    .into_bytes()
}

fn kinds(mode: &Value) -> Vec<&str> {
    mode["parameters"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_generic_lamps_of_the_contract_are_there() {
    let appliance = Appliance::start().await;
    let all = appliance.web().get("/fixture-types").await.json();
    let types = all["types"].as_array().unwrap();
    for (id, modes) in
        [("dimmer", 2), ("rgb", 4), ("rgbw", 4), ("rgba", 4), ("rgbwauv", 4), ("cct", 6), ("par-7", 1), ("mqtt-rgb", 1)]
    {
        let one = types.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!((one["builtIn"].as_bool(), one["modes"].as_array().unwrap().len()), (Some(true), modes), "{one}");
    }
    let par = appliance.web().get("/fixture-types/par-7").await.json();
    assert_eq!(kinds(&par["modes"][0]), ["intensity", "red", "green", "blue", "white", "strobe", "macro"]);
    let head = appliance.web().get("/fixture-types/moving-head").await.json();
    let pan = json!({"kind": "pan", "channels": [1, 2], "default": 0x8000});
    assert_eq!(head["modes"][0]["parameters"][0], pan);
    appliance.web().get("/fixture-types/none").await.problem(404);
    assert_eq!(delete(&appliance, "par-7").await.problem(409)["detail"], "par-7 is built in, and stays");
    delete(&appliance, "none").await.problem(404);
}

#[tokio::test]
async fn a_file_becomes_a_type_outlives_a_kill_is_replaced_by_its_next_edition_and_goes() {
    let appliance = Appliance::start().await;
    let first = bring(&appliance, definition("Spot 1", &[("Red", "IntensityRed")])).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.json()["id"], "acme-spot-1");
    let next = [("Pan", "PositionPan"), ("Pan fine", "PositionPanFine"), ("Dimmer", "IntensityDimmer")];
    let next = bring(&appliance, definition("Spot 1", &next)).await.json();
    let pan = json!({"kind": "pan", "channels": [1, 2], "default": 0x8000});
    assert_eq!(next["modes"][0]["parameters"], json!([pan, {"kind": "intensity", "channels": [3], "default": 0}]));
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().get("/fixture-types/acme-spot-1").await.json(), next);
    assert_eq!(delete(&appliance, "acme-spot-1").await.status, 204);
    appliance.web().get("/fixture-types/acme-spot-1").await.problem(404);
    let appliance = appliance.kill9().await.start().await;
    appliance.web().get("/fixture-types/acme-spot-1").await.problem(404);
}

#[tokio::test]
async fn a_type_that_a_fixture_has_stays() {
    let appliance = Appliance::start().await;
    assert_eq!(bring(&appliance, definition("Spot 2", &[("Red", "IntensityRed")])).await.status, 201);
    let fixture = json!({
        "id": "fx-1", "name": "Left", "universeId": "u-main", "dmxAddress": 10, "channelCount": 1, "fixtureType": "Spot",
        "type": "acme-spot-2", "channels": [{"id": "fx-1-0", "number": 1, "name": "Red", "value": 0}],
    });
    let show = json!({"universes": [{"id": "u-main", "number": 0, "name": "Main"}], "fixtures": [fixture]});
    assert_eq!(appliance.web().post("/import", show.to_string()).await.status, 200);
    let refused = delete(&appliance, "acme-spot-2").await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("fixture \"Left\" of project"), "{refused}");
    let empty = json!({"universes": [], "fixtures": []});
    assert_eq!(appliance.web().post("/import", empty.to_string()).await.status, 200);
    assert_eq!(delete(&appliance, "acme-spot-2").await.status, 204);
}

#[tokio::test]
async fn another_edition_of_a_type_does_not_change_a_fixture_that_has_it() {
    let appliance = Appliance::start().await;
    let edition = |channels: &[(&str, &str)]| definition("Spot 3", channels);
    let (red, pan) = (("Red", "IntensityRed"), ("Pan", "PositionPan"));
    let first = bring(&appliance, edition(&[red])).await.json();
    for mode in [json!("plain"), Value::Null] {
        let fixture =
            json!({"id": "fx", "name": "Left", "universeId": 0, "dmxAddress": 10, "type": "acme-spot-3", "mode": mode});
        let show = json!({"universes": {"0": {}}, "fixtures": [fixture]});
        assert_eq!(appliance.web().post("/import", show.to_string()).await.status, 200);
        let refused = bring(&appliance, edition(&[red, pan])).await.problem(409);
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.starts_with("acme-spot-3 is in use: fixture \"Left\" of project"), "{detail}");
        assert_eq!(appliance.web().get("/fixture-types/acme-spot-3").await.json(), first);
        assert_eq!(bring(&appliance, edition(&[("Rouge", "IntensityRed")])).await.status, 201, "nothing but a name");
        assert_eq!(bring(&appliance, edition(&[red])).await.status, 201);
    }
    let other = json!({"universes": {"0": {}}, "fixtures": [{"id": "fx", "universeId": 0, "dmxAddress": 10, "type": "acme-spot-3", "mode": "other"}]});
    assert_eq!(appliance.web().post("/import", other.to_string()).await.status, 200);
    assert_eq!(bring(&appliance, edition(&[red, pan])).await.status, 201, "nobody has that mode");
}

#[tokio::test]
async fn bad_files_are_refused_with_words() {
    let appliance = Appliance::start().await;
    let nested = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000)).into_bytes();
    let laughs =
        b"<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><FixtureDefinition>&c;</FixtureDefinition>".to_vec();
    let many: Vec<(String, &str)> = (0..10_000).map(|n| (format!("Red {n}"), "IntensityRed")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, preset)| (name.as_str(), *preset)).collect();
    for (file, says) in [
        (b"\x89PNG".to_vec(), "neither a fixture definition of QLC+"),
        (b"<svg/>".to_vec(), "neither a fixture definition of QLC+"),
        (b"PK\x03\x04".to_vec(), "archive cannot be opened"),
        (b"<FixtureDefinition>".to_vec(), "not well-formed XML"),
        (b"<FixtureDefinition/>".to_vec(), "it has no <Model>"),
        (definition("Spot", &[]), "mode plain has 0 channels"),
        (definition("Spot", &many), "it has more channels than dmxd reads (2000)"),
        (nested, "levels of nesting"),
        (laughs, "document type"),
        ("<a/>".repeat(2 << 20).into_bytes(), "tags"),
    ] {
        let refused = bring(&appliance, file).await.problem(422);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{says}: {refused}");
    }
    bring(&appliance, vec![b' '; (8 << 20) + 1]).await.problem(413);
    let all = appliance.web().get("/fixture-types").await.json();
    assert!(all["types"].as_array().unwrap().iter().all(|one| one["builtIn"] == true));
}
