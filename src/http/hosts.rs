//! The names that clients may use for the appliance, and which hosts belong to this network. If a foreign page's own name
//! suddenly leads here (DNS rebinding), the browser takes page and appliance for one origin: only `Host` gives it away.

use std::net::IpAddr;

use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use warp::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use super::problem::Problem;
use crate::config;
use crate::kit::log_limiter::LogLimiter;

/// Endings of names that no public name server knows (RFC 6762, RFC 8375, ICANN's `.internal`; `.lan` and `.fritz.box` are
/// what routers use).
const NEAR: [&str; 5] = [".local", ".lan", ".home.arpa", ".internal", ".fritz.box"];

/// `http.allow_hosts`, and the names known without it.
pub(super) struct Hosts {
    allowed: Vec<String>,
    /// When a refusal was last logged.
    said: Mutex<LogLimiter>,
}

impl Hosts {
    pub(super) fn new(allowed: &[String]) -> Self {
        Self { allowed: allowed.iter().map(|name| name_of(name)).collect(), said: Mutex::default() }
    }

    /// Whether a request with these headers uses one of our names.
    pub(super) async fn know(&self, headers: &HeaderMap) -> bool {
        // HTTP/1.0 may omit it; no browser does
        let Some(host) = headers.get(HOST) else { return true };
        let Ok(host) = host.to_str().map(name_of) else { return false };
        if host.is_empty() || host.parse::<IpAddr>().is_ok() || is_name_of_this_network(&host) {
            return true;
        }
        if self.allowed.iter().any(|allowed| allowed == "*" || *allowed == host) {
            return true;
        }
        spawn_blocking(move || is_own(&host, &node_name(), &search_domains())).await.unwrap_or_default()
    }

    /// The answer to a request for another name: a page for people, a problem for programs.
    pub(super) fn refuse(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Response, Problem> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(name_of).unwrap_or_default();
        // a text that is not a name is not repeated, neither in the log nor in a page
        let plain = host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        let host = if plain { host.as_str() } else { "dmx.example.com" };
        if let Some(held_back) = self.said.lock().due() {
            tracing::warn!(host, %peer, held_back, "http_host_refused");
        }
        let person = headers.get(ACCEPT).and_then(|kinds| kinds.to_str().ok()).is_some_and(|k| k.contains("text/html"));
        if person {
            return Ok(page(host));
        }
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "this appliance does not answer to the name {host}: use its IP address or its .local name, or add {host} to {}",
                config::setting("http.allow_hosts")
            ),
        ))
    }
}

fn page(host: &str) -> Response {
    let mut response = Response::new(include_str!("unknown_host.html").replace("{host}", host).into());
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// The host of `host[:port]`, in lower case, without brackets, zone and the root's dot.
pub(super) fn name_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address.split('%').next().unwrap_or_default(),
        None => match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        },
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether this host can only be a machine nearby: a private or link-local address, or a name that means nothing elsewhere.
pub(super) fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.is_private() || address.is_link_local() || address.is_loopback(),
        Ok(IpAddr::V6(address)) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback()
        }
        Err(_) => is_name_of_this_network(host),
    }
}

/// `localhost` is one: it has no dot.
fn is_name_of_this_network(name: &str) -> bool {
    !name.is_empty() && (!name.contains(['.', ':']) || NEAR.iter().any(|ending| name.ends_with(ending)))
}

/// The machine's own name, or a name in its search domain.
fn is_own(host: &str, node: &str, domains: &[String]) -> bool {
    host == node || domains.iter().any(|domain| host.strip_suffix(domain).is_some_and(|name| name.ends_with('.')))
}

fn node_name() -> String {
    name_of(&rustix::system::uname().nodename().to_string_lossy())
}

/// As in resolv.conf(5). A single label (`search com`) would be half the world.
fn search_domains() -> Vec<String> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let lines =
        text.lines().filter_map(|line| line.trim().strip_prefix("search").or(line.trim().strip_prefix("domain")));
    lines.flat_map(str::split_whitespace).map(name_of).filter(|domain| domain.contains('.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_taken_apart() {
        for (authority, host) in [
            ("10.0.0.5:8080", "10.0.0.5"),
            ("Stage.Local.:80", "stage.local"),
            ("[FD00::1]:8080", "fd00::1"),
            ("[fe80::1%25eth0]", "fe80::1"),
            ("[::1]", "::1"),
            ("dmx", "dmx"),
            ("evil.example:x", "evil.example:x"),
        ] {
            assert_eq!(name_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn near_is_what_can_only_be_of_this_network() {
        for host in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.178.20",
            "169.254.7.7",
            "127.0.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:192.168.1.2",
            "localhost",
            "dmx",
            "dmx-2.local",
            "nas.lan",
            "pi.home.arpa",
            "ha.internal",
            "stage.fritz.box",
        ] {
            assert!(is_near(host), "{host}");
        }
        for host in [
            "",
            "203.0.113.9",
            "172.32.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "2001:db8::1",
            "::ffff:203.0.113.9",
            "evil.example",
            "local",
            "dmx.local.evil.example",
            "dmxlocal.example",
            "192.168.1.2.evil.example",
            "192.168.1.2.nip.io",
            "localhost.evil.example",
            "evil:x",
        ] {
            // a bare word, `local` included, is a name of this network
            assert_eq!(is_near(host), host == "local", "{host}");
        }
    }

    #[tokio::test]
    async fn any_address_a_near_name_and_a_listed_one_are_ours() {
        let hosts = Hosts::new(&["Dmx.Example.com".into()]);
        let know = async |host: &'static str| {
            hosts.know(&[(HOST, HeaderValue::from_static(host))].into_iter().collect()).await
        };
        for host in ["203.0.113.9:8080", "[2001:db8::1]:8080", "dmx.local", "DMX.example.com:8443", "x", ""] {
            assert!(know(host).await, "{host}");
        }
        for host in ["evil.example", "dmx.example.com.evil.example", "xdmx.example.com", "192.168.1.2.nip.io:8080"] {
            assert!(!know(host).await, "{host}");
        }
        assert!(hosts.know(&HeaderMap::new()).await, "HTTP/1.0 without one");
        assert!(
            Hosts::new(&["*".into()])
                .know(&[(HOST, HeaderValue::from_static("a.example"))].into_iter().collect())
                .await
        );
    }

    #[test]
    fn the_machines_own_name_and_search_domain_are_ours() {
        let domains = ["hall.example".to_owned()];
        for host in ["stage.theatre.example", "dmx.hall.example", "a.b.hall.example"] {
            assert!(is_own(host, "stage.theatre.example", &domains), "{host}");
        }
        for host in ["hall.example", "xhall.example", "theatre.example", "hall.example.evil.example"] {
            assert!(!is_own(host, "stage.theatre.example", &domains), "{host}");
        }
    }
}
