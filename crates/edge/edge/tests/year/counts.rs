use std::iter::Sum;
use std::ops::Add;

/// What happened to a runtime, or to all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub sessions: u64,
    pub registrations: u64,
    /// Certificates that a hub has accepted after the first.
    pub renewals: u64,
    /// Sessions at another hub than the one before.
    pub moves: u64,
    /// Attempts that met a server with another name.
    pub renamed: u64,
    pub power_cuts: u64,
    /// Starts with a clock that was wrong.
    pub wrong_clocks: u64,
    /// Times at which a server corrected the clock.
    pub corrected: u64,
    /// Starts without a network whose modules ran all the same.
    pub offline_starts: u64,
    pub failures: u64,
    /// Modules that ran, and that the runtime stopped without a reason in their deployment.
    pub stopped_by_runtime: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            registrations: self.registrations + other.registrations,
            renewals: self.renewals + other.renewals,
            moves: self.moves + other.moves,
            renamed: self.renamed + other.renamed,
            power_cuts: self.power_cuts + other.power_cuts,
            wrong_clocks: self.wrong_clocks + other.wrong_clocks,
            corrected: self.corrected + other.corrected,
            offline_starts: self.offline_starts + other.offline_starts,
            failures: self.failures + other.failures,
            stopped_by_runtime: self.stopped_by_runtime + other.stopped_by_runtime,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
