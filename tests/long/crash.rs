//! The long runs, by `tests/long/run` only: the same checks as every day, hundreds of times.

use crate::harness::{Damage, Home, Random, data_files};
use crate::{backups, life, ola, power, storage};

/// A count from the environment.
pub fn count(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test]
#[ignore = "long: tests/long/run"]
async fn hundreds_of_kills_lose_nothing() {
    life::crash_rounds(count("DMXD_LONG_KILLS", 200)).await;
}

#[tokio::test]
#[ignore = "long: tests/long/run"]
async fn hundreds_of_damaged_files_do_not_stop_it() {
    let mut random = Random::new();
    let stopped = storage::stopped_home().await;
    let files = data_files(&stopped.home.data());
    let kinds = [Damage::BitFlip, Damage::BitFlip, Damage::AnyPage, Damage::ManyFlips, Damage::AllNul];
    for n in 0..count("DMXD_LONG_FLIPS", 200) {
        let file = &files[n % files.len()];
        let damage = kinds[usize::try_from(random.below(kinds.len() as u64)).unwrap()];
        let home = Home::copy_of(&stopped.home.data());
        damage.apply(&home.data().join(file), &mut random);
        storage::assert_lives(home, &stopped, damage, file).await;
    }
}

#[tokio::test]
#[ignore = "long: tests/long/run"]
async fn many_power_cuts_leave_a_true_light() {
    power::power_cuts(count("DMXD_LONG_CUTS", 30)).await;
}

#[tokio::test]
#[ignore = "long: tests/long/run"]
async fn hundreds_of_kills_during_restores_leave_the_old_project_or_the_new_one() {
    backups::kills::restore_rounds(count("DMXD_LONG_RESTORES", 250)).await;
}

#[tokio::test]
#[ignore = "long: tests/long/run"]
async fn a_minute_of_static_light_is_one_frame_a_second() {
    ola::peer::static_light(60).await;
}
