use std::net::IpAddr;

use provisioning::LinkedHub;

/// The hubs that are nearest to a client, by the latencies that operators have configured. All
/// candidates when none is configured for the client's network: then the hash alone decides. A hub
/// without a latency counts as farther than any with one.
pub(super) fn nearest<'h>(
    client: Option<IpAddr>,
    candidates: &[&'h LinkedHub],
) -> Vec<&'h LinkedHub> {
    let latency = |hub: &LinkedHub| hub.latency_to(client?);
    let Some(best) = candidates.iter().filter_map(|hub| latency(hub)).min() else {
        return candidates.to_vec();
    };
    let is_best = |hub: &&LinkedHub| latency(hub) == Some(best);
    candidates.iter().copied().filter(is_best).collect()
}
