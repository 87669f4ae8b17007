use std::iter::Sum;
use std::ops::Add;

/// What happened to a device, or to all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Renewals over EST that opened the hub.
    pub over_est: u32,
    /// Renewals at the hub that opened it.
    pub at_hub: u32,
    /// Renewals that went another way than the one before.
    pub switches: u32,
    pub lost_answers: u32,
    /// The hub answered the same request with the same certificate.
    pub repeated_answers: u32,
    /// Requests at the hub in place of one that was pending.
    pub replaced: u32,
    /// Requests that the hub put off.
    pub throttled: u32,
    pub deaths: u32,
}

impl Counts {
    pub fn renewals(self) -> u32 {
        self.over_est + self.at_hub
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            over_est: self.over_est + other.over_est,
            at_hub: self.at_hub + other.at_hub,
            switches: self.switches + other.switches,
            lost_answers: self.lost_answers + other.lost_answers,
            repeated_answers: self.repeated_answers + other.repeated_answers,
            replaced: self.replaced + other.replaced,
            throttled: self.throttled + other.throttled,
            deaths: self.deaths + other.deaths,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
