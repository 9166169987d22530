//! `dmxd backup`, `restore` and `verify`: for a box that does not start, and beside one that runs.

use std::fs;

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
