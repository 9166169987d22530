//! What a client may publish, subscribe to and be given, by topic. Pure.
//!
//! A role gives topics, lines of `mqtt.acl` give more or take away, and a denial wins. What is dmxd's alone nobody publishes
//! (`policy`), whatever stands here. Who may do everything has no [`Grant`] at all, so nothing is asked for them.

use super::covering::{covers, overlap};
use super::policy::{ACK, DEVICES, Topics, UPDATES};
use super::topic::Filter;
use crate::config::{AclLine, AclVerb};
use crate::wire::Role;

/// What somebody is to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// May do everything that is not dmxd's alone.
    Everything,
    /// What the role says.
    Role(Role),
    /// What a device may, under its client id: nobody has given it a name.
    Unnamed,
    /// Nothing but what `mqtt.acl` says.
    Nothing,
}

/// Whom a grant is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder<'a> {
    pub(super) standing: Standing,
    /// The name of the user; `None`: nobody knows who it is.
    pub(super) user: Option<&'a str>,
    pub(super) client: &'a str,
}

/// Topics that are allowed.
#[derive(Clone, Debug)]
enum Allowed {
    All,
    /// Of the topics of devices only those of this client's own.
    AllButOthersDevices(Option<String>),
    These,
}

/// One direction.
#[derive(Clone, Debug)]
struct Side {
    allowed: Allowed,
    /// Further ones that are.
    these: Vec<Filter>,
}

/// What one client may do, if that is not everything.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    reads: Side,
    writes: Side,
    denied: Vec<Filter>,
}

impl Side {
    fn new(allowed: Allowed) -> Self {
        Self { allowed, these: Vec::new() }
    }

    fn all(&self) -> bool {
        matches!(self.allowed, Allowed::All)
    }

    fn has(&self, topic: &str) -> bool {
        let by_role = match &self.allowed {
            Allowed::All => true,
            Allowed::AllButOthersDevices(own) => match topic.strip_prefix(DEVICES) {
                Some(rest) => own.as_deref().is_some_and(|own| rest.split('/').next() == Some(own)),
                None => true,
            },
            Allowed::These => false,
        };
        by_role || self.these.iter().any(|filter| filter.matches(topic))
    }

    /// Whether some topic of a filter may be among them.
    fn meets(&self, filter: &str) -> bool {
        !matches!(self.allowed, Allowed::These) || self.these.iter().any(|these| overlap(these.as_str(), filter))
    }

    /// Whether all topics of a filter are among them.
    fn covers(&self, filter: &str) -> bool {
        self.all() || self.these.iter().any(|these| covers(these.as_str(), filter))
    }
}

/// Whether a name can stand in a filter for itself and nothing else. One that begins with `$` would reach topics of the
/// broker's.
fn as_level(name: &str) -> Option<&str> {
    let plain = !name.is_empty() && !name.starts_with('$') && !name.contains(['+', '#', '/', '\0']);
    plain.then_some(name)
}

/// A line's filter for one client; `None`: it has a placeholder for which there is no name.
fn filled(line: &AclLine, holder: &Holder<'_>) -> Option<Filter> {
    let (mut text, mut rest) = (String::new(), line.filter.as_str());
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        rest = if let Some(rest) = after.strip_prefix('u') {
            text.push_str(as_level(holder.user?)?);
            rest
        } else if let Some(rest) = after.strip_prefix('c') {
            text.push_str(as_level(holder.client)?);
            rest
        } else {
            text.push('%');
            after
        };
    }
    text.push_str(rest);
    Filter::new(&text)
}

/// What a lamp or button reads, beside its own topics.
fn read_by_devices(topics: &Topics) -> impl Iterator<Item = String> {
    [topics.state.as_str(), &topics.rejected, &topics.server, ACK, UPDATES]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("{}/desk/state", topics.prefix)])
}

/// Topics of one device: what it says of itself, and the light of one lamp.
fn of_device(name: &str, topics: &Topics) -> [String; 2] {
    [format!("{DEVICES}{name}/#"), format!("{}/lamps/{name}/#", topics.prefix)]
}

impl Grant {
    /// What somebody may do; `None`: everything.
    pub(super) fn new(holder: &Holder<'_>, acl: &[AclLine], topics: &Topics) -> Option<Self> {
        let (reads, writes) = by_standing(holder);
        let mut grant = Self { reads: Side::new(reads), writes: Side::new(writes), denied: Vec::new() };
        let device = match holder.standing {
            Standing::Role(Role::Device) => Some(holder.user),
            Standing::Unnamed => Some(Some(holder.client)),
            _ => None,
        };
        if let Some(name) = device {
            grant.add_device(name.and_then(as_level), topics);
        }
        let folded = |name: &str| name.to_lowercase();
        let user = holder.user.map(folded);
        let is_meant = |line: &&AclLine| line.user.as_ref().is_none_or(|meant| user == Some(folded(meant)));
        for line in acl.iter().filter(is_meant) {
            match (line.verb, filled(line, holder)) {
                (AclVerb::Read, Some(filter)) => grant.reads.these.push(filter),
                (AclVerb::Write, Some(filter)) => grant.writes.these.push(filter),
                (AclVerb::Deny, Some(filter)) => grant.denied.push(filter),
                (_, None) => {}
            }
        }
        let everything = grant.reads.all() && grant.writes.all() && grant.denied.is_empty();
        (!everything).then_some(grant)
    }

    fn add_device(&mut self, name: Option<&str>, topics: &Topics) {
        let filter = |text: String| Filter::new(&text);
        self.reads.these.extend(read_by_devices(topics).filter_map(filter));
        self.writes.these.extend(topics.commands().filter_map(Filter::new));
        if let Some(name) = name {
            let [own, lamp] = of_device(name, topics);
            self.writes.these.extend(Filter::new(&own));
            self.reads.these.extend([own, lamp].into_iter().filter_map(filter));
        }
    }

    fn denies(&self, topic: &str) -> bool {
        self.denied.iter().any(|filter| filter.matches(topic))
    }

    /// Whether a message of this topic may come from the client.
    pub(super) fn may_write(&self, topic: &str) -> bool {
        self.writes.has(topic) && !self.denies(topic)
    }

    /// Whether a message of this topic may be given to the client.
    pub(super) fn may_read(&self, topic: &str) -> bool {
        self.reads.has(topic) && !self.denies(topic)
    }

    /// Whether everything may be given to the client, so that nothing has to be asked.
    pub(super) fn reads_all(&self) -> bool {
        self.reads.all() && self.denied.is_empty()
    }

    /// Whether the client may subscribe. A wildcard is granted if anything of it may be readable, and each message is asked
    /// about; what a shared one brings must all be readable, or the group would lose what this member may not have.
    pub(super) fn may_subscribe(&self, filter: &Filter) -> bool {
        if let Some((_, shared)) = filter.shared() {
            return self.reads.covers(shared) && !self.denied.iter().any(|denied| overlap(denied.as_str(), shared));
        }
        if filter.is_exact() {
            return self.may_read(filter.as_str());
        }
        self.reads.meets(filter.as_str()) && !self.denied.iter().any(|denied| covers(denied.as_str(), filter.as_str()))
    }
}

/// What a standing reads and writes, before names and lines.
fn by_standing(holder: &Holder<'_>) -> (Allowed, Allowed) {
    match holder.standing {
        Standing::Everything | Standing::Role(Role::Edit | Role::Admin) => (Allowed::All, Allowed::All),
        Standing::Role(Role::Operate) => {
            (Allowed::All, Allowed::AllButOthersDevices(as_level(holder.client).map(str::to_owned)))
        }
        Standing::Role(Role::View) => (Allowed::All, Allowed::These),
        Standing::Role(Role::Device) | Standing::Unnamed | Standing::Nothing => (Allowed::These, Allowed::These),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIGHT: &str = "v1/demo/rgb/state";
    const COMMAND: &str = "v1/demo/rgb/cmd";

    fn grant(standing: Standing, user: Option<&str>, client: &str, acl: &[&str]) -> Option<Grant> {
        let acl: Vec<AclLine> = acl.iter().map(|line| line_of(line)).collect();
        Grant::new(&Holder { standing, user, client }, &acl, &Topics::new("v1/demo"))
    }

    fn line_of(line: &str) -> AclLine {
        let mut words = line.splitn(3, ' ');
        let (user, verb, filter) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let verb = match verb {
            "read" => AclVerb::Read,
            "write" => AclVerb::Write,
            _ => AclVerb::Deny,
        };
        AclLine { user: (user != "*").then(|| user.to_owned()), verb, filter: filter.to_owned() }
    }

    /// Each kind of topic: who reads it, who writes it (v, o, e, d for the roles), as docs/wire.md has it.
    #[test]
    fn a_role_has_the_topics_that_the_table_gives_it() {
        let table = [
            (LIGHT, "vod", "o"), // that it is dmxd's alone is not asked here
            ("v1/demo/rgb/rejected", "vod", "o"),
            ("dmx/ack", "vod", "o"),
            ("dmx/state", "vod", "o"),
            ("v1/devices/server/state", "vod", ""),
            ("v1/demo/desk/state", "vod", "o"),
            ("v1/demo/lamps/lamp/state", "vod", "o"),
            ("v1/demo/lamps/other/state", "vo", "o"),
            (COMMAND, "vo", "od"),
            ("v1/demo/blackout/cmd", "vo", "od"),
            ("dmx/command", "vo", "od"),
            ("v1/devices/lamp/state", "vod", "od"),
            ("v1/devices/lamp/a/b", "vod", "od"),
            ("v1/devices/lamp2/state", "vo", ""),
            ("home/door", "vo", "o"),
            ("$SYS/broker/uptime", "vo", "o"),
        ];
        for (letter, role) in [("v", Role::View), ("o", Role::Operate), ("d", Role::Device)] {
            let one = grant(Standing::Role(role), Some("lamp"), "lamp", &[]).unwrap();
            for (topic, read, write) in table {
                assert_eq!(one.may_read(topic), read.contains(letter), "{role} reads {topic}");
                assert_eq!(one.may_write(topic), write.contains(letter), "{role} writes {topic}");
            }
        }
        let unnamed = grant(Standing::Unnamed, None, "lamp", &[]).unwrap();
        let nothing = grant(Standing::Nothing, None, "lamp", &[]).unwrap();
        for (topic, read, write) in table {
            assert_eq!((unnamed.may_read(topic), unnamed.may_write(topic)), (read.contains('d'), write.contains('d')));
            assert!(!nothing.may_read(topic) && !nothing.may_write(topic), "{topic}");
        }
        for standing in [Standing::Everything, Standing::Role(Role::Edit), Standing::Role(Role::Admin)] {
            assert!(grant(standing, Some("anna"), "x", &[]).is_none(), "{standing:?}");
        }
    }

    #[test]
    fn a_name_that_would_be_a_filter_or_another_path_gives_nothing() {
        for id in ["", "+", "#", "a/b", "$SYS", "a+", "lamp/#"] {
            let one = grant(Standing::Unnamed, None, id, &["* read %c/#", "* write %c/#"]).unwrap();
            for topic in
                ["v1/devices/a/b/state", "v1/devices/lamp/state", "$SYS/broker/uptime", "a/b", "x", "v1/devices//x"]
            {
                assert!(!one.may_read(topic) && !one.may_write(topic), "{id} {topic}");
            }
            let operate = grant(Standing::Role(Role::Operate), Some("anna"), id, &[]).unwrap();
            assert!(!operate.may_write("v1/devices/a/b/state") && !operate.may_write("v1/devices//x"), "{id}");
        }
        let anonymous = grant(Standing::Nothing, None, "x", &["* read of/%u/#"]).unwrap();
        assert!(!anonymous.may_read("of//x") && !anonymous.may_read("of/anonymous/x"));
    }

    #[test]
    fn lines_give_more_and_take_away_and_a_denial_wins_in_any_order() {
        for lines in [["lamp deny stage/diary/#", "* read stage/#"], ["* read stage/#", "lamp deny stage/diary/#"]] {
            let one = grant(Standing::Role(Role::Device), Some("Lamp"), "Lamp", &lines).unwrap();
            assert!(one.may_read("stage/a") && !one.may_read("stage/diary/a") && !one.may_write("stage/a"));
        }
        let one = grant(Standing::Everything, Some("anna"), "c", &["anna deny own/%u/%c/50%/#"]).unwrap();
        assert!(!one.may_write("own/anna/c/50%/x") && !one.may_read("own/anna/c/50%") && one.may_read("own/eva/c"));
        assert!(grant(Standing::Everything, Some("eva"), "c", &["anna deny #", "* write a"]).is_none());
        let denied = grant(Standing::Role(Role::Operate), Some("a"), "c", &["a write b", "* deny b"]).unwrap();
        assert!(!denied.may_write("b"));
    }

    #[test]
    fn a_wildcard_is_granted_if_anything_of_it_may_come_and_a_shared_one_if_all_may() {
        let may = |grant: &Grant, filter: &str| grant.may_subscribe(&Filter::new(filter).unwrap());
        let lamp =
            grant(Standing::Role(Role::Device), Some("lamp"), "lamp", &["* deny v1/devices/lamp/secret/#"]).unwrap();
        for (filter, granted) in [
            (LIGHT, true),
            ("#", true),
            ("v1/devices/+/state", true),
            ("v1/devices/other/#", false),
            ("home/#", false),
            ("$SYS/#", false),
            (COMMAND, false),
            ("v1/devices/lamp/secret/#", false),
            ("v1/devices/lamp/secret/a", false),
            ("$share/g/v1/devices/lamp/a/#", true),
            ("$share/g/v1/devices/lamp/#", false),
            ("$share/g/v1/devices/+/state", false),
            ("$share/g/v1/demo/rgb/state", true),
            ("$share/g/#", false),
        ] {
            assert_eq!(may(&lamp, filter), granted, "{filter}");
        }
        let view = grant(Standing::Role(Role::View), Some("anna"), "x", &[]).unwrap();
        assert!(view.reads_all() && may(&view, "$share/g/#") && may(&view, "$SYS/#"));
        let nothing = grant(Standing::Nothing, None, "x", &[]).unwrap();
        assert!(!may(&nothing, "#"));
    }

    proptest! {
        /// Whatever lines there are: exactly what a line of its own or a role names, and no denial takes away, may be read.
        #[test]
        fn what_may_be_read_is_what_the_lines_say(
            lines in prop::collection::vec(("[ab*]", "read|write|deny", "([xy+]|%u|%c)(/([xy+]|%u|#)){0,1}"), 0..8),
            topic in "[xya](/[xyab]){0,1}", user in prop::option::of("[ab]"), client in "[xa+]",
        ) {
            let lines: Vec<_> = lines.iter().map(|(user, verb, filter)| format!("{user} {verb} {filter}")).collect();
            let texts: Vec<_> = lines.iter().map(String::as_str).collect();
            let grant = grant(Standing::Nothing, user.as_deref(), &client, &texts).unwrap();
            let hit = |verb: &str| lines.iter().any(|line| {
                let words: Vec<_> = line.splitn(3, ' ').collect();
                let meant = words[0] == "*" || Some(words[0]) == user.as_deref();
                let lacks = (words[2].contains("%u") && user.is_none()) || (words[2].contains("%c") && client == "+");
                let filter = words[2].replace("%u", user.as_deref().unwrap_or("")).replace("%c", &client);
                meant && words[1] == verb && !lacks && Filter::new(&filter).is_some_and(|filter| filter.matches(&topic))
            });
            prop_assert_eq!(grant.may_read(&topic), hit("read") && !hit("deny"));
            prop_assert_eq!(grant.may_write(&topic), hit("write") && !hit("deny"));
            let exact = Filter::new(&topic).unwrap();
            prop_assert_eq!(grant.may_subscribe(&exact), grant.may_read(&topic));
            if grant.may_read(&topic) {
                prop_assert!(grant.may_subscribe(&Filter::new("#").unwrap()) || hit("deny"));
            }
        }
    }

    /// Run with `--release -- --ignored --nocapture`: a check may take a microsecond.
    #[test]
    #[ignore = "a figure"]
    fn a_check_takes_less_than_a_microsecond() {
        let lines = ["* read stage/+/light", "anna write stage/#", "* deny diary/%u/#"];
        for (name, standing) in [("device", Standing::Role(Role::Device)), ("operate", Standing::Role(Role::Operate))] {
            let grant = grant(standing, Some("lamp-17"), "lamp-17", &lines).unwrap();
            for topic in [LIGHT, COMMAND, "v1/devices/lamp-17/state", "home/kitchen/door"] {
                let begun = std::time::Instant::now();
                for _ in 0..1_000_000 {
                    std::hint::black_box(grant.may_read(std::hint::black_box(topic)));
                }
                let each = begun.elapsed() / 1_000_000;
                println!("{name} reads {topic}: {each:?}");
                assert!(each.as_nanos() <= 1_000, "{each:?}");
            }
        }
    }
}
