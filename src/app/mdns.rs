//! What this machine is called on its network. avahi decides: if two machines have one name, it gives one of them
//! another.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Where avahi answers one-line questions (avahi-core, simple-protocol.c); nss-mdns asks here too.
const SOCKET: &str = "/run/avahi-daemon/socket";

/// avahi knows its own names at once; for an address that is not its own it asks the network for 5 s.
const PATIENCE: Duration = Duration::from_millis(500);

/// An answer is a name of at most 255 bytes with two numbers in front.
const LONGEST_ANSWER: u64 = 512;

/// How long an answer serves everybody. A name changes when a machine joins, and a page that asks every second must not keep
/// avahi busy.
const FRESH: Duration = Duration::from_secs(10);

/// The name, or that there is none, and when avahi said so.
type LastAnswer = (Instant, Option<String>);

/// avahi's last answer. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Name(Arc<Mutex<Option<LastAnswer>>>);

impl Name {
    /// The name, `dmx-2.local` for example; nothing without avahi.
    pub(super) async fn now(&self, own: Vec<IpAddr>) -> Option<String> {
        // Held during the question, so that there is one at a time: whoever comes meanwhile wants its answer.
        let mut known = self.0.lock().await;
        if let Some((at, name)) = &*known
            && at.elapsed() < FRESH
        {
            return name.clone();
        }
        let name = name_from(Path::new(SOCKET), own).await;
        *known = Some((Instant::now(), name.clone()));
        name
    }
}

async fn name_from(socket: &'static Path, own: Vec<IpAddr>) -> Option<String> {
    let mut asked = JoinSet::new();
    for address in own.into_iter().filter(|address| !address.is_loopback()) {
        asked.spawn(ask(socket, address));
    }
    let first = async {
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some(name)) = answer {
                return Some(name);
            }
        }
        None
    };
    timeout(PATIENCE, first).await.unwrap_or(None)
}

async fn ask(socket: &Path, address: IpAddr) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    stream.write_all(format!("RESOLVE-ADDRESS {address}\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    BufReader::new(stream.take(LONGEST_ANSWER)).read_line(&mut answer).await.ok()?;
    named(&answer)
}

/// `+ <interface> <protocol> <name>`; a refusal begins with `-`.
fn named(answer: &str) -> Option<String> {
    let name = answer.strip_prefix('+')?.split_whitespace().nth(2)?;
    let host = name.strip_suffix(".local")?;
    let label = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!host.is_empty() && host.chars().all(label)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_is_a_name() {
        assert_eq!(named("+ 4 0 dmx-2.local\n").as_deref(), Some("dmx-2.local"));
        for answer in
            ["-15 Timeout reached\n", "+ 4 0 \n", "", "+ 4 0 router.example\n", "+ 4 0 <b>.local\n", "+ 4 0 .local\n"]
        {
            assert_eq!(named(answer), None, "{answer}");
        }
    }

    #[tokio::test]
    async fn without_avahi_there_is_no_name() {
        let own = vec!["127.0.0.1".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        assert_eq!(name_from(Path::new("/nonexistent/socket"), own).await, None);
    }
}
