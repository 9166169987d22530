//! What the fixtures are left with.

use rustix::process::Signal;

use super::{light, output, with_widget};
use crate::harness::{Home, Tape, Widget, colour, command, eventually};

/// Accepts a command, ends the appliance at once, and returns everything that was sent.
async fn stopped_right_after(widget: &Widget, home: Home, rgb: [u8; 3]) -> Tape {
    let mut appliance = home.start().await;
    light(&appliance, widget, colour(1)).await;
    let web = appliance.web();
    // A few before it, so that the last one has to wait for its slot.
    for n in 2..5 {
        web.accepted(&command(colour(n))).await;
    }
    web.accepted(&command(rgb)).await;
    appliance.signal(Signal::TERM);
    assert_eq!(appliance.ended().await.code(), Some(0));
    widget.closed(1).await
}

#[tokio::test]
async fn the_last_accepted_command_is_what_is_left() {
    let (widget, home) = with_widget();
    let tape = stopped_right_after(&widget, home, [9, 8, 7]).await;
    assert_eq!(tape.frames.last().unwrap().rgb(), [9, 8, 7]);
    widget.assert_well_framed();
}

#[tokio::test]
async fn hold_is_a_word_for_the_same() {
    let (widget, home) = with_widget();
    let tape = stopped_right_after(&widget, home.set("DMX_OUTPUT_PARK", "hold"), [9, 8, 7]).await;
    assert_eq!(tape.frames.last().unwrap().rgb(), [9, 8, 7]);
}

#[tokio::test]
async fn with_blackout_the_last_frame_is_dark_and_the_one_before_it_the_last_command() {
    let (widget, home) = with_widget();
    let tape = stopped_right_after(&widget, home.set("DMX_OUTPUT_PARK", "blackout"), [9, 8, 7]).await;
    let [before, last] = tape.frames.last_chunk().unwrap();
    assert_eq!(before.rgb(), [9, 8, 7]);
    assert_eq!(last.levels, [0; 512]);
    widget.assert_well_framed();
}

#[tokio::test]
async fn the_dark_of_the_stop_is_not_the_state() {
    let (widget, home) = with_widget();
    let appliance = home.set("DMX_OUTPUT_PARK", "blackout").start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    let appliance = appliance.restart().await;
    widget.shows([1, 2, 3]).await;
    assert_eq!(appliance.web().seq().await, 1);
}

#[tokio::test]
async fn a_widget_that_takes_nothing_does_not_hold_up_the_stop() {
    let (widget, home) = with_widget();
    let appliance = home.start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    widget.stall_after(200);
    let (web, mut n) = (appliance.web(), 0);
    eventually("the stall to be noticed", async || {
        n += 1;
        web.accepted(&command(colour(n))).await;
        (output(&web, "enttec").await["connected"] == false).then_some(())
    })
    .await;
    let start = std::time::Instant::now();
    let (status, _home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    // CONTRACT: the stop takes less than 2 s; the fault to find here is a wait without end.
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}
