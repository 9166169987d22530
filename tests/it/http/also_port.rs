//! `http.also_port`: the web at a second port, which must never prevent the start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::harness::{Home, Web, command};

/// A loopback address that no other test of this machine uses, so that a free port on it stays free.
fn own_address() -> Ipv4Addr {
    let [.., a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, a | 1, b, c | 1)
}

#[tokio::test]
async fn the_web_answers_on_both_ports() {
    let address = own_address();
    let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
    let home = Home::new().set("DMX_HOST", address.to_string()).set("DMX_HTTP_ALSO_PORT", port.to_string());
    let appliance = home.start().await;
    let also = Web::new(SocketAddr::new(address.into(), port));
    appliance.log.wait("the second port", |line| line["door"] == "http_also").await;
    assert_eq!(also.accepted(&command([1, 2, 3])).await, 1);
    assert_eq!(appliance.web().accepted(&command([1, 2, 4])).await, 2);
    assert_eq!(also.state().await, appliance.web().state().await);
    assert_eq!(also.problems().await, Vec::<String>::new());
    appliance.terminate().await;
}

#[tokio::test]
async fn a_second_port_that_is_taken_is_a_warning() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let appliance = Home::new().set("DMX_HTTP_ALSO_PORT", port.to_string()).start().await;
    assert_eq!(appliance.web().accepted(&command([1, 2, 3])).await, 1);
    assert_eq!(appliance.web().problems().await, ["WEB_ALSO_PORT"]);
    let warning = appliance.log.find(|line| line["message"] == "http_also_port").unwrap();
    assert!(warning["level"] == "WARN" && warning["addr"] == format!("127.0.0.1:{port}"), "{warning}");
    appliance.terminate().await;
}
