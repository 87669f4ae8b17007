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

    /// Counts messages of a device, and waits until all of them may be sent. Each is counted by
    /// itself: a bucket counts no more at once than it holds, and refuses at once what has to wait
    /// for longer than [`MAX_DELAY`]. Without a limit a count is two comparisons.
    ///
    /// # Errors
    /// When the next message would have to wait for longer than [`MAX_DELAY`] although those before
    /// it have had their turn: others use up what the hub may have. Over MQTT the connection ends
    /// then, because a PUBLISH has no other refusal.
    pub(crate) async fn wait_for_sends(
        &self,
        sender: &Identity,
        messages: usize,
    ) -> Result<(), Throttled> {
        let caller = (&sender.hub, Some(sender));
        let counted = (Quantity::Sends, 1);
        let mut wait = Duration::ZERO;
        let mut left = messages;
        while left > 0 {
            let buckets = self.hub_buckets();
            match buckets.take(caller, counted, MAX_DELAY, self.now()) {
                Ok(turn) => {
                    if !turn.is_zero() {
                        note(Quantity::Sends, "delayed");
                    }
                    wait = wait.max(turn);
                    left -= 1;
                }
                Err(throttled) if wait.is_zero() => {
                    note(Quantity::Sends, "refused");
                    return Err(throttled);
                }
                Err(_the_others_have_a_turn) => sleep(std::mem::take(&mut wait)).await,
            }
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
        Ok(())
    }
}

fn note(quantity: Quantity, result: &'static str) {
    let name = quantity.name();
    metrics::counter!("muster_hub_throttled_total", "quantity" => name, "result" => result)
        .increment(1);
}
