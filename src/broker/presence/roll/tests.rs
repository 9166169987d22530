//! The roll by examples and against a plain model.

use proptest::prelude::*;

use super::*;

fn gone(why: &str) -> Leaving {
    Leaving { why: why.into(), will_published: false, stays: false }
}

fn names(names: &[Name]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// Connects without a will.
fn connect(roll: &mut Roll, name: &str, now: u64) -> u64 {
    roll.connected(name, "10.0.0.1:5", None, now).0
}

#[test]
fn whoever_published_last_stands_for_the_device() {
    let mut roll = Roll::new(10);
    let one = connect(&mut roll, "one", 1);
    connect(&mut roll, "two", 1);
    roll.published("esp", "one", 2);
    roll.say("esp", Some(true), 2);
    roll.published("esp", "two", 3);
    roll.left("one", one, &gone("disconnect"), 4);
    assert_eq!(roll.left_online("one", None), []);
    assert!(roll.devices()[0].online);
    assert_eq!(roll.devices()[0].client_id.as_deref(), Some("two"));
}

#[test]
fn a_device_that_is_left_online_is_spoken_for_unless_the_will_was_there() {
    let mut roll = Roll::new(10);
    let (visit, _) = roll.connected("gateway", "10.0.0.1:5", Some("a"), 1);
    for id in ["a", "b", "c", "d"] {
        roll.published(id, "gateway", 1);
    }
    roll.say("a", Some(true), 2);
    roll.say("b", Some(true), 2);
    roll.say("c", Some(false), 2);
    roll.left("gateway", visit, &gone("keep-alive"), 3);
    assert_eq!(names(&roll.left_online("gateway", Some("a"))), ["b"], "c says that it is offline, d nothing");
    assert_eq!(names(&roll.left_online("gateway", None)), ["a", "b"]);
}

#[test]
fn a_client_that_never_published_there_is_never_spoken_for() {
    let mut roll = Roll::new(10);
    roll.found("esp", Some(true), 1);
    assert_eq!(names(&roll.found_online()), ["esp"]);
    let (visit, _) = roll.connected("esp", "10.0.0.1:5", Some("esp"), 2);
    assert_eq!(roll.devices()[0].client_id.as_deref(), Some("esp"), "named by its will");
    roll.left("esp", visit, &gone("disconnect"), 3);
    assert_eq!(roll.left_online("esp", None), []);
}

#[test]
fn a_will_names_a_device_only_until_somebody_publishes() {
    let mut roll = Roll::new(10);
    roll.connected("named", "10.0.0.1:5", Some("esp"), 1);
    roll.connected("later", "10.0.0.1:5", Some("esp"), 1);
    assert_eq!(roll.devices()[0].client_id.as_deref(), Some("later"));
    roll.published("esp", "named", 2);
    roll.connected("third", "10.0.0.1:5", Some("esp"), 3);
    assert_eq!(roll.devices()[0].client_id.as_deref(), Some("named"));
}

#[test]
fn without_a_retained_word_the_connection_decides() {
    let mut roll = Roll::new(10);
    let visit = connect(&mut roll, "esp", 1);
    roll.published("esp", "esp", 2);
    assert_eq!((roll.devices()[0].online, roll.devices()[0].since), (true, 2));
    roll.left("esp", visit, &gone("disconnect"), 3);
    assert_eq!((roll.devices()[0].online, roll.devices()[0].since), (false, 3));
    connect(&mut roll, "esp", 4);
    assert_eq!((roll.devices()[0].online, roll.devices()[0].since), (true, 4));
    roll.say("esp", Some(false), 5);
    roll.say("esp", Some(false), 6);
    assert_eq!((roll.devices()[0].online, roll.devices()[0].since), (false, 5), "the word counts, and its first time");
}

#[test]
fn a_take_over_leaves_the_device_online() {
    let mut roll = Roll::new(10);
    let old = connect(&mut roll, "esp", 1);
    roll.published("esp", "esp", 1);
    roll.take_changed();
    roll.left("esp", old, &Leaving { why: "taken over".into(), will_published: false, stays: true }, 2);
    let new = connect(&mut roll, "esp", 2);
    assert_eq!((roll.devices()[0].online, roll.devices()[0].since), (true, 1));
    roll.left("esp", old, &gone("late"), 3);
    assert!(roll.devices()[0].online, "the end of the old connection is not the end of the new one");
    roll.left("esp", new, &gone("disconnect"), 4);
    assert!(!roll.devices()[0].online);
}

#[test]
fn a_deleted_word_takes_a_device_off_unless_its_client_is_there() {
    let mut roll = Roll::new(10);
    roll.found("old", Some(false), 1);
    connect(&mut roll, "esp", 1);
    roll.published("esp", "esp", 1);
    roll.say("esp", Some(false), 1);
    roll.deleted("old", 2);
    roll.deleted("esp", 2);
    let devices = roll.devices();
    assert_eq!(devices.iter().map(|device| (device.id.as_str(), device.online)).collect::<Vec<_>>(), [("esp", true)]);
}

#[test]
fn too_many_devices_forget_the_one_longest_offline_and_never_one_that_is_online() {
    let mut roll = Roll::new(3);
    roll.found("a", Some(true), 1);
    roll.found("b", Some(false), 1);
    roll.found("c", Some(false), 1);
    roll.say("b", Some(true), 2);
    roll.say("b", Some(false), 3);
    roll.found("d", Some(true), 4);
    let ids = |roll: &Roll| roll.devices().into_iter().map(|device| device.id).collect::<Vec<_>>();
    assert_eq!(
        (ids(&roll), roll.take_forgotten()),
        (vec!["a".into(), "b".into(), "d".into()], 1),
        "c was longest offline"
    );
    roll.say("b", Some(true), 5);
    roll.found("e", Some(true), 6);
    assert_eq!((ids(&roll), roll.take_forgotten()), (vec!["a".into(), "b".into(), "d".into()], 1));
}

#[test]
fn the_client_behind_a_device_is_remembered_and_of_others_the_last_hundred() {
    let mut roll = Roll::new(10);
    let esp = connect(&mut roll, "esp", 1);
    roll.published("esp", "esp", 1);
    roll.left("esp", esp, &gone("keep-alive"), 2);
    for n in 0..PASSERS + 5 {
        let visit = connect(&mut roll, &format!("passer-{n}"), 3);
        roll.left(&format!("passer-{n}"), visit, &gone("disconnect"), 4);
    }
    let clients = roll.clients();
    assert_eq!(clients.len(), PASSERS + 1);
    let end = clients[0].last_disconnect.as_ref().map(|end| (end.at, end.why.as_str()));
    assert_eq!((clients[0].client_id.as_str(), end), ("esp", Some((2, "keep-alive"))));
    roll.deleted("esp", 5);
    assert_eq!(roll.clients().len(), PASSERS, "it stands for nothing any more");
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
fn check(roll: &Roll) {
    assert!(roll.devices.len() <= roll.most);
    let offline: Vec<_> = roll.offline.values().collect();
    for (id, device) in &roll.devices {
        let there = device.client.as_ref().is_some_and(|name| roll.is_connected(name));
        assert_eq!(device.online, device.says.unwrap_or(there), "{id}");
        assert_eq!(roll.offline.get(&device.turn) == Some(id), !device.online, "{id}");
        if let Some(name) = &device.client {
            assert!(roll.clients[name].devices.contains(id), "{name} stands for {id}");
        }
    }
    assert_eq!(offline.len(), roll.devices.len() - roll.online());
    for (name, client) in &roll.clients {
        assert!(client.devices.iter().all(|id| roll.devices[id].client.as_ref() == Some(name)), "{name}");
        let passes = client.visit.is_none() && client.devices.is_empty();
        assert_eq!(client.turn.is_some_and(|turn| roll.passers.get(&turn) == Some(name)), passes, "{name}");
    }
    assert_eq!(roll.passers.len(), roll.clients.values().filter(|client| client.turn.is_some()).count());
}

proptest! {
    #[test]
    fn whatever_happens_the_roll_is_true_and_bounded(events in prop::collection::vec(event(), 0..200)) {
        let mut roll = Roll::new(4);
        let mut visits = [None; 4];
        for (now, event) in (1u64..).zip(events) {
            match event {
                Event::Connect(c, device) if visits[usize::from(c)].is_none() => {
                    let device = device.map(|d| d.to_string());
                    visits[usize::from(c)] = Some(roll.connected(&c.to_string(), "10.0.0.1:5", device.as_deref(), now).0);
                }
                Event::Leave(c) => {
                    if let Some(visit) = visits[usize::from(c)].take() {
                        roll.left(&c.to_string(), visit, &gone("x"), now);
                        for id in roll.left_online(&c.to_string(), None) {
                            roll.say(&id, Some(false), now);
                        }
                    }
                }
                Event::TakeOver(c) => {
                    if let Some(visit) = visits[usize::from(c)] {
                        roll.left(&c.to_string(), visit, &Leaving { stays: true, ..gone("x") }, now);
                        visits[usize::from(c)] = Some(roll.connected(&c.to_string(), "10.0.0.1:5", None, now).0);
                    }
                }
                Event::Publish(c, d, says) if visits[usize::from(c)].is_some() => {
                    roll.published(&d.to_string(), &c.to_string(), now);
                    roll.say(&d.to_string(), says, now);
                }
                Event::Delete(d) => roll.deleted(&d.to_string(), now),
                Event::Connect(..) | Event::Publish(..) => {}
            }
            check(&roll);
            // Nobody is left online who has gone, and nobody is spoken for who is there.
            for (id, device) in roll.devices.iter().filter(|(_, device)| device.published) {
                let there = device.client.as_ref().is_some_and(|name| roll.is_connected(name));
                prop_assert!(there || device.says != Some(true), "{}", id);
            }
        }
    }
}
