//! Two clients that do not know of each other.

use serde_json::{Value, json};

use super::{body_of, create, fresh, list, mark, marked, select};
use crate::harness::{StateWatcher, Web, command};

/// Selects of each client.
const TIMES: u64 = 50;

#[tokio::test]
async fn two_clients_that_select_at_once_never_mix_two_projects() {
    let appliance = fresh().await;
    let web = appliance.web();
    let other = create(&web, json!({"name": "B"})).await;
    for (id, n) in [(other.as_str(), 2), ("default", 1)] {
        select(&web, id).await;
        web.accepted(&command([n, n, n])).await;
        super::import(&web, "", &marked(n.into())).await;
    }
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let before = web.seq().await;
    let clients = ["default", &other].map(|id| {
        let (web, id) = (Web::new(appliance.http), id.to_owned());
        tokio::spawn(async move {
            for _ in 0..TIMES {
                assert_eq!(super::ids(&select(&web, &id).await).len(), 2);
            }
        })
    });
    // A third one reads: everything it gets belongs to one project.
    let reader = {
        let web = Web::new(appliance.http);
        tokio::spawn(async move {
            loop {
                let export = body_of(&web.get("/export").await, 200);
                let n = export["mark"].as_u64().expect("a mark");
                assert_eq!(super::without_time(export), marked(n));
                let active = list(&web).await["activeId"].clone();
                assert!(active.is_string());
            }
        })
    };
    for client in clients {
        client.await.unwrap();
    }
    assert!(!reader.is_finished(), "the reader found nothing wrong");
    reader.abort();

    let state = web.state().await;
    assert_eq!(state["seq"], before + 2 * TIMES, "each select is one change");
    watcher.wait_seq(before + 2 * TIMES).await;
    super::super::harness::assert_gap_free(&watcher.seen());
    let active: Value = list(&web).await["activeId"].clone();
    let n = if active == "default" { 1 } else { 2 };
    assert_eq!((super::lamp(&appliance).await, mark(&web).await), ([n; 3], Some(n.into())), "{active} is active");
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(list(&appliance.web()).await["activeId"], active);
    assert_eq!((super::lamp(&appliance).await, mark(&appliance.web()).await), ([n; 3], Some(n.into())));
    assert_eq!(appliance.web().state().await, state);
}
