//! What every test needs: the appliance as a process, clients that fold what they see, strangers, patience.
//!
//! The only pause of the suite is the poll interval in `patience`.

mod appliance;
mod board;
mod busy;
mod commands;
mod damage;
mod drag;
mod fake_ola;
mod fault_proxy;
pub mod five;
mod frames;
mod impostor;
mod lines;
mod link;
mod link5;
mod load;
mod mosquitto;
mod moto;
mod mqtt_watcher;
mod olad;
mod own_network;
pub mod packet;
mod patience;
mod pty;
mod random;
mod raw_http;
mod shield;
mod shim;
mod small_card;
mod strangers;
mod usb_bus;
mod web;
mod widget;
mod ws_watcher;

pub use appliance::{Appliance, Home, copy_folder};
pub use board::{Chip, Sketch};
pub use busy::BusyLoops;
pub use commands::{colour, command, command_with, fresh_id, index_of, rgb_of};
pub use damage::{Damage, data_files};
pub use drag::{burst, drag};
pub use fake_ola::{FakeOla, Mood, Posted, Shows};
pub use fault_proxy::{FaultProxy, Weather};
pub use five::{
    Connect5, Message5, Packet5, Property, Value, ack as ack5, disconnect as disconnect5, find, property,
    subscribe as subscribe5, why,
};
pub use frames::{MqttSocket, WayByWeb, mqtt_socket};
pub use impostor::Impostor;
pub use lines::Lines;
pub use link::{Link, stream_from};
pub use link5::Link5;
pub use load::{Ledger, Load};
pub use mosquitto::Mosquitto;
pub use moto::{BUCKET, Moto};
pub use mqtt_watcher::{Seen, StateWatcher, assert_gap_free};
pub use olad::{Olad, light};
pub use own_network::in_its_own_network;
pub use packet::{Connect, Message, Packet, encode};
pub use patience::{HEADROOM, LATE, assert_apart, eventually, eventually_within, older_than, patiently};
pub use random::Random;
pub use raw_http::raw_http;
pub use shield::Shield;
pub use shim::{Card, Shim};
pub use small_card::SmallCard;
pub use strangers::{
    Stranger, aiomqtt, esphome, gdtf_files, mosquitto_pub, mosquitto_rr, mosquitto_sub, mqtt_js, mqtt_js_trusting,
    node, node_red, openapi_node, openapi_python_client, openapi_python_script, python, qlcplus_channels,
    qlcplus_definitions, schemathesis, umqtt_board,
};
pub use usb_bus::{UsbBus, UsbDevice};
pub use web::{Answer, Web};
pub use widget::{Manner, ReceivedFrame, Tape, Widget};
pub use ws_watcher::{Ending, Picture, WsWatcher};

/// Where commands go.
pub const CMD: &str = "v1/demo/rgb/cmd";
/// Where the state is.
pub const STATE: &str = "v1/demo/rgb/state";
/// Where refusals are.
pub const REJECTED: &str = "v1/demo/rgb/rejected";
/// Where blackout goes.
pub const BLACKOUT: &str = "v1/demo/blackout/cmd";
/// Where unified commands go.
pub const UNIFIED: &str = "dmx/command";
/// Where their acks are.
pub const ACK: &str = "dmx/ack";
/// Where each change of levels is.
pub const UPDATES: &str = "dmx/state";
/// Where the appliance says that it is there.
pub const PRESENCE: &str = "v1/devices/server/state";
