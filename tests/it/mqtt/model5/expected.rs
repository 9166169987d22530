//! What MQTT and the contract let each client receive. Pure, and written without a look at dmxd's code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::model::matches;
use super::client::{Answered, Heard};
use super::due::{Due, Life, Said};
use super::script::{CLIENTS, Wants};

/// A will and its delay in seconds.
pub type Will = (Said, u32);

/// What a CONNECT says, in the form of MQTT 5.
#[derive(Clone, Debug)]
pub struct Joined {
    pub level: u8,
    pub clean: bool,
    /// Seconds that its session outlives it.
    pub expiry: u32,
    /// Messages that it may leave unanswered.
    pub window: usize,
    /// It takes no big ones.
    pub limited: bool,
    pub will: Option<Will>,
}

#[derive(Debug)]
struct Session {
    joined: Joined,
    here: bool,
    filters: BTreeMap<String, Wants>,
    /// What its client should receive, in the order of each topic [MQTT-4.6.0-6].
    due: Vec<Due>,
    /// What it has answered at QoS 1: what a kill takes from the broker may come again.
    answered: Vec<Due>,
}

impl Session {
    fn is_five(&self) -> bool {
        self.joined.level == 5
    }

    fn add(&mut self, due: Due) -> bool {
        // [MQTT-3.1.2-24], [MQTT-3.1.2-25]; nothing at QoS 0 waits for who is away
        let takes = if self.here { !(self.joined.limited && due.is_big()) } else { due.qos > 0 };
        if takes {
            self.due.push(due);
        }
        takes
    }

    /// The connection is over. What was not answered comes again.
    fn disconnected(&mut self, run: u32) {
        self.here = false;
        self.due.retain(|due| due.qos > 0);
        for due in &mut self.due {
            due.was_sent = true;
            due.seen = due.got.take().map(|pkid| (pkid, run)).or(due.seen);
        }
    }
}

/// One message for one of a group [MQTT-4.8.2-4].
#[derive(Debug)]
struct Owed {
    copies: BTreeMap<usize, Due>,
    /// Nobody who may have it has gone for good.
    must: bool,
    /// Somebody was there for it.
    at_once: bool,
}

/// Whom a message reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Somebody,
    /// Somebody has subscribed, but gets nothing.
    Unclear,
    Nobody,
}

/// What a broker has to know.
#[derive(Debug, Default)]
pub struct Model {
    sessions: BTreeMap<usize, Session>,
    retained: BTreeMap<&'static str, Said>,
    owed: Vec<Owed>,
    /// How often the appliance has ended.
    pub run: u32,
}

impl Model {
    /// Gives whether a session is present.
    pub fn connect(&mut self, who: usize, joined: Joined, now: Instant) -> bool {
        let present = self.sessions.get(&who).is_some_and(|old| old.joined.expiry > 0 && !joined.clean);
        let mut will = None;
        if let Some(old) = self.sessions.get_mut(&who) {
            let was_here = old.here; // [MQTT-3.1.4-3]: a take-over
            old.disconnected(self.run);
            // A session that goes on withdraws a will that waits [MQTT-3.1.3-9].
            will = old.joined.will.take().filter(|(_, delay)| !present || (was_here && *delay == 0));
            old.here = was_here; // the newcomer takes what is said from here on
        }
        if !present {
            self.forget(who); // [MQTT-3.1.2-4]
        }
        self.publish_all(will.map(|(will, _)| will), now);
        for owed in &mut self.owed {
            // what may be lost is, between two connections
            owed.must &= !owed.copies.get(&who).is_some_and(|due| due.qos == 0 && due.since == now);
        }
        let (filters, due, answered) = Default::default();
        let new = Session { joined: joined.clone(), here: true, filters, due, answered };
        let session = self.sessions.entry(who).or_insert(new);
        (session.joined, session.here) = (joined, true);
        let limited = session.joined.limited;
        session.due.retain(|due| !(limited && due.is_big()));
        session.due.iter_mut().for_each(|due| due.since = now);
        for owed in &mut self.owed {
            owed.must &= !(limited && owed.copies.get(&who).is_some_and(Due::is_big));
        }
        present
    }

    /// As versions before 5 and bridges mean it.
    fn wants(&self, who: usize, wants: Wants) -> Wants {
        let level = self.sessions.get(&who).map_or(5, |session| session.joined.level);
        let is_bridge = level & 0x80 != 0;
        if level == 5 {
            wants
        } else {
            Wants { id: 0, no_local: is_bridge, as_published: is_bridge, handling: 0, ..wants }
        }
    }

    pub fn subscribe(&mut self, who: usize, filter: &str, wants: Wants, now: Instant) {
        let wants = self.wants(who, wants);
        let Some(session) = self.sessions.get_mut(&who) else { return };
        let is_new = session.filters.insert(filter.into(), wants).is_none(); // [MQTT-3.8.4-3]
        // [MQTT-3.3.1-9] to [MQTT-3.3.1-11], and none for a shared one
        let asks = wants.handling == 0 || (wants.handling == 1 && is_new);
        let is_five = session.is_five();
        for kept in self.retained.values().filter(|kept| asks && matches(filter, kept.topic)) {
            session.add(Due { retain: true, ..kept.due(is_five, &[wants], now) });
        }
    }

    /// Gives whether there was such a subscription.
    pub fn unsubscribe(&mut self, who: usize, filter: &str) -> bool {
        self.sessions.get_mut(&who).is_some_and(|session| session.filters.remove(filter).is_some())
    }

    pub fn publish(&mut self, said: &Said, now: Instant) -> Reach {
        if said.retain && said.text.is_empty() {
            self.retained.remove(said.topic); // [MQTT-3.3.1-6]
        } else if said.retain {
            self.retained.insert(said.topic, said.clone()); // [MQTT-3.3.1-5]
        }
        let (mut wanted, mut reached) = (false, false);
        for (who, session) in &mut self.sessions {
            let matching = session.filters.iter().filter(|(filter, _)| matches(filter, said.topic));
            let all: Vec<_> = matching.map(|(_, wants)| *wants).collect();
            let own = *who == said.from; // [MQTT-3.8.3-3]
            let counting: Vec<_> = all.iter().copied().filter(|wants| !(own && wants.no_local)).collect();
            wanted |= !all.is_empty();
            if !counting.is_empty() {
                let mut due = said.due(session.is_five(), &counting, now);
                if counting.len() < all.len() {
                    let Due { retain, ids, .. } = said.due(session.is_five(), &all, now);
                    due.or = Some((retain, ids));
                }
                reached |= session.add(due);
            }
        }
        for (filter, members) in self.groups(said.topic) {
            wanted = true;
            reached |= self.share(said, &filter, &members, now);
        }
        match (reached, wanted) {
            (true, _) => Reach::Somebody,
            (false, true) => Reach::Unclear,
            (false, false) => Reach::Nobody,
        }
    }

    /// Shared subscriptions to a topic, each with those who have it.
    fn groups(&self, topic: &str) -> BTreeMap<String, Vec<usize>> {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (who, session) in &self.sessions {
            let is_it = |filter: &&String| {
                let parts: Vec<_> = filter.splitn(3, '/').collect();
                matches!(parts[..], ["$share", _, filter] if matches(filter, topic))
            };
            session
                .filters
                .keys()
                .filter(is_it)
                .for_each(|filter| groups.entry(filter.clone()).or_default().push(*who));
        }
        groups
    }

    /// One who is there gets it, else it waits for one who is away. Whether anybody gets it.
    fn share(&mut self, said: &Said, filter: &str, members: &[usize], now: Instant) -> bool {
        let here: Vec<_> = members.iter().copied().filter(|who| self.sessions[who].here).collect();
        let at_once = !here.is_empty();
        let (mut copies, mut must) = (BTreeMap::new(), true);
        for who in if at_once { here } else { members.to_vec() } {
            let session = &self.sessions[&who];
            let due = said.due(session.is_five(), &[session.filters[filter]], now);
            must &= !(session.joined.limited && due.is_big());
            if at_once || due.qos > 0 {
                copies.insert(who, due);
            }
        }
        let reached = must && !copies.is_empty();
        if !copies.is_empty() {
            self.owed.push(Owed { copies, must, at_once });
        }
        reached
    }

    fn publish_all(&mut self, said: impl IntoIterator<Item = Said>, now: Instant) {
        for said in said {
            self.publish(&said, now);
        }
    }

    /// A session ends.
    fn forget(&mut self, who: usize) {
        self.sessions.remove(&who);
        for owed in &mut self.owed {
            owed.must &= owed.copies.remove(&who).is_none();
        }
    }

    /// DISCONNECT; `expiry`: its session lives so long from now on.
    pub fn leave(&mut self, who: usize, with_will: bool, expiry: Option<u32>, now: Instant) {
        let Some(session) = self.sessions.get_mut(&who) else { return };
        session.joined.expiry = expiry.unwrap_or(session.joined.expiry);
        if !with_will {
            session.joined.will = None; // [MQTT-3.14.4-3]
        }
        self.lose(who, now);
    }

    /// A connection is lost, which is what the will is for [MQTT-3.1.2-8].
    pub fn lose(&mut self, who: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(&who) else { return };
        session.disconnected(self.run);
        let expiry = session.joined.expiry;
        let waits = session.joined.will.as_ref().map_or(0, |(_, delay)| *delay).min(expiry);
        let stays = waits > 1 || (waits == 1 && expiry == 1);
        let will = if stays { None } else { session.joined.will.take() };
        if expiry == 0 {
            self.forget(who); // [MQTT-3.1.2-23]
        }
        self.publish_late(will, now, waits);
    }

    /// A will that waits so many seconds for its client.
    fn publish_late(&mut self, will: Option<Will>, now: Instant, seconds: u32) {
        let Some((will, _)) = will else { return };
        let not_before = (seconds > 0).then(|| now + Duration::from_secs(seconds.into()));
        self.publish(&will, now);
        let dues = self.sessions.values_mut().flat_map(|session| &mut session.due);
        let all = dues.chain(self.owed.iter_mut().flat_map(|owed| owed.copies.values_mut()));
        all.filter(|due| due.text == will.text && !due.text.is_empty()).for_each(|due| due.not_before = not_before);
    }

    /// The appliance ends: clients that come back in time need no will.
    pub fn stop(&mut self, killed: bool) {
        if !killed {
            self.sessions.values_mut().for_each(|session| session.answered.clear());
        }
        for who in 0..=CLIENTS.len() {
            let Some(session) = self.sessions.get_mut(&who).filter(|session| session.here) else { continue };
            session.disconnected(self.run);
            session.joined.will = None;
            if session.joined.expiry == 0 {
                self.forget(who);
            }
        }
        self.run += 1;
    }

    /// A second has passed since clients left sessions that live no longer.
    pub fn end_sessions(&mut self, now: Instant) {
        let ended = self.sessions.iter().filter(|(_, session)| !session.here && session.joined.expiry == 1);
        for who in ended.map(|(who, _)| *who).collect::<Vec<_>>() {
            let will = self.sessions.get_mut(&who).and_then(|session| session.joined.will.take());
            self.forget(who);
            self.publish_all(will.map(|(will, _)| will), now);
        }
    }

    /// Nothing comes any more of what was said to live for a second.
    pub fn forget_short(&mut self) {
        self.retained.retain(|_, said| !said.life.is_some_and(Life::is_short));
        self.owed.retain(|owed| !owed.copies.values().any(Due::is_short));
        self.sessions.values_mut().for_each(|session| session.due.retain(|due| !due.is_short()));
    }

    /// A client has received a message.
    pub fn hear(&mut self, who: usize, heard: &Heard) -> Result<(), String> {
        let Heard { message, answered, .. } = heard;
        let (due, at) = self.find(who, heard)?;
        due.in_time(heard, self.run)?;
        let Some(session) = self.sessions.get_mut(&who) else { return Ok(()) };
        if let Some(at) = at {
            session.due.remove(at);
        }
        if *answered == Answered::Nothing && message.qos > 0 {
            session.due.insert(at.unwrap_or(0), Due { got: Some(message.pkid), ..due });
        } else if message.qos == 1 {
            session.answered.push(due);
        }
        Ok(())
    }

    /// What is due that this must be: the next of its topic, at its place in the session, or one of a group.
    fn find(&mut self, who: usize, heard: &Heard) -> Result<(Due, Option<usize>), String> {
        let message = &heard.message;
        let dues = self.sessions.get(&who).into_iter().flat_map(|session| session.due.iter().enumerate());
        let mut why = None;
        for (at, due) in dues.filter(|(_, due)| due.got.is_none() && due.topic == message.topic) {
            match due.fits(message, self.run) {
                Ok(()) => return Ok((due.clone(), Some(at))),
                Err(_) if due.is_short() => {} // it may have come too late for the broker
                // what was unanswered at the end of a run comes in the order of each QoS [MQTT-4.6.0-5]
                Err(_) if due.run != self.run && due.qos != message.qos => {}
                Err(error) => {
                    why = Some(error);
                    break;
                }
            }
        }
        let is_it = |owed: &Owed| {
            owed.copies.get(&who).is_some_and(|due| due.topic == message.topic && due.fits(message, self.run).is_ok())
        };
        if let Some(at) = self.owed.iter().position(is_it)
            && let Some(due) = self.owed.remove(at).copies.remove(&who)
        {
            return Ok((due, None));
        }
        let again = self.sessions.get_mut(&who).into_iter().flat_map(|session| &mut session.answered);
        for due in again.filter(|due| due.run != self.run) {
            (due.was_sent, due.seen) = (true, None);
            if due.topic == message.topic && due.fits(message, self.run).is_ok() {
                return Ok((due.clone(), None));
            }
        }
        let why = why.unwrap_or_else(|| format!("not due: {message:?}"));
        let text = message.text();
        let owed = self.owed.iter().filter(|owed| owed.copies.values().any(|due| due.text == text));
        Err(format!("{why}; to groups: {:?}", owed.collect::<Vec<_>>()))
    }

    /// The client has answered all it has.
    pub fn answered(&mut self, who: usize) {
        if let Some(session) = self.sessions.get_mut(&who) {
            let (answered, due) = session.due.drain(..).partition(|due| due.got.is_some());
            session.due = due;
            session.answered.extend::<Vec<_>>(answered);
            session.answered.retain(|due| due.qos == 1);
        }
    }

    /// Whether the client has all that it can receive now, of which so many are unanswered.
    pub fn has_all(&self, who: usize, unanswered: usize) -> bool {
        let Some(session) = self.sessions.get(&who) else { return true };
        unanswered >= session.joined.window || session.due.iter().all(|due| due.got.is_some() || due.is_short())
    }

    /// What is still to come to those who are there.
    pub fn missing(&self) -> Vec<(usize, &Due)> {
        let here = self.sessions.iter().filter(|(_, session)| session.here);
        here.flat_map(|(who, session)| session.due.iter().filter(|due| due.got.is_none()).map(|due| (*who, due)))
            .collect()
    }

    /// Whether each group has what is owed it: of what was said to somebody who was there, or of everything.
    pub fn groups_have_all(&self, everything: bool) -> bool {
        let waits = |owed: &Owed| owed.must && (owed.at_once || everything) && !owed.copies.values().any(Due::is_short);
        !self.owed.iter().any(waits)
    }

    /// All has been said and received by now.
    pub fn settled(&mut self, now: Instant) {
        let dues = self.sessions.values_mut().flat_map(|session| &mut session.due);
        let dues = dues
            .chain(self.owed.iter_mut().flat_map(|owed| owed.copies.values_mut()))
            .filter_map(|due| due.life.as_mut());
        let kept = self.retained.values_mut().filter_map(|said| said.life.as_mut());
        for life in dues.chain(kept) {
            life.latest.get_or_insert(now);
        }
    }

    pub fn here(&self) -> usize {
        self.sessions.values().filter(|session| session.here).count()
    }

    /// Whether it has a session that outlives it.
    pub fn is_kept(&self, who: usize) -> bool {
        self.sessions.get(&who).is_some_and(|session| session.joined.expiry > 0)
    }

    pub fn has_filters(&self, who: usize) -> bool {
        self.sessions.get(&who).is_some_and(|session| !session.filters.is_empty())
    }

    /// Its shared subscription.
    pub fn shares(&self, who: usize) -> Option<&str> {
        let filters = &self.sessions.get(&who)?.filters;
        filters.keys().map(String::as_str).find(|filter| filter.starts_with("$share"))
    }
}
