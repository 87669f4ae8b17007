use ids::HubHost;
use registry::LinkedHub;

use super::AllocationError;

/// Static allocation: the one hub that the enrollment lists.
pub(super) fn single<'h>(
    listed: &[HubHost],
    candidates: &[&'h LinkedHub],
) -> Result<&'h LinkedHub, AllocationError> {
    match (listed, candidates) {
        ([_], [hub]) => Ok(hub),
        _ => Err(AllocationError::NotOne(listed.len())),
    }
}
