//! What clients write to edit the patch, and what they are shown of it, as tables of fields.

use super::super::document::TEXT_CHARS;
use super::super::fields::{Body, CHANNEL, Field, Form, ID, Kind, Need, UNIVERSE, described};
use crate::dmx::SCENE_ID_CHARS;

/// Most fixtures of one order.
pub(super) const TOGETHER: u64 = 128;

/// The body of `POST /patch/fixtures`.
#[derive(Debug)]
pub enum NewFixtures {}

/// The body of `PATCH /patch/fixtures/{id}`.
#[derive(Debug)]
pub enum FixtureFields {}

/// One group in the body of `PUT /patch/groups`.
#[derive(Debug)]
pub enum NewGroup {}

/// A fixture as it is shown.
#[derive(Debug)]
pub enum PatchedFixture {}

/// A fixture as it is shown with what it does now.
#[derive(Debug)]
pub enum LiveFixture {}

/// A universe as it is shown.
#[derive(Debug)]
pub enum PatchUniverse {}

described!(
    NewFixtures: NEW, FixtureFields: FIELDS, NewGroup: GROUP, PatchedFixture: FIXTURE, LiveFixture: LIVE,
    PatchUniverse: UNIVERSE_SHOWN,
);

/// An id of a fixture or group.
const TARGET: Kind = Kind::Text(1, SCENE_ID_CHARS);

const TYPE: Field = Field::new("type", ID, "Id of a fixture type.");
const MODE: Field =
    Field::new("mode", Kind::Text(1, TEXT_CHARS), "Name of one of its modes; absent: the first.").nullable();
const IN_UNIVERSE: Field = Field::new("universe", UNIVERSE, "Index of its universe.");
const ADDRESS: Field = Field::new("address", CHANNEL, "Its first channel.");
const GROUPS: Field =
    Field::new("groups", Kind::List(&TARGET, 0), "Ids of the groups that it is in; a new id makes a group.").nullable();
const TOPIC: Field =
    Field::new("topic", ID, "Of type `mqtt-rgb`: the id in its topic; absent: the fixture's id.").nullable();
/// As in a scene: a name of nothing but blanks cannot be read on a button.
const NAME: Field = Field::new(
    "name",
    Kind::Form(&Form {
        chars: (1, TEXT_CHARS),
        pattern: r"[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
        fits: |text| if text.trim().is_empty() { Err("must not be blank".to_owned()) } else { Ok(()) },
    }),
    "Its name. Of several fixtures each gets a number.",
);

/// What its schema cannot say: the type and mode are known, the place is free, and `topic` is for one fixture.
pub(in super::super) const NEW: Body = Body {
    title: "NewFixtures",
    says: "Fixtures of one type, one behind the other.",
    fields: &[
        TYPE,
        MODE,
        IN_UNIVERSE,
        ADDRESS,
        Field::new("count", Kind::Integer(1, TOGETHER as i128), "How many; absent: 1.").nullable(),
        NAME.nullable(),
        GROUPS,
        TOPIC,
    ],
    open: false,
    example: r#"{"type":"par-7","universe":0,"address":1,"count":12,"name":"PAR","groups":["front"]}"#,
};

/// What its schema cannot say: as of a new one.
pub(in super::super) const FIELDS: Body = Body {
    title: "FixtureFields",
    says: "Fields of a fixture; `null` removes `mode`, `groups` or `topic`. The others stay.",
    fields: &[
        NAME.optional().says("Its name."),
        IN_UNIVERSE.optional(),
        ADDRESS.optional(),
        TYPE.optional(),
        MODE,
        GROUPS,
        TOPIC,
    ],
    open: false,
    example: r#"{"name":"PAR 3, left","address":101}"#,
};

/// What its schema cannot say: no two groups have one id, none has a fixture's, and the fixtures are there.
pub(in super::super) const GROUP: Body = Body {
    title: "NewGroup",
    says: "A group of fixtures.",
    fields: &[
        Field::new("id", TARGET, "Its id; made of its name if absent.").nullable(),
        NAME.says("Its name."),
        Field::new("fixtures", Kind::List(&TARGET, 0), "Ids of the fixtures in it; absent: as before.").nullable(),
    ],
    open: false,
    example: r#"{"id":"front","name":"Front","fixtures":["par-1","par-2"]}"#,
};

const CHANNEL_SHOWN: Body = Body {
    title: "PatchedChannel",
    says: "A channel of a fixture, with what the document says of it.",
    fields: &[
        Field::new("id", Kind::Text(1, SCENE_ID_CHARS), "Its id: the key of its levels in scenes."),
        Field::new("name", Kind::Text(0, usize::MAX), "Its name."),
        Field::new("kind", Kind::Text(1, 16), "What it does; absent: the fixture has no place.").optional(),
        Field::new("fine", Kind::Flag, "True for a finer part of the channel before it.").optional(),
    ],
    open: true,
    example: r#"{"id":"par-1-0","number":1,"name":"Dimmer","value":0,"kind":"intensity"}"#,
};

const SHOWN: [Field; 12] = [
    Field::new("id", Kind::Text(0, usize::MAX), "Its id."),
    Field::new("name", Kind::Text(0, usize::MAX), "Its name."),
    Field::new("universeId", Kind::Text(0, usize::MAX), "Id of its universe.").optional(),
    Field::new("universe", UNIVERSE, "Index of its universe; absent: it has no place.").optional(),
    Field::new("dmxAddress", CHANNEL, "Its first channel.").optional(),
    Field::new("channelCount", Kind::Integer(0, u16::MAX as i128), "How many channels it takes.").optional(),
    Field::new("footprint", Kind::List(&CHANNEL, 2), "Its first and last channel; absent: it has no place.").optional(),
    Field::new("channels", Kind::List(&Kind::Body(&CHANNEL_SHOWN), 0), "Its channels, in order."),
    Field::new("type", Kind::Text(0, usize::MAX), "Id of its fixture type.").optional(),
    Field::new("mode", Kind::Text(0, usize::MAX), "The mode of its type.").optional(),
    Field::new("groups", Kind::List(&Kind::Text(0, usize::MAX), 0), "Ids of the groups that it is in.").optional(),
    Field::new("topic", Kind::Text(0, usize::MAX), "Of a lamp on MQTT: the id in its topic.").optional(),
];

pub(super) const FIXTURE: Body = Body {
    title: "PatchedFixture",
    says: "A fixture, with what the document says of it.",
    fields: &SHOWN,
    open: true,
    example: r#"{"id":"par-1","name":"PAR 1","universeId":"u-1","universe":0,"dmxAddress":1,"channelCount":1,"footprint":[1,1],"fixtureType":"dimmer","type":"dimmer","groups":["front"],"channels":[{"id":"par-1-0","number":1,"name":"Dimmer","value":0,"kind":"intensity"}]}"#,
};

const LIVE: Body = Body {
    title: "LiveFixture",
    says: "A fixture, and what it does now, before master and blackout.",
    fields: &{
        let [id, name, of, universe, address, count, footprint, channels, kind, mode, groups, topic] = SHOWN;
        [id, name, of, universe, address, count, footprint, channels, kind, mode, groups, topic, VALUES, COLOR]
    },
    open: true,
    example: r##"{"id":"par-1","name":"PAR 1","channels":[{"id":"par-1-0","name":"Red","kind":"red"}],"values":{"red":1.0},"color":"#ff0000"}"##,
};

const VALUES: Field = Field {
    need: Need::Optional,
    ..Field::new("values", Kind::Map(&Kind::Types(&["number"])), "Each kind's part of full, 0..=1.")
};
const COLOR: Field = Field::new("color", Kind::Text(7, 7), "`#rrggbb`; absent: it has no colour.").optional();

const UNIVERSE_SHOWN: Body = Body {
    title: "PatchUniverse",
    says: "A universe, with what the document says of it.",
    fields: &[
        Field::new("id", Kind::Text(0, usize::MAX), "Its id."),
        Field::new("number", Kind::Integer(0, u16::MAX as i128), "Its index; absent: it has none.").optional(),
    ],
    open: true,
    example: r#"{"id":"u-1","name":"Universe 1","number":0}"#,
};
