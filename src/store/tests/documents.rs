//! Large values: whole or none, whatever happens in between.

use super::*;

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

async fn replace(store: &Store, key: &str, new: Option<&[u8]>) {
    let ahead = match new {
        Some(bytes) => Some(store.write_ahead(bytes).await),
        None => None,
    };
    let mut batch = Batch::default();
    store.replace_document(&mut batch, key, ahead);
    store.write(batch).await;
}

#[test]
fn a_document_of_any_size_is_read_back_and_the_one_before_it_is_gone() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    run(async {
        for (n, length) in [0, 1, 4096, 4097, 65_536, 65_537, 3_000_000, 5].into_iter().enumerate() {
            let document = bytes(n as u8, length);
            replace(&store, "default/show", Some(&document)).await;
            assert_eq!(store.document("default/show"), StoredDocument::Whole(document), "{length}");
            assert_eq!(store.document_length("default/show"), length as u64);
        }
        replace(&store, "default/show", None).await;
    });
    assert_eq!(store.document("default/show"), StoredDocument::Absent);
    assert!(store.scan(Tree::Pieces, b"").is_empty() && store.scan(Tree::Documents, b"").is_empty());
    assert_eq!(bench.codes(), Vec::<&str>::new(), "no write was long");
}

#[test]
fn what_was_written_ahead_and_not_made_valid_is_forgotten_at_the_next_start() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    run(async {
        replace(&store, "a/scenes", Some(&bytes(1, 100_000))).await;
        let _never_valid = store.write_ahead(&bytes(2, 100_000)).await;
        store.write(Batch::default()).await;
    });
    drop(store);
    let store = bench.open().store;
    let before = store.scan(Tree::Pieces, b"").len();
    run(store.forget_unfinished());
    assert_eq!(store.scan(Tree::Pieces, b"").len(), before / 2);
    assert_eq!(store.document("a/scenes"), StoredDocument::Whole(bytes(1, 100_000)));
}

#[test]
fn a_damaged_piece_makes_the_document_absent_and_not_wrong() {
    let mut bench = Bench::new();
    let store = bench.open().store;
    run(async {
        replace(&store, "a/scenes", Some(&bytes(1, 10_000))).await;
        let (key, _) = store.scan(Tree::Pieces, b"").remove(1);
        let mut batch = Batch::default();
        batch.put(Tree::Pieces, key, bytes(9, 4096));
        store.write(batch).await;
    });
    assert_eq!(store.document("a/scenes"), StoredDocument::Damaged);
}
