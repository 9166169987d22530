//! Lines that a process has written, kept for queries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::eventually;

/// Every line so far. Clones share them.
#[derive(Clone, Default)]
pub struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    paused: Arc<AtomicBool>,
}

impl Lines {
    /// Keeps what comes out of a pipe until it ends.
    pub fn reading(pipe: impl AsyncRead + Unpin + Send + 'static) -> (Self, tokio::task::JoinHandle<()>) {
        let lines = Self::default();
        let kept = lines.clone();
        let task = tokio::spawn(async move {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            // bytes, not `lines()`: a line that is not UTF-8 must be kept too
            while reader.read_until(b'\n', &mut line).await.is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                kept.lines.lock().unwrap().push(text);
                line.clear();
                if kept.paused.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await; // the pipe stays open and fills
                }
            }
        });
        (lines, task)
    }

    /// Stops reading: the pipe fills.
    pub fn stop_reading(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// All of them.
    pub fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Those that are JSON.
    pub fn json(&self) -> Vec<Value> {
        self.lines.lock().unwrap().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The first JSON line like this, if any.
    pub fn find(&self, like: impl Fn(&Value) -> bool) -> Option<Value> {
        self.json().into_iter().find(|line| like(line))
    }

    /// Waits for a JSON line like this.
    pub async fn wait(&self, what: &str, like: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || self.find(&like)).await
    }

    /// Waits until there are this many lines.
    pub async fn wait_count(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} lines"), async || {
            let all = self.all();
            (all.len() >= count).then_some(all)
        })
        .await
    }

    /// The last lines, for the report of a failed test.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines.lock().unwrap();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}
