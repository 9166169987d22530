//! Stored bytes that have changed: refused, whatever byte it is, and nothing has changed.

use std::fs;

use age::secrecy::ExposeSecret;
use serde_json::json;

use super::{KEY, Whole, folder, home, id_of, made, mark, marks, place, restore, restored, snapshot};

const FERNET: &str = "dGhlIGtleSBvZiBhIHByZWRlY2Vzc29yJ3Mgc3RhZ2U=";

/// What is known of a version beside its bytes.
#[derive(Clone, Copy, PartialEq)]
enum Index {
    /// Its checksum.
    Kept,
    /// Nothing, as with a predecessor's.
    Lost,
}

/// Flips a bit of each byte in turn, then cuts the file at a few places.
async fn every_byte(key: Option<&str>, index: Index) {
    let home = match key {
        Some(key) => home().set(KEY, key),
        None => home(),
    };
    let appliance = home.start().await;
    let web = appliance.web();
    mark(&web, 1, 0).await;
    let version = made(&web, "default", "x").await;
    assert_eq!(version["encrypted"], key.is_some());
    let (id, folder) = (id_of(&version), folder(&appliance));
    let file = folder.join(format!("{id}.bin"));
    let whole = fs::read(&file).unwrap();
    if index == Index::Lost {
        fs::remove_file(folder.join("index.json")).unwrap();
    }
    mark(&web, 2, 0).await;
    let before = Whole::of(&web).await;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&file, damaged).unwrap();
        let answer = restore(&web, "default", &id).await;
        assert_eq!(answer.status, 422, "byte {at} of {}: {answer:?}", whole.len());
    }
    for length in [0, 1, 20, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        restore(&web, "default", &id).await.problem(422);
    }
    fs::write(&file, [&whole[..], b"x"].concat()).unwrap();
    restore(&web, "default", &id).await.problem(422);
    assert_eq!(Whole::of(&web).await, before);
    let kept = fs::read_dir(&folder).unwrap().count();
    assert_eq!(kept, if index == Index::Lost { 1 } else { 2 }, "no version was kept of what was not replaced");

    fs::write(&file, &whole).unwrap();
    restored(&web, &id).await;
    assert_eq!(marks(&web).await, [1; 3]);
}

#[tokio::test]
async fn a_flipped_byte_or_a_cut_of_a_plain_backup_is_refused_also_without_its_checksum_in_the_index() {
    every_byte(None, Index::Kept).await;
    every_byte(None, Index::Lost).await;
}

#[tokio::test]
async fn a_flipped_byte_or_a_cut_of_an_age_backup_is_refused_also_without_its_checksum() {
    let identity = age::x25519::Identity::generate().to_string();
    every_byte(Some(identity.expose_secret()), Index::Kept).await;
    every_byte(Some(identity.expose_secret()), Index::Lost).await;
}

#[tokio::test]
async fn a_flipped_byte_or_a_cut_of_a_fernet_backup_is_refused_also_without_its_checksum() {
    every_byte(Some(FERNET), Index::Kept).await;
    every_byte(Some(FERNET), Index::Lost).await;
}

#[tokio::test]
async fn what_is_no_snapshot_is_refused_and_the_answer_says_where_it_is_broken() {
    let appliance = home().start().await;
    let web = appliance.web();
    mark(&web, 1, 0).await;
    let before = Whole::of(&web).await;
    let shapes = [
        (json!({}), "/version"),
        (json!({"version": "2.0"}), "/version"),
        (json!({"version": "1.2", "scenes": {}}), "/scenes"),
        (json!({"version": "1.2", "scenes": [{"id": "a"}]}), "/scenes/0"),
        (json!({"version": "1.2", "show": []}), "/show"),
        (json!({"version": "1.2", "state": {"r": 1, "g": "2", "b": 3}}), "/state"),
        (json!({"version": "1.2", "universes": {"0": {"513": 1}}}), "/universes"),
        (json!({"version": "1.2", "universes": {"0": {"1": 256}}}), "/universes"),
        (json!({"version": "1.2", "universes": [], "state": {"r": 1, "g": 2, "b": 3}}), "/universes"),
        (json!([1]), ""),
    ];
    for (shape, place_of_fault) in shapes {
        place(&folder(&appliance), &[("odd.bin", shape.to_string().as_bytes())]);
        let problem = restore(&web, "default", "odd").await.problem(422);
        assert!(problem["detail"].as_str().unwrap().contains(place_of_fault), "{shape}: {problem}");
    }
    for bytes in [&b""[..], b"\0", b"{", b"gAAAA", b"age-encryption.org/v1\n", &[0xff; 100]] {
        place(&folder(&appliance), &[("odd.bin", bytes)]);
        restore(&web, "default", "odd").await.problem(422);
    }
    assert_eq!(Whole::of(&web).await, before);
    place(&folder(&appliance), &[("odd.bin", &snapshot(1))]);
    restored(&web, "odd").await;
}
