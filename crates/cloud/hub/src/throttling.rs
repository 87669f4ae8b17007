//! Counts what devices and operators ask of a hub, and says who has to wait.

use std::time::Duration;

use ids::{HubName, Identity};

use crate::quantities::{Quantity, Throttled};
use crate::service::Hub;

/// Direct methods are counted in pieces of so many bytes.
const METHOD_METER: usize = 4 * 1024;
/// The longest delay of a telemetry message. A sender that would have to wait longer is refused.
const MAX_DELAY: Duration = Duration::from_secs(10);

impl Hub {
    /// Counts one request of a device, or of an operator when `device` is `None`.
    ///
    /// # Errors
    /// When the device or the hub has used up what it may have. Nothing is counted then.
    pub(crate) fn count(
        &self,
        (hub, device): (&HubName, Option<&Identity>),
        (quantity, count): (Quantity, u32),
    ) -> Result<(), Throttled> {
        self.take((hub, device), (quantity, count), Duration::ZERO)
            .map(|_none| ())
    }

    /// Counts a direct method by the size of its request.
    ///
    /// # Errors
    /// When the hub has used up what it may have.
    pub(crate) fn count_method(&self, hub: &HubName, body: usize) -> Result<(), Throttled> {
        let pieces = body.div_ceil(METHOD_METER).max(1);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        self.count((hub, None), (Quantity::Methods, pieces))
    }

    /// Counts messages of a device, and says how long they have to wait.
    ///
    /// # Errors
    /// When they would have to wait for longer than [`MAX_DELAY`]. Nothing is counted then.
    pub(crate) fn count_sends(
        &self,
        sender: &Identity,
        messages: usize,
    ) -> Result<Duration, Throttled> {
        let count = u32::try_from(messages).unwrap_or(u32::MAX);
        let wait = self.take(
            (&sender.hub, Some(sender)),
            (Quantity::Sends, count),
            MAX_DELAY,
        )?;
        if !wait.is_zero() {
            note(Quantity::Sends, "delayed");
        }
        Ok(wait)
    }

    fn take(
        &self,
        caller: (&HubName, Option<&Identity>),
        counted: (Quantity, u32),
        patience: Duration,
    ) -> Result<Duration, Throttled> {
        let taken = self
            .hub_buckets()
            .take(caller, counted, patience, self.now());
        taken.inspect_err(|_| note(counted.0, "refused"))
    }
}

fn note(quantity: Quantity, result: &'static str) {
    let name = quantity.name();
    metrics::counter!("muster_hub_throttled_total", "quantity" => name, "result" => result)
        .increment(1);
}
