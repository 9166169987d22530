//! A card without space, a data folder that disappears under the process: nothing acknowledged is lost in silence.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{
    Appliance, Connect, Home, Link, SmallCard, Web, colour, command, copy_folder, eventually, index_of, rgb_of,
};

/// Size of the card in these tests: the store's own files, and some room.
const CARD_KIB: u64 = 32 << 10;

/// Commands sent while the card is full.
const COMMANDS: u32 = 300;

async fn lists(web: &Web, code: &str) -> bool {
    web.problems().await.iter().any(|problem| problem == code)
}

/// An appliance on a card that is full since its first command, its spare files in place.
async fn on_a_full_card() -> (SmallCard, Appliance, Vec<Value>) {
    let (card, home) = SmallCard::under(Home::new(), CARD_KIB);
    let appliance = home.start().await;
    let first = command(colour(1));
    appliance.web().accepted(&first).await;
    let waits = |name: &str| name.starts_with("spare-") || name == "reserve";
    let names = || fs::read_dir(card.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    eventually("what is kept for a full card", async || (names().filter(|n| waits(n)).count() == 2).then_some(()))
        .await;
    card.fill(0);
    (card, appliance, vec![first])
}

/// Retained messages of this many KiB in all: more than the journal has room for.
async fn retain(appliance: &Appliance, kib: usize) {
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for n in 0..kib / 50 {
        esp.retain(&format!("kept/{n}"), &[b'x'; 50 << 10]).await;
    }
}

async fn send(appliance: &Appliance, sent: &mut Vec<Value>) -> u64 {
    let mut highest = 0;
    for _ in 0..COMMANDS {
        let body = command(colour(u32::try_from(sent.len()).unwrap() + 1));
        highest = appliance.web().accepted(&body).await;
        sent.push(body);
    }
    highest
}

/// Changes that the card records as in memory only (`store/debt.rs`).
fn counted(card: &SmallCard) -> u64 {
    let debt = fs::read(card.path("debt")).unwrap();
    u64::from_le_bytes(debt[8..16].try_into().unwrap())
}

async fn assert_all_there(appliance: &Appliance, sent: &[Value], highest: u64) {
    let state = appliance.web().state().await;
    assert_eq!((state["seq"].as_u64(), index_of(rgb_of(&state)) as usize), (Some(highest), sent.len()));
    for body in sent {
        assert!(appliance.web().is_duplicate(body).await, "{body}");
    }
}

#[tokio::test]
async fn commands_on_a_full_card_are_there_after_a_kill_and_after_a_stop() {
    for killed in [true, false] {
        let (_card, appliance, mut sent) = on_a_full_card().await;
        let highest = send(&appliance, &mut sent).await;
        let home = if killed { appliance.kill9().await } else { appliance.terminate().await.1 };
        let appliance = home.start().await;
        assert_all_there(&appliance, &sent, highest).await;
        assert!(!lists(&appliance.web(), "CHANGES_TAKEN_BACK").await, "killed: {killed}");
    }
}

#[tokio::test]
async fn a_stop_on_a_full_card_spends_the_reserve_on_what_is_in_memory_only() {
    let (card, appliance, mut sent) = on_a_full_card().await;
    retain(&appliance, 2048).await;
    eventually("memory only", async || lists(&appliance.web(), "STORAGE_IN_RAM").await.then_some(())).await;
    let highest = send(&appliance, &mut sent).await;
    let (status, home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(!card.path("reserve").exists(), "it is what made the room");
    let appliance = home.start().await;
    assert_all_there(&appliance, &sent, highest).await;
    assert!(!lists(&appliance.web(), "CHANGES_TAKEN_BACK").await);
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("kept/39", 1).await;
    assert_eq!(late.message().await.payload.len(), 50 << 10);
}

#[tokio::test]
async fn what_a_kill_takes_back_from_memory_is_said_and_no_number_is_given_twice() {
    let (card, appliance, mut sent) = on_a_full_card().await;
    retain(&appliance, 2048).await;
    eventually("memory only", async || lists(&appliance.web(), "STORAGE_IN_RAM").await.then_some(())).await;
    let highest = send(&appliance, &mut sent).await;
    eventually("their count", async || (counted(&card) >= u64::from(COMMANDS)).then_some(())).await;
    let home = appliance.kill9().await;
    card.empty();
    let mut appliance = home.start().await;
    let web = appliance.web();
    assert!(lists(&web, "CHANGES_TAKEN_BACK").await, "{:?}", web.problems().await);
    let told = appliance.log.wait("how much", |line| line["message"] == "changes_taken_back").await;
    let changes = told["changes"].as_u64().unwrap();
    assert!(changes >= u64::from(COMMANDS), "all of them: {told}");
    let seq = web.seq().await;
    assert!(seq > highest, "{seq} after {highest}");
    assert!(web.accepted(&command([1, 2, 3])).await > seq);

    appliance = appliance.kill9().await.start().await;
    assert!(!lists(&appliance.web(), "CHANGES_TAKEN_BACK").await, "once");
    assert_eq!(appliance.web().seq().await, seq + 1, "and one jump");
}

/// An appliance with a light, a look and a retained message, in its database and in its journal.
async fn used() -> (Appliance, Value) {
    let appliance = Appliance::start().await;
    let look = r#"{"name":"Look","channelValues":{"1":9}}"#;
    assert_eq!(appliance.web().post("/scenes", look).await.status, 201);
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("kept", b"message").await;
    let appliance = appliance.restart().await;
    let last = command([1, 2, 3]);
    appliance.web().accepted(&last).await;
    (appliance, last)
}

/// Everything of `used` is there, and new changes are kept.
async fn assert_written_anew(appliance: Appliance, last: &Value) {
    let web = appliance.web();
    eventually("it is said", async || lists(&web, "DATA_FOLDER_LOST").await.then_some(())).await;
    eventually("it is written", async || (!lists(&web, "STORAGE_IN_RAM").await).then_some(())).await;
    assert_eq!(web.get("/readyz").await.status, 200);
    assert_eq!(web.accepted(&command([4, 5, 6])).await, 2);
    assert_eq!(web.post("/scenes", r#"{"name":"Later","channelValues":{"1":8}}"#).await.status, 201);
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    assert_eq!(web.problems().await, Vec::<String>::new());
    let state = web.state().await;
    assert_eq!((rgb_of(&state), state["seq"].as_u64()), ([4, 5, 6], Some(2)));
    assert!(web.is_duplicate(last).await);
    let scenes = web.get("/scenes").await.json();
    let names: Vec<_> = scenes.as_array().unwrap().iter().map(|scene| scene["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Look", "Later"]);
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("kept", 1).await;
    assert_eq!(late.message().await.text(), "message");
}

fn journal(data: &Path) -> std::path::PathBuf {
    let paths = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("journal-0")).max().unwrap()
}

#[tokio::test]
async fn a_data_folder_that_is_deleted_is_noticed_said_and_written_anew() {
    let (appliance, last) = used().await;
    fs::remove_dir_all(appliance.data()).unwrap();
    assert_written_anew(appliance, &last).await;
}

#[tokio::test]
async fn a_database_that_is_deleted_is_made_anew_from_memory() {
    let (appliance, last) = used().await;
    fs::remove_dir_all(appliance.data().join("db")).unwrap();
    assert_written_anew(appliance, &last).await;
}

#[tokio::test]
async fn a_journal_that_is_deleted_is_begun_anew() {
    let (appliance, last) = used().await;
    fs::remove_file(journal(&appliance.data())).unwrap();
    assert_written_anew(appliance, &last).await;
}

#[tokio::test]
async fn another_folder_in_its_place_is_left_alone_until_the_next_start() {
    let (appliance, _) = used().await;
    let (status, home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    let (data, kept) = (home.data(), home.beside("kept"));
    copy_folder(&data, &kept);
    let appliance = home.start().await;
    appliance.web().accepted(&command([4, 5, 6])).await;
    fs::rename(&data, data.with_extension("old")).unwrap();
    copy_folder(&kept, &data);
    let web = appliance.web();
    eventually("it is said", async || lists(&web, "DATA_FOLDER_LOST").await.then_some(())).await;
    web.accepted(&command([7, 8, 9])).await;
    assert!(lists(&web, "STORAGE_IN_RAM").await, "it is not written over");
    let appliance = appliance.terminate().await.1.start().await;
    let state = appliance.web().state().await;
    assert_eq!((rgb_of(&state), state["seq"].as_u64()), ([1, 2, 3], Some(1)), "what was put there");
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stop_at_once_leaves_another_folder_alone_and_writes_a_deleted_one_anew() {
    for replaced in [true, false] {
        let (appliance, last) = used().await;
        let home = appliance.terminate().await.1;
        let (data, kept) = (home.data(), home.beside("kept"));
        copy_folder(&data, &kept);
        let appliance = home.start().await;
        appliance.web().accepted(&command([4, 5, 6])).await;
        if replaced {
            fs::rename(&data, data.with_extension("old")).unwrap();
            copy_folder(&kept, &data);
        } else {
            fs::remove_dir_all(&data).unwrap();
        }
        let (status, home) = appliance.terminate().await;
        assert_eq!(status.code(), Some(0));
        let appliance = home.start().await;
        let (web, expected) = (appliance.web(), if replaced { ([1, 2, 3], Some(1)) } else { ([4, 5, 6], Some(2)) });
        let state = web.state().await;
        assert_eq!((rgb_of(&state), state["seq"].as_u64()), expected, "replaced: {replaced}");
        assert_eq!(web.problems().await, Vec::<String>::new());
        assert!(web.is_duplicate(&last).await);
    }
}
