use aws_lc_rs::digest;
use ids::RegistrationId;
use provisioning::LinkedHub;

use super::AllocationError;

/// Weighted rendezvous hashing: every hub draws a score from the registration id, the highest wins.
/// A hub that is added takes its share evenly from the others and moves no other device; the
/// devices of one that is removed are spread evenly.
pub(super) fn hashed<'h>(
    registration_id: &RegistrationId,
    candidates: &[&'h LinkedHub],
) -> Result<&'h LinkedHub, AllocationError> {
    if let [only] = candidates {
        return Ok(only);
    }
    let score = |hub: &LinkedHub| score(registration_id, hub);
    candidates
        .iter()
        .copied()
        .max_by(|a, b| score(a).total_cmp(&score(b)))
        .ok_or(AllocationError::NoHub)
}

/// `-weight / ln(u)` with `u` uniform in (0, 1), drawn by hashing; the
/// form of Schindelhauer and Schomaker.
fn score(registration_id: &RegistrationId, hub: &LinkedHub) -> f64 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(registration_id.folded().as_bytes());
    // No id contains it, so that different pairs cannot make the same text.
    context.update(b"\n");
    context.update(hub.name.as_str().as_bytes());
    let hash = context.finish();
    let mut first = [0; 4];
    first.copy_from_slice(&hash.as_ref()[..4]);
    let uniform = (f64::from(u32::from_be_bytes(first)) + 0.5) / (f64::from(u32::MAX) + 1.0);
    let weight = f64::from(hub.allocation_weight.unwrap_or(1).max(1));
    -weight / uniform.ln()
}
