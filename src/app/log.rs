//! The log: one JSON object a line on stdout. Nobody ever waits for it: a slow reader costs lines, not light.

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
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::LogLevel;

/// Lines that may wait for stdout: some 2 MB of usual ones, 0.2 s at 40,000 commands a second. When full, the line is
/// dropped and counted.
const WAITING_LINES: usize = 8192;

/// How long the end of the process waits for the last lines.
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
    // also takes what users of `log` write (sled)
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

/// Our own words at `level`; other crates' only from warnings on, since they are for their developers.
fn subscriber(level: LogLevel, lines: Lines) -> impl Subscriber + Send + Sync {
    let level = LevelFilter::from(level);
    let words = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(env!("CARGO_CRATE_NAME"), level);
    let json =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // rumqttd opens several spans per message, which nobody reads and everybody would wait for
    let no_spans = filter_fn(|metadata| metadata.is_event());
    tracing_subscriber::registry().with(words).with(no_spans).with(json.with_writer(lines))
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

/// Logs every panic as one line, besides stderr. A router's thread ends by a panic even when another router has taken its
/// place in peace (BROKER K5): if something is wrong, the guardian reports it.
fn log_panics() {
    let to_stderr = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let location = panic.location().map(ToString::to_string);
        let (thread, reason) = (thread::current(), reason(panic));
        let thread = thread.name();
        if thread.is_some_and(is_router) {
            return tracing::warn!(location, reason, thread, "router_thread_ended");
        }
        tracing::error!(location, reason, thread, "panic");
        to_stderr(panic);
    }));
}

/// Whether rumqttd gives a router's thread this name.
fn is_router(thread: &str) -> bool {
    thread.strip_prefix("router-").is_some_and(|number| number.parse::<usize>().is_ok())
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
            // either answer means that nothing is left to wait for
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

/// Where log lines go: the bounded queue to stdout, with what it dropped counted at once.
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
        // `fetch_max` reports each lost line to one thread only
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};
    use std::time::Instant;

    use parking_lot::Mutex;

    use serde_json::Value;
    use tracing::subscriber::with_default;

    use super::*;
    use crate::metrics::Metrics;

    /// Takes every line.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, speak: impl FnOnce()) -> Vec<Value> {
        let page = Page::default();
        let (lines, guard) = lines(page.clone(), Metrics::new().unwrap().log_dropped);
        with_default(subscriber(level, lines), speak);
        drop(guard);
        let text = String::from_utf8(page.0.lock().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_object_with_its_fields_at_the_top() {
        let lines = logged(LogLevel::Info, || {
            tracing::info!(seq = 7, cmdId = "01HZ", src = "ui\n", latencyUs = 12, "command_applied");
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(line.get("message"), Some(&"command_applied".into()));
        assert_eq!(line.get("level"), Some(&"INFO".into()));
        assert_eq!(line.get("seq"), Some(&7.into()));
        assert_eq!(line.get("cmdId"), Some(&"01HZ".into()));
        assert_eq!(line.get("src"), Some(&"ui\n".into()));
        let timestamp = line.get("timestamp").and_then(Value::as_str).unwrap();
        assert!(timestamp.len() >= 20 && timestamp.contains('T') && timestamp.ends_with('Z'), "{timestamp}");
    }

    #[test]
    fn our_words_come_from_the_set_level_on_and_others_from_a_warning_on() {
        let speak = || {
            tracing::trace!("our trace");
            tracing::debug!("our debug");
            tracing::info!("our info");
            tracing::error!("our error");
            tracing::info!(target: "rumqttd::router", "their info");
            tracing::warn!(target: "sled", "their warning");
        };
        let messages = |level| -> Vec<String> {
            let lines = logged(level, speak);
            lines.iter().filter_map(|line| line.get("message")?.as_str().map(str::to_owned)).collect()
        };
        assert_eq!(messages(LogLevel::Debug), ["our debug", "our info", "our error", "their warning"]);
        assert_eq!(messages(LogLevel::Info), ["our info", "our error", "their warning"]);
        assert_eq!(messages(LogLevel::Error), ["our error"]);
    }

    /// A reader that sleeps: says that it was called, and returns when it is woken.
    struct Sleeper {
        called: Sender<()>,
        woken: Receiver<()>,
    }

    impl Write for Sleeper {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.called.send(());
            let _ = self.woken.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_sleeps_costs_counted_lines_and_holds_up_neither_work_nor_end() {
        let (called, is_called) = mpsc::channel();
        let (wake, woken) = mpsc::channel();
        let dropped = Metrics::new().unwrap().log_dropped;
        let (lines, guard) = lines(Sleeper { called, woken }, dropped.clone());
        with_default(subscriber(LogLevel::Info, lines), || {
            tracing::info!("the one that stdout holds");
            is_called.recv().unwrap();
            for _ in 0..WAITING_LINES {
                tracing::info!("one that waits");
            }
            assert_eq!(dropped.get(), 0);
            for _ in 0..3 {
                tracing::info!("one too many");
            }
            assert_eq!(dropped.get(), 3);
        });
        let end = Instant::now();
        drop(Log(Some(guard)));
        assert!(end.elapsed() < LAST_LINES * 3, "{:?}", end.elapsed());
        drop(wake);
    }
}
