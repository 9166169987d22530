//! Starts, kills, power cuts, clean stops and checkpoints of a healthy folder.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::model::{Model, batches};
use super::*;

#[test]
fn a_first_start_is_empty_and_without_a_jump() {
    let mut bench = Bench::new();
    let opened = bench.open();
    assert_eq!(opened.seq_jump, 0);
    assert!(opened.store.scan(Tree::Levels, b"").is_empty());
    assert_eq!(bench.codes(), Vec::<&str>::new());
}

#[test]
fn a_second_process_is_told_that_the_folder_is_in_use() {
    let mut bench = Bench::new();
    let _first = bench.open();
    let settings = config::Storage { data_dir: bench.path().to_owned(), flush_ms: 1000 };
    let second = Store::open(&settings, &Health::default(), &Metrics::new().unwrap());
    assert!(matches!(second, Err(StoreError::Busy(_))));
}

#[test]
fn everything_released_is_there_after_an_end_without_close() {
    let mut bench = Bench::new();
    for round in 0..20 {
        let opened = bench.open();
        assert_eq!(opened.seq_jump, 0, "round {round}");
        if round > 0 {
            assert_at(&opened.store, round * 10);
            assert_eq!(opened.store.log(b"default/ids").len(), (round as usize * 10).min(64));
        }
        run(async {
            for n in 1..=10 {
                opened.store.write(command(round * 10 + n)).await;
            }
        });
        assert_eq!(bench.codes(), Vec::<&str>::new());
    }
}

#[test]
fn a_clean_stop_needs_no_jump_even_at_another_boot() {
    let mut bench = Bench::new();
    for round in 1..=5 {
        let opened = bench.open_after(&format!("boot {round}"));
        assert_eq!(opened.seq_jump, 0);
        run(async {
            opened.store.write(command(round)).await;
            opened.store.close().await;
        });
        assert_eq!(bench.codes(), Vec::<&str>::new());
    }
    assert_at(&bench.open_after("last").store, 5);
}

#[test]
fn another_boot_without_a_clean_stop_makes_seq_jump() {
    let mut bench = Bench::new();
    run(bench.open().store.write(command(1)));
    let opened = bench.open_after("next boot");
    assert_eq!(opened.seq_jump, 100_000);
    assert_at(&opened.store, 1);
    assert_eq!(bench.codes(), Vec::<&str>::new());
    drop(opened);
    assert_eq!(bench.open_after("third boot").seq_jump, 100_000, "the new generation has no mark of a clean stop");
}

#[test]
fn what_a_power_cut_tore_off_costs_neither_the_synced_part_nor_a_report() {
    let mut bench = Bench::new();
    let opened = bench.open();
    run(async {
        for n in 1..=50 {
            opened.store.write(command(n)).await;
        }
        opened.store.sync().await;
    });
    let synced = fs::read(newest_journal(bench.path())).unwrap();
    run(async {
        for n in 51..=200 {
            opened.store.write(command(n)).await;
        }
    });
    drop(opened);
    let lock = eventually(|| folder::take(bench.path()).ok());
    let mut bytes = fs::read(newest_journal(bench.path())).unwrap();
    // Of what was written after the sync, the second page arrived and the first did not.
    let lost = synced.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(page::PAGE);
    bytes[lost..lost + page::PAGE].fill(0);
    fs::write(newest_journal(bench.path()), bytes).unwrap();
    drop(lock);
    let opened = bench.open_after("next boot");
    assert_eq!(opened.seq_jump, 100_000);
    assert_at(&opened.store, 50);
    assert_eq!(opened.store.log(b"default/ids").len(), 50);
    assert_eq!(bench.codes(), Vec::<&str>::new());
}

#[test]
fn releases_come_in_order_of_commits_from_many_tasks() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    let released = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        // Order of commits is only known where they are made one after the other: per task, and by the log.
        let tasks: Vec<_> = (0..8u64)
            .map(|task| {
                let (store, released) = (store.clone(), released.clone());
                tokio::spawn(async move {
                    for n in 0..200u64 {
                        let mut batch = Batch::default();
                        batch.append("all", 10_000, format!("{task} {n}"));
                        let released = released.clone();
                        store.commit(batch, move || released.lock().push(format!("{task} {n}"))).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        store.write(Batch::default()).await;
    });
    let log: Vec<_> = store.log(b"all").into_iter().map(|entry| String::from_utf8(entry).unwrap()).collect();
    assert_eq!(*released.lock(), log);
    assert_eq!(log.len(), 1600);
}

#[test]
fn a_checkpoint_moves_everything_into_the_database_and_deletes_the_journal_before_it() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    run(async {
        for n in 1..=300 {
            let mut batch = command(n);
            batch.put(Tree::Retained, format!("topic/{n}"), "x");
            store.write(batch).await;
            if n % 100 == 0 {
                checkpoint(&store);
            }
        }
    });
    eventually(|| (journal::list(bench.path()).len() == 1).then_some(())); // behind the checkpoint
    assert!(store.0.core.lock().layers.new.is_empty());
    assert_eq!(store.scan(Tree::Retained, b"topic/").len(), 300);
    let log = store.log(b"default/ids");
    assert!(log.len() >= 64 && log.len() < 200, "{} ids are kept of 64 asked for", log.len());
    assert_at(&store, 300);
    drop(store);
    assert_at(&bench.open().store, 300);
}

#[test]
fn generations_write_into_the_files_of_earlier_ones() {
    use std::os::unix::fs::MetadataExt;
    let mut bench = Bench::new();
    let store = bench.open().store;
    let files = || {
        let entries = fs::read_dir(bench.path()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .filter(|entry| {
                ["journal-", "spare-"].iter().any(|name| entry.file_name().to_string_lossy().starts_with(name))
            })
            .map(|entry| entry.metadata().unwrap())
            .map(|file| (file.ino(), file.len(), file.blocks() * 512))
            .collect();
        files.sort();
        files
    };
    let first = eventually(|| Some(files()).filter(|files| files.len() == 2));
    // Written, not only said: nothing has to be allocated any more.
    assert!(
        first.iter().all(|(_, length, allocated)| (*length, *allocated >= *length) == (journal::SIZE, true)),
        "{first:?}"
    );
    for round in 0..4 {
        run(async {
            for n in 1..=50 {
                let mut batch = command(round * 50 + n);
                batch.put(Tree::Retained, "large", vec![7; if round == 1 { 40_000 } else { 40 }]); // round 1 outgrows it
                store.write(batch).await;
            }
        });
        checkpoint(&store);
        eventually(|| (files() == first).then_some(()));
    }
    drop(store);
    let opened = bench.open();
    assert_at(&opened.store, 200);
    assert_eq!(bench.codes(), Vec::<&str>::new());
}

#[test]
fn messages_alone_fill_a_larger_file_before_they_go_to_the_database() {
    const KIB_8: usize = 8 << 10;
    let mut bench = Bench::new();
    let store = bench.open().store;
    let checkpoints = || store.0.core.metrics.checkpoints.get();
    let sizes = || {
        let files = fs::read_dir(bench.path()).unwrap().map(|entry| entry.unwrap());
        let ours = files.filter(|file| {
            ["journal-", "spare-"].iter().any(|name| file.file_name().to_string_lossy().starts_with(name))
        });
        ours.map(|file| file.metadata().unwrap().len()).collect::<Vec<_>>()
    };
    let mut last = 0;
    // each is gone again when the next ten are there
    let mut write = |mebibytes: usize| {
        run(async {
            let first = last;
            for n in first..first + mebibytes * (1 << 20) / KIB_8 {
                let mut batch = Batch::default();
                batch.put(Tree::Messages, format!("{n:08}"), vec![n as u8; KIB_8]);
                if let Some(before) = n.checked_sub(10) {
                    batch.delete(Tree::Messages, format!("{before:08}"));
                }
                store.write(batch).await;
                last = n + 1;
            }
        });
        last
    };
    eventually(|| (sizes().len() == 2).then_some(())); // the first checkpoint, of an empty folder, is done
    let before = checkpoints();
    write(1);
    eventually(|| (sizes().contains(&journal::MOST)).then_some(()));
    write(1);
    eventually(|| (sizes() == [journal::MOST; 2]).then_some(()));
    assert_eq!(checkpoints(), before + 2);
    write(3);
    assert_eq!(checkpoints(), before + 2, "the file has room");
    assert!(store.0.core.lock().layers.new.values.len() <= 20, "what came and went is not kept");
    let last = write(3);
    eventually(|| (checkpoints() == before + 3).then_some(()));
    run(async {
        let mut batch = command(1);
        batch.put(Tree::Retained, "lamp", "on");
        store.write(batch).await;
    });
    drop(store); // as by a kill
    let store = bench.open().store;
    let left: Vec<_> = store.scan(Tree::Messages, b"").into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, (last - 10..last).map(|n| format!("{n:08}").into_bytes()).collect::<Vec<_>>());
    assert_eq!(bench.codes(), Vec::<&str>::new());
}

#[test]
fn a_message_that_an_earlier_run_put_into_the_database_stays_deleted() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    let change = |store: &Store, put: &[&str], deleted: &[&str]| {
        let mut batch = Batch::default();
        put.iter().for_each(|key| batch.put(Tree::Messages, *key, "x"));
        deleted.iter().for_each(|key| batch.delete(Tree::Messages, *key));
        run(store.write(batch));
    };
    change(&store, &["5"], &[]);
    checkpoint(&store);
    drop(store); // as by a kill
    let store = bench.open().store;
    change(&store, &["6"], &["5"]);
    change(&store, &[], &["6"]);
    checkpoint(&store);
    assert!(store.scan(Tree::Messages, b"").is_empty());
    change(&store, &["6"], &[]);
    drop(store);
    let store = bench.open().store;
    change(&store, &[], &["6"]);
    checkpoint(&store);
    drop(store);
    assert!(bench.open().store.scan(Tree::Messages, b"").is_empty());
}

#[test]
fn a_stop_does_not_wait_for_a_larger_file() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    let spares = || {
        let files = fs::read_dir(bench.path()).unwrap().map(Result::unwrap);
        let spares = files.filter(|file| file.file_name().to_string_lossy().starts_with("spare-"));
        spares.map(|file| file.metadata().unwrap().len()).collect::<Vec<_>>()
    };
    eventually(|| (!spares().is_empty()).then_some(()));
    let before = store.0.core.metrics.checkpoints.get();
    let mut batch = Batch::default();
    batch.put(Tree::Messages, "5", vec![1; journal::SIZE as usize - (40 << 10)]);
    batch.put(Tree::Letters, "1", "x"); // with that it is not full yet
    run(store.write(batch));
    let mut shared = store.0.core.lock();
    assert_eq!(shared.fullness, journal::Fullness::Outgrown);
    shared.layers.new.values.remove(&(Tree::Letters, b"1".to_vec()));
    shared.closing = true;
    drop(shared);
    run(store.close());
    assert_eq!(store.0.core.metrics.checkpoints.get(), before + 1);
    assert_eq!(spares(), [journal::SIZE]);
}

#[test]
fn one_mebibyte_of_journal_is_checkpointed() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    for checkpoints in 1..=3 {
        run(async {
            for n in 0..150 {
                let mut batch = Batch::default();
                batch.put(Tree::Retained, format!("{}", n % 7), vec![n as u8; 8000]);
                store.write(batch).await;
            }
        });
        eventually(|| (store.0.core.metrics.checkpoints.get() >= checkpoints).then_some(()));
    }
    eventually(|| (journal::list(bench.path()).len() <= 2).then_some(()));
    assert_eq!(store.get(Tree::Retained, b"2").unwrap()[0], 149);
}

#[test]
fn a_kill_while_the_database_is_made_is_a_first_start() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path().join("db.new")).unwrap();
    fs::write(bench.path().join("db.new/db"), "half").unwrap();
    let opened = bench.open();
    assert_eq!((bench.codes(), opened.seq_jump), (Vec::new(), 0));
}

#[test]
fn many_batches_wait_and_none_is_lost_when_the_queue_is_full() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    let released = Arc::new(AtomicUsize::new(0));
    run(async {
        for n in 0..5000 {
            let released = released.clone();
            let release = move || {
                released.fetch_add(1, Ordering::SeqCst);
            };
            store.commit(command(n), release).await;
        }
        store.write(Batch::default()).await;
    });
    assert_eq!(released.load(Ordering::SeqCst), 5000);
}

#[test]
fn a_burst_of_many_writes_with_checkpoints_in_between_loses_neither_light_nor_ids() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    run(async {
        for n in 1..=200 {
            let mut batch = command(n);
            batch.put(Tree::Retained, "large", vec![7; 50_000]); // some five to a write
            store.commit(batch, || {}).await;
            if n % 40 == 0 {
                store.0.core.lock().checkpoint_now = true;
                store.0.core.keeper.notify_all();
            }
        }
        store.write(Batch::default()).await;
        store.sync().await;
    });
    drop(store);
    let opened = bench.open();
    assert_at(&opened.store, 200);
    let ids: Vec<_> =
        opened.store.log(b"default/ids").iter().map(|e| String::from_utf8_lossy(e).into_owned()).collect();
    let newest: Vec<_> = (137..=200).map(|n| format!(r#"{{"id":"{n:026}","ts":1719400000000}}"#)).collect();
    assert!(ids.ends_with(&newest), "{ids:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Batch),
    Checkpoint,
    Reopen,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => batches().prop_map(Step::Commit),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn it_agrees_with_a_plain_map_over_checkpoints_kills_and_clean_stops(script in prop::collection::vec(step(), 1..40)) {
        let mut bench = Bench::new();
        let mut store = bench.open().store;
        let mut model = Model::default();
        for step in script {
            match step {
                Step::Commit(batch) => {
                    model.apply(&batch);
                    run(store.write(batch));
                }
                Step::Checkpoint => checkpoint(&store),
                step => {
                    if matches!(step, Step::Close) {
                        run(store.close());
                    }
                    drop(store);
                    let opened = bench.open();
                    prop_assert_eq!(opened.seq_jump, 0);
                    store = opened.store;
                }
            }
            model.assert_same(&store);
        }
        prop_assert_eq!(bench.codes(), Vec::<&str>::new());
    }
}

/// One that changes nothing may wait behind others, and be the last that the writer takes.
#[tokio::test]
async fn a_batch_that_writes_nothing_is_not_waited_for_at_the_end() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    let mut batch = Batch::default();
    batch.put(Tree::Retained, "a", "1");
    store.keep(batch).await;
    checkpoint(&store);
    let (done, written) = oneshot::channel();
    let release = Box::new(move || done.send(()).unwrap());
    let core = &store.0.core;
    let number = core.lock().number;
    core.lock().waiting.push(Waiting { number, payload: Vec::new(), release, permit: None });
    core.writer.notify_one();
    written.await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), store.close()).await.expect("it ends");
}
