//! How fast a device may send telemetry, so that one device does not displace the events of the
//! others of its hub. A faster sender gets its acknowledgements later.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ids::{DeviceId, HubName, Identity};
use tokio::time::Instant;

/// What may be sent in this time may also be sent at once.
const BURST: Duration = Duration::from_secs(16);
/// The longest delay. A sender that would have to wait longer is refused.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// Bytes that a message costs beside its own.
const OVERHEAD: u64 = 256;
/// The number of remembered senders from which on idle ones are forgotten.
const MAX_SENDERS: usize = 4096;

/// Bytes a second; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Of each device with its modules.
    pub per_device: Option<NonZeroU64>,
    /// Of all devices of a hub together.
    pub per_hub: Option<NonZeroU64>,
}

impl Default for Pace {
    /// 4 MiB a second of a device.
    fn default() -> Self {
        Self {
            per_device: NonZeroU64::new(4 << 20),
            per_hub: None,
        }
    }
}

/// The sender is too fast, and may try again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast(
    /// The time until what it sent before would have taken at its pace.
    pub Duration,
);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Sender {
    Device(HubName, DeviceId),
    Hub(HubName),
}

/// For each sender the moment at which it would be done if it had sent at its pace.
#[derive(Default)]
struct Senders {
    until: HashMap<Sender, Instant>,
    /// The number of senders above which idle ones are forgotten.
    forget_above: usize,
}

/// Delays senders so that none is faster than its [`Pace`].
pub struct PaceLimiter {
    pace: Pace,
    senders: Mutex<Senders>,
}

impl PaceLimiter {
    /// No sender is known yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            senders: Mutex::default(),
        }
    }

    /// The time that a sender has to wait before `bytes` in `messages` are accepted; they count as
    /// sent from now on.
    ///
    /// Nothing is counted when the wait would be too long.
    pub fn wait(
        &self,
        sender: &Identity,
        (bytes, messages): (usize, usize),
        now: Instant,
    ) -> Result<Duration, TooFast> {
        let bytes = bytes as u64 + messages as u64 * OVERHEAD;
        let hub = sender.hub.clone();
        let device = Sender::Device(hub.clone(), sender.device.clone());
        let limits = [
            (device, self.pace.per_device),
            (Sender::Hub(hub), self.pace.per_hub),
        ];
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wait = Duration::ZERO;
        let mut counted = Vec::with_capacity(limits.len());
        for (sender, limit) in limits {
            let Some(limit) = limit else { continue };
            let micros = bytes.saturating_mul(1_000_000) / limit;
            let before = senders.until.get(&sender).copied().unwrap_or(now).max(now);
            let until = before + Duration::from_micros(micros);
            // A single message is accepted, however large it is.
            wait = wait.max(before.duration_since(now).saturating_sub(BURST));
            counted.push((sender, until));
        }
        if wait > MAX_DELAY {
            return Err(TooFast(wait));
        }
        senders.until.extend(counted);
        senders.forget(now);
        Ok(wait)
    }
}

impl Senders {
    fn forget(&mut self, now: Instant) {
        if self.until.len() > self.forget_above.max(MAX_SENDERS) {
            self.until.retain(|_, until| *until > now);
            // Not again before there are as many more.
            self.forget_above = self.until.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(hub: &str, device: &str) -> Identity {
        Identity {
            hub: hub.parse().unwrap(),
            device: device.parse().unwrap(),
            module: None,
        }
    }

    const MIB: usize = 1 << 20;

    // B1.
    #[test]
    fn a_device_that_sends_too_much_waits_and_others_do_not() {
        let limiter = PaceLimiter::new(Pace::default());
        let (loud, now) = (identity("h", "loud"), Instant::now());
        for _ in 0..64 {
            assert_eq!(limiter.wait(&loud, (MIB, 0), now), Ok(Duration::ZERO));
        }
        let quarter = Duration::from_millis(250);
        assert_eq!(limiter.wait(&loud, (MIB, 0), now), Ok(Duration::ZERO));
        assert_eq!(limiter.wait(&loud, (MIB, 0), now), Ok(quarter));
        assert_eq!(limiter.wait(&loud, (MIB, 0), now), Ok(quarter * 2));
        assert_eq!(
            limiter.wait(&identity("h", "b"), (MIB, 0), now),
            Ok(Duration::ZERO)
        );
        assert_eq!(
            limiter.wait(&identity("i", "loud"), (MIB, 0), now),
            Ok(Duration::ZERO)
        );
        // A sender that does not wait is refused in the end, and the refusal costs it nothing.
        let refused = (0..100).find_map(|_| limiter.wait(&loud, (MIB, 0), now).err());
        assert_eq!(refused, Some(TooFast(MAX_DELAY + quarter)));
        assert_eq!(limiter.wait(&loud, (MIB, 0), now), Err(refused.unwrap()));
        let later = now + Duration::from_secs(60);
        assert_eq!(limiter.wait(&loud, (MIB, 0), later), Ok(Duration::ZERO));
    }

    #[test]
    fn a_hub_has_a_pace_and_no_sender_is_remembered_for_ever() {
        let limiter = PaceLimiter::new(Pace {
            per_device: None,
            per_hub: NonZeroU64::new(1 << 20),
        });
        let now = Instant::now();
        for number in 0..17 {
            let device = identity("h", &format!("d{number}"));
            assert_eq!(limiter.wait(&device, (MIB, 0), now), Ok(Duration::ZERO));
        }
        let last = limiter.wait(&identity("h", "z"), (MIB, 0), now);
        assert_eq!(last, Ok(Duration::from_secs(1)));
        let limiter = PaceLimiter::new(Pace::default());
        for number in 0..20_000_u64 {
            let device = identity("h", &format!("d{number}"));
            let at = now + Duration::from_secs(number);
            limiter.wait(&device, (10, 1), at).unwrap();
        }
        assert!(limiter.senders.lock().unwrap().until.len() <= MAX_SENDERS + 1);
    }
}
