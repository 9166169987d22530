//! `dmxd backup`, `restore` and `verify`: for a box that does not start, and beside one that runs.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::harness::{Home, command, rgb_of};

const KEY: &str = "DMX_CLOUD_BACKUP_ENCRYPTION_KEY";

/// A stopped box that was left at a colour.
async fn left_at(home: Home, colour: [u8; 3]) -> Home {
    let appliance = home.start().await;
    appliance.web().accepted(&command(colour)).await;
    appliance.terminate().await.1
}

#[tokio::test]
async fn an_appliance_that_does_not_start_is_backed_up_and_restored() {
    let home = left_at(Home::new().set(KEY, "passphrase:correct horse"), [1, 2, 3]).await;
    let made = home.run(&["backup", "--label", "před opravou"]).await;
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""), "{}", made.stdout);
    let version = made.stdout.split(' ').next().unwrap().to_owned();
    assert!(
        made.stdout.contains("of project default: ") && made.stdout.contains("sealed, \"před opravou\""),
        "{}",
        made.stdout
    );

    let home = left_at(home, [7, 7, 7]).await;
    let restored = home.run(&["restore", &version]).await;
    assert_eq!((restored.code, restored.stderr.as_str()), (Some(0), ""), "{}", restored.stdout);
    let verified = home.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
    assert_eq!(
        verified.stdout.lines().filter(|line| line.ends_with(": can be restored")).count(),
        2,
        "{}",
        verified.stdout
    );

    let appliance = home.start().await;
    assert_eq!(rgb_of(&appliance.web().state().await), [1, 2, 3]);
    appliance.terminate().await;
}

#[tokio::test]
async fn a_file_from_another_appliance_is_verified_and_restored_and_a_damaged_one_changes_nothing() {
    let elsewhere = left_at(Home::new(), [9, 8, 7]).await;
    let made = elsewhere.run(&["backup"]).await;
    let version = made.stdout.split(' ').next().unwrap().to_owned();
    let file = elsewhere.data().join(format!("backups/default/{version}.bin"));

    let home = left_at(Home::new(), [1, 1, 1]).await;
    let (good, bad) = (home.beside("stick.bin"), home.beside("damaged.bin"));
    let bytes = fs::read(&file).unwrap();
    fs::write(&good, &bytes).unwrap();
    fs::write(&bad, &bytes[..bytes.len() - 2]).unwrap();
    let verified = home.run(&["verify", "stick.bin", "damaged.bin"]).await;
    assert_eq!(verified.code, Some(1));
    let said: Vec<_> = verified.stdout.lines().map(|line| line.contains("CANNOT")).collect();
    assert_eq!(said, [false, true], "{}", verified.stdout);
    let refused = home.run(&["restore", "damaged.bin"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.starts_with("dmxd: "), "{}", refused.stderr);
    let missing = home.run(&["restore", "none.bin"]).await;
    assert!(missing.code == Some(1) && missing.stderr.contains("none.bin"), "{}", missing.stderr);
    assert_eq!(home.run(&["restore", "stick.bin"]).await.code, Some(0));
    let appliance = home.start().await;
    assert_eq!(rgb_of(&appliance.web().state().await), [9, 8, 7]);
    appliance.terminate().await;
}

#[tokio::test]
async fn beside_a_running_appliance_only_a_look_is_allowed() {
    let home = left_at(Home::new(), [1, 2, 3]).await;
    assert_eq!(home.run(&["backup"]).await.code, Some(0));
    let beside = Home::new().set("DMX_DATA_DIR", home.data());
    let appliance = home.start().await;
    for job in [&["backup"][..], &["restore", "01J"]] {
        let ended = beside.run(job).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("another dmxd uses it"), "{}", ended.stderr);
    }
    let verified = beside.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    appliance.terminate().await;
}

/// What a folder contains.
fn names_in(folder: &Path) -> Vec<OsString> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[tokio::test]
async fn a_data_folder_that_is_not_there_or_was_never_used_is_named_and_not_made() {
    let elsewhere = left_at(Home::new(), [9, 8, 7]).await;
    elsewhere.run(&["backup"]).await;
    let file = fs::read_dir(elsewhere.data().join("backups/default")).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "bin").then_some(path)
    });
    let file = file.unwrap().display().to_string();
    for job in
        [&["backup", "--label", "x"][..], &["restore", "01J"], &["restore", &file], &["verify"], &["verify", "01J"]]
    {
        let home = Home::new();
        let ended = home.run(job).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{job:?}: {}", ended.stderr);
        let named = home.data().display().to_string();
        assert!(
            ended.stderr.contains(&named) && ended.stderr.contains("storage.data_dir"),
            "{job:?}: {}",
            ended.stderr
        );
        assert_eq!(names_in(home.data().parent().unwrap()), [""; 0], "{job:?} makes nothing");
    }
    // A folder in which no dmxd has ever been: an empty show is a backup of nothing.
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    let ended = home.run(&["backup"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains(&home.data().display().to_string()), "{}", ended.stderr);
    assert_eq!(names_in(&home.data()), [""; 0]);
    // A restore works onto a new card, and checking a file needs no data folder.
    assert_eq!(home.run(&["restore", &file, "--force"]).await.code, Some(0));
    assert_eq!(Home::new().run(&["verify", &file]).await.code, Some(0));
}

#[tokio::test]
async fn a_look_that_has_checked_nothing_is_no_success() {
    let home = left_at(Home::new(), [1, 2, 3]).await;
    assert_eq!(home.run(&["backup"]).await.code, Some(0));
    for (job, code) in [(&["verify"][..], 0), (&["verify", "--project", "nope"], 1)] {
        let ended = home.run(job).await;
        assert_eq!(ended.code, Some(code), "{job:?}: {}", ended.stdout);
        assert_eq!(ended.stdout.contains("there is no backup of project nope"), code == 1, "{}", ended.stdout);
    }
}
