//! A machine that does not know the date, by `faketime`: in 1970, on the day of the build, and ten years ahead.

use std::ffi::OsString;

use super::{Secure, home, run, text};

async fn dates(clock: &str) -> [String; 2] {
    let wrapper = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", clock].map(OsString::from);
    let secure = Secure::start(home().started_by(wrapper)).await;
    secure.appliance.assert_serves().await;
    let leaf = secure.leaf().await;
    ["notBefore=", "notAfter="].map(|which| leaf.split_once(which).unwrap().1.get(..10).unwrap().to_owned())
}

async fn today() -> String {
    text(&run("date", &["-u", "+%F"]).await.stdout).trim().to_owned()
}

#[tokio::test]
async fn in_1970_the_certificate_is_valid_for_tablets_that_know_better() {
    let [from, to] = dates("@1970-01-02 00:00:00").await;
    let today = today().await;
    assert!(from <= today && today < to, "from {from} to {to}, today {today}");
    assert_eq!([from, to], dates("+0d").await, "the same as with a right clock");
}

#[tokio::test]
async fn ten_years_ahead_it_is_valid_there() {
    let [from, to] = dates("+3650d").await;
    let then = text(&run("date", &["-u", "-d", "+3650 days", "+%F"]).await.stdout);
    assert!(from.as_str() < then.trim() && then.trim() < to.as_str(), "from {from} to {to}");
    assert!(from > today().await);
}
