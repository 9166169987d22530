//! Tasks with a name, an owner and an end.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;

/// The tasks of one owner. Dropping it aborts what still runs.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits until the first task ends and names it; for ever when there is none. Cancel-safe.
    pub async fn ended(&mut self) -> &'static str {
        match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => self.names.remove(&id).unwrap_or_default(),
            Some(Err(error)) => {
                let name = self.names.remove(&error.id()).unwrap_or_default();
                if error.is_panic() {
                    tracing::error!(task = name, %error, "task_panicked");
                }
                name
            }
            None => std::future::pending().await,
        }
    }

    /// Waits for all until `deadline`; names those that were late, which are then aborted.
    pub async fn join(mut self, deadline: Duration) -> Vec<&'static str> {
        let all = async {
            while !self.names.is_empty() {
                self.ended().await;
            }
        };
        if timeout(deadline, all).await.is_ok() {
            return Vec::new();
        }
        self.names.into_values().collect()
    }
}
