//! The medium of local backups: the one of the data, a changed one, or a full one.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use serde_json::json;

use super::{home, id_of, made, mark, marks, restored, versions};
use crate::harness::{Appliance, Home, SmallCard, Web, colour, command, eventually};

const SAME: &str = "BACKUP_ON_SAME_MEDIUM";
const CHANGED: &str = "BACKUP_MEDIUM_CHANGED";
const FAILING: &str = "BACKUP_FAILING";

async fn problems(appliance: &Appliance) -> Vec<String> {
    appliance.web().problems().await
}

async fn told(appliance: &Appliance, codes: &[&str]) {
    eventually(&format!("the problems {codes:?}"), async || (problems(appliance).await == codes).then_some(())).await;
}

#[tokio::test]
async fn a_stick_that_is_not_there_is_told_and_what_is_told_goes_when_it_is_back_or_accepted() {
    // a link in place of the mount point, to the stick or to the card
    let stick = tempfile::tempdir_in("/dev/shm").unwrap();
    let home = Home::new();
    let (mount, card) = (home.beside("stick"), home.beside("card"));
    fs::create_dir_all(&card).unwrap();
    let devices = (stick.path().metadata().unwrap().dev(), card.metadata().unwrap().dev());
    assert_ne!(devices.0, devices.1, "this test needs a file system in memory");
    let plug = |what| {
        let _ = fs::remove_file(&mount);
        symlink(what, &mount).unwrap();
    };
    plug(stick.path());
    let settings = [("DMX_PROJECTS_ENABLED", "true"), ("DMX_CLOUD_BACKUP_ENABLED", "true")];
    let home = settings.iter().fold(home, |home, (name, value)| home.set(name, *value));
    let appliance = home.set("DMX_CLOUD_BACKUP_LOCAL_PATH", mount.join("backups")).start().await;
    let web = appliance.web();
    made(&web, "default", "on the stick").await;
    assert_eq!(problems(&appliance).await, Vec::<String>::new());
    assert!(stick.path().join("backups/default/index.json").exists());

    // Unplugged, and the machine started without it.
    let (_, home) = appliance.terminate().await;
    plug(&card);
    let appliance = home.start().await;
    told(&appliance, &[CHANGED, SAME]).await;
    made(&appliance.web(), "default", "on the card").await;
    let appliance = appliance.restart().await;
    told(&appliance, &[CHANGED, SAME]).await;

    // Back again, under the running appliance.
    plug(stick.path());
    told(&appliance, &[]).await;
    assert_eq!(versions(&appliance.web(), "default").await[0]["label"], "on the stick");

    // Changed on purpose.
    plug(&card);
    let appliance = appliance.restart().await;
    told(&appliance, &[CHANGED, SAME]).await;
    let accepted = appliance.web().post("/projects/default/backups/medium", "").await;
    assert_eq!(accepted.status, 200, "{accepted:?}");
    assert_eq!(problems(&appliance).await, [SAME]);
    let appliance = appliance.restart().await;
    told(&appliance, &[SAME]).await;
    appliance.web().post("/projects/none/backups/medium", "").await.problem(404);
}

#[tokio::test]
async fn the_folder_beside_the_data_is_where_backups_are_unless_somebody_names_another_one() {
    let appliance = home().start().await;
    made(&appliance.web(), "default", "x").await;
    assert_eq!(problems(&appliance).await, Vec::<String>::new());
}

#[tokio::test]
async fn backups_leave_room_to_the_light_on_its_card_and_say_at_once_that_they_fail() {
    let (_card, home) = SmallCard::under(home(), 128 << 10);
    let appliance = home.start().await;
    let web = appliance.web();
    mark(&web, 1, 3 << 20).await;
    let mut kept = Vec::new();
    let refused = loop {
        let answer = web.post("/projects/default/backups", "{}").await;
        if answer.status != 201 {
            break answer.problem(502);
        }
        kept.push(answer.json());
        assert!(kept.len() < 60, "the card has 128 MiB");
    };
    assert!(!kept.is_empty());
    assert!(refused["detail"].as_str().unwrap().contains("kept for the light"), "{refused}");
    assert_eq!(problems(&appliance).await, [FAILING], "at once, and the light is on the card");
    // The next edits still go onto the card, and so does light.
    for number in 2..4 {
        mark(&web, number, 3 << 20).await;
    }
    for number in 0..20 {
        web.accepted(&command(colour(number))).await;
    }
    assert_eq!(problems(&appliance).await, [FAILING]);

    mark(&web, 5, 0).await;
    for version in &kept {
        let path = format!("/projects/default/backups/{}", id_of(version));
        assert_eq!(web.send(web.request(reqwest::Method::DELETE, &path)).await.status, 200);
    }
    assert_eq!(web.post("/projects/default/backups", json!({}).to_string()).await.status, 201);
    assert_eq!(problems(&appliance).await, Vec::<String>::new());
}

/// Fills the card until there is no room for a backup, though there is for light.
async fn fill(card: &SmallCard, web: &Web, but_kib: usize) {
    card.fill(but_kib);
    let refused = web.post("/projects/default/backups", "{}").await.problem(502);
    assert!(refused["detail"].as_str().unwrap().contains("kept for the light"), "{refused}");
}

#[tokio::test]
async fn what_is_replaced_is_kept_in_the_room_that_is_left_to_the_light() {
    let (card, home) = SmallCard::under(home(), 128 << 10);
    let appliance = home.start().await;
    let web = appliance.web();
    mark(&web, 1, 0).await;
    let version = id_of(&made(&web, "default", "x").await);
    fill(&card, &web, 48 << 10).await;
    mark(&web, 2, 0).await;
    restored(&web, &version).await;
    assert_eq!(marks(&web).await, [1; 3]);
    let cleared = web.post("/import", json!({"fixtures": [], "scenes": []}).to_string()).await;
    assert_eq!(cleared.status, 200, "{cleared:?}");
    let labels = versions(&web, "default").await;
    assert_eq!((labels.len(), &labels[0]["label"]), (3, &json!("before import")));

    // Nor does it take more than there is: the oldest makes room, the newest stays.
    mark(&web, 3, 1 << 20).await;
    for _ in 0..3 {
        restored(&web, &version).await;
        mark(&web, 3, 1 << 20).await;
    }
    let before = versions(&web, "default").await;
    card.empty();
    card.fill(5 << 10);
    restored(&web, &version).await;
    let after = versions(&web, "default").await;
    assert_eq!(marks(&web).await, [1; 3]);
    assert!(after.len() < before.len() && !before.contains(&after[0]), "{before:?}, then {after:?}");
    assert!(after.contains(&before[0]) && after.iter().any(|kept| id_of(kept) == version), "{after:?}");

    // And without a running dmxd, on a box that does not start.
    let (_, home) = appliance.terminate().await;
    let offline = home.run(&["restore", &version]).await;
    assert_eq!((offline.code, offline.stderr.as_str()), (Some(0), ""), "{}", offline.stdout);
}

#[tokio::test]
async fn on_a_full_card_the_next_backup_takes_the_place_of_what_the_rules_let_go() {
    let (card, home) = SmallCard::under(home().set("DMX_BACKUP_KEEP_LAST", "2"), 128 << 10);
    let appliance = home.start().await;
    let web = appliance.web();
    mark(&web, 1, 3 << 20).await;
    let kept = [made(&web, "default", "1").await, made(&web, "default", "2").await];
    // Half of the card is the light's; above that there is room for less than a backup.
    card.fill((64 << 10) + (1 << 10));
    let next = made(&web, "default", "3").await;
    assert_eq!(versions(&web, "default").await, [next.clone(), kept[1].clone()]);
    assert_eq!(problems(&appliance).await, Vec::<String>::new());

    // The newest one stays, whatever that costs.
    card.empty();
    fill(&card, &web, 32 << 10).await;
    assert_eq!(versions(&web, "default").await, [next]);
    assert_eq!(problems(&appliance).await, [FAILING]);
}
