//! Counts what devices and operators ask of a hub, and says who has to wait.

use std::time::Duration;

use ids::{HubName, Identity};
use tokio::time::sleep;

use crate::quantities::{Quantity, Throttled};
use crate::service::Hub;

/// Direct methods are counted in pieces of so many bytes.
const METHOD_METER: usize = 4 * 1024;
/// The longest delay of a telemetry message. A sender that would have to wait longer is refused.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// The longest delay of messages that come together: a batch of an MQTT session at one a second.
const MAX_DELAY_OF_ALL: Duration = Duration::from_secs(120);

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
        let counted = (quantity, count);
        let taken = self
            .hub_buckets()
            .take((hub, device), counted, Duration::ZERO, self.now());
        taken
            .map(|_none| ())
            .inspect_err(|_| note(quantity, "refused"))
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

    /// Counts messages of a device, and waits until all of them may be sent. Only messages that may
    /// never come at once are counted in parts. Without a limit a count is two comparisons.
    ///
    /// # Errors
    /// When the first message would have to wait for longer than [`MAX_DELAY`], or all of them for
    /// longer than [`MAX_DELAY_OF_ALL`]. Over MQTT the connection ends then, because a PUBLISH has no
    /// other refusal.
    pub(crate) async fn wait_for_sends(
        &self,
        sender: &Identity,
        messages: usize,
    ) -> Result<(), Throttled> {
        let mut left = u32::try_from(messages).unwrap_or(u32::MAX);
        let mut waited = Duration::ZERO;
        while left > 0 {
            let patience = MAX_DELAY.min(MAX_DELAY_OF_ALL.saturating_sub(waited));
            let buckets = self.hub_buckets();
            let taken = buckets.take_messages(sender, left, patience, self.now());
            let (counted, wait) = taken.inspect_err(|_| note(Quantity::Sends, "refused"))?;
            if !wait.is_zero() {
                note(Quantity::Sends, "delayed");
                sleep(wait).await;
            }
            waited += wait;
            left -= counted;
        }
        Ok(())
    }
}

fn note(quantity: Quantity, result: &'static str) {
    let name = quantity.name();
    metrics::counter!("muster_hub_throttled_total", "quantity" => name, "result" => result)
        .increment(1);
}
