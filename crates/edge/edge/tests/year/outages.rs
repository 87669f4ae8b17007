use rand::Rng;
use rand::rngs::StdRng;

use super::{DAY, HOUR};

/// When something does not answer: from, to, in seconds.
#[derive(Debug, Clone, Default)]
pub struct Outages(Vec<(u64, u64)>);

impl Outages {
    /// One outage after another, most of them short, some of days.
    pub fn schedule(random: &mut StdRng, every_days: u64, until: u64) -> Self {
        let mut all = Vec::new();
        let mut at = random.random_range(DAY..every_days * 2 * DAY);
        while at < until {
            let hours = match random.random_range(0..10) {
                0 => random.random_range(24..72),
                1..4 => random.random_range(4..24),
                _ => 1,
            };
            let end = (at + random.random_range(HOUR / 12..hours * HOUR)).min(until);
            all.push((at, end));
            at = end + random.random_range(DAY..every_days * 2 * DAY);
        }
        Self(all)
    }

    /// The end of the outage at this time, if there is one.
    pub fn end_at(&self, now: u64) -> Option<u64> {
        let next = self.0.partition_point(|(_, to)| *to <= now);
        let outage = self.0.get(next).filter(|(from, _)| *from <= now);
        outage.map(|(_, to)| *to)
    }

    pub fn starts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|(from, _)| *from)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}
