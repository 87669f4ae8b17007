use std::time::Duration;

use ids::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;

const HOUR: Duration = Duration::from_secs(3600);

/// What fails at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The whole server, killed and started again at the end.
    Server,
    Est,
    Dps,
    EstAndDps,
    Hub,
}

impl Outage {
    /// Whether a service does not answer.
    pub fn includes(self, service: Self) -> bool {
        match self {
            Self::Server => true,
            Self::EstAndDps => matches!(service, Self::Est | Self::Dps),
            Self::Est | Self::Dps | Self::Hub => self == service,
        }
    }
}

/// When what fails: one outage after another, of an hour up to five days, with a pause between.
pub struct Outages(Vec<(Timestamp, Timestamp, Outage)>);

impl Outages {
    pub fn schedule(random: &mut StdRng, from: Timestamp, to: Timestamp) -> Self {
        let mut all = Vec::new();
        let mut at = from.plus(48 * HOUR);
        while at < to {
            let what = match random.random_range(0..5) {
                0 => Outage::Server,
                1 => Outage::Est,
                2 => Outage::Dps,
                3 => Outage::Hub,
                _ => Outage::EstAndDps,
            };
            let end = at.plus(HOUR * random.random_range(1..5 * 24));
            all.push((at, end, what));
            at = end.plus(HOUR * random.random_range(24..6 * 24));
        }
        Self(all)
    }

    pub fn at(&self, now: Timestamp) -> Option<Outage> {
        let mut all = self.0.iter();
        all.find(|(from, to, _)| *from <= now && now < *to)
            .map(|(_, _, what)| *what)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of the hub alone.
    pub fn of_hub(&self) -> usize {
        let all = self.0.iter();
        all.filter(|(_, _, what)| *what == Outage::Hub).count()
    }
}
