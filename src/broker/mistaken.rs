//! Those who come to the broker's port by mistake: browsers, which are told where the app is, and clients that begin TLS.
//! They say so with their first bytes, before anything is kept for them.

use std::net::IpAddr;

/// What browsers and other clients of the web begin with (RFC 9110, 9; RFC 9113, 3.4).
const METHODS: [&str; 10] =
    ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT ", "PRI "];

/// The most of a request that is waited for: less than what a socket has for free.
pub(super) const LONGEST_HEAD: usize = 4 * 1024;

/// What the first bytes of a socket are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// MQTT, or nothing that is known here.
    Mqtt,
    Http,
    Tls,
    /// Too few to tell.
    Unclear,
}

pub(super) fn recognise(first: &[u8]) -> First {
    match first {
        [] | [0x16] => First::Unclear,
        // RFC 8446, 5.1: a handshake, of any version since SSL 3
        [0x16, 3, ..] => First::Tls,
        _ if METHODS.iter().any(|method| first.starts_with(method.as_bytes())) => First::Http,
        _ if METHODS.iter().any(|method| method.as_bytes().starts_with(first)) => First::Unclear,
        _ => First::Mqtt,
    }
}

/// Whether the head of a request is there, or more than one has.
pub(super) fn is_whole(head: &[u8]) -> bool {
    head.len() >= LONGEST_HEAD || head.windows(4).any(|end| end == b"\r\n\r\n")
}

/// One short line for people: the web is elsewhere. The host is the one that they typed.
pub(super) fn answer(head: &[u8], here: IpAddr, web_port: u16) -> String {
    let host = host(head).unwrap_or_else(|| match here.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    });
    let port = if web_port == 80 { String::new() } else { format!(":{web_port}") };
    let line = format!("This is the MQTT port. The app is at http://{host}{port}/\n");
    let body = if head.starts_with(b"HEAD ") { "" } else { line.as_str() };
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        line.len()
    )
}

/// The host that a request names, if it is one.
fn host(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let (_, named) = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let named = named.trim();
    if let Some((address, _)) = named.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<std::net::Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let name = named.split(':').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    ((1..=253).contains(&name.len()) && name.bytes().all(plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_who_it_is() {
        for (first, is) in [
            (&b""[..], First::Unclear),
            (b"G", First::Unclear),
            (b"OPTIONS", First::Unclear),
            (b"\x16", First::Unclear),
            (b"GET /", First::Http),
            (b"PRI * HTTP/2.0", First::Http),
            (b"\x16\x03\x01\x02", First::Tls),
            (b"\x10", First::Mqtt),
            (b"\x10\x0c\0\x04MQTT", First::Mqtt),
            (b"GETS", First::Mqtt),
            (b"\x16\x04", First::Mqtt),
            (b"\0", First::Mqtt),
        ] {
            assert_eq!(recognise(first), is, "{first:?}");
        }
    }

    #[test]
    fn the_answer_names_the_host_that_was_typed_and_nothing_else() {
        let here = "192.0.2.7".parse().unwrap();
        for (named, url) in [
            ("Host: dmx.local:1883", "http://dmx.local:8080/"),
            ("hOST:10.0.0.5", "http://10.0.0.5:8080/"),
            ("Host: [FD00::1]:1883", "http://[fd00::1]:8080/"),
            ("Host: <script>", "http://192.0.2.7:8080/"),
            ("Host: a b", "http://192.0.2.7:8080/"),
            ("Host: [x]", "http://192.0.2.7:8080/"),
            ("Host:", "http://192.0.2.7:8080/"),
            ("Accept: */*", "http://192.0.2.7:8080/"),
        ] {
            let said = answer(format!("GET / HTTP/1.1\r\n{named}\r\n\r\n").as_bytes(), here, 8080);
            let (head, body) = said.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, format!("This is the MQTT port. The app is at {url}\n"), "{named}");
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        }
        let said = answer(b"HEAD / HTTP/1.0\r\n\r\n", "::ffff:10.0.0.5".parse().unwrap(), 80);
        assert!(said.ends_with("\r\n\r\n"), "a HEAD has no body: {said}");
        assert!(
            answer(b"GET", "fd00::2".parse().unwrap(), 80).ends_with(" http://[fd00::2]/\n"),
            "port 80 is not named"
        );
    }
}
