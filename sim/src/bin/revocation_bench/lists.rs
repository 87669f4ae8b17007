use std::time::{Duration, Instant};

use anyhow::Result;
use pki::{CrlFields, Issuer, RevocationReason, RevokedEntry, UnverifiedCrl, build_crl};
use serde_json::json;
use sim::measure::Rows;

use crate::NOW;

/// Builds and signs a list, and reads and verifies it.
pub(crate) fn measure(
    issuer: &Issuer,
    entries: usize,
    signature: f64,
    rows: &mut Rows,
) -> Result<()> {
    let serials: Vec<[u8; 16]> = (0..entries)
        .map(|index| {
            let mut serial = [0x41; 16];
            serial[8..].copy_from_slice(&index.to_be_bytes());
            serial
        })
        .collect();
    let revoked = serials.iter().map(|serial| RevokedEntry {
        serial,
        when: NOW,
        reason: RevocationReason::KeyCompromise,
    });
    let fields = CrlFields {
        number: 1,
        this_update: NOW,
        next_update: NOW.plus(Duration::from_secs(86_400)),
        distribution_point: None,
    };
    let begun = Instant::now();
    let der = build_crl(issuer, &fields, revoked)?;
    let built = begun.elapsed();
    let megabytes = der.len() as f64 / 1e6;
    let begun = Instant::now();
    let list = UnverifiedCrl::read(der)?.verify(issuer.certificate(), NOW)?;
    anyhow::ensure!(list.entries().count() == entries);
    let read = begun.elapsed();
    for (verb, time) in [("build and sign", built), ("read and verify", read)] {
        let micros = time.as_secs_f64() * 1e6;
        let rate = entries as f64 / time.as_secs_f64();
        let title = format!("list of {entries} entries: {verb}");
        let json = json!({"micros": micros, "entriesPerSecond": rate, "megabytes": megabytes});
        rows.add(
            &title,
            vec![micros, rate, micros / signature, megabytes],
            json,
        );
    }
    Ok(())
}
