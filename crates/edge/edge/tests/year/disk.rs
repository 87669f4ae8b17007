//! The files of a runtime, and the power that may fail before and after every write.

use device::renewal::Slots;
use edge::provision::assignment::KeptAssignment;
use ids::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;

use super::modules::Deployed;
use super::world::Certificate;

/// Power failed. What is written stays.
#[derive(Debug)]
pub struct PowerCut;

/// Counts the writes until power fails.
#[derive(Debug)]
pub struct Power(u32);

impl Power {
    pub fn restored(random: &mut StdRng) -> Self {
        Self(random.random_range(2..60))
    }

    /// Never fails.
    pub fn steady() -> Self {
        Self(u32::MAX)
    }

    fn use_some(&mut self) -> Result<(), PowerCut> {
        self.0 -= 1;
        match self.0 {
            0 => Err(PowerCut),
            _ => Ok(()),
        }
    }
}

pub type DeviceSlots = Slots<u32, Certificate>;

/// Each file is replaced as a whole, as the product's writes do.
#[derive(Debug)]
pub struct Disk {
    /// `assignment.json`, as text.
    assignment: Option<String>,
    pub slots: DeviceSlots,
    pub clock: Option<Timestamp>,
    /// Desired properties and module identities.
    pub deployed: Option<Deployed>,
}

impl Disk {
    pub fn new() -> Self {
        Self {
            assignment: None,
            slots: Slots::empty(),
            clock: None,
            deployed: None,
        }
    }

    /// Power may fail before the new file has its name, and after.
    pub fn write(
        &mut self,
        power: &mut Power,
        change: impl FnOnce(&mut Self),
    ) -> Result<(), PowerCut> {
        power.use_some()?;
        change(self);
        power.use_some()
    }

    pub fn set_assignment(&mut self, assignment: &KeptAssignment) {
        self.assignment = serde_json::to_string(assignment).ok();
    }

    pub fn assignment(&self) -> Option<KeptAssignment> {
        let text = self.assignment.as_ref()?;
        Some(serde_json::from_str(text).unwrap())
    }
}
