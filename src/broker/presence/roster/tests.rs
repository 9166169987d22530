//! The roster by examples and against a plain model.

use proptest::prelude::*;

use super::*;

fn gone(why: &str) -> Leaving {
    Leaving { why: why.into(), will_published: false, stays: false }
}

fn names(names: &[Name]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// Connects without a will.
fn connect(roster: &mut Roster, name: &str, now: u64) -> u64 {
    roster.connected(name, "10.0.0.1:5", None, now).0
}

#[test]
fn whoever_published_last_stands_for_the_device() {
    let mut roster = Roster::new(10);
    let one = connect(&mut roster, "one", 1);
    connect(&mut roster, "two", 1);
    roster.published("esp", "one", 2);
    roster.say("esp", Some(true), 2);
    roster.published("esp", "two", 3);
    roster.left("one", one, &gone("disconnect"), 4);
    assert_eq!(roster.left_online("one", None), []);
    assert!(roster.devices()[0].online);
    assert_eq!(roster.devices()[0].client_id.as_deref(), Some("two"));
}

#[test]
fn a_device_that_is_left_online_is_spoken_for_unless_the_will_was_there() {
    let mut roster = Roster::new(10);
    let (visit, _) = roster.connected("gateway", "10.0.0.1:5", Some("a"), 1);
    for id in ["a", "b", "c", "d"] {
        roster.published(id, "gateway", 1);
    }
    roster.say("a", Some(true), 2);
    roster.say("b", Some(true), 2);
    roster.say("c", Some(false), 2);
    roster.left("gateway", visit, &gone("keep-alive"), 3);
    assert_eq!(names(&roster.left_online("gateway", Some("a"))), ["b"], "c says that it is offline, d nothing");
    assert_eq!(names(&roster.left_online("gateway", None)), ["a", "b"]);
}

#[test]
fn a_client_that_never_published_there_is_never_spoken_for() {
    let mut roster = Roster::new(10);
    roster.found("esp", Some(true), 1);
    assert_eq!(names(&roster.found_online()), ["esp"]);
    let (visit, _) = roster.connected("esp", "10.0.0.1:5", Some("esp"), 2);
    assert_eq!(roster.devices()[0].client_id.as_deref(), Some("esp"), "named by its will");
    roster.left("esp", visit, &gone("disconnect"), 3);
    assert_eq!(roster.left_online("esp", None), []);
}

#[test]
fn a_will_names_a_device_only_until_somebody_publishes() {
    let mut roster = Roster::new(10);
    roster.connected("named", "10.0.0.1:5", Some("esp"), 1);
    roster.connected("later", "10.0.0.1:5", Some("esp"), 1);
    assert_eq!(roster.devices()[0].client_id.as_deref(), Some("later"));
    roster.published("esp", "named", 2);
    roster.connected("third", "10.0.0.1:5", Some("esp"), 3);
    assert_eq!(roster.devices()[0].client_id.as_deref(), Some("named"));
}

#[test]
fn without_a_retained_word_the_connection_decides() {
    let mut roster = Roster::new(10);
    let visit = connect(&mut roster, "esp", 1);
    roster.published("esp", "esp", 2);
    assert_eq!((roster.devices()[0].online, roster.devices()[0].since), (true, 2));
    roster.left("esp", visit, &gone("disconnect"), 3);
    assert_eq!((roster.devices()[0].online, roster.devices()[0].since), (false, 3));
    connect(&mut roster, "esp", 4);
    assert_eq!((roster.devices()[0].online, roster.devices()[0].since), (true, 4));
    roster.say("esp", Some(false), 5);
    roster.say("esp", Some(false), 6);
    assert_eq!(
        (roster.devices()[0].online, roster.devices()[0].since),
        (false, 5),
        "the word counts, and its first time"
    );
}

#[test]
fn a_take_over_leaves_the_device_online() {
    let mut roster = Roster::new(10);
    let old = connect(&mut roster, "esp", 1);
    roster.published("esp", "esp", 1);
    roster.take_changed();
    roster.left("esp", old, &Leaving { why: "taken over".into(), will_published: false, stays: true }, 2);
    let new = connect(&mut roster, "esp", 2);
    assert_eq!((roster.devices()[0].online, roster.devices()[0].since), (true, 1));
    roster.left("esp", old, &gone("late"), 3);
    assert!(roster.devices()[0].online, "the end of the old connection is not the end of the new one");
    roster.left("esp", new, &gone("disconnect"), 4);
    assert!(!roster.devices()[0].online);
}

#[test]
fn a_deleted_word_takes_a_device_off_unless_its_client_is_there() {
    let mut roster = Roster::new(10);
    roster.found("old", Some(false), 1);
    connect(&mut roster, "esp", 1);
    roster.published("esp", "esp", 1);
    roster.say("esp", Some(false), 1);
    roster.deleted("old", 2);
    roster.deleted("esp", 2);
    let devices = roster.devices();
    assert_eq!(devices.iter().map(|device| (device.id.as_str(), device.online)).collect::<Vec<_>>(), [("esp", true)]);
}

#[test]
fn too_many_devices_forget_the_one_longest_offline_and_never_one_that_is_online() {
    let mut roster = Roster::new(3);
    roster.found("a", Some(true), 1);
    roster.found("b", Some(false), 1);
    roster.found("c", Some(false), 1);
    roster.say("b", Some(true), 2);
    roster.say("b", Some(false), 3);
    roster.found("d", Some(true), 4);
    let ids = |roster: &Roster| roster.devices().into_iter().map(|device| device.id).collect::<Vec<_>>();
    assert_eq!(
        (ids(&roster), roster.take_forgotten()),
        (vec!["a".into(), "b".into(), "d".into()], 1),
        "c was longest offline"
    );
    roster.say("b", Some(true), 5);
    roster.found("e", Some(true), 6);
    assert_eq!((ids(&roster), roster.take_forgotten()), (vec!["a".into(), "b".into(), "d".into()], 1));
}

#[test]
fn the_client_behind_a_device_is_remembered_and_of_others_the_last_hundred() {
    let mut roster = Roster::new(10);
    let esp = connect(&mut roster, "esp", 1);
    roster.published("esp", "esp", 1);
    roster.left("esp", esp, &gone("keep-alive"), 2);
    for n in 0..PASSERS + 5 {
        let visit = connect(&mut roster, &format!("passer-{n}"), 3);
        roster.left(&format!("passer-{n}"), visit, &gone("disconnect"), 4);
    }
    let clients = roster.clients();
    assert_eq!(clients.len(), PASSERS + 1);
    let end = clients[0].last_disconnect.as_ref().map(|end| (end.at, end.why.as_str()));
    assert_eq!((clients[0].client_id.as_str(), end), ("esp", Some((2, "keep-alive"))));
    roster.deleted("esp", 5);
    assert_eq!(roster.clients().len(), PASSERS, "it stands for nothing any more");
}

#[test]
fn an_address_is_shown_without_its_port_and_as_what_it_is() {
    for (peer, expected) in [
        ("10.0.0.1:5", Some("10.0.0.1")),
        ("[fe80::1]:5", Some("fe80::1")),
        ("[::ffff:10.0.0.1]:5", Some("10.0.0.1")),
        ("somewhere", None),
    ] {
        assert_eq!(ip(peer).as_deref(), expected);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Connect(u8, Option<u8>),
    Leave(u8),
    TakeOver(u8),
    Publish(u8, u8, Option<bool>),
    Delete(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let (client, device) = (0u8..4, 0u8..6);
    prop_oneof![
        (client.clone(), prop::option::of(device.clone())).prop_map(|(c, d)| Event::Connect(c, d)),
        client.clone().prop_map(Event::Leave),
        client.clone().prop_map(Event::TakeOver),
        (client, device.clone(), any::<Option<bool>>()).prop_map(|(c, d, says)| Event::Publish(c, d, says)),
        device.prop_map(Event::Delete),
    ]
}

/// What must hold between any two events.
fn check(roster: &Roster) {
    assert!(roster.devices.len() <= roster.most);
    let offline: Vec<_> = roster.offline.values().collect();
    for (id, device) in &roster.devices {
        let there = device.client.as_ref().is_some_and(|name| roster.is_connected(name));
        assert_eq!(device.online, device.says.unwrap_or(there), "{id}");
        assert_eq!(roster.offline.get(&device.turn) == Some(id), !device.online, "{id}");
        if let Some(name) = &device.client {
            assert!(roster.clients[name].devices.contains(id), "{name} stands for {id}");
        }
    }
    assert_eq!(offline.len(), roster.devices.len() - roster.online());
    for (name, client) in &roster.clients {
        assert!(client.devices.iter().all(|id| roster.devices[id].client.as_ref() == Some(name)), "{name}");
        let passes = client.visit.is_none() && client.devices.is_empty();
        assert_eq!(client.turn.is_some_and(|turn| roster.passers.get(&turn) == Some(name)), passes, "{name}");
    }
    assert_eq!(roster.passers.len(), roster.clients.values().filter(|client| client.turn.is_some()).count());
}

proptest! {
    #[test]
    fn whatever_happens_the_roll_is_true_and_bounded(events in prop::collection::vec(event(), 0..200)) {
        let mut roster = Roster::new(4);
        let mut visits = [None; 4];
        for (now, event) in (1u64..).zip(events) {
            match event {
                Event::Connect(c, device) if visits[usize::from(c)].is_none() => {
                    let device = device.map(|d| d.to_string());
                    visits[usize::from(c)] = Some(roster.connected(&c.to_string(), "10.0.0.1:5", device.as_deref(), now).0);
                }
                Event::Leave(c) => {
                    if let Some(visit) = visits[usize::from(c)].take() {
                        roster.left(&c.to_string(), visit, &gone("x"), now);
                        for id in roster.left_online(&c.to_string(), None) {
                            roster.say(&id, Some(false), now);
                        }
                    }
                }
                Event::TakeOver(c) => {
                    if let Some(visit) = visits[usize::from(c)] {
                        roster.left(&c.to_string(), visit, &Leaving { stays: true, ..gone("x") }, now);
                        visits[usize::from(c)] = Some(roster.connected(&c.to_string(), "10.0.0.1:5", None, now).0);
                    }
                }
                Event::Publish(c, d, says) if visits[usize::from(c)].is_some() => {
                    roster.published(&d.to_string(), &c.to_string(), now);
                    roster.say(&d.to_string(), says, now);
                }
                Event::Delete(d) => roster.deleted(&d.to_string(), now),
                Event::Connect(..) | Event::Publish(..) => {}
            }
            check(&roster);
            // Nobody is left online who has gone, and nobody is spoken for who is there.
            for (id, device) in roster.devices.iter().filter(|(_, device)| device.published) {
                let there = device.client.as_ref().is_some_and(|name| roster.is_connected(name));
                prop_assert!(there || device.says != Some(true), "{}", id);
            }
        }
    }
}
