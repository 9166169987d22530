//! The long runs of the outputs, by `tests/long/run` only.

use crate::outputs::enttec;

#[tokio::test]
#[ignore = "long: tests/long/run"]
async fn a_static_light_is_refreshed_once_a_second_for_a_minute() {
    enttec::refreshes(60).await;
}
