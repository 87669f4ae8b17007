//! Reads what a report on certificates counts: whole tables, a range of rows at a time, so that no
//! snapshot is held for long.

use std::collections::HashMap;
use std::time::Duration;

use ids::Timestamp;
use pki::{Certificate, LeafKey};
use registry::StorageError;
use store::{CountedRange, EXPIRY_BOUNDS, View};
use wire::muster_api::certificate_report::CertificateReport;

use super::Provisioning;
use crate::certificate_report::Tally;

/// Row ids that are read at a time.
const STEP: i64 = 10_000;
/// From now, in days: what ends before the first bound has expired.
const BOUNDS: [u32; EXPIRY_BOUNDS] = [0, 7, 30, 90, 365];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Keys of this type have lengths that only their certificate shows.
const RSA: &str = "RSA";

impl Provisioning {
    /// Counts the certificates that the service has issued, and those that devices presented at
    /// their last registration.
    pub async fn certificate_report(
        &self,
        now: Timestamp,
    ) -> Result<CertificateReport, StorageError> {
        let store = self.registry.store();
        let bounds = BOUNDS.map(|days| now.plus(DAY * days));
        let last = store.read(|view| view.last_counted_ids())?;
        let mut tally = Tally::default();
        for (after, last) in steps(last.0) {
            let id_scope = self.id_scope();
            let count = move |view: &View<'_>| {
                let range = CountedRange {
                    id_scope: &id_scope,
                    after,
                    last,
                };
                count_issued(view, range, bounds.map(Timestamp::ticks), tally)
            };
            tally = store.scan(count).await?;
        }
        for (after, last) in steps(last.1) {
            let id_scope = self.id_scope();
            let count = move |view: &View<'_>| {
                let range = CountedRange {
                    id_scope: &id_scope,
                    after,
                    last,
                };
                let each = |detail: Option<&str>| tally.add_registration(detail, bounds);
                view.each_registration_detail(range, each)?;
                Ok::<_, StorageError>(tally)
            };
            tally = store.scan(count).await?;
        }
        let mut signatures = HashMap::new();
        for (authority, id) in tally.samples() {
            let der = store.read(|view| view.issued_der(id))?;
            if let Some(certificate) = der.and_then(|der| Certificate::from_der(&der).ok()) {
                signatures.insert(authority, certificate.signature_name().into_owned());
            }
        }
        Ok(CertificateReport {
            generated_date_time_utc: now,
            without_certificate: tally.without_certificate,
            rows: tally.rows(&signatures),
        })
    }
}

/// The row ids up to `last` in ranges: the one before the first, and the last one.
fn steps(last: i64) -> impl Iterator<Item = (i64, i64)> {
    let step = usize::try_from(STEP).unwrap_or(usize::MAX);
    (0..last)
        .step_by(step)
        .map(move |after| (after, last.min(after + STEP)))
}

fn count_issued(
    view: &View<'_>,
    range: CountedRange<'_>,
    bounds: [i64; EXPIRY_BOUNDS],
    mut tally: Tally,
) -> Result<Tally, StorageError> {
    for row in view.count_issued(range, RSA, bounds)? {
        tally.add_issued(row, None);
    }
    view.each_issued(range, RSA, bounds, |row, der| {
        let bits = LeafKey::of(der).and_then(|key| key.rsa_bits());
        tally.add_issued(row, bits);
    })?;
    Ok(tally)
}
