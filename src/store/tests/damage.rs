//! Files that somebody damaged: it always starts, says so, and the light is right.

use std::fs;

use sha2::{Digest, Sha256};

use super::*;

#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip,
    ZeroPage,
    Cut,
    Zeros,
    Gone,
}

fn harm(path: &Path, harm: Harm) {
    let mut bytes = fs::read(path).unwrap();
    match harm {
        Harm::Flip => {
            let at = bytes.iter().position(|byte| *byte != 0).unwrap() + 9;
            bytes[at] ^= 0x10;
        }
        Harm::ZeroPage => {
            let end = bytes.len().min(page::PAGE);
            bytes[..end].fill(0);
        }
        // What sled has not used yet cannot be missed.
        Harm::Cut => bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2),
        Harm::Zeros => bytes.fill(0),
        Harm::Gone => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

const HARMS: [Harm; 4] = [Harm::Flip, Harm::ZeroPage, Harm::Cut, Harm::Zeros];

/// A folder with all kinds of files, its light at 30, 20 of that in the database, closed or not.
fn used(close: bool) -> Bench {
    let mut bench = Bench::new();
    let store = bench.open().store;
    run(async {
        for n in 1..=20 {
            store.write(command(n)).await;
        }
        checkpoint(&store);
        for n in 21..=30 {
            store.write(command(n)).await;
        }
        if close {
            store.close().await;
        }
    });
    drop(store);
    drop(eventually(|| folder::take(bench.path()).ok()));
    bench
}

#[test]
fn a_database_damaged_after_a_clean_stop_is_set_aside_reported_and_costs_nothing() {
    for file in ["db/db", "db/conf"] {
        for what in HARMS.into_iter().chain([Harm::Gone]) {
            let mut bench = used(true);
            harm(&bench.path().join(file), what);
            let opened = bench.open();
            assert_at(&opened.store, 30);
            assert_eq!(opened.store.log(b"default/ids").len(), 30, "{file} {what:?}");
            assert_eq!((bench.codes(), opened.seq_jump), (vec!["DATABASE_SET_ASIDE"], 100_000), "{file} {what:?}");
            drop(opened);
            let opened = bench.open();
            assert_eq!((bench.codes(), opened.seq_jump), (Vec::new(), 100_000), "owed until it is committed");
            run(opened.store.write(command(31)));
            drop(opened);
            let opened = bench.open();
            assert_eq!((bench.codes(), opened.seq_jump), (Vec::new(), 0), "once only");
            assert_at(&opened.store, 31);
        }
    }
}

#[test]
fn a_database_damaged_after_a_kill_costs_no_light_and_nothing_unreported() {
    for file in ["db/db", "db/conf"] {
        for what in HARMS.into_iter().chain([Harm::Gone]) {
            let mut bench = used(false);
            harm(&bench.path().join(file), what);
            let opened = bench.open();
            assert_at(&opened.store, 30);
            let reported = !bench.codes().is_empty();
            assert_eq!(opened.seq_jump, if reported { 100_000 } else { 0 });
            assert!(reported || opened.store.log(b"default/ids").len() == 30, "{file} {what:?}");
        }
    }
}

#[test]
fn a_kill_while_starting_after_a_clean_stop_is_no_damage() {
    let mut bench = used(true);
    // As far as a start gets before its first write to the journal.
    let journal = newest_journal(bench.path());
    let clean = fs::read(&journal).unwrap();
    drop(bench.open());
    drop(eventually(|| folder::take(bench.path()).ok()));
    fs::remove_file(newest_journal(bench.path())).unwrap();
    fs::write(&journal, clean).unwrap();
    let opened = bench.open();
    assert_eq!((bench.codes(), opened.seq_jump), (Vec::new(), 0));
    assert_at(&opened.store, 30);
}

#[test]
fn a_database_of_tomorrows_format_is_set_aside_and_the_snapshot_serves() {
    let mut bench = used(false);
    let db = sled::open(bench.path().join("db")).unwrap();
    db.open_tree("meta").unwrap().insert(b"format", &2u64.to_le_bytes()).unwrap();
    drop(db);
    let opened = bench.open();
    assert_at(&opened.store, 30);
    assert_eq!(bench.codes(), ["DATABASE_SET_ASIDE"]);
    let message = &bench.health.problems()[0].message;
    assert!(message.contains("format 2 was written by a newer dmxd"), "{message}");
}

#[test]
fn a_snapshot_of_tomorrows_format_is_not_read() {
    let mut bench = used(true);
    let path = bench.path().join("snapshot");
    let mut bytes = fs::read(&path).unwrap();
    let body = bytes.len() - Sha256::output_size();
    bytes[b"dmxd snapshot".len()] = 2;
    let sum = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&sum);
    fs::write(&path, bytes).unwrap();
    let opened = bench.open();
    assert_at(&opened.store, 30);
    assert_eq!(bench.codes(), ["SNAPSHOT_DAMAGED"]);
}

#[test]
fn a_missing_database_is_rebuilt_with_the_ids_of_the_snapshot() {
    let mut bench = used(true);
    fs::remove_dir_all(bench.path().join("db")).unwrap();
    let opened = bench.open();
    assert_at(&opened.store, 30);
    assert_eq!(opened.store.log(b"default/ids").len(), 30);
    assert_eq!((bench.codes(), opened.seq_jump), (vec!["DATABASE_SET_ASIDE"], 100_000));
}

#[test]
fn a_damaged_journal_is_kept_aside_and_reported() {
    for close in [true, false] {
        for what in HARMS.into_iter().chain([Harm::Gone]) {
            let mut bench = used(close);
            let journal = newest_journal(bench.path());
            harm(&journal, what);
            let opened = bench.open();
            assert!(seq(&opened.store) >= Some(20), "{what:?}");
            assert_eq!(opened.seq_jump, 100_000, "{what:?}");
            assert_eq!(bench.codes(), ["JOURNAL_DAMAGED"], "{what:?} close {close}");
            let names = fs::read_dir(bench.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
            let kept = names.filter(|name| name.starts_with("journal-") && name.contains(".bad-")).count();
            assert_eq!(kept, usize::from(!matches!(what, Harm::Gone)), "{what:?}");
            run(opened.store.write(command(31)));
            drop(opened);
            assert_at(&bench.open().store, 31);
            assert_eq!(bench.codes(), Vec::<&str>::new(), "once only");
        }
    }
}

#[test]
fn a_damaged_snapshot_is_kept_aside_and_reported() {
    for what in HARMS {
        let mut bench = used(true);
        harm(&bench.path().join("snapshot"), what);
        let opened = bench.open();
        assert_at(&opened.store, 30);
        assert_eq!(bench.codes(), ["SNAPSHOT_DAMAGED"], "{what:?}");
        run(async {
            opened.store.write(command(31)).await;
            opened.store.close().await;
        });
        assert!(bench.path().join("snapshot").exists(), "a new one is made");
    }
}

#[test]
fn a_damaged_database_and_journal_together_still_start() {
    let mut bench = used(true);
    harm(&bench.path().join("db/db"), Harm::Zeros);
    harm(&newest_journal(bench.path()), Harm::Zeros);
    let opened = bench.open();
    assert_at(&opened.store, 30); // of the snapshot of the clean stop
    assert_eq!(bench.codes(), ["DATABASE_SET_ASIDE", "JOURNAL_DAMAGED"]);
}

#[test]
fn only_three_damaged_things_of_a_kind_are_kept() {
    let mut bench = used(true);
    for _ in 0..5 {
        fs::remove_file(bench.path().join("db/conf")).unwrap();
        fs::write(bench.path().join("db/db"), b"").unwrap();
        run(bench.open().store.close());
        assert_eq!(bench.codes(), ["DATABASE_SET_ASIDE"]);
    }
    let names = fs::read_dir(bench.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("db.bad-")).count(), 3);
}
