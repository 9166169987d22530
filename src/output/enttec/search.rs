//! Which adapters may be widgets, and in which order to ask them. Pure: what is plugged in and the time are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::config;
use crate::kit::backoff::Backoff;
use crate::kit::usb::{Device, Named, Register};

/// An adapter whose product name contains this word may be a widget, whatever its ids: `DMX USB PRO`, `ultraDMX Micro`.
const WORD: &str = "dmx";

/// An adapter that did not answer probably serves something else, and opening it may reset what it serves (an Arduino). So
/// it is asked again after pauses that grow to this, or once it is plugged in again or a person asks for a search.
const LONGEST_PEACE: Duration = Duration::from_secs(60);

/// Where the widget is looked for.
#[derive(Debug)]
pub(super) enum Search {
    /// A person named its port, which is used whatever answers there.
    Named {
        /// Its port.
        port: Named,
        /// The serial input's port; empty while that is off.
        input: String,
    },
    /// Found by itself.
    Auto(Box<Auto>),
}

/// The search without a named port.
#[derive(Debug)]
pub(super) struct Auto {
    vendors: Vec<u16>,
    products: Vec<u16>,
    /// The serial input's port, which is never asked; empty while that is off.
    input: String,
    /// The device seen there: while it is gone, it is not asked elsewhere either.
    shield: Option<Device>,
    /// It is there now.
    shield_is_there: bool,
    scan: Duration,
    /// The widget that was used last.
    last: Option<Device>,
    register: Register,
    strangers: Vec<Stranger>,
}

/// An adapter that did not answer like a widget.
#[derive(Debug)]
struct Stranger {
    device: Device,
    pause: Backoff,
    left_until: Instant,
}

impl Search {
    pub(super) fn new(usb: &config::Usb, input: &config::Input) -> Self {
        let input = if input.enabled { input.port.clone() } else { String::new() };
        if !usb.port.is_empty() {
            return Self::Named { port: Named::new(usb.port.as_str()), input };
        }
        Self::Auto(Box::new(Auto {
            vendors: usb.vendor_ids.clone(),
            products: usb.product_ids.clone(),
            input,
            shield: None,
            shield_is_there: false,
            scan: Duration::from_secs(usb.scan_interval_seconds),
            last: None,
            register: Register::default(),
            strangers: Vec::new(),
        }))
    }

    /// A person wants every adapter asked now.
    pub(super) fn look_again(&mut self) {
        if let Self::Auto(auto) = self {
            auto.strangers.clear();
        }
    }
}

impl Auto {
    /// Which ports to ask now: the earlier widget first, then those with the right ids, then those with the right name.
    pub(super) fn candidates(&mut self, devices: &[Device], now: Instant) -> Vec<Device> {
        self.register.look(devices);
        self.strangers.retain(|stranger| devices.contains(&stranger.device));
        let shield = devices.iter().find(|device| self.is_input(device)).cloned();
        self.shield_is_there = shield.is_some();
        self.shield = shield.or(self.shield.take());
        let mut candidates: Vec<_> = devices
            .iter()
            .filter_map(|device| Some((self.rank(device)?, device)))
            .filter(|(_, device)| !self.is_left_in_peace(device, now))
            .collect();
        candidates.sort_by_key(|(rank, _)| *rank);
        candidates.into_iter().map(|(_, device)| device.clone()).collect()
    }

    /// Those that were asked, did not answer, and are still there.
    pub(super) fn strangers(&self) -> impl Iterator<Item = &Device> {
        self.strangers.iter().map(|stranger| &stranger.device)
    }

    /// Whether it is the widget that was used last.
    pub(super) fn is_last(&self, device: &Device) -> bool {
        self.last.as_ref().is_some_and(|last| last == device || self.register.is_same(last, device))
    }

    /// It answered, and is used.
    pub(super) fn claimed(&mut self, device: Device) {
        self.strangers.retain(|stranger| stranger.device != device);
        self.last = Some(device);
    }

    /// It did not answer. The earlier widget is still asked at each look.
    pub(super) fn silent(&mut self, device: &Device, now: Instant) {
        let at = match self.strangers.iter().position(|stranger| stranger.device == *device) {
            Some(at) => at,
            None => {
                let pause = Backoff::new(self.scan, LONGEST_PEACE);
                self.strangers.push(Stranger { device: device.clone(), pause, left_until: now });
                self.strangers.len() - 1
            }
        };
        if let Some(stranger) = self.strangers.get_mut(at) {
            stranger.left_until = now + stranger.pause.pause();
        }
    }

    /// 0 is asked first, `None` never.
    fn rank(&self, device: &Device) -> Option<u8> {
        let moved = |shield: &Device| !self.shield_is_there && self.register.is_same(shield, device);
        if self.is_input(device) || self.shield.as_ref().is_some_and(moved) {
            return None;
        }
        let by_ids = self.vendors.contains(&device.vendor_id) && self.products.contains(&device.product_id);
        let by_name = device.product.as_ref().is_some_and(|name| name.to_ascii_lowercase().contains(WORD));
        match (self.is_last(device), by_ids, by_name) {
            (true, ..) => Some(0),
            (false, true, _) => Some(1),
            (false, false, true) => Some(2),
            (false, false, false) => None,
        }
    }

    fn is_input(&self, device: &Device) -> bool {
        !self.input.is_empty() && device.is_at(&self.input)
    }

    fn is_left_in_peace(&self, device: &Device, now: Instant) -> bool {
        let peace = |stranger: &Stranger| stranger.device == *device && now < stranger.left_until;
        !self.is_last(device) && self.strangers.iter().any(peace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(port: &str, ids: (u16, u16), product: &str, serial: &str) -> Device {
        Device {
            port: port.to_owned(),
            vendor_id: ids.0,
            product_id: ids.1,
            manufacturer: None,
            product: Some(product.to_owned()),
            serial_number: Some(serial.to_owned()).filter(|serial| !serial.is_empty()),
            node: 0,
        }
    }

    fn auto(input: &str) -> Auto {
        let input = config::Input { enabled: true, port: input.to_owned(), ..config::Input::default() };
        match Search::new(&config::Usb::default(), &input) {
            Search::Auto(auto) => *auto,
            Search::Named { port, .. } => panic!("{port:?}"),
        }
    }

    fn ports(candidates: &[Device]) -> Vec<&str> {
        candidates.iter().map(|device| device.port.as_str()).collect()
    }

    const FTDI: (u16, u16) = (0x0403, 0x6001);

    #[test]
    fn only_adapters_with_the_ids_or_the_name_are_asked_and_never_the_input() {
        let devices = [
            device("/dev/ttyACM0", (0x16d0, 0x0a83), "ultraDMX Micro", "1"),
            device("/dev/ttyUSB0", FTDI, "FT232R USB UART", "2"),
            device("/dev/ttyUSB1", FTDI, "FT232R USB UART", "3"),
            device("/dev/ttyUSB2", (0x1a86, 0x7523), "USB2.0-Serial", "4"),
        ];
        let candidates = auto("/dev/ttyUSB1").candidates(&devices, Instant::now());
        assert_eq!(ports(&candidates), ["/dev/ttyUSB0", "/dev/ttyACM0"]);
    }

    #[test]
    fn the_inputs_shield_is_not_asked_either_when_it_is_back_under_another_path() {
        let mut auto = auto("/dev/ttyUSB1");
        let at = |port| [device(port, FTDI, "FT232R USB UART", "3")];
        assert!(auto.candidates(&at("/dev/ttyUSB1"), Instant::now()).is_empty());
        assert!(auto.candidates(&at("/dev/ttyUSB2"), Instant::now()).is_empty());
        let off = config::Input { port: "/dev/ttyUSB1".into(), ..config::Input::default() };
        let Search::Auto(mut auto) = Search::new(&config::Usb::default(), &off) else { panic!("no port is named") };
        assert_eq!(auto.candidates(&at("/dev/ttyUSB1"), Instant::now()).len(), 1, "the input is switched off");
    }

    #[test]
    fn who_shares_a_serial_number_is_not_taken_for_the_other() {
        let mut auto = auto("/dev/ttyUSB0");
        let at = |port| device(port, FTDI, "CP2102", "0001");
        let now = Instant::now();
        let all = [at("/dev/ttyUSB0"), at("/dev/ttyUSB1"), at("/dev/ttyUSB2")];
        assert_eq!(ports(&auto.candidates(&all, now)), ["/dev/ttyUSB1", "/dev/ttyUSB2"]);
        auto.claimed(at("/dev/ttyUSB2"));
        assert_eq!(ports(&auto.candidates(&all, now)), ["/dev/ttyUSB2", "/dev/ttyUSB1"], "the one of before first");
        assert_eq!(ports(&auto.candidates(&all[1..], now)), ["/dev/ttyUSB2", "/dev/ttyUSB1"], "neither is the shield");
    }

    #[test]
    fn a_widget_without_a_serial_number_is_the_same_one_as_long_as_it_stays_plugged_in() {
        let mut auto = auto("");
        let widget = device("/dev/ttyUSB0", FTDI, "DMX USB PRO", "");
        auto.claimed(widget.clone());
        assert!(auto.is_last(&widget));
        assert!(!auto.is_last(&Device { node: 1, ..widget }));
    }

    #[test]
    fn the_widget_of_before_is_asked_first_wherever_it_is_and_however_often_it_was_silent() {
        let mut auto = auto("");
        let now = Instant::now();
        auto.claimed(device("/dev/ttyUSB3", FTDI, "DMX USB PRO", "EN1"));
        let back = device("/dev/ttyUSB7", FTDI, "DMX USB PRO", "EN1");
        let devices = [device("/dev/ttyUSB0", FTDI, "DMX USB PRO", "EN2"), back.clone()];
        auto.silent(&back, now);
        assert_eq!(ports(&auto.candidates(&devices, now)), ["/dev/ttyUSB7", "/dev/ttyUSB0"]);
    }

    #[test]
    fn a_stranger_is_left_in_peace_until_it_is_plugged_in_again_or_a_person_asks() {
        let mut search = Search::Auto(Box::new(auto("")));
        let devices = [device("/dev/ttyUSB0", FTDI, "FT232R USB UART", "A1")];
        let mut now = Instant::now();
        let asked = |search: &mut Search, devices: &[Device], now: Instant| match search {
            Search::Auto(auto) => {
                let candidates = auto.candidates(devices, now);
                candidates.iter().for_each(|device| auto.silent(device, now));
                candidates.len()
            }
            Search::Named { .. } => 0,
        };
        let mut times = 0;
        for _ in 0..3600 {
            times += asked(&mut search, &devices, now);
            now += Duration::from_secs(1);
        }
        assert!((60..90).contains(&times), "{times} times in an hour");
        for how in ["plugged in again", "a person asks"] {
            asked(&mut search, &devices, now); // its pause may just have ended
            assert_eq!(asked(&mut search, &devices, now), 0, "before: {how}");
            if how == "a person asks" {
                search.look_again();
            } else {
                asked(&mut search, &[], now);
            }
            assert_eq!(asked(&mut search, &devices, now), 1, "{how}");
        }
    }
}
