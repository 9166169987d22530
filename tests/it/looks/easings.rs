//! The curves of a fade, seen from outside: where a channel is at which time.

use serde_json::{Value, json};

use super::fades::course;
use super::{accepted, arrived, fade, rev, set};
use crate::harness::{Appliance, WsWatcher};

/// A fade's time, milliseconds.
const OVER: u64 = 1500;

/// A step shows where the channel was at the last frame, at most this many milliseconds ago.
const FRAME: f64 = 23.0 + 2.0;

async fn follows(word: &str, curve: impl Fn(f64) -> f64) {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    for (universe, from, to) in [(1, 0, 255), (2, 200, 20)] {
        accepted(&web, &set(universe, 1, from)).await;
        let mut fade = fade(universe, &[(1, to)], OVER);
        fade["easing"] = json!(word);
        accepted(&web, &fade).await;
    }
    arrived(&web).await;
    let end = rev(&web).await;
    tablet.wait("the end", |picture| (*picture.revs.last()? >= end).then_some(())).await;
    for (universe, from, to) in [(1, 0.0, 255.0), (2, 200.0, 20.0)] {
        // the last one that moved nothing: the command itself
        let begins = |update: &&Value| update["universe"] == universe && update["delta"] == json!([]);
        let begin = tablet.picture().updates.iter().rfind(begins).and_then(|update| update["rev"].as_u64()).unwrap();
        let points = course(&tablet, universe, 1, begin);
        let at = |ms: f64| from + (to - from) * curve((ms / OVER as f64).clamp(0.0, 1.0));
        let way = (to - from).signum();
        let (mut ahead, mut behind) = (Vec::new(), Vec::new());
        for point in &points[1..] {
            let (level, ms) = (f64::from(point.level), (point.ts - points[0].ts) as f64);
            if (level - at(ms + 2.0)) * way > 1.0 {
                ahead.push(point);
            } else if (at(ms - FRAME) - level) * way > 1.0 {
                behind.push(point);
            }
        }
        // A step may have got its time late, since the machine is shared, and never too early.
        assert!(ahead.is_empty(), "{word} from {from} to {to}: ahead {ahead:?} among {points:?}");
        assert!(behind.len() * 2 < points.len(), "{word} from {from} to {to}: behind {behind:?} among {points:?}");
        assert!(points.len() > 10, "{word} from {from} to {to}: {points:?}");
        assert_eq!(f64::from(points.last().unwrap().level), to, "{word}");
    }
}

#[tokio::test]
async fn a_linear_fade_is_where_the_time_is() {
    follows("linear", |t| t).await;
}

#[tokio::test]
async fn an_s_curve_is_gentle_at_both_ends() {
    follows("s_curve", |t| t * t * (3.0 - 2.0 * t)).await;
}

#[tokio::test]
async fn an_expo_fade_is_late() {
    follows("expo", |t| if t <= 0.0 { 0.0 } else { (10.0 * (t - 1.0)).exp2() }).await;
}
