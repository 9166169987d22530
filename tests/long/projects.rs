//! The long runs of projects, by `tests/long/run` only.

use crate::projects::crash;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/long/run"]
async fn hundreds_of_kills_among_edits_leave_each_of_them_done_or_not_done() {
    crash::crash_rounds(crate::long::count("DMXD_LONG_EDIT_KILLS", 200)).await;
}
