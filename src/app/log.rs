//! The log: one JSON object a line on stdout. Nobody ever waits for it: a reader that sleeps costs lines, not light.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use prometheus::IntCounter;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::LogLevel;

/// Lines that may wait for stdout: some 2 MB, half a second of the greatest load. Full means: the line is dropped and
/// counted.
const WAITING_LINES: usize = 8192;

/// How long the end of the process waits for the last lines to get out.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Keeps the log running; dropping it writes the last lines.
#[derive(Debug)]
pub struct Log(Option<WorkerGuard>);

/// Starts the log of the process, panics included. Dropped lines are counted into `dropped`.
///
/// # Errors
/// The process has a log already.
pub fn start(level: LogLevel, dropped: IntCounter) -> Result<Log, TryInitError> {
    let (lines, guard) = lines(io::stdout(), dropped);
    // Also takes in what `log` users (sled) write.
    subscriber(level, lines).try_init()?;
    log_panics();
    Ok(Log(Some(guard)))
}

fn lines(out: impl Write + Send + 'static, dropped: IntCounter) -> (Lines, WorkerGuard) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES).thread_name("log");
    let (lines, guard) = builder.finish(out);
    let lost = lines.error_counter();
    (Lines { lines, lost, counted: Arc::default(), dropped }, guard)
}

/// Our own words at `level`; other crates' only from a warning on, for they speak to their builders.
fn subscriber(level: LogLevel, lines: Lines) -> impl Subscriber + Send + Sync {
    let level = LevelFilter::from(level);
    let words = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(env!("CARGO_CRATE_NAME"), level);
    let json =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    tracing_subscriber::registry().with(words).with(json.with_writer(lines))
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::TRACE,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Info => Self::INFO,
            LogLevel::Warn => Self::WARN,
            LogLevel::Error => Self::ERROR,
        }
    }
}

/// Logs every panic as one line, besides what stderr gets.
fn log_panics() {
    let to_stderr = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, reason = reason(panic), thread = thread::current().name(), "panic");
        to_stderr(panic);
    }));
}

fn reason<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default()
}

impl Drop for Log {
    /// Waits on a thread of its own: with a full pipe the guard itself would wait for ever (it prints to stdout).
    fn drop(&mut self) {
        let guard = self.0.take();
        let (done, written) = mpsc::channel::<()>();
        let last = thread::Builder::new().name("log-end".into()).spawn(move || {
            drop(guard);
            drop(done);
        });
        if last.is_ok() {
            // Either answer means that there is nothing left to wait for.
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

/// Where log lines go: the bounded queue to stdout, with what it had to drop counted at once.
#[derive(Clone, Debug)]
struct Lines {
    lines: NonBlocking,
    lost: ErrorCounter,
    counted: Arc<AtomicUsize>,
    dropped: IntCounter,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.lines.write(line)?;
        let lost = self.lost.dropped_lines();
        // `fetch_max` tells each lost line to one thread only.
        let counted = self.counted.fetch_max(lost, Ordering::Relaxed);
        self.dropped.inc_by(lost.saturating_sub(counted) as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
