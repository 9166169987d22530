//! A USB bus for tests: in a mount namespace the appliance sees our folders in place of /sys/class/tty and /dev.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Home;
use super::pty::unlink;

/// Puts the folders in place and becomes the appliance. $0 is the bus's folder.
///
/// Single files that are bound keep their devices; changes to the folders from outside are visible inside.
const ENTER: &str = r#"
set -e
for name in null zero full random urandom tty ptmx pts; do
  mount --rbind "/dev/$name" "$0/dev/$name"
done
mount --rbind "$0/tty" /sys/class/tty
mount --rbind "$0/dev" /dev
exec "$@"
"#;

/// What a device says of itself.
#[derive(Clone, Copy, Debug)]
pub struct UsbDevice {
    pub vendor_id: u16,
    pub product_id: u16,
    pub manufacturer: Option<&'static str>,
    pub product: Option<&'static str>,
    pub serial_number: Option<&'static str>,
}

/// The bus of one test; it outlives the appliance's restarts.
pub struct UsbBus {
    folder: TempDir,
}

impl UsbBus {
    /// Nothing is plugged in.
    pub fn new() -> Self {
        let bus = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["tty", "dev/pts", "dev/serial/by-id", "devices", "drivers/usb-serial"] {
            fs::create_dir_all(bus.folder.path().join(folder)).unwrap();
        }
        for file in ["null", "zero", "full", "random", "urandom", "tty", "ptmx"] {
            fs::write(bus.dev(file), "").unwrap();
        }
        bus
    }

    /// Starts the appliance of this home on the bus.
    pub fn under(&self, home: Home) -> Home {
        let user = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
        let words = ["unshare", user, "sh", "-c", ENTER].map(OsString::from);
        home.started_by(words.into_iter().chain([self.folder.path().into()]))
    }

    /// Where a device node is, from outside; the appliance sees it as `/dev/<name>`.
    pub fn dev(&self, name: &str) -> PathBuf {
        self.folder.path().join("dev").join(name)
    }

    /// Makes the kernel list a device under this name. Its node should be there before.
    pub fn list(&self, name: &str, device: UsbDevice) {
        let usb = self.folder.path().join("devices").join(format!("{name}-{}", ulid::Ulid::generate()));
        let port = usb.join("1-1:1.0").join(name);
        let tty = port.join("tty");
        fs::create_dir_all(&tty).unwrap();
        let text = |file: &str, text: Option<&str>| {
            if let Some(text) = text {
                fs::write(usb.join(file), format!("{text}\n")).unwrap();
            }
        };
        text("idVendor", Some(&format!("{:04x}", device.vendor_id)));
        text("idProduct", Some(&format!("{:04x}", device.product_id)));
        text("manufacturer", device.manufacturer);
        text("product", device.product);
        text("serial", device.serial_number);
        symlink(self.folder.path().join("drivers/usb-serial"), port.join("subsystem")).unwrap();
        symlink(&port, tty.join("device")).unwrap();
        symlink(&tty, self.listed(name)).unwrap(); // last, so that the list only has complete devices
    }

    /// The kernel no longer lists it.
    pub fn unlist(&self, name: &str) {
        unlink(&self.listed(name));
    }

    /// A second name of a device, as udev makes them; gives the path that the appliance sees.
    pub fn alias(&self, name: &str) -> PathBuf {
        let alias = format!("usb-Shield_{name}-if00-port0");
        symlink(Path::new("../..").join(name), self.dev("serial/by-id").join(&alias)).unwrap();
        Path::new("/dev/serial/by-id").join(alias)
    }

    fn listed(&self, name: &str) -> PathBuf {
        self.folder.path().join("tty").join(name)
    }
}
