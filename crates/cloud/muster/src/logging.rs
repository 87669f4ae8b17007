//! What the server writes to standard error: every kind of line, but not every repetition of it.
//!
//! Devices that are refused come back every few seconds for ever, and strangers come as they like. A line of the same cause about the
//! same device is written again after a minute, then two, four, up to an hour, with the number of those in between; and one place of
//! the program writes no more than so many lines, whomever they are about. `MUSTER_LOG` at `debug` shows nothing more of them: who
//! wants each one reads the metrics and the audit.

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

use repeats::{Repeats, Turn};
use subject::Subject;

/// How often it is told how many lines were left out.
const EVERY: Duration = Duration::from_secs(10);

/// A place of the program that writes lines.
type Site = (&'static str, u32);

/// What has been written lately. Cheap to clone.
#[derive(Clone)]
pub struct Written(Arc<Inner>);

struct Inner {
    started: Instant,
    repeats: Mutex<Repeats<Site>>,
}

/// Begins to write. `filter` is in the directives of the `tracing` crates.
pub fn begin(filter: &str) -> anyhow::Result<Written> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("MUSTER_LOG is {filter:?}"))?;
    let written = Written(Arc::new(Inner {
        started: Instant::now(),
        repeats: Mutex::default(),
    }));
    let format = Limited {
        written: written.clone(),
        format: Format::default(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(format)
        .init();
    Ok(written)
}

impl Written {
    fn turn(&self, event: &Event<'_>) -> Turn {
        let metadata = event.metadata();
        // Who asks for every step gets every step.
        if *metadata.level() > Level::INFO {
            return Turn::Write { suppressed: 0 };
        }
        let site = (
            metadata.file().unwrap_or_default(),
            metadata.line().unwrap_or_default(),
        );
        let now = self.0.started.elapsed();
        let subject = Subject::of(event);
        let text = || subject::message(event);
        self.repeats().turn(site, subject.key(), now, text)
    }

    fn repeats(&self) -> std::sync::MutexGuard<'_, Repeats<Site>> {
        let repeats = self.0.repeats.lock();
        repeats.unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells now and then how many lines were left out because there were too many of their kind, until `stopping` turns true.
    pub async fn tell_what_is_left_out(self, mut stopping: watch::Receiver<bool>) {
        loop {
            // Cancel-safe: both only wait.
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
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

/// Writes a line when it is its turn.
struct Limited {
    written: Written,
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
        match self.written.turn(event) {
            Turn::Suppress => Ok(()),
            Turn::Write { suppressed: 0 } => self.format.format_event(context, writer, event),
            Turn::Write { suppressed } => {
                let mut line = String::new();
                self.format
                    .format_event(context, Writer::new(&mut line), event)?;
                writeln!(writer, "{} suppressed={suppressed}", line.trim_end())
            }
        }
    }
}
