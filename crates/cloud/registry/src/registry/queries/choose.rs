//! Which plan of a query has the fewest candidates.

use ids::HubName;
use store::{IdentityKind, View};

use crate::error::StorageError;
use crate::query::plan::{Plan, Source};

/// How far candidates are counted.
const COUNTED: u64 = 2_000;

/// The place of the best plan: the fewest candidates as far as they are counted, the first of
/// several.
pub(super) fn choose<E: From<StorageError> + From<store::StoreError>>(
    view: &View<'_>,
    hub: (&HubName, IdentityKind),
    plans: &[Plan],
) -> Result<usize, E> {
    let mut best = (u64::MAX, 0);
    for (place, plan) in plans.iter().enumerate() {
        let candidates = candidates(view, hub, plan)?;
        if candidates < best.0 {
            best = (candidates, place);
        }
        if candidates <= 1 {
            break;
        }
    }
    Ok(best.1)
}

fn candidates(
    view: &View<'_>,
    (hub, kind): (&HubName, IdentityKind),
    plan: &Plan,
) -> Result<u64, store::StoreError> {
    Ok(match &plan.source {
        Source::Devices(ranges) if ranges.iter().all(|range| range.from == range.to) => {
            ranges.len() as u64
        }
        // Not counted: better than a scan, and than an index with more than that.
        Source::Devices(ranges) => match ranges.iter().any(|range| range.from.is_empty()) {
            true => COUNTED + 2,
            false => COUNTED + 1,
        },
        Source::Tags(ranges) => {
            let mut counted = 0;
            for range in ranges {
                if counted >= COUNTED {
                    break;
                }
                counted += view.count_tag_entries((hub, kind), range, COUNTED - counted)?;
            }
            counted
        }
        Source::Configuration { id, applied } => {
            let limit = usize::try_from(COUNTED).unwrap_or(usize::MAX);
            let devices = view.targeted_devices(hub.as_str(), id, *applied, "", limit)?;
            devices.len() as u64
        }
        Source::Jobs => 0,
    })
}
