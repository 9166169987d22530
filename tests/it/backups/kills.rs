//! kill -9 at any moment of a restore or a backup: the old project or the new one, never something between.

use std::time::{Duration, Instant};

use super::{home, id_of, made, mark, marks, restored, versions};
use crate::harness::Random;

/// Kills in a normal run; tests/long makes hundreds.
const KILLS: usize = 15;

#[tokio::test]
async fn kill_9_during_a_restore_leaves_the_old_project_or_the_new_one() {
    restore_rounds(KILLS).await;
}

/// How a round ended.
#[derive(Default, Debug)]
struct Tally {
    old: usize,
    new: usize,
    answered: usize,
    /// Done, and nobody was told.
    untold: usize,
    backups: usize,
}

/// Kills the appliance at random moments of restores, and of backups in between, again and again on the same data.
pub async fn restore_rounds(rounds: usize) {
    let mut random = Random::new();
    let mut appliance = home().start().await;
    let web = appliance.web();
    let mut ids = Vec::new();
    for number in [1, 2] {
        mark(&web, number, 100_000 * (3 - number as usize)).await;
        ids.push(id_of(&made(&web, "default", "x").await));
    }
    let mut whole = Duration::ZERO;
    for id in &ids {
        let started = Instant::now();
        restored(&web, id).await;
        whole = whole.max(started.elapsed());
    }
    let (mut now, mut seq, mut tally) = (2, web.seq().await, Tally::default());
    for round in 0..rounds {
        let (next, backup) = (3 - now, round % 5 == 4);
        let web = appliance.web();
        let (path, body) = if backup {
            ("/projects/default/backups", "{}".to_owned())
        } else {
            ("/projects/default/restore", format!(r#"{{"versionId":"{}"}}"#, ids[next as usize - 1]))
        };
        let request = web.request(reqwest::Method::POST, path).header("content-type", "application/json").body(body);
        // every second one near the expected end: there it takes effect
        let from = if round % 2 == 0 { whole * 3 / 4 } else { Duration::ZERO };
        let span = (whole * 9 / 8).saturating_sub(from);
        let moment = from + Duration::from_micros(random.below(span.as_micros() as u64));
        let sent = Instant::now();
        // the moment of the kill is the test's input, not something to wait for
        let answered =
            tokio::time::timeout(moment, request.send()).await.map(|answer| answer.unwrap().status().as_u16()).ok();
        if !backup {
            // a guess that follows the truth: it depends on what else the machine does
            whole = if answered.is_some() { sent.elapsed() } else { whole * 11 / 10 };
        }
        appliance = appliance.kill9().await.start().await;

        let web = appliance.web();
        let [light, scenes, show] = marks(&web).await;
        assert_eq!([light; 2], [scenes, show], "round {round}, {moment:?}: the light of one, the documents of another");
        match (backup, answered) {
            (false, Some(status)) => assert_eq!((status, light), (200, next), "round {round}: it was said to be done"),
            (true, Some(status)) => assert_eq!((status, light), (201, now), "round {round}"),
            (true, None) => assert_eq!(light, now, "round {round}"),
            (false, None) => assert!(light == now || light == next, "round {round}: {light}"),
        }
        let restored = u64::from(light != now);
        assert_eq!(web.seq().await, seq + restored, "round {round}: one step or none");
        let listed = versions(&web, "default").await;
        for id in &ids {
            assert!(listed.iter().any(|version| version["versionId"] == id.as_str()), "round {round}: {listed:?}");
        }
        tally.backups += usize::from(backup);
        tally.answered += usize::from(answered.is_some());
        tally.untold += usize::from(!backup && light == next && answered.is_none());
        tally.new += usize::from(!backup && light == next);
        tally.old += usize::from(!backup && light == now);
        (now, seq) = (light, seq + restored);
    }
    println!("{rounds} kills, the last restore took about {whole:?}: {tally:?}");
    let (_, left) = appliance.terminate().await;
    let verified = left.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "every version that is listed can be restored:\n{}", verified.stdout);
}
