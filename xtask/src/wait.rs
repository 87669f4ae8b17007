//! Waiting for a condition of another process, which can only be asked.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::interrupt::Interrupt;

/// How often an outside condition is asked.
const PERIOD: Duration = Duration::from_millis(50);

/// Asks `probe` until it gives a value. Gives up after `patience`, with the
/// last thing the probe said about why not.
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    interrupt: &Interrupt,
    mut probe: impl FnMut() -> anyhow::Result<Probe<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        interrupt.or_go_on()?;
        let said = match probe()? {
            Probe::Yes(value) => return Ok(value),
            Probe::NotYet(said) => said,
        };
        if begun.elapsed() > patience {
            bail!(
                "waited {} s in vain for {what}; last seen: {said}",
                patience.as_secs()
            );
        }
        std::thread::sleep(PERIOD);
    }
}

/// What a probe saw.
pub(crate) enum Probe<T> {
    Yes(T),
    NotYet(String),
}
