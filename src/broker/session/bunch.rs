//! Writes to clients that a session's task has given something: made once for each of them, when the task pauses. So a
//! client that says much at once costs a write a subscriber, not one a message, and nobody waits for it.

use std::cell::RefCell;

use super::outbox::Member;

thread_local! {
    /// Who is to be written to when the task that runs here pauses; `None`: it is none of a session's.
    static TOUCHED: RefCell<Option<Vec<Member>>> = const { RefCell::new(None) };
}

/// Has them written to when the task that runs here pauses; gives them back if it is none of a session's.
pub(in crate::broker) fn write_soon(members: Vec<Member>) -> Vec<Member> {
    TOUCHED.with_borrow_mut(|touched| match touched {
        Some(touched) => {
            touched.extend(members);
            Vec::new()
        }
        None => members,
    })
}

/// Writes to them before the task pauses.
pub(super) fn write_now() {
    let touched = TOUCHED.with_borrow_mut(|touched| touched.as_mut().map(std::mem::take));
    write(&touched.unwrap_or_default());
}

fn write(members: &[Member]) {
    members.iter().for_each(|member| member.flush());
}

/// While a session's task runs; its end is the pause, even in a panic.
struct Bunch;

impl Bunch {
    fn begin() -> Self {
        TOUCHED.set(Some(Vec::new()));
        Self
    }
}

impl Drop for Bunch {
    fn drop(&mut self) {
        write(&TOUCHED.take().unwrap_or_default());
    }
}

/// Runs a session. Boxed: an async function would have room for it twice.
pub(super) fn bunched<T>(task: impl Future<Output = T>) -> impl Future<Output = T> {
    let mut task = Box::pin(task);
    std::future::poll_fn(move |cx| {
        let _bunch = Bunch::begin();
        task.as_mut().poll(cx)
    })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex, split};
    use tokio::task::yield_now;

    use super::*;
    use crate::broker::codec::QoS;
    use crate::broker::inbox::Stream;
    use crate::broker::message::Message;
    use crate::broker::passed::Passed;
    use crate::broker::session::dialect::Dialect;
    use crate::broker::session::outbound::Outbound;
    use crate::broker::session::outbox::Laggards;
    use crate::broker::session::queued::Queued;
    use crate::broker::topic::Filter;
    use crate::broker::wanted::Wanted;
    use crate::metrics::Metrics;

    fn connected() -> (Member, DuplexStream) {
        let member = Member::new(
            (1, std::sync::Arc::default()),
            Outbound::new(10, Queued::of_tests()),
            10,
            &Laggards::new(&Metrics::new().unwrap().broker),
        );
        member.add_exact(&Filter::new("t").unwrap(), Wanted::plain(QoS::AtMostOnce), 0);
        let (near, far) = duplex(1 << 10);
        let half = split(Box::new(near) as Box<dyn Stream>).1;
        member.connect(half, Dialect::default(), Default::default(), BytesMut::new());
        (member, far)
    }

    fn give(member: &Member, payload: &[u8]) {
        let message = Message::ours("t", payload, QoS::AtMostOnce, false);
        if member.put(&Passed::new(1, &message, false, Vec::new()).into(), QoS::AtMostOnce) {
            write(&write_soon(vec![member.clone()]));
        }
    }

    async fn hears(far: &mut DuplexStream, payload: &[u8]) {
        let mut bytes = vec![0; 5 + payload.len()];
        far.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes[5..], payload);
    }

    fn is_silent(far: &mut DuplexStream) -> bool {
        futures_util::FutureExt::now_or_never(far.read_u8()).is_none()
    }

    #[tokio::test]
    async fn a_session_writes_when_it_pauses_or_before_its_own_answers_and_others_at_once() {
        let (member, mut far) = connected();
        bunched(async {
            give(&member, b"1");
            give(&member, b"2");
            assert!(is_silent(&mut far), "both are written at once");
            yield_now().await;
            hears(&mut far, b"1").await;
            hears(&mut far, b"2").await;
            give(&member, b"3");
            write_now();
            hears(&mut far, b"3").await;
            give(&member, b"4");
        })
        .await;
        hears(&mut far, b"4").await;
        give(&member, b"5");
        assert!(!is_silent(&mut far));
    }
}
