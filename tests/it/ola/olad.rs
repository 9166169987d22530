//! The real olad of Debian, read back through its own `get_dmx`.

use std::io::Write;
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

use super::{at_once, down, errors, metric, said, sending_to};
use crate::harness::{Appliance, Home, Olad, burst, command, eventually, in_its_own_network, light, patiently};

/// Both, ola on universe 1.
async fn lit() -> (Olad, Appliance) {
    let olad = Olad::start(Some(1)).await;
    let appliance = sending_to(&olad.url()).start().await;
    (olad, appliance)
}

#[tokio::test]
async fn a_command_is_512_channels_in_ola() {
    in_its_own_network(async || {
        let (olad, appliance) = lit().await;
        olad.wait_light(1, [0, 0, 0]).await;
        appliance.web().accepted(&command([255, 128, 1])).await;
        at_once(olad.wait_light(1, [255, 128, 1])).await;
    })
    .await;
}

#[tokio::test]
async fn a_thousand_changes_at_once_end_on_the_right_light_in_ola() {
    in_its_own_network(async || {
        let (olad, appliance) = lit().await;
        appliance.web().accepted(&command([1, 2, 3])).await;
        olad.wait_light(1, [1, 2, 3]).await; // the next refresh is a second away
        let last = burst(&appliance, 1000).await;
        at_once(olad.wait_light(1, last)).await;
        let frames = metric(&appliance, "frames_total").await;
        assert!(frames < 500.0, "{frames} frames: most changes were overtaken");
    })
    .await;
}

#[tokio::test]
async fn the_restored_light_is_in_ola_at_once_after_a_kill() {
    in_its_own_network(async || {
        let (olad, appliance) = lit().await;
        appliance.web().accepted(&command([9, 99, 199])).await;
        olad.wait_light(1, [9, 99, 199]).await;
        let (home, olad) = (appliance.kill9().await, olad.kill9().await);
        let olad = olad.start().await;
        assert_ne!(olad.levels(1).await.first(), Some(&9), "OLA has forgotten");
        let _appliance = home.start().await;
        at_once(olad.wait_light(1, [9, 99, 199])).await;
    })
    .await;
}

#[tokio::test]
async fn an_unpatched_universe_is_advice_and_heals_when_it_is_patched() {
    in_its_own_network(async || {
        let olad = Olad::start(None).await;
        let appliance = sending_to(&olad.url()).start().await;
        appliance.web().accepted(&command([1, 2, 3])).await;
        eventually("a third try", async || (errors(&appliance, "answer").await >= 3.0).then_some(())).await;
        let problems = down(&appliance.web()).await;
        assert!(problems.len() == 1 && problems[0].contains("patch universe 1 in OLA first"), "{problems:?}");
        assert_eq!(said(&appliance, "ola_error"), 1, "said once, not at every try");
        olad.patch(1).await;
        olad.wait_light(1, [1, 2, 3]).await;
        eventually("no problem left", async || down(&appliance.web()).await.is_empty().then_some(())).await;
        assert_eq!(metric(&appliance, "reconnects_total").await, 1.0);
        assert_eq!(said(&appliance, "ola_error"), 1);
    })
    .await;
}

#[tokio::test]
async fn olad_killed_and_started_again_has_the_present_light() {
    in_its_own_network(async || {
        let (olad, appliance) = lit().await;
        appliance.web().accepted(&command([1, 1, 1])).await;
        olad.wait_light(1, [1, 1, 1]).await;
        let gone = olad.kill9().await;
        appliance.web().accepted(&command([2, 2, 2])).await;
        eventually("it is noticed", async || (!down(&appliance.web()).await.is_empty()).then_some(())).await;
        let olad = gone.start().await;
        olad.wait_light(1, [2, 2, 2]).await;
        eventually("no problem left", async || down(&appliance.web()).await.is_empty().then_some(())).await;
        appliance.web().accepted(&command([3, 3, 3])).await;
        olad.wait_light(1, [3, 3, 3]).await;
    })
    .await;
}

#[tokio::test]
async fn a_static_light_stays_in_ola() {
    in_its_own_network(async || {
        let (olad, appliance) = lit().await;
        appliance.web().accepted(&command([4, 5, 6])).await;
        olad.wait_light(1, [4, 5, 6]).await;
        let start = Instant::now();
        let before = metric(&appliance, "frames_total").await;
        // OLA forgets a source after 2.5 s. The first of the five may be the frame of the command itself, which OLA has before it is
        // counted; the four after it span more than three seconds.
        let frames = async || metric(&appliance, "frames_total").await - before;
        eventually("four refreshes", async || (frames().await >= 5.0).then_some(())).await;
        assert!(start.elapsed() > Duration::from_secs(3), "one a second, not more: {:?}", start.elapsed());
        assert_eq!(olad.levels(1).await[..3], [4, 5, 6]);
        assert_eq!(said(&appliance, "ola_error"), 0);
    })
    .await;
}

/// Another program that keeps writing into universe 1 until it is dropped.
struct Rival(tokio::task::JoinHandle<()>);

impl Rival {
    /// Like a predecessor that still runs: over HTTP.
    fn over_http(url: &str, levels: &str) -> Self {
        let (url, body) = (url.to_owned(), format!("u=1&d={levels}"));
        Self(tokio::spawn(async move {
            let client = reqwest::Client::new();
            loop {
                let request = client.post(&url).header("content-type", "application/x-www-form-urlencoded");
                let _ = request.body(body.clone()).send().await; // olad ends with the test
                tokio::time::sleep(Duration::from_millis(25)).await; // the pace of its script
            }
        }))
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn overruled(appliance: &Appliance) -> Option<String> {
    let body = appliance.web().get("/readyz").await.json();
    let problems = body["problems"].as_array().expect("a list of problems").clone();
    let found = problems.into_iter().find(|problem| problem["code"] == "OUTPUT_OVERRULED")?;
    Some(found["message"].as_str().expect("a message").to_owned())
}

#[tokio::test]
async fn another_program_that_wins_in_our_universe_is_told_also_during_a_fade() {
    in_its_own_network(async || {
        let (olad, appliance) = lit().await;
        let web = appliance.web();
        web.accepted(&command([10, 20, 30])).await;
        olad.wait_light(1, [10, 20, 30]).await;
        let rival = Rival::over_http(&olad.url(), "99,98,97");
        let advice = eventually("the problem", async || overruled(&appliance).await).await;
        assert!(advice.starts_with("ola: ") && advice.contains("universe 1"), "{advice}");
        assert!(down(&web).await.is_empty(), "it takes frames");
        drop(rival);
        eventually("the end of the problem", async || overruled(&appliance).await.is_none().then_some(())).await;
        assert_eq!((said(&appliance, "output_overruled"), said(&appliance, "output_obeyed")), (1, 1));
        // While light moves, each answer is compared with the frame of that moment.
        let fade = r#"{"type":"dmx.fade","id":"f","universe":0,"patch":[{"ch":1,"val":255},{"ch":9,"val":255}],"durationMs":12000}"#;
        let answer = web.send(web.request(reqwest::Method::POST, "/command").body(fade)).await;
        assert_eq!(answer.json()["accepted"], true, "{answer:?}");
        eventually("the end of the fade", async || (web.state().await["r"] == 255).then_some(())).await;
        assert_eq!(said(&appliance, "output_overruled"), 1, "nobody else wrote");
        // a rival during a fade, and in the dark
        let fade = fade.replace("255", "0").replace("\"f\"", "\"g\"").replace("12000", "60000");
        web.send(web.request(reqwest::Method::POST, "/command").body(fade)).await;
        let rival = Rival::over_http(&olad.url(), "99");
        eventually("the problem", async || overruled(&appliance).await).await;
        drop(rival);
        eventually("the end of the problem", async || overruled(&appliance).await.is_none().then_some(())).await;
        web.send(web.request(reqwest::Method::POST, "/blackout").body(r#"{"on":true}"#)).await;
        olad.wait_light(1, [0, 0, 0]).await;
        let _rival = Rival::over_http(&olad.url(), "0,0,1");
        eventually("the problem", async || overruled(&appliance).await).await;
    })
    .await;
}

#[tokio::test]
async fn output_mode_ola_is_the_same_switch() {
    in_its_own_network(async || {
        let olad = Olad::start(Some(7)).await;
        let home = Home::new().set("OUTPUT_MODE", "ola").set("DMX_OLA_UNIVERSE", "7");
        let appliance = home.set("DMX_OLA_URL", olad.url()).start().await;
        appliance.web().accepted(&command([7, 8, 9])).await;
        olad.wait_light(7, [7, 8, 9]).await;
    })
    .await;
}

#[tokio::test]
async fn a_second_universe_of_ola_needs_only_itself() {
    in_its_own_network(async || {
        let (mut console, port) = TTYPort::pair().unwrap();
        let olad = Olad::start(Some(2)).await; // its only port; nobody has patched universe 1
        let home = sending_to(&olad.url()).set("DMX_OLA_UNIVERSES", "1:2");
        let home = home.set("DMX_INPUT_ENABLED", "1").set("DMX_INPUT_UNIVERSE", "1");
        let appliance = home.set("DMX_INPUT_PORT", port.name().unwrap()).start().await;
        drop(port);
        olad.wait_light(2, [0, 0, 0]).await;
        appliance.web().accepted(&command([1, 2, 3])).await;
        let problems = eventually("universe 1 is missing", async || {
            let problems = down(&appliance.web()).await;
            (!problems.is_empty()).then_some(problems)
        });
        let problems = problems.await;
        assert!(problems.len() == 1 && problems[0].starts_with("ola: "), "{problems:?}");
        olad.wait_light(2, [0, 0, 0]).await; // the lamp is not in our universe 1
        console.write_all(b"DMX: read value from channel 1: 99\r\n").unwrap();
        at_once(olad.wait_light(2, [99, 0, 0])).await;
    })
    .await;
}

#[tokio::test]
async fn a_stop_leaves_the_last_light_in_ola_or_a_dark_one() {
    in_its_own_network(async || {
        for (park, left) in [("hold", [20, 21, 22]), ("blackout", [0, 0, 0])] {
            let olad = Olad::start(Some(1)).await;
            // one frame a second: the last command comes long before its turn
            let home = sending_to(&olad.url()).set("DMX_OUTPUT_PARK", park).set("DMX_OLA_FPS", "1");
            let appliance = home.start().await;
            appliance.web().accepted(&command([10, 11, 12])).await;
            olad.wait_light(1, [10, 11, 12]).await;
            appliance.web().accepted(&command([20, 21, 22])).await;
            let (status, _home) = patiently("the stop", appliance.terminate()).await;
            assert_eq!(status.code(), Some(0));
            assert_eq!(olad.levels(1).await, light(left), "{park}");
        }
    })
    .await;
}
