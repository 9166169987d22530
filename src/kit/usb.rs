//! The USB serial devices that are plugged in, and how one is found again that comes back under another path. Plain
//! serial ports and ptys are not among them.

use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serialport::SerialPortType;

/// A USB serial device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "UsbDevice", description = "A USB serial device that is plugged in.")]
pub struct Device {
    /// Where it is now, `/dev/ttyUSB0` for example.
    pub port: String,
    /// USB vendor id.
    pub vendor_id: u16,
    /// USB product id.
    pub product_id: u16,
    /// As the device says.
    pub manufacturer: Option<String>,
    /// As the device says.
    pub product: Option<String>,
    /// As the device says; stays when it is plugged in elsewhere.
    pub serial_number: Option<String>,
}

impl Device {
    /// Whether it is the same piece of hardware, wherever it is plugged in. One without a serial number cannot be told
    /// from its kind.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.serial_number.is_some()
            && self.serial_number == other.serial_number
            && (self.vendor_id, self.product_id) == (other.vendor_id, other.product_id)
    }

    /// Whether `path` leads to it, by whatever links.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        same_file(path, &self.port)
    }
}

/// A port that a person named. When nothing is there any more, the device that was there is looked for elsewhere.
#[derive(Debug)]
pub struct Named {
    path: String,
    device: Option<Device>,
}

impl Named {
    /// By its path, `/dev/ttyUSB0` or a link in `/dev/serial/by-id` for example.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), device: None }
    }

    /// As it was named.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where it is now: the path it was named by while something is there, whatever that is.
    #[must_use]
    pub fn whereabouts(&self, devices: &[Device]) -> String {
        let moved = || devices.iter().find(|device| self.device.as_ref().is_some_and(|known| known.is_same(device)));
        let there = Path::new(&self.path).exists();
        let elsewhere = if there { None } else { moved() };
        elsewhere.map_or_else(|| self.path.clone(), |device| device.port.clone())
    }

    /// It was opened there; what that is will be recognised.
    pub fn opened(&mut self, at: &str, devices: &[Device]) {
        self.device = devices.iter().find(|device| device.is_at(at)).cloned();
    }
}

fn same_file(a: &str, b: &str) -> bool {
    a == b || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

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
        }
    }

    #[test]
    fn a_named_port_is_followed_by_its_serial_number_and_only_while_nothing_is_at_its_path() {
        let dev = tempfile::tempdir().unwrap();
        let [first, second, link] = ["ttyUSB0", "ttyUSB1", "by-id"].map(|name| dev.path().join(name));
        fs::write(&first, "").unwrap();
        std::os::unix::fs::symlink(&first, &link).unwrap();
        let mut named = Named::new(link.to_str().unwrap());
        named.opened(named.path().to_owned().as_str(), &[device(&second, Some("B")), device(&first, Some("A"))]);
        fs::rename(&first, &second).unwrap();
        assert_eq!(named.whereabouts(&[device(&second, Some("A"))]), second.to_str().unwrap());
        for stranger in [Some("B"), None] {
            assert_eq!(named.whereabouts(&[device(&second, stranger)]), named.path(), "{stranger:?}");
        }
        fs::write(&first, "").unwrap();
        assert_eq!(named.whereabouts(&[device(&second, Some("A"))]), named.path(), "something is where it was named");
    }

    #[test]
    fn two_without_a_serial_number_are_not_taken_for_one() {
        let port = Path::new("/dev/ttyUSB0");
        assert!(!device(port, None).is_same(&device(port, None)));
    }
}
