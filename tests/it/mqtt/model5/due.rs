//! A message as it is said, and as it is due to one client.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::client::Heard;
use super::script::{BIG, Wants};
use crate::harness::five::{Message5, Property, property};

/// How long a message is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub seconds: u32,
    /// Between these two the broker has begun to count; the second is not known before all have the message.
    pub earliest: Instant,
    pub latest: Option<Instant>,
    /// In which run of the appliance.
    pub run: u32,
}

impl Life {
    /// It may be over whenever anybody looks.
    pub fn is_short(self) -> bool {
        self.seconds == 1
    }
}

/// A message as it was published.
#[derive(Clone, Debug)]
pub struct Said {
    pub from: usize,
    /// In which run of the appliance.
    pub run: u32,
    pub topic: &'static str,
    pub text: String,
    pub qos: u8,
    pub retain: bool,
    pub carried: Vec<Property>,
    pub life: Option<Life>,
}

impl Said {
    pub fn message(&self) -> Message5 {
        let Self { topic, text, qos, retain, carried, life, .. } = self;
        let message = Message5 { retain: *retain, properties: carried.clone(), ..Message5::new(topic, text).qos(*qos) };
        match life {
            Some(life) => message.with(property::message_expiry(life.seconds)),
            None => message,
        }
    }

    /// As one subscription or several together want it.
    pub fn due(&self, is_five: bool, wants: &[Wants], now: Instant) -> Due {
        let granted = wants.iter().map(|wants| wants.qos).max().unwrap_or_default(); // [MQTT-3.3.4-2]
        let as_published = wants.iter().any(|wants| wants.as_published);
        let ids = wants.iter().map(|wants| wants.id).filter(|id| is_five && *id > 0); // [MQTT-3.3.4-3]
        Due {
            topic: self.topic,
            text: self.text.clone(),
            qos: self.qos.min(granted),
            retain: self.retain && as_published, // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
            ids: ids.collect(),
            carried: if is_five { self.carried.clone() } else { Vec::new() },
            life: self.life,
            is_five,
            run: self.run,
            or: None,
            since: now,
            not_before: None,
            was_sent: false,
            seen: None,
            got: None,
        }
    }
}

/// A message that a client has to receive.
#[derive(Clone, Debug)]
pub struct Due {
    pub topic: &'static str,
    pub text: String,
    pub qos: u8,
    pub retain: bool,
    pub ids: BTreeSet<u32>,
    pub carried: Vec<Property>,
    pub life: Option<Life>,
    pub is_five: bool,
    /// In which run of the appliance it was said.
    pub run: u32,
    /// Retain flag and identifiers if subscriptions count that do not want its client's own: after a restart the broker need
    /// not know whose it is.
    pub or: Option<(bool, BTreeSet<u32>)>,
    /// It was not sent earlier on this connection.
    pub since: Instant,
    /// A will waits for so long.
    pub not_before: Option<Instant>,
    /// It may have been sent on an earlier connection.
    pub was_sent: bool,
    /// It was received there, under this packet id, in this run.
    pub seen: Option<(u16, u32)>,
    /// It was received on this connection, under this packet id, and not answered.
    pub got: Option<u16>,
}

impl Due {
    pub fn is_big(&self) -> bool {
        self.text.starts_with(BIG)
    }

    /// The client need not receive it: it may be too late.
    pub fn is_short(&self) -> bool {
        self.life.is_some_and(Life::is_short)
    }

    /// Whether this is it, but for its life; else what differs.
    pub fn fits(&self, message: &Message5, run: u32) -> Result<(), String> {
        let ids: Vec<_> = self.ids.iter().copied().collect();
        let or = self.or.as_ref().filter(|_| self.run != run);
        let is_other =
            or.is_some_and(|(retain, ids)| *retain == message.retain && ids.iter().copied().eq(message.ids()));
        let carried: Vec<_> = message.properties.iter().filter(|(id, _)| ![0x02, 0x0b, 0x23].contains(id)).collect();
        let same_id = |(pkid, then)| pkid == message.pkid || (self.qos == 1 && then != run);
        let differs = [
            (self.text != message.text(), "text"),
            (self.qos != message.qos, "QoS"),
            (self.retain != message.retain && !is_other, "retain flag"),
            (ids != message.ids() && !is_other, "identifiers"), // once each
            (!carried.into_iter().eq(&self.carried), "properties"), // in their order [MQTT-3.3.2-18]
            (message.dup && (self.qos == 0 || !self.was_sent), "DUP, but it was never sent"), // [MQTT-3.3.1-2]
            (!message.dup && self.seen.is_some_and(|(_, then)| run <= then + 1), "no DUP"), // [MQTT-3.3.1-1]
            (!self.seen.is_none_or(same_id), "packet id"),      // [MQTT-4.4.0-1]
            (self.life.is_some() && self.is_five != message.expiry().is_some(), "expiry"),
            (self.life.is_none() && message.expiry().is_some(), "expiry"),
        ];
        match differs.into_iter().find(|(differs, _)| *differs) {
            Some((_, what)) => Err(format!("{what} of {message:?}, due is {self:?}")),
            None => Ok(()),
        }
    }

    /// Whether it comes when it should, with what is left of its life [MQTT-3.3.2-6].
    pub fn in_time(&self, heard: &Heard, run: u32) -> Result<(), String> {
        if self.not_before.is_some_and(|moment| heard.at < moment) {
            return Err(format!("too early: {heard:?}"));
        }
        let (Some(life), Some(left)) = (self.life, heard.message.expiry()) else { return Ok(()) };
        let longest = heard.at.duration_since(life.earliest);
        let shortest = life.latest.map_or(Duration::ZERO, |latest| self.since.saturating_duration_since(latest));
        // the clock that a restart goes by is not finer than a second
        let slack = u64::from(life.run != run);
        let most = (u64::from(life.seconds) + slack).saturating_sub(shortest.as_secs()).min(life.seconds.into());
        let least = u64::from(life.seconds).saturating_sub(longest.as_secs() + 1);
        if (least..=most).contains(&left.into()) {
            return Ok(());
        }
        Err(format!("{left} s are left, not {least} to {most}: {heard:?}"))
    }
}
