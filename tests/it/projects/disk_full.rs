//! A card without space: the light goes on, the box reports it, and afterwards nothing is half done.

use serde_json::json;

use super::{create, export, ids, list, mark, marked, select, several};
use crate::harness::{
    Appliance, CMD, Connect, Home, Link, SmallCard, StateWatcher, colour, command, eventually, index_of, rgb_of,
};

/// Room for everything that these tests keep, many times: the database grows to several times its content.
const CARD_KIB: u64 = 128 << 10;

/// More than is left on the card.
const PADDING: usize = 6 << 20;

/// A box with a show of mark 1 on a small card.
async fn boxed() -> (SmallCard, Appliance) {
    let (card, home) = SmallCard::under(several(Home::new()), CARD_KIB);
    let appliance = home.start().await;
    assert!(card.path("lock").exists(), "its data is on the card");
    super::import(&appliance.web(), "", &marked(1)).await;
    appliance.web().accepted(&command(colour(1))).await;
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
    (card, appliance)
}

/// Whether the box reports a problem with its card.
async fn said(appliance: &Appliance) -> bool {
    let answer = appliance.web().get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["ready"]), (200, &json!(true)), "it serves: {answer:?}");
    let mut problems = appliance.web().problems().await;
    problems.retain(|code| code != "CHANGES_TAKEN_BACK"); // from the run before, until the next start
    assert!(problems.iter().all(|code| code.contains("STORAGE") || code.contains("DATABASE")), "{problems:?}");
    !problems.is_empty()
}

async fn healthy(appliance: &Appliance) {
    eventually("all to be well again", async || (!said(appliance).await).then_some(())).await;
}

/// A show that no longer fits.
fn too_large(mark: u64) -> String {
    let mut file = marked(mark);
    file["padding"] = json!("x".repeat(PADDING));
    file.to_string()
}

/// The mark of a show, which may be a padded one.
async fn mark_of_any(appliance: &Appliance) -> u64 {
    let mut export = export(&appliance.web()).await;
    let padding = export.as_object_mut().unwrap().remove("padding");
    let mark = export["mark"].as_u64().expect("a mark");
    assert_eq!(export, marked(mark), "whole");
    let whole = padding.is_none_or(|padding| padding.as_str().map(str::len) == Some(PADDING));
    assert!(whole, "with all of its padding");
    mark
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_fills_the_card_is_whole_or_nothing_and_the_light_goes_on() {
    import_fills_the_card(256).await; // less than the journal needs
}

async fn import_fills_the_card(left_kib: usize) {
    let (card, appliance) = boxed().await;
    let web = appliance.web();
    card.fill(left_kib);
    let importing = {
        let web = web.clone();
        tokio::spawn(async move { web.post("/import", too_large(2)).await })
    };
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let mut n = 1;
    while !importing.is_finished() {
        n += 1;
        esp.publish(CMD, command(colour(n)).to_string().as_bytes()).await;
    }
    let answer = importing.await.unwrap();
    println!("{n} commands beside the import, which was answered {}: {:.200}", answer.status, answer.text);
    eventually("it is said", async || said(&appliance).await.then_some(())).await;
    let now = mark_of_any(&appliance).await;
    match answer.status {
        200 => assert_eq!(now, 2, "it was said to be done"),
        503 | 507 => {
            answer.problem(answer.status);
            assert_eq!(now, 1, "it was said not to be done");
        }
        _ => panic!("neither done nor clearly refused: {answer:?}"),
    }
    // The card is full, everything else works.
    let made = create(&web, json!({"name": "B"})).await;
    select(&web, &made).await;
    web.accepted(&command(colour(500))).await;
    select(&web, "default").await;
    let seq = web.seq().await;
    assert_eq!(web.accepted(&command(colour(501))).await, seq + 1);
    assert_eq!(super::lamp(&appliance).await, colour(501));

    card.empty();
    healthy(&appliance).await;
    assert_eq!(mark_of_any(&appliance).await, now);
    let (state, projects, kept) = (web.state().await, list(&web).await, export(&web).await);
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    assert_eq!((web.state().await, list(&web).await), (state, projects), "what came meanwhile is kept");
    assert_eq!(export(&web).await, kept);
    assert_eq!(web.problems().await, Vec::<String>::new());
    select(&web, &made).await;
    assert_eq!((super::lamp(&appliance).await, mark(&web).await), (colour(500), None));
    // And there is space for shows again: the failed attempts have left nothing.
    select(&web, "default").await;
    for mark in 3..6 {
        assert_eq!(web.post("/import", too_large(mark)).await.status, 200);
        assert_eq!(mark_of_any(&appliance).await, mark);
    }
    assert_eq!(web.problems().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_a_full_card_are_all_taken_and_kept_once_there_is_space() {
    let (card, appliance) = boxed().await;
    let web = appliance.web();
    let watcher = StateWatcher::start(appliance.mqtt).await;
    card.fill(0);
    let mut n = 1;
    let mut last = command(colour(n));
    while !said(&appliance).await {
        n += 1;
        last = command(colour(n));
        assert_eq!(web.accepted(&last).await, u64::from(n));
        assert!(n < 100_000, "a full card is noticed");
    }
    println!("noticed after {n} commands: {:?}", web.problems().await);
    for _ in 0..200 {
        n += 1;
        last = command(colour(n));
        assert_eq!(web.accepted(&last).await, u64::from(n));
    }
    assert_eq!(watcher.wait_seq(n.into()).await.rgb, colour(n), "the light goes on");
    crate::harness::assert_gap_free(&watcher.seen());
    super::import(&web, "", &marked(2)).await;

    card.empty();
    healthy(&appliance).await;
    let state = web.state().await;
    assert_eq!((state["seq"].as_u64(), index_of(rgb_of(&state))), (Some(n.into()), n));
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().state().await, state);
    assert!(appliance.web().is_duplicate(&last).await);
    assert_eq!(mark(&appliance.web()).await, Some(2));
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
}

/// A box whose documents are in its database, and neither in its journal nor in its first snapshot: mark 3 in B.
async fn settled(file: fn(u64) -> String) -> (SmallCard, Appliance, String) {
    let (card, appliance) = boxed().await;
    let web = appliance.web();
    let checkpoints = async || web.metric("dmx_store_checkpoints_total").await;
    let checkpoint = async |mark| {
        let before = checkpoints().await;
        // until the journal is so full that it is emptied into the database
        while checkpoints().await <= before {
            assert_eq!(web.post("/import", file(mark)).await.status, 200);
        }
    };
    checkpoint(1).await;
    let made = create(&web, json!({"name": "B"})).await;
    select(&web, &made).await;
    checkpoint(2).await;
    checkpoint(3).await;
    assert_eq!(web.problems().await, Vec::<String>::new(), "all of it was acknowledged on a sound card");
    (card, appliance, made)
}

/// The settled box, killed once it reported a full card, and started on that card.
async fn started_full(file: fn(u64) -> String) -> (SmallCard, Appliance, String) {
    let (card, appliance, made) = settled(file).await;
    card.fill(0);
    let web = appliance.web();
    web.accepted(&command(colour(7))).await;
    // The journal has files of its own; only what outgrows them meets the full card.
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for n in 0..100 {
        esp.retain(&format!("fill/{n}"), &[b'x'; 50 << 10]).await;
        if said(&appliance).await {
            break;
        }
    }
    eventually("it is said", async || said(&appliance).await.then_some(())).await;
    (card, appliance.kill9().await.start().await, made)
}

fn small(mark: u64) -> String {
    marked(mark).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_before_the_card_was_full_is_still_there_afterwards() {
    let (card, appliance, made) = settled(small).await;
    card.fill(4 << 10);
    let web = appliance.web();
    let more = json!({"effects": [], "more": "y".repeat(PADDING)}).to_string();
    println!("an import that does not fit was answered {}", web.post("/import?mode=merge", more).await.status);
    eventually("it is said", async || said(&appliance).await.then_some(())).await;
    card.empty();
    let passing = ["STORAGE_IN_RAM".to_owned(), "DATABASE_NOT_WRITTEN".to_owned()];
    eventually("the card is used again", async || {
        (!web.problems().await.iter().any(|problem| passing.contains(problem))).then_some(())
    })
    .await;
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    let listed = list(&web).await;
    assert_eq!((ids(&listed), &listed["activeId"]), (vec!["default".to_owned(), made.clone()], &json!(made)));
    assert_eq!(export(&web).await["mark"], 3);
    select(&web, "default").await;
    assert_eq!(export(&web).await["mark"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_card_loses_nothing_for_good() {
    let (card, appliance, made) = started_full(small).await;
    card.empty();
    eventually("the card is used again", async || {
        (!appliance.web().problems().await.contains(&"STORAGE_IN_RAM".to_owned())).then_some(())
    })
    .await;
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    let listed = list(&web).await;
    assert_eq!((ids(&listed), &listed["activeId"]), (vec!["default".to_owned(), made.clone()], &json!(made)));
    assert_eq!(mark(&web).await, Some(3), "it was acknowledged while the card was sound");
    select(&web, "default").await;
    assert_eq!(mark(&web).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_card_has_the_show_that_was_kept_before() {
    let (card, appliance, made) = started_full(too_large).await;
    let listed = list(&appliance.web()).await;
    assert_eq!((ids(&listed), &listed["activeId"]), (vec!["default".to_owned(), made.clone()], &json!(made)));
    assert_eq!(mark_of_any(&appliance).await, 3, "while the card is full");
    card.empty();
    healthy(&appliance).await;
    assert_eq!(mark_of_any(&appliance).await, 3, "once there is space, without another start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_that_is_killed_while_its_card_is_full_starts_with_a_whole_show() {
    let (card, mut appliance) = boxed().await;
    let made = create(&appliance.web(), json!({"name": "B", "templateId": "default"})).await;
    for (mark, left) in [(2, 512), (3, 0), (4, 3000)] {
        card.fill(left);
        let answer = appliance.web().post("/import", too_large(mark)).await;
        println!("with {left} KiB left the import was answered {}", answer.status);
        eventually("it is said", async || said(&appliance).await.then_some(())).await;
        // What is in memory only may go with a kill, as the box has reported: all of an edit or nothing.
        appliance = appliance.kill9().await.start().await;
        let found = mark_of_any(&appliance).await;
        println!(
            "and after the kill the show is that of mark {found}, problems {:?}",
            appliance.web().problems().await
        );
        assert!(found <= mark);
        assert_eq!(ids(&list(&appliance.web()).await), ["default", &made]);
        let seq = appliance.web().seq().await;
        assert_eq!(appliance.web().accepted(&command(colour(9))).await, seq + 1, "it serves");
        card.empty();
        healthy(&appliance).await;
        select(&appliance.web(), &made).await;
        assert_eq!(super::mark(&appliance.web()).await, Some(1));
        select(&appliance.web(), "default").await;
        assert_eq!(mark_of_any(&appliance).await, found);
    }
    let (status, home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    let appliance = home.start().await;
    assert_eq!(rgb_of(&appliance.web().state().await), colour(9));
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_leaves_no_room_for_a_checkpoint_damages_nothing() {
    import_fills_the_card(4 << 10).await;
}
