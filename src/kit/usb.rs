//! The USB serial devices that are plugged in. Plain serial ports and ptys are not among them.

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

/// Where Linux lists serial ports; a container may lack it.
const PORTS: &str = "/sys/class/tty";

/// Reads the list of the system, by port. Blocks for some file reads.
#[must_use]
pub fn devices() -> Vec<Device> {
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
