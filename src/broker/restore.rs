//! What an earlier run left for clients: their sessions, with what waits for them, and wills that were not fired. Nothing of
//! that is thrown away because something is slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::hub::Hub;
use super::lasting;
use super::session;
use super::wills as stored_wills;
use crate::kit::budget::Kind;

/// The sessions of the last run, which receive everything from now on. The router has so much time to answer.
pub(super) async fn sessions(hub: &Arc<Hub>, patience: Duration) -> JoinSet<()> {
    let (mut tasks, mut answers) = (JoinSet::new(), Vec::new());
    let mut left = hub.recall();
    let wills: HashMap<_, _> =
        stored_wills::pending(&hub.store).into_iter().map(|will| (will.client, will.left)).collect();
    let (records, all_are_read) = session::records(&hub.store);
    records.iter().for_each(|record| hub.lasting.know_session(record.number));
    let trimmed = fit(hub, &mut left, &records, all_are_read);
    for record in records {
        let (id, number) = (record.id().to_owned(), record.number);
        let of_it = session::Left {
            waiting: left.waiting.remove(&number).unwrap_or_default(),
            progress: left.progress.remove(&number).unwrap_or_default(),
            handshakes: left.handshakes.remove(&number).unwrap_or_default(),
            trimmed: trimmed.contains_key(&number),
        };
        if hub.doorman.owner(record.owner.as_deref()).is_err() {
            tracing::info!(clientId = id, "session_ended: its user is no more");
            session::purge(hub, &id, number).await;
            continue;
        }
        match session::restore(hub.clone(), record, of_it, wills.get(&id).copied()).await {
            Some((session, asked)) => {
                tasks.spawn(session);
                answers.extend(asked);
            }
            None => {
                tracing::warn!(clientId = id, "session_not_restored: no room (mqtt.max_sessions)");
                session::purge(hub, &id, number).await;
            }
        }
    }
    if all_are_read {
        hub.forget_strays(&left).await;
    } else {
        hub.lasting.hold(left);
    }
    subscribed(answers, patience).await;
    tasks
}

/// Waits for the router's answers to what was subscribed. If it does not answer in time, nobody loses the session for that:
/// it is asked again when another one has taken its place.
async fn subscribed(answers: Vec<oneshot::Receiver<u64>>, patience: Duration) {
    let all = async {
        for answer in answers {
            let _ = answer.await; // Err: the filter has ended
        }
    };
    if timeout(patience, all).await.is_err() {
        tracing::error!("subscriptions_late: the message router has not answered to those of kept sessions");
    }
}

/// What waits for sessions is no more than may: an earlier run may have had another limit, or none. Gives how many messages
/// went, by session.
fn fit(hub: &Arc<Hub>, left: &mut lasting::Left, records: &[session::Record], all_are_read: bool) -> HashMap<u32, u64> {
    let by_number: HashMap<_, _> = records.iter().map(|record| (record.number, record)).collect();
    if all_are_read {
        left.waiting.retain(|session, _| by_number.contains_key(session)); // others are no more
    }
    let is_device = |session: u32| by_number.get(&session).is_some_and(|record| record.is_device);
    let gone = left.fit(&hub.budget, session::REFERENCE, is_device);
    if gone.is_empty() {
        return gone;
    }
    let (lost, sessions) = (gone.values().sum::<u64>(), gone.len());
    let why = format!(
        "the store had more messages for sessions that are away than mqtt.max_queued_bytes and limits.memory allow: the \
         oldest {lost}, of {sessions} sessions, were dropped at the start"
    );
    tracing::warn!(lost, sessions, why, "queued_trimmed");
    hub.budget.tell_full(Kind::Queued, &why);
    for (session, count) in &gone {
        if let Some(record) = by_number.get(session) {
            hub.lost_before_start(record.id(), *count);
        }
    }
    gone
}

/// The clients of the last run whose wills were not fired, as far as no kept session waits for them.
pub(super) fn wills(hub: &Arc<Hub>, tasks: &mut JoinSet<()>) {
    for stored_wills::Pending { client, left } in stored_wills::pending(&hub.store) {
        if hub.register.has(&client) {
            continue;
        }
        match session::restore_will(hub.clone(), &client, left) {
            Some(session) => drop(tasks.spawn(session)),
            None => drop(tasks.spawn(session::say_last_will(hub.clone(), client))), // no room to wait
        }
    }
}
