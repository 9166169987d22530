//! What many read at once: the patch costs no more than its answers.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{body_of, import};
use crate::harness::Appliance;

/// Fixtures of a large show; each has notes of its own.
const FIXTURES: usize = 1000;

/// Requests at once.
const AT_ONCE: usize = 60;

/// What they may take beside what is there, MiB. Each read the whole show before: some 30 MiB.
const MORE_MIB: u64 = 150;

fn large() -> Value {
    let notes: Vec<_> = (0..200).collect();
    let fixture = |n: usize| {
        let channels: Vec<_> = (0..3).map(|at| json!({"id": format!("fx-{n}-{at}"), "name": "Red"})).collect();
        json!({"id": format!("fx-{n}"), "name": format!("PAR {n}"), "universeId": format!("u-{}", n / 100),
            "dmxAddress": 1 + 3 * (n % 100), "type": "rgb", "channels": channels, "notes": notes})
    };
    let universes: Vec<_> = (0..10).map(|n| json!({"id": format!("u-{n}"), "name": "U", "number": n})).collect();
    json!({"universes": universes, "fixtures": (0..FIXTURES).map(fixture).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_crowd_that_reads_fixtures_and_places_of_a_large_show_takes_no_memory_for_it() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &large()).await;
    let before = appliance.peak_memory_mib();
    for path in ["/patch/fixtures/fx-999", "/patch/free?type=rgb&universe=9"] {
        let all = join_all((0..AT_ONCE).map(|_| web.get(path))).await;
        assert!(all.iter().all(|answer| answer.status == 200), "{:?}", all.iter().find(|answer| answer.status != 200));
    }
    let more = appliance.peak_memory_mib().saturating_sub(before);
    assert!(more < MORE_MIB, "{more} MiB more");
    let one = body_of(&web.get("/patch/fixtures/fx-999").await, 200);
    assert_eq!(
        (&one["footprint"], &one["values"]["red"], &one["notes"][199]),
        (&json!([298, 300]), &json!(0.0), &json!(199))
    );
}

#[tokio::test]
async fn a_patch_that_would_be_shown_in_many_times_its_size_is_refused_and_the_rest_works() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let channels = vec![json!(0); 512];
    let long = |n: usize| json!({"id": format!("{n:0>120}"), "channels": channels});
    import(&web, &json!({"fixtures": (0..1000).map(long).collect::<Vec<_>>()})).await;
    web.get("/patch").await.problem(413);
    web.get(&format!("/patch/fixtures/{:0>120}", 999)).await.problem(413);
    let order = json!({"type": "rgb", "universe": 0, "address": 1});
    web.post("/patch/fixtures", order.to_string()).await.problem(413);
    assert_eq!(
        body_of(&web.get("/export").await, 200)["fixtures"].as_array().map(Vec::len),
        Some(1000),
        "nothing was added"
    );
    assert_eq!(body_of(&web.get("/patch/free?type=rgb").await, 200), json!({"universe": 0, "address": 1}));
}
