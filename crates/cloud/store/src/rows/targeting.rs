/// How many devices a configuration concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetricCounts {
    pub targeted: u64,
    /// Of these, devices whose result it is part of.
    pub applied: u64,
    /// Of these, devices that reported the current version with code 200.
    pub successful: u64,
    /// Of these, devices that reported the current version with another code.
    pub failed: u64,
}
