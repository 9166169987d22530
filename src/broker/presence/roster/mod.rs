//! The roster of devices and clients, pure: which client stands for which device, who is online, and for whom dmxd speaks.
//!
//! Everything is bounded: devices by the setting, connected clients by `mqtt.max_connections`, absent ones by the devices
//! they stand for and [`PASSERS`].

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::meter::{Meter, Pace};
use crate::wire;

/// Clients that have left and stand for no device, kept to show who was there.
const PASSERS: usize = 100;

type Name = Arc<str>;

struct Device {
    /// What the retained message on its topic says; `None`: there is none, or it says something else.
    says: Option<bool>,
    /// The client that stands for it.
    client: Option<Name>,
    /// Whether that client has published there, rather than named it as its will's topic.
    published: bool,
    online: bool,
    since: u64,
    /// Its place among the offline ones.
    turn: u64,
}

struct Client {
    /// Number of its connection.
    visit: Option<u64>,
    since: u64,
    peer: String,
    connections: u64,
    meter: Arc<Meter>,
    pace: Pace,
    rejected: u64,
    denied: u64,
    last_disconnect: Option<wire::Disconnect>,
    /// The devices it stands for.
    devices: BTreeSet<Name>,
    /// Its place among the passers.
    turn: Option<u64>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    pub(super) why: String,
    pub(super) will_published: bool,
    /// The same client is back at once: a take-over.
    pub(super) stays: bool,
}

pub(super) struct Roster {
    most: usize,
    /// A counter: the wall clock may go back, so nothing is ordered by it.
    turn: u64,
    devices: BTreeMap<Name, Device>,
    /// Devices that are offline, longest first.
    offline: BTreeMap<u64, Name>,
    clients: HashMap<Name, Client>,
    passers: BTreeMap<u64, Name>,
    /// Whether the list of devices has changed since it was last asked.
    changed: bool,
    /// Devices not kept since this was last asked.
    forgotten: u64,
}

impl Roster {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            turn: 0,
            devices: BTreeMap::new(),
            offline: BTreeMap::new(),
            clients: HashMap::new(),
            passers: BTreeMap::new(),
            changed: false,
            forgotten: 0,
        }
    }

    /// Adds a device of which the last run left a retained message.
    pub(super) fn found(&mut self, id: &str, says: Option<bool>, now: u64) {
        self.know(id, now);
        self.say(id, says, now);
    }

    /// A client connected; `device` is the one whose topic its will names. Gives the number of the connection, and its
    /// meter.
    pub(super) fn connected(&mut self, name: &str, peer: &str, device: Option<&str>, now: u64) -> (u64, Arc<Meter>) {
        self.turn += 1;
        let visit = self.turn;
        let client = self.clients.entry(name.into()).or_insert_with(|| Client {
            visit: None,
            since: now,
            peer: String::new(),
            connections: 0,
            meter: Arc::default(),
            pace: Pace::default(),
            rejected: 0,
            denied: 0,
            last_disconnect: None,
            devices: BTreeSet::new(),
            turn: None,
        });
        client.visit = Some(visit);
        client.since = now;
        peer.clone_into(&mut client.peer);
        client.connections += 1;
        client.meter.seen_at(now);
        let meter = client.meter.clone();
        if let Some(passed) = client.turn.take() {
            self.passers.remove(&passed);
        }
        self.changed |= !client.devices.is_empty(); // it may have a new address
        for id in client.devices.clone() {
            self.settle(&id, now);
        }
        if let Some(id) = device
            && self.know(id, now)
            && self.devices.get(id).is_some_and(|device| !device.published)
        {
            self.give(id, name, now);
        }
        (visit, meter)
    }

    /// A connection ended. The end of an older one than the present changes nothing.
    pub(super) fn left(&mut self, name: &str, visit: u64, leaving: &Leaving, now: u64) {
        let Some(client) = self.clients.get_mut(name).filter(|client| client.visit == Some(visit)) else { return };
        client.visit = None;
        client.since = now;
        let Leaving { why, will_published, stays } = leaving.clone();
        client.last_disconnect = Some(wire::Disconnect { at: now, why, will_published });
        if !stays {
            for id in client.devices.clone() {
                self.settle(&id, now);
            }
        }
        self.see_off(name);
    }

    /// The devices still said to be online although the client that said so has left; without the device `willed`, if its
    /// will has said otherwise.
    pub(super) fn left_online(&self, name: &str, willed: Option<&str>) -> Vec<Name> {
        let devices = self.clients.get(name).map(|client| &client.devices);
        let left =
            devices.into_iter().flatten().filter(|id| Some(&***id) != willed && self.is_left_online(id, Some(name)));
        left.cloned().collect()
    }

    /// Everything that the last run left online.
    pub(super) fn found_online(&self) -> Vec<Name> {
        self.devices.keys().filter(|id| self.is_left_online(id, None)).cloned().collect()
    }

    /// Whether a device says that it is online although the last client to speak there, this one, is not connected; without a
    /// name: although nobody has spoken there in this run.
    pub(super) fn is_left_online(&self, id: &str, name: Option<&str>) -> bool {
        let gone = name.is_none_or(|name| !self.is_connected(name));
        gone && self.devices.get(id).is_some_and(|device| {
            let spoke = device.client.as_deref().filter(|_| device.published);
            device.says == Some(true) && spoke == name
        })
    }

    /// A client publishes on a device's topic: from now on it stands for the device.
    pub(super) fn published(&mut self, id: &str, name: &str, now: u64) {
        if self.know(id, now) {
            self.give(id, name, now);
            if let Some(device) = self.devices.get_mut(id) {
                device.published = true;
            }
        }
    }

    /// The retained message on a device's topic has changed; `None` when it is gone.
    pub(super) fn say(&mut self, id: &str, says: Option<bool>, now: u64) {
        if let Some(device) = self.devices.get_mut(id) {
            device.says = says;
            self.settle(id, now);
        }
    }

    /// The retained message on a device's topic was deleted: that is how people take it off the list, unless its client
    /// is connected.
    pub(super) fn deleted(&mut self, id: &str, now: u64) {
        self.say(id, None, now);
        if self.devices.get(id).is_some_and(|device| !device.online) {
            self.forget(id);
        }
    }

    pub(super) fn rejected(&mut self, name: &str) {
        if let Some(client) = self.clients.get_mut(name) {
            client.rejected += 1;
        }
    }

    pub(super) fn denied(&mut self, name: &str) {
        if let Some(client) = self.clients.get_mut(name) {
            client.denied += 1;
        }
    }

    /// Reads every meter; `passed` is the time since the last reading.
    pub(super) fn look(&mut self, passed: Duration) {
        for client in self.clients.values_mut() {
            client.pace.look(&client.meter, passed);
        }
    }

    /// Whether the list of devices has changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Devices not kept since the last call.
    pub(super) fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    pub(super) fn known(&self) -> usize {
        self.devices.len()
    }

    pub(super) fn online(&self) -> usize {
        self.devices.len() - self.offline.len()
    }

    pub(super) fn devices(&self) -> Vec<wire::Device> {
        let view = |(id, device): (&Name, &Device)| {
            let client = device.client.as_ref();
            wire::Device {
                id: id.to_string(),
                online: device.online,
                since: device.since,
                ip: client.and_then(|name| self.clients.get(name)).and_then(|client| ip(&client.peer)),
                client_id: client.map(ToString::to_string),
            }
        };
        self.devices.iter().map(view).collect()
    }

    pub(super) fn clients(&self) -> Vec<wire::MqttClient> {
        let view = |(name, client): (&Name, &Client)| wire::MqttClient {
            client_id: name.to_string(),
            connected: client.visit.is_some(),
            since: client.since,
            peer: client.peer.clone(),
            connections: client.connections,
            last_seen: client.meter.last_seen(),
            messages_in: client.pace.messages_in,
            messages_out: client.pace.messages_out,
            rejected: client.rejected,
            denied: client.denied,
            last_disconnect: client.last_disconnect.clone(),
        };
        let mut clients: Vec<_> = self.clients.iter().map(view).collect();
        clients.sort_unstable_by(|a, b| a.client_id.cmp(&b.client_id));
        clients
    }

    /// Whether there is such a device.
    pub(super) fn has(&self, id: &str) -> bool {
        self.devices.contains_key(id)
    }

    /// Whether a client stands for a device, or has the id of one.
    pub(super) fn is_device(&self, name: &str) -> bool {
        self.has(name) || self.clients.get(name).is_some_and(|client| !client.devices.is_empty())
    }

    fn is_connected(&self, name: &str) -> bool {
        self.clients.get(name).is_some_and(|client| client.visit.is_some())
    }

    /// Adds a device if there is room, for which the one longest offline is dropped. True if it is known now.
    fn know(&mut self, id: &str, now: u64) -> bool {
        if self.devices.contains_key(id) {
            return true;
        }
        if self.devices.len() >= self.most {
            self.forgotten += 1;
            let Some(longest) = self.offline.values().next().cloned() else { return false };
            self.forget(&longest);
        }
        self.turn += 1;
        let device = Device { says: None, client: None, published: false, online: false, since: now, turn: self.turn };
        self.devices.insert(id.into(), device);
        self.offline.insert(self.turn, id.into());
        self.changed = true;
        true
    }

    fn forget(&mut self, id: &str) {
        let Some(device) = self.devices.remove(id) else { return };
        self.offline.remove(&device.turn);
        self.changed = true;
        if let Some(name) = device.client {
            self.take(id, &name);
        }
    }

    /// Lets a client stand for a device.
    fn give(&mut self, id: &str, name: &str, now: u64) {
        let Some((name, _)) = self.clients.get_key_value(name) else { return };
        let Some(device) = self.devices.get_mut(id) else { return };
        if device.client.as_ref() == Some(name) {
            return;
        }
        let name = name.clone();
        let before = device.client.replace(name.clone());
        device.published = false;
        self.changed = true;
        if let Some(client) = self.clients.get_mut(&name) {
            client.devices.insert(id.into());
            if let Some(passed) = client.turn.take() {
                self.passers.remove(&passed);
            }
        }
        if let Some(before) = before {
            self.take(id, &before);
        }
        self.settle(id, now);
    }

    /// Ends a client's standing for a device.
    fn take(&mut self, id: &str, name: &str) {
        if let Some(client) = self.clients.get_mut(name) {
            client.devices.remove(id);
        }
        self.see_off(name);
    }

    /// A client that has left and stands for nothing becomes a passer; the oldest of too many is forgotten.
    fn see_off(&mut self, name: &str) {
        let Some((name, _)) = self.clients.get_key_value(name) else { return };
        let name = name.clone();
        let Some(client) = self.clients.get_mut(&name) else { return };
        if client.visit.is_some() || !client.devices.is_empty() || client.turn.is_some() {
            return;
        }
        self.turn += 1;
        client.turn = Some(self.turn);
        self.passers.insert(self.turn, name);
        if self.passers.len() > PASSERS
            && let Some((_, oldest)) = self.passers.pop_first()
        {
            self.clients.remove(&oldest);
        }
    }

    /// Whether a device is online now, and since when.
    fn settle(&mut self, id: &str, now: u64) {
        let Some((name, device)) = self.devices.get_key_value(id) else { return };
        let there = device.client.as_ref().is_some_and(|client| self.is_connected(client));
        let name = name.clone();
        let Some(device) = self.devices.get_mut(id) else { return };
        let online = device.says.unwrap_or(there);
        if online == device.online {
            return;
        }
        self.turn += 1;
        self.offline.remove(&device.turn);
        (device.online, device.since, device.turn) = (online, now, self.turn);
        if !online {
            self.offline.insert(self.turn, name);
        }
        self.changed = true;
    }
}

/// The address in `address:port`.
fn ip(peer: &str) -> Option<String> {
    let address = peer.parse::<std::net::SocketAddr>().ok()?;
    Some(address.ip().to_canonical().to_string())
}
