//! How far the pull of an image has come.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

const MEGABYTE: u64 = 1_000_000;

/// Bytes of the layers of an image: those that have come, and all that are known of so far.
#[derive(Debug, Clone, Default)]
pub struct PullProgress(Arc<Mutex<BTreeMap<String, Layer>>>);

#[derive(Debug, Clone, Copy)]
struct Layer {
    come: u64,
    size: u64,
}

impl PullProgress {
    /// `come` of `size` bytes of a layer are here.
    pub fn downloading(&self, layer: &str, come: u64, size: u64) {
        let come = come.min(size);
        self.change(|layers| {
            layers.insert(layer.to_owned(), Layer { come, size });
        });
    }

    /// All of a layer is here.
    pub fn downloaded(&self, layer: &str) {
        self.change(|layers| {
            if let Some(layer) = layers.get_mut(layer) {
                layer.come = layer.size;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Layer>)) {
        // Every change is a single assignment, so that a panic in one leaves a consistent value.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// In steps of ten percent, so that a report does not change with every packet. Empty while
/// nothing is known.
impl fmt::Display for PullProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let come: u64 = layers.values().map(|layer| layer.come).sum();
        let size: u64 = layers.values().map(|layer| layer.size).sum();
        if size == 0 {
            return Ok(());
        }
        let tenths = come.saturating_mul(10) / size;
        write!(f, "{} % of {} MB", tenths * 10, size.div_ceil(MEGABYTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_the_sum_of_the_layers_in_steps() {
        let progress = PullProgress::default();
        assert_eq!(progress.to_string(), "");
        progress.downloading("a", 1_500_000, 10_000_000);
        assert_eq!(progress.to_string(), "10 % of 10 MB");
        progress.downloading("b", 0, 10_000_000);
        assert_eq!(progress.to_string(), "0 % of 20 MB");
        progress.downloaded("a");
        progress.downloaded("unknown");
        assert_eq!(progress.to_string(), "50 % of 20 MB");
        progress.downloading("b", 99_000_000, 10_000_000);
        assert_eq!(progress.to_string(), "100 % of 20 MB");
    }
}
