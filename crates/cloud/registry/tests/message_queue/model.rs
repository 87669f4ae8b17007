//! The queue as it should be. Times are seconds.

use ids::Ack;
use registry::Settlement;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lock {
    Session { name: u8, until: i64 },
    Receiver { token: usize, until: i64 },
}

impl Lock {
    fn until(&self) -> i64 {
        match self {
            Self::Session { until, .. } | Self::Receiver { until, .. } => *until,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) ack: Ack,
    pub(crate) expires: i64,
    pub(crate) deliveries: u32,
    pub(crate) lock: Option<Lock>,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) now: i64,
    pub(crate) sent: usize,
    pub(crate) queue: Vec<Message>,
    pub(crate) feedback: Vec<(String, &'static str)>,
}

impl Model {
    pub(crate) fn end(&mut self, id: &str, status: &'static str) {
        let place = self
            .queue
            .iter()
            .position(|message| message.id == id)
            .unwrap();
        let message = self.queue.remove(place);
        let wanted = match message.ack {
            Ack::None => false,
            Ack::Full => true,
            Ack::Positive => status == "Success",
            Ack::Negative => status != "Success",
        };
        if wanted {
            self.feedback.push((message.id, status));
        }
    }

    pub(crate) fn claim(&mut self, session: u8, limit: usize) -> Vec<String> {
        let now = self.now;
        let free = |message: &&mut Message| {
            let unlocked = match &message.lock {
                None => true,
                Some(Lock::Session { name, .. }) => *name != session,
                Some(Lock::Receiver { until, .. }) => *until <= now,
            };
            unlocked && message.expires > now
        };
        let claimed = self.queue.iter_mut().filter(free).take(limit);
        let lock = |message: &mut Message| {
            let until = now + 60;
            message.lock = Some(Lock::Session {
                name: session,
                until,
            });
            message.id.clone()
        };
        claimed.map(lock).collect()
    }

    pub(crate) fn receive(&mut self, token: usize) -> Option<String> {
        let now = self.now;
        let free = |message: &&mut Message| {
            let unlocked = message.lock.as_ref().is_none_or(|lock| lock.until() <= now);
            unlocked && message.expires > now
        };
        let message = self.queue.iter_mut().find(free)?;
        let until = now + 60;
        message.lock = Some(Lock::Receiver { token, until });
        Some(message.id.clone())
    }

    pub(crate) fn acknowledge(&mut self, session: u8, id: &str) {
        let held = |message: &Message| {
            message.id == id
                && matches!(message.lock, Some(Lock::Session { name, .. }) if name == session)
        };
        if self.queue.iter().any(held) {
            self.end(id, "Success");
        }
    }

    /// Whether the token still holds a message.
    pub(crate) fn apply(&mut self, by: usize, settlement: Settlement) -> bool {
        let now = self.now;
        let held = |message: &&mut Message| {
            matches!(message.lock, Some(Lock::Receiver { token, until })
                if token == by && until > now)
        };
        let Some(message) = self.queue.iter_mut().find(held) else {
            return false;
        };
        let id = message.id.clone();
        match settlement {
            Settlement::Complete => self.end(&id, "Success"),
            Settlement::Reject => self.end(&id, "Rejected"),
            Settlement::Abandon if message.deliveries == 9 => {
                self.end(&id, "DeliveryCountExceeded");
            }
            Settlement::Abandon => {
                message.deliveries += 1;
                message.lock = None;
            }
        }
        true
    }

    pub(crate) fn sweep(&mut self) {
        let now = self.now;
        let expired = self.queue.iter().filter(|message| {
            let free = message.lock.as_ref().is_none_or(|lock| lock.until() <= now);
            free && message.expires <= now
        });
        let mut expired: Vec<_> = expired
            .map(|message| (message.expires, message.id.clone()))
            .collect();
        // The longest expired first; ties in any order, so feedback is compared sorted.
        expired.sort();
        expired
            .into_iter()
            .for_each(|(_, id)| self.end(&id, "Expired"));
    }
}
