//! The log on standard error: every kind of line, but not every repetition of it.
//!
//! Devices that are refused try again every few seconds without end, and any client may connect. A
//! line of the same cause about the same device is written again after a minute, then two, four, up
//! to an hour, with the number of lines in between. Each call site has a rate limit too, whatever
//! its lines are about. `MUSTER_LOG` at `debug` shows no more of them: each single event is in the
//! metrics and the audit.

mod repeats;
mod subject;

use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use repeats::{Decision, Repeats};
use subject::Subject;

/// The time between two counts of the lines that were left out.
const PERIOD: Duration = Duration::from_secs(10);

/// A call site of the program that writes lines: file and line.
type Site = (&'static str, u32);

/// The log, with what it has written lately. Cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    started: Instant,
    repeats: Mutex<Repeats<Site>>,
}

/// Starts the log. `filter` is in the syntax of `tracing_subscriber::EnvFilter`.
pub fn start(filter: &str) -> anyhow::Result<Log> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("MUSTER_LOG is {filter:?}"))?;
    let log = Log(Arc::new(Inner {
        started: Instant::now(),
        repeats: Mutex::default(),
    }));
    let format = Limited {
        log: log.clone(),
        format: Format::default(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(format)
        .init();
    Ok(log)
}

impl Log {
    fn decide(&self, event: &Event<'_>) -> Decision {
        let metadata = event.metadata();
        // At `debug` every line is written.
        if *metadata.level() > Level::INFO {
            return Decision::Write { suppressed: 0 };
        }
        let site = (
            metadata.file().unwrap_or_default(),
            metadata.line().unwrap_or_default(),
        );
        let now = self.0.started.elapsed();
        let subject = Subject::of(event);
        let text = || subject::message(event);
        self.repeats().decide(site, subject.key(), now, text)
    }

    fn repeats(&self) -> std::sync::MutexGuard<'_, Repeats<Site>> {
        let repeats = self.0.repeats.lock();
        repeats.unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs how many lines were left out because their call site wrote too many,
    /// until `stopping` turns true.
    pub async fn report_left_out(self, mut stopping: watch::Receiver<bool>) {
        loop {
            // Cancel-safe: both only wait.
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                stop = stopping.wait_for(|stop| *stop) => {
                    // A sender that is gone is a stop as well.
                    drop(stop);
                    return;
                }
            }
            let left_out = self.repeats().left_out();
            for (count, example) in left_out {
                tracing::warn!(
                    lines.left_out = count,
                    "{count} more lines were left out like this one: {example}"
                );
            }
        }
    }
}

/// Formats the lines that are written.
struct Limited {
    log: Log,
    format: Format,
}

impl<S, N> FormatEvent<S, N> for Limited
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.log.decide(event) {
            Decision::Suppress => Ok(()),
            Decision::Write { suppressed: 0 } => self.format.format_event(context, writer, event),
            Decision::Write { suppressed } => {
                let mut line = String::new();
                self.format
                    .format_event(context, Writer::new(&mut line), event)?;
                writeln!(writer, "{} suppressed={suppressed}", line.trim_end())
            }
        }
    }
}
