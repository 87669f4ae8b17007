//! The time that a device goes by. It may differ from the machine's clock, which may be wrong.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use ids::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The time that a device goes by.
pub trait Clock: Debug + Send + Sync {
    /// The time by which certificates are verified and tokens are made.
    fn now(&self) -> Timestamp;

    /// A trusted server says what time it is.
    fn hear(&self, server: Timestamp);
}

/// A [`Clock`] as rustls asks it.
#[derive(Debug)]
pub(crate) struct ClockOfTls(pub(crate) Arc<dyn Clock>);

impl TimeProvider for ClockOfTls {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

pub(crate) fn unix_time(time: Timestamp) -> UnixTime {
    let seconds = u64::try_from(time.unix_seconds()).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
