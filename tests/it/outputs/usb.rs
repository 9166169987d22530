//! The widget that is found automatically, on a USB bus of the test: which device is claimed, which is left alone, what is reported.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{SOON, connected, errors, light, output, problem};
use crate::harness::{
    Appliance, HEADROOM, Home, Manner, Shield, UsbBus, UsbDevice, Web, Widget, command, eventually, eventually_within,
};

const ENTTEC: UsbDevice = UsbDevice {
    vendor_id: 0x0403,
    product_id: 0x6001,
    manufacturer: Some("ENTTEC"),
    product: Some("DMX USB PRO"),
    serial_number: Some("EN123456"),
};

/// What an Open DMX USB, an Arduino and a SparkFun shield say they are.
const FTDI: UsbDevice = UsbDevice {
    vendor_id: 0x0403,
    product_id: 0x6001,
    manufacturer: Some("FTDI"),
    product: Some("FT232R USB UART"),
    serial_number: Some("A50285BI"),
};

const CH340: UsbDevice = UsbDevice {
    vendor_id: 0x1a86,
    product_id: 0x7523,
    manufacturer: None,
    product: Some("USB Serial"),
    serial_number: None,
};

/// Two of these have one identity.
const CP2102: UsbDevice = UsbDevice {
    vendor_id: 0x10c4,
    product_id: 0xea60,
    manufacturer: Some("Silicon Labs"),
    product: Some("CP2102 USB to UART Bridge Controller"),
    serial_number: Some("0001"),
};

/// An appliance that looks for its widget.
fn looking(bus: &UsbBus) -> Home {
    bus.under(Home::new()).set("DMX_USB_ENABLED", "true").set("DMX_USB_SCAN_INTERVAL", "1")
}

/// Plugs a widget in.
fn plugged_in(bus: &UsbBus, name: &str, device: UsbDevice) -> Widget {
    let widget = Widget::plugged_in(bus.dev(name));
    bus.list(name, device);
    widget
}

async fn refresh(web: &Web) -> Value {
    let answer = web.send(web.request(Method::POST, "/usb/refresh")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until it has searched in vain this often.
async fn looked(web: &Web, times: f64) {
    eventually(&format!("{times} looks"), async || (errors(web, "enttec", "absent").await >= times).then_some(()))
        .await;
}

#[tokio::test]
async fn a_widget_that_answers_is_found() {
    let bus = UsbBus::new();
    let widget = plugged_in(&bus, "ttyUSB0", ENTTEC);
    let appliance = looking(&bus).start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    assert_eq!(connected(&appliance.web(), "enttec", true).await["target"], "/dev/ttyUSB0");
    widget.assert_well_framed();
    let (status, _home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0), "signals reach it");
}

#[tokio::test]
async fn only_the_one_that_answers_is_claimed_also_when_it_is_listed_last() {
    let bus = UsbBus::new();
    let strangers = [
        plugged_in(&bus, "ttyUSB0", FTDI).with(Manner::Mute), // Open DMX USB
        plugged_in(&bus, "ttyUSB1", FTDI).with(Manner::Babbles),
        plugged_in(&bus, "ttyUSB2", FTDI).with(Manner::WrongLabel),
        plugged_in(&bus, "ttyUSB3", ENTTEC).with(Manner::Echoes),
    ];
    // answers like a widget, but nobody has said that it may be one
    let other_ids = plugged_in(&bus, "ttyACM0", CH340);
    let input = plugged_in(&bus, "ttyUSB4", FTDI);
    let widget = plugged_in(&bus, "ttyUSB9", UsbDevice { serial_number: Some("EN999999"), ..ENTTEC });
    let home = looking(&bus).set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", "/dev/ttyUSB4");
    let appliance = home.start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    assert_eq!(connected(&appliance.web(), "enttec", true).await["target"], "/dev/ttyUSB9");
    for stranger in &strangers {
        assert!(stranger.frames().is_empty(), "{:?}", stranger.path());
    }
    for untouched in [&other_ids, &input] {
        assert_eq!(untouched.tape().bytes, b"", "{:?}", untouched.path());
    }
}

#[tokio::test]
async fn without_a_widget_nobody_is_claimed_and_the_advice_says_why() {
    let bus = UsbBus::new();
    let mute = plugged_in(&bus, "ttyUSB0", FTDI).with(Manner::Mute);
    let input = plugged_in(&bus, "ttyUSB1", FTDI);
    let other_ids = plugged_in(&bus, "ttyUSB2", CH340);
    // the input is named by a link, as udev makes them
    let home = looking(&bus).set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", bus.alias("ttyUSB1"));
    let appliance = home.start().await;
    let web = appliance.web();
    looked(&web, 4.0).await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    let shown = output(&web, "enttec").await;
    assert_eq!(shown["connected"], false);
    let advice = problem(&web, "OUTPUT_DOWN").await.expect("a problem");
    for word in ["/dev/ttyUSB0", "does not answer", "Open DMX USB"] {
        assert!(advice.contains(word), "{word} in {advice}");
    }
    looked(&web, 5.0).await;
    assert!(mute.frames().is_empty());
    for untouched in [&input, &other_ids] {
        assert_eq!(untouched.tape().bytes, b"", "{:?}", untouched.path());
    }
}

#[tokio::test]
async fn the_input_has_its_port_while_the_output_looks_for_a_widget() {
    let bus = UsbBus::new();
    let shield = Shield::plugged_in(bus.dev("ttyUSB0"));
    bus.list("ttyUSB0", FTDI);
    let home = looking(&bus).set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", bus.alias("ttyUSB0"));
    let appliance = home.start().await;
    appliance.log.wait("the input", |line| line["message"] == "input_connected").await;
    looked(&appliance.web(), 3.0).await;
    shield.levels(&[4, 5, 6]);
    eventually("the levels", async || {
        (crate::harness::rgb_of(&appliance.web().state().await) == [4, 5, 6]).then_some(())
    })
    .await;
    let widget = plugged_in(&bus, "ttyUSB1", ENTTEC);
    widget.shows([4, 5, 6]).await;
}

#[tokio::test]
async fn a_product_name_is_enough_to_be_asked() {
    let bus = UsbBus::new();
    let device = UsbDevice { vendor_id: 0x9999, product_id: 0x0001, ..ENTTEC };
    let widget = plugged_in(&bus, "ttyACM3", device);
    let appliance = looking(&bus).start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
}

#[tokio::test]
async fn the_ids_are_a_setting() {
    let bus = UsbBus::new();
    let widget = plugged_in(&bus, "ttyUSB0", CH340);
    let ftdi = plugged_in(&bus, "ttyUSB1", FTDI);
    let home = looking(&bus).set("DMX_USB_VENDOR_IDS", "0x1A86,0x0001").set("DMX_USB_PRODUCT_IDS", "7523");
    light(&home.start().await, &widget, [1, 2, 3]).await;
    assert_eq!(ftdi.tape().bytes, b"");
}

#[tokio::test]
async fn absent_at_boot_it_is_found_within_the_scan_interval() {
    let bus = UsbBus::new();
    let appliance = looking(&bus).start().await;
    let web = appliance.web();
    eventually("the problem", async || problem(&web, "OUTPUT_DOWN").await).await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    looked(&web, 4.0).await;
    // From here on the pauses no longer grow; by default they would be 2, 4 and 5 s.
    let start = Instant::now();
    looked(&web, 7.0).await;
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    // three pauses of at least three quarters of a second, less the delay in seeing the fourth search
    assert!(start.elapsed() > Duration::from_secs(1), "{:?}", start.elapsed());
    let widget = plugged_in(&bus, "ttyUSB0", ENTTEC);
    let start = Instant::now();
    widget.shows([1, 2, 3]).await;
    assert!(start.elapsed() < Duration::from_secs(1) * HEADROOM, "{:?}", start.elapsed());
    connected(&web, "enttec", true).await;
    assert_eq!(problem(&web, "OUTPUT_DOWN").await, None);
}

#[tokio::test]
async fn the_known_widget_is_preferred_wherever_it_comes_back() {
    let bus = UsbBus::new();
    let mut known = plugged_in(&bus, "ttyUSB1", ENTTEC);
    let appliance = looking(&bus).start().await;
    light(&appliance, &known, [1, 2, 3]).await;
    // both are plugged in at the same search, the other one is listed first
    bus.unlist("ttyUSB1");
    known.unplug();
    connected(&appliance.web(), "enttec", false).await;
    let mut other = Widget::absent(bus.dev("ttyUSB0")).with_serial([0x11, 0x11, 0x11, 0x11]);
    other.plug();
    known.move_to(bus.dev("ttyUSB5"));
    bus.list("ttyUSB5", ENTTEC);
    bus.list("ttyUSB0", UsbDevice { serial_number: Some("EN111111"), ..ENTTEC });
    light(&appliance, &known, [4, 5, 6]).await;
    assert_eq!(connected(&appliance.web(), "enttec", true).await["target"], "/dev/ttyUSB5");
    assert!(other.frames().is_empty());
    // without it the other one will do
    bus.unlist("ttyUSB5");
    known.unplug();
    light(&appliance, &other, [7, 8, 9]).await;
    known.assert_well_framed();
    other.assert_well_framed();
}

#[tokio::test]
async fn a_widget_in_use_is_kept_when_another_one_is_plugged_in() {
    let bus = UsbBus::new();
    let widget = plugged_in(&bus, "ttyUSB5", ENTTEC);
    let appliance = looking(&bus).start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    let other = plugged_in(&bus, "ttyUSB0", UsbDevice { serial_number: Some("EN111111"), ..ENTTEC });
    refresh(&appliance.web()).await;
    light(&appliance, &widget, [4, 5, 6]).await;
    let frames = widget.frames().len();
    widget.taken(frames + 2).await;
    assert_eq!(other.tape().bytes, b"");
    assert_eq!(widget.tape().asked, 1);
}

#[tokio::test]
async fn a_named_port_is_used_also_on_a_bus() {
    let bus = UsbBus::new();
    let widget = plugged_in(&bus, "ttyUSB5", FTDI).with(Manner::Mute);
    let answering = plugged_in(&bus, "ttyUSB0", ENTTEC);
    let appliance = looking(&bus).set("DMX_USB_PORT", "/dev/ttyUSB5").start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    assert_eq!(answering.tape().bytes, b"");
}

#[tokio::test]
async fn the_list_has_what_the_devices_say_of_themselves() {
    let bus = UsbBus::new();
    let appliance = bus.under(Home::new()).start().await; // the output is off, the list is not
    let web = appliance.web();
    let list = async || {
        let answer = web.get("/usb/devices").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    assert_eq!(list().await, json!({"devices": []}));
    let _widget = plugged_in(&bus, "ttyUSB1", ENTTEC);
    let _other = plugged_in(&bus, "ttyUSB0", CH340);
    let widget = json!({
        "port": "/dev/ttyUSB1", "vendorId": 0x0403, "productId": 0x6001, "manufacturer": "ENTTEC",
        "product": "DMX USB PRO", "serialNumber": "EN123456"
    });
    let other = json!({
        "port": "/dev/ttyUSB0", "vendorId": 0x1a86, "productId": 0x7523, "manufacturer": null,
        "product": "USB Serial", "serialNumber": null
    });
    assert_eq!(list().await, json!({"devices": [other, widget]}));
    assert_eq!(refresh(&web).await, json!({"devices": [other, widget]}));
    bus.unlist("ttyUSB0");
    assert_eq!(list().await, json!({"devices": [widget]}));
}

#[tokio::test]
async fn a_refresh_looks_at_once() {
    let bus = UsbBus::new();
    let appliance = looking(&bus).set("DMX_USB_SCAN_INTERVAL", "3600").start().await;
    let web = appliance.web();
    let soon = SOON * 3; // answering a question takes a while, too
    // After five searches in vain the next one is 3 to 4 s away.
    looked(&web, 5.0).await;
    let widget = plugged_in(&bus, "ttyUSB0", ENTTEC).with(Manner::Mute);
    let before = refresh(&web).await;
    assert_eq!(before["devices"][0]["port"], "/dev/ttyUSB0");
    let asked = async |times| {
        let asked = async || (widget.tape().asked >= times).then_some(());
        eventually_within(soon, "the widget to be asked", asked).await;
    };
    asked(1).await;
    looked(&web, 6.0).await;
    // It was silent and is left alone now; a person knows better.
    widget.set_manner(Manner::Answers);
    refresh(&web).await;
    asked(2).await;
    connected(&web, "enttec", true).await;
    light(&appliance, &widget, [1, 2, 3]).await;
}

#[tokio::test]
async fn a_reconnect_without_a_widget_is_not_found() {
    let bus = UsbBus::new();
    let appliance: Appliance = looking(&bus).start().await;
    let web = appliance.web();
    let reconnect = async || web.send(web.request(Method::POST, "/usb/reconnect")).await;
    reconnect().await.problem(404);
    let mute = plugged_in(&bus, "ttyUSB0", FTDI).with(Manner::Mute);
    let problem = reconnect().await.problem(404);
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("/dev/ttyUSB0")), "{problem}");
    let widget = plugged_in(&bus, "ttyUSB1", ENTTEC);
    let answer = reconnect().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"port": "/dev/ttyUSB1"})));
    light(&appliance, &widget, [1, 2, 3]).await;
    assert!(mute.frames().is_empty());
}

#[tokio::test]
async fn a_twin_of_the_named_widget_is_left_alone_while_that_is_unplugged() {
    let bus = UsbBus::new();
    let mut widget = plugged_in(&bus, "ttyUSB0", CP2102);
    let twin = plugged_in(&bus, "ttyUSB1", CP2102);
    let appliance = looking(&bus).set("DMX_USB_PORT", "/dev/ttyUSB0").start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    bus.unlist("ttyUSB0");
    widget.unplug();
    let web = appliance.web();
    looked(&web, 4.0).await;
    assert_eq!(twin.tape().bytes, b"", "one serial number seen twice is nobody's");
    appliance.web().accepted(&command([4, 5, 6])).await;
    bus.list("ttyUSB0", CP2102);
    widget.plug();
    widget.shows([4, 5, 6]).await;
    assert_eq!(connected(&web, "enttec", true).await["target"], "/dev/ttyUSB0");
    assert_eq!(twin.tape().bytes, b"");
}

#[tokio::test]
async fn the_output_comes_home_when_its_named_widget_is_back() {
    let bus = UsbBus::new();
    let mut widget = plugged_in(&bus, "ttyUSB0", CP2102);
    let appliance = looking(&bus).set("DMX_USB_PORT", "/dev/ttyUSB0").start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    bus.unlist("ttyUSB0");
    widget.unplug();
    // The two were never seen side by side, so this one is taken for the one that was unplugged.
    let twin = plugged_in(&bus, "ttyUSB1", CP2102);
    light(&appliance, &twin, [4, 5, 6]).await;
    widget.plug();
    bus.list("ttyUSB0", CP2102);
    widget.shows([4, 5, 6]).await;
    assert_eq!(connected(&appliance.web(), "enttec", true).await["target"], "/dev/ttyUSB0");
    light(&appliance, &widget, [7, 8, 9]).await;
    assert_ne!(twin.frames().last().map(crate::harness::ReceivedFrame::rgb), Some([7, 8, 9]));
    assert_eq!(problem(&appliance.web(), "OUTPUT_DOWN").await, None);
    // Now it is known that there are two.
    bus.unlist("ttyUSB0");
    widget.unplug();
    let (web, frames) = (appliance.web(), twin.frames().len());
    connected(&web, "enttec", false).await;
    let before = errors(&web, "enttec", "absent").await;
    looked(&web, before + 2.0).await;
    assert_eq!(twin.frames().len(), frames);
}

#[tokio::test]
async fn the_input_comes_home_when_its_named_shield_is_back() {
    let bus = UsbBus::new();
    let mut shield = Shield::plugged_in(bus.dev("ttyUSB0"));
    bus.list("ttyUSB0", CP2102);
    let home = bus.under(Home::new()).set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", "/dev/ttyUSB0");
    let appliance = home.start().await;
    let target = async |port: &str| {
        eventually(&format!("the input at {port}"), async || {
            let input = super::input(&appliance.web()).await;
            (input["connected"] == true && input["target"] == port).then_some(())
        })
        .await;
    };
    target("/dev/ttyUSB0").await;
    bus.unlist("ttyUSB0");
    shield.unplug();
    let _twin = Shield::plugged_in(bus.dev("ttyUSB1"));
    bus.list("ttyUSB1", CP2102);
    target("/dev/ttyUSB1").await;
    shield.plug();
    bus.list("ttyUSB0", CP2102);
    target("/dev/ttyUSB0").await;
    shield.levels(&[4, 5, 6]);
    eventually("the levels", async || {
        (crate::harness::rgb_of(&appliance.web().state().await) == [4, 5, 6]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_widget_that_opening_resets_is_found() {
    let bus = UsbBus::new();
    let stranger = plugged_in(&bus, "ttyUSB0", FTDI).with(Manner::Mute);
    let deaf = Duration::from_millis(1_200);
    let widget = plugged_in(&bus, "ttyUSB1", ENTTEC).with(Manner::Resets(deaf));
    let appliance = looking(&bus).start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    assert_eq!(connected(&appliance.web(), "enttec", true).await["target"], "/dev/ttyUSB1");
    assert!(stranger.frames().is_empty());
    assert_eq!(widget.tape().closes, 0, "it was found at the first opening");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_widget_that_may_be_deaf() {
    let bus = UsbBus::new();
    let mute = plugged_in(&bus, "ttyUSB0", FTDI).with(Manner::Mute);
    let appliance = looking(&bus).start().await;
    eventually("the widget to be asked", async || (mute.tape().asked > 0).then_some(())).await;
    let log = appliance.log.clone();
    let (status, _home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    let late = log.find(|line| line["message"] == "stop_late" && line["floor"] == "outputs");
    assert_eq!(late, None, "nobody was waited for");
}

#[tokio::test]
async fn input_and_output_that_lead_to_one_device_are_named_as_such() {
    let bus = UsbBus::new();
    let widget = plugged_in(&bus, "ttyUSB0", ENTTEC);
    let home = looking(&bus).set("DMX_USB_PORT", "/dev/ttyUSB0");
    let home = home.set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", bus.alias("ttyUSB0"));
    let appliance = home.start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    let advice = eventually("the problem", async || problem(&appliance.web(), "INPUT_DOWN").await).await;
    assert!(advice.contains("usb.port") && !advice.contains("another program"), "{advice}");
    let said = appliance.stderr.tail(20);
    assert!(said.contains("usb.port and input.port lead to the same device"), "{said}");
    // the other way round
    drop(appliance);
    let bus = UsbBus::new();
    let shield = Shield::plugged_in(bus.dev("ttyUSB0"));
    let home = bus.under(Home::new()).set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", "/dev/ttyUSB0");
    let appliance = home.set("DMX_USB_ENABLED", "true").set("DMX_USB_PORT", bus.alias("ttyUSB0")).start().await;
    let either = async || {
        let web = appliance.web();
        let advice = problem(&web, "INPUT_DOWN").await;
        if advice.is_some() { advice } else { problem(&web, "OUTPUT_DOWN").await }
    };
    let advice = eventually("whoever came second", either).await;
    assert!(advice.contains("usb.port and input.port") && !advice.contains("another program"), "{advice}");
    drop(shield);
}
