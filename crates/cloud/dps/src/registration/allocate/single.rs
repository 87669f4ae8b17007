use ids::HubHost;
use provisioning::LinkedHub;

use super::AllocationError;

/// How many hubs a list names; the same one twice counts once.
pub fn distinct(listed: &[HubHost]) -> usize {
    let is_first = |(index, host): &(usize, &HubHost)| {
        listed[..*index]
            .iter()
            .all(|before| !before.is_exactly(host))
    };
    listed.iter().enumerate().filter(is_first).count()
}

/// Static allocation: the one hub that the enrollment lists.
pub(crate) fn single<'h>(
    listed: &[HubHost],
    candidates: &[&'h LinkedHub],
) -> Result<&'h LinkedHub, AllocationError> {
    match (distinct(listed), candidates) {
        (1, [hub]) => Ok(hub),
        (other, _) => Err(AllocationError::NotOne(other)),
    }
}
