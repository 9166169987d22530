//! What had arrived before the end of a connection is done before that end (CONTRACT, section 10).

use rustix::process::Signal;

use crate::harness::{Appliance, CMD, Connect, Link, Message, colour, command, encode, rgb_of};

const ROUNDS: usize = 150;

/// A PUBLISH at QoS 0.
fn say(topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
    encode::publish(&Message { topic: topic.into(), payload: payload.into(), qos: 0, retain, dup: false, pkid: 0 })
}

fn esp() -> Connect {
    Connect::new("esp").will("will", "gone", false)
}

async fn witness(appliance: &Appliance) -> Link {
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe_all(&[("said", 1), ("will", 1), ("marker", 1)]).await;
    witness
}

/// What the witness has heard of the rounds before, in order.
async fn heard(appliance: &Appliance, witness: &mut Link) -> Vec<String> {
    // taking over the id makes sure that the last session has ended
    let mut last = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    last.publish("marker", b"").await;
    let heard = witness.until("marker").await.iter().map(Message::text).collect();
    last.leave().await;
    heard
}

#[tokio::test]
async fn what_was_said_before_a_take_over_comes_before_the_will() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut here = Link::join(appliance.mqtt, &esp()).await;
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        here.send(&say("said", round.to_string().as_bytes(), false)).await;
        here = Link::join(appliance.mqtt, &esp()).await;
        expected.extend([round.to_string(), "gone".into()]);
    }
    here.leave().await;
    assert_eq!(heard(&appliance, &mut witness).await, expected);
}

#[tokio::test]
async fn who_has_said_disconnect_and_is_back_at_once_has_no_will() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut here = Link::join(appliance.mqtt, &esp()).await;
    for round in 0..ROUNDS {
        let said = say("said", round.to_string().as_bytes(), false);
        here.send(&[said.as_slice(), &encode::DISCONNECT].concat()).await;
        here = Link::join(appliance.mqtt, &if round % 2 == 0 { esp().persistent() } else { esp() }).await;
    }
    here.leave().await;
    let expected: Vec<_> = (0..ROUNDS).map(|round| round.to_string()).collect();
    assert_eq!(heard(&appliance, &mut witness).await, expected);
}

/// It waits for no CONNACK ([MQTT-3.1.4-5] allows that), so both connections may be new to the broker.
#[tokio::test]
async fn of_two_connections_of_one_client_the_older_goes_first() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let mut last = None;
        for part in ["one", "two"] {
            let said = format!("{round} {part}");
            let mut link = Link::open(appliance.mqtt).await;
            let bytes = [esp().encode(), say("said", said.as_bytes(), false), encode::DISCONNECT.into()].concat();
            link.send(&bytes).await;
            expected.push(said);
            last = Some(link);
        }
        last.unwrap().closed().await;
    }
    assert_eq!(heard(&appliance, &mut witness).await, expected);
}

/// As after a power cut: all of them are in the kernel before the first is looked at.
#[tokio::test]
async fn of_many_connections_at_once_each_clients_older_goes_first() {
    const CLIENTS: usize = 120; // two sockets each, of 256 that may wait
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    appliance.freeze().await;
    let mut links = Vec::new();
    for part in ["one", "two"] {
        for client in 0..CLIENTS {
            let mut link = Link::open(appliance.mqtt).await;
            let connect = Connect::new(&format!("esp-{client}")).encode();
            let said = say("said", format!("{client} {part}").as_bytes(), false);
            link.send(&[connect, said, encode::DISCONNECT.into()].concat()).await;
            links.push(link);
        }
    }
    appliance.signal(Signal::CONT);
    for mut link in links {
        link.closed().await;
    }
    let heard = heard(&appliance, &mut witness).await;
    let of = |client: usize| {
        heard.iter().filter_map(move |said| said.strip_prefix(&format!("{client} ")).map(str::to_owned))
    };
    let swapped: Vec<_> = (0..CLIENTS).filter(|client| !of(*client).eq(["one", "two"])).collect();
    assert!(swapped.is_empty(), "{swapped:?}");
}

#[tokio::test]
async fn what_was_said_before_a_reset_is_heard_although_answers_reach_nobody() {
    const MESSAGES: u16 = 50; // more would not fit into the kernel, and a reset discards the rest
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let message = |n: u16| Message {
        topic: "said".into(),
        payload: [n.to_string().as_bytes(), &[b' '; 1024]].concat(),
        qos: 1,
        retain: false,
        dup: false,
        pkid: n,
    };
    let bytes: Vec<_> = (1..=MESSAGES).flat_map(|n| encode::publish(&message(n))).chain(encode::DISCONNECT).collect();
    for round in 0..ROUNDS / 5 {
        let mut here = Link::join(appliance.mqtt, &esp()).await;
        here.send(&bytes).await;
        here.reset();
        let heard = heard(&appliance, &mut witness).await;
        let heard: Vec<_> = heard.iter().map(|text| text.trim_end()).collect();
        let expected: Vec<_> = (1..=MESSAGES).map(|n| n.to_string()).collect();
        assert_eq!(heard, expected, "round {round}");
    }
}

#[tokio::test]
async fn what_was_said_before_a_stop_is_applied_and_kept() {
    const CHANGES: u32 = 40;
    let mut appliance = Appliance::start().await;
    for round in 0..5 {
        let mut here = Link::join(appliance.mqtt, &esp()).await;
        let before = appliance.web().seq().await;
        let mut bytes = Vec::new();
        for n in 1..=CHANGES {
            bytes.extend(say(CMD, command(colour(round * CHANGES + n)).to_string().as_bytes(), false));
            bytes.extend(say("kept", format!("{round} {n}").as_bytes(), true));
        }
        here.send(&bytes).await;
        appliance = appliance.restart().await;
        let state = appliance.web().state().await;
        assert_eq!(state["seq"].as_u64(), Some(before + u64::from(CHANGES)), "round {round}");
        assert_eq!(rgb_of(&state), colour(round * CHANGES + CHANGES));
        let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
        late.subscribe("kept", 1).await;
        assert_eq!(late.message().await.text(), format!("{round} {CHANGES}"));
    }
}

/// The appliance is late, not the clients: their pings had arrived in time.
#[tokio::test]
async fn who_has_pinged_in_time_is_not_silent_although_it_is_read_late() {
    let (appliance, other) = (Appliance::start().await, Appliance::start().await);
    let mut links = Vec::new();
    for n in 0..16 {
        let connect = Connect::new(&format!("esp {n}")).keep_alive(2).will("will", "gone", false);
        links.push(Link::join(appliance.mqtt, &connect).await);
    }
    appliance.freeze().await;
    for link in &mut links {
        link.send(&encode::PING).await;
    }
    // It gets no processor until another one has missed a client with the same keep-alive.
    let mut silent = Link::join(other.mqtt, &Connect::new("silent").keep_alive(2)).await;
    silent.closed().await;
    appliance.signal(Signal::CONT);
    for link in &mut links {
        assert_eq!(link.answer().await, crate::harness::Packet::PingResp);
        link.ping().await;
    }
}

#[tokio::test]
async fn a_client_that_never_stops_talking_is_taken_over_all_the_same() {
    let appliance = Appliance::start().await;
    let mut here = Link::join(appliance.mqtt, &esp()).await;
    let flood = say("said", &[b'x'; 1000], false).repeat(100);
    let talking = tokio::spawn(async move {
        loop {
            here.send_into_the_void(&flood).await;
        }
    });
    for _ in 0..3 {
        Link::join(appliance.mqtt, &esp()).await.ping().await;
    }
    talking.abort();
}
