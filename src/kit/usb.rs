//! USB serial devices that are plugged in, and how one is found again when it comes back under another path. Plain serial
//! ports and ptys are not included.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serialport::SerialPortType;

/// A USB serial device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UsbDevice", title = "UsbDevice", description = "A USB serial device that is plugged in.")]
pub struct Device {
    /// Where it is now, `/dev/ttyUSB0` for example.
    pub port: String,
    /// USB vendor id.
    pub vendor_id: u16,
    /// USB product id.
    pub product_id: u16,
    /// As the device reports.
    pub manufacturer: Option<String>,
    /// As the device reports.
    pub product: Option<String>,
    /// As the device reports; stays the same when it is plugged in elsewhere.
    pub serial_number: Option<String>,
    /// Number of its node in the file system, a new one each time it is plugged in.
    #[serde(skip)]
    pub node: u64,
}

impl Device {
    /// What it says it is. Without a serial number it cannot be told from others of its kind.
    fn identity(&self) -> Option<Identity<'_>> {
        Some((self.vendor_id, self.product_id, self.serial_number.as_deref()?))
    }

    /// Whether `path` leads to it, through any links.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        same_file(path, &self.port)
    }
}

/// Vendor, product and serial number.
type Identity<'a> = (u16, u16, &'a str);

/// Tells devices apart by serial number, and knows which numbers mean nothing: cheap adapters share one (`0001` of a CP2102,
/// clones), so a number seen twice no longer identifies a device.
#[derive(Debug, Default)]
pub struct Register {
    twins: BTreeSet<(u16, u16, String)>,
}

impl Register {
    /// Looks at what is plugged in now.
    pub fn look(&mut self, devices: &[Device]) {
        let mut seen = BTreeSet::new();
        for identity @ (vendor, product, serial) in devices.iter().filter_map(Device::identity) {
            if !seen.insert(identity) {
                self.twins.insert((vendor, product, serial.to_owned()));
            }
        }
    }

    /// Whether both are the same piece of hardware, wherever it is plugged in.
    #[must_use]
    pub fn is_same(&self, one: &Device, other: &Device) -> bool {
        let Some(identity @ (vendor, product, serial)) = one.identity() else { return false };
        other.identity() == Some(identity) && !self.twins.contains(&(vendor, product, serial.to_owned()))
    }
}

/// A port that a person named: its home. If the device that was there has moved, it is looked for elsewhere.
#[derive(Debug)]
pub struct Named {
    path: String,
    device: Option<Device>,
    register: Register,
}

impl Named {
    /// By its path, `/dev/ttyUSB0` or a link in `/dev/serial/by-id` for example.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), device: None, register: Register::default() }
    }

    /// As the person wrote it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where it is now: the path it was named by, unless its device is elsewhere and the path holds nothing or another USB
    /// device.
    pub fn whereabouts(&mut self, devices: &[Device]) -> String {
        self.register.look(devices);
        let Some(known) = &self.device else { return self.path.clone() };
        let is_known = |device: &&Device| self.register.is_same(device, known);
        let here = devices.iter().find(|device| device.is_at(&self.path));
        let stays = here.map_or_else(|| Path::new(&self.path).exists(), |here| is_known(&here));
        let moved = if stays { None } else { devices.iter().find(is_known) };
        moved.map_or_else(|| self.path.clone(), |device| device.port.clone())
    }

    /// Whether what was opened at `port` no longer belongs there: the device is back home, or the one that was followed turns
    /// out to be another. Looks at what is plugged in.
    pub async fn has_strayed(&mut self, port: &str) -> bool {
        self.device.is_some() && self.whereabouts(&devices().await) != port
    }

    /// It was opened there; remembers which device that is.
    pub fn opened(&mut self, at: &str, devices: &[Device]) {
        if let Some(device) = devices.iter().find(|device| device.is_at(at)) {
            self.device = Some(device.clone());
        }
    }
}

/// Whether two paths lead to one file, through any links.
#[must_use]
pub fn same_file(a: &str, b: &str) -> bool {
    a == b || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// How often an open port is checked.
pub const LOOK: Duration = Duration::from_secs(2);

/// Where Linux lists serial ports; a container may lack it.
const PORTS: &str = "/sys/class/tty";

/// What is plugged in now, by port.
pub async fn devices() -> Vec<Device> {
    tokio::task::spawn_blocking(listed).await.unwrap_or_default() // Err: the runtime is ending
}

/// Reads the system's list, file by file.
fn listed() -> Vec<Device> {
    if !Path::new(PORTS).is_dir() {
        return Vec::new(); // `available_ports` would panic
    }
    let mut devices: Vec<Device> = serialport::available_ports()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|port| match port.port_type {
            SerialPortType::UsbPort(usb) => Some(Device {
                node: fs::metadata(&port.port_name).map_or(0, |node| node.ino()),
                port: port.port_name,
                vendor_id: usb.vid,
                product_id: usb.pid,
                manufacturer: usb.manufacturer,
                product: usb.product,
                serial_number: usb.serial_number,
            }),
            SerialPortType::PciPort | SerialPortType::BluetoothPort | SerialPortType::Unknown => None,
        })
        .collect();
    devices.sort_by(|a, b| a.port.cmp(&b.port));
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(port: &Path, serial: Option<&str>) -> Device {
        Device {
            port: port.to_str().unwrap().to_owned(),
            vendor_id: 0x0403,
            product_id: 0x6001,
            manufacturer: None,
            product: None,
            serial_number: serial.map(Into::into),
            node: 0,
        }
    }

    #[test]
    fn a_named_port_is_followed_by_the_serial_number_of_its_device() {
        let dev = tempfile::tempdir().unwrap();
        let [first, second, link] = ["ttyUSB0", "ttyUSB1", "by-id"].map(|name| dev.path().join(name));
        let at = |path: &Path| path.to_str().unwrap().to_owned();
        fs::write(&first, "").unwrap();
        std::os::unix::fs::symlink(&first, &link).unwrap();
        let mut named = Named::new(at(&link));
        named.opened(&at(&link), &[device(&second, Some("B")), device(&first, Some("A"))]);
        named.opened(&at(&link), &[]); // the list was out of date
        fs::rename(&first, &second).unwrap();
        assert_eq!(named.whereabouts(&[device(&second, Some("A"))]), at(&second));
        for stranger in [Some("B"), None] {
            assert_eq!(named.whereabouts(&[device(&second, stranger)]), named.path(), "{stranger:?}");
        }
        fs::write(&first, "").unwrap();
        let swapped = [device(&first, Some("B")), device(&second, Some("A"))];
        assert_eq!(named.whereabouts(&swapped), at(&second), "another device is where it was");
        assert_eq!(named.whereabouts(&swapped[..1]), named.path(), "it is gone, and what is at the path is taken");
        assert_eq!(named.whereabouts(&swapped[1..]), named.path(), "what is at the path is no USB device");
    }

    #[test]
    fn two_without_a_serial_number_are_not_taken_for_one() {
        let port = Path::new("/dev/ttyUSB0");
        assert!(!Register::default().is_same(&device(port, None), &device(port, None)));
    }

    #[test]
    fn a_serial_number_that_was_seen_twice_is_followed_no_more() {
        let dev = tempfile::tempdir().unwrap();
        let [home, other] = ["ttyUSB0", "ttyUSB1"].map(|name| dev.path().join(name));
        let at = |path: &Path| path.to_str().unwrap().to_owned();
        let (here, there) = (device(&home, Some("0001")), device(&other, Some("0001")));
        let mut named = Named::new(at(&home));
        named.opened(&at(&home), std::slice::from_ref(&here));
        assert_eq!(
            named.whereabouts(std::slice::from_ref(&there)),
            at(&other),
            "as far as anybody can tell it has moved"
        );
        assert_eq!(named.whereabouts(&[here, there.clone()]), at(&home), "it had not");
        assert_eq!(named.whereabouts(&[there]), at(&home), "nor is it followed again");
    }
}
