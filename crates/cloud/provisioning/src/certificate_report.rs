//! What certificates a report counts together, and how.

use std::borrow::Cow;
use std::collections::HashMap;

use ids::{Thumbprint, Timestamp};
use serde::Deserialize;
use store::{EXPIRY_BOUNDS, IssuedCountRow, IssuedState};
use wire::muster_api::certificate_report::{ExpiryCounts, ReportRow, ReportSource};

/// Rows of a report at most. Further ones are summed up: a service may have a million devices with
/// a CA each.
const MAX_ROWS: usize = 1000;

/// What the certificates of a row have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Kind {
    source: ReportSource,
    issuer: Option<String>,
    self_issued: bool,
    authority: Option<Thumbprint>,
    key_type: Option<String>,
    key_bits: Option<u32>,
    signature: Option<String>,
}

impl Kind {
    /// The row of everything that has none of its own.
    fn further(source: ReportSource) -> Self {
        Self {
            source,
            issuer: None,
            self_issued: false,
            authority: None,
            key_type: None,
            key_bits: None,
            signature: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    held: u64,
    revoked: u64,
    /// The others, by how many of the bounds they end at or after.
    by_bounds_passed: [u64; EXPIRY_BOUNDS + 1],
}

/// The counts of a report while tables are read.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: HashMap<Kind, Counts>,
    /// Row ids of certificates whose DER shows how each CA signs.
    samples: HashMap<Thumbprint, i64>,
    pub(crate) without_certificate: u64,
}

/// Of a registration's detail, what a report counts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredDetail<'a> {
    #[serde(borrow)]
    x509: Option<StoredX509<'a>>,
    #[serde(borrow)]
    presented_key: Option<StoredKey<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredX509<'a> {
    #[serde(borrow)]
    certificate_info: Option<StoredCertificate<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCertificate<'a> {
    #[serde(borrow)]
    subject_name: Cow<'a, str>,
    #[serde(borrow)]
    issuer_name: Cow<'a, str>,
    not_after_utc: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey<'a> {
    #[serde(borrow)]
    key_type: Cow<'a, str>,
    key_bits: Option<u32>,
    #[serde(borrow)]
    signature_algorithm: Cow<'a, str>,
}

impl Tally {
    /// Counts issued certificates, whose keys have that length if they are RSA keys.
    pub(crate) fn add_issued(&mut self, row: IssuedCountRow, key_bits: Option<u32>) {
        // Certificates that were taken from the audit may name no CA.
        let authority = (row.authority != Thumbprint::from_bytes([0; 32])).then_some(row.authority);
        if let (Some(authority), Some(id)) = (authority, row.with_der) {
            self.samples.insert(authority, id);
        }
        let kind = Kind {
            issuer: Some(row.issuer.to_string()),
            authority,
            key_type: row.key_type,
            key_bits,
            ..Kind::further(ReportSource::Issued)
        };
        let counts = self.of(kind);
        match row.state {
            IssuedState::Valid => counts.by_bounds_passed[row.bounds_passed] += row.count,
            IssuedState::Held => counts.held += row.count,
            IssuedState::Revoked => counts.revoked += row.count,
        }
    }

    /// Counts what a device presented, by the detail of its registration.
    pub(crate) fn add_registration(
        &mut self,
        detail: Option<&str>,
        bounds: [Timestamp; EXPIRY_BOUNDS],
    ) {
        // A detail that cannot be read tells nothing.
        let detail = detail.and_then(|text| serde_json::from_str::<StoredDetail<'_>>(text).ok());
        let Some((presented, key)) =
            detail.and_then(|detail| Some((detail.x509?.certificate_info?, detail.presented_key)))
        else {
            self.without_certificate += 1;
            return;
        };
        let self_issued = presented.issuer_name == presented.subject_name;
        let kind = Kind {
            issuer: (!self_issued).then(|| presented.issuer_name.into_owned()),
            self_issued,
            key_bits: key.as_ref().and_then(|key| key.key_bits),
            signature: key.as_ref().map(|key| key.signature_algorithm.to_string()),
            key_type: key.map(|key| key.key_type.into_owned()),
            ..Kind::further(ReportSource::Presented)
        };
        let passed = bounds
            .iter()
            .filter(|bound| presented.not_after_utc >= **bound);
        let passed = passed.count();
        self.of(kind).by_bounds_passed[passed] += 1;
    }

    fn of(&mut self, kind: Kind) -> &mut Counts {
        let has_room = self.counts.len() < MAX_ROWS || self.counts.contains_key(&kind);
        let kind = match has_room {
            true => kind,
            false => Kind::further(kind.source),
        };
        self.counts.entry(kind).or_default()
    }

    /// A certificate of each CA, by its row id.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (Thumbprint, i64)> {
        self.samples.iter().map(|(authority, id)| (*authority, *id))
    }

    /// The rows, those of issuers first, then the largest. `signatures` says how CAs sign.
    pub(crate) fn rows(self, signatures: &HashMap<Thumbprint, String>) -> Vec<ReportRow> {
        let mut counts: Vec<(Kind, Counts)> = self.counts.into_iter().collect();
        for (kind, _) in &mut counts {
            if let Some(authority) = &kind.authority {
                kind.signature = signatures.get(authority).cloned();
            }
        }
        let total = |counts: &Counts| {
            counts.held + counts.revoked + counts.by_bounds_passed.iter().sum::<u64>()
        };
        counts.sort_by(|(one, of_one), (other, of_other)| {
            let by_size = total(of_other).cmp(&total(of_one));
            one.source
                .cmp(&other.source)
                .then(by_size)
                .then_with(|| one.cmp(other))
        });
        let row = |(kind, counts): (Kind, Counts)| ReportRow {
            source: kind.source,
            issuer: kind.issuer,
            self_issued: kind.self_issued,
            authority_sha256_thumbprint: kind.authority,
            key_type: kind.key_type,
            key_bits: kind.key_bits,
            signature_algorithm: kind.signature,
            certificates: total(&counts),
            held: counts.held,
            revoked: counts.revoked,
            expires: expires(counts.by_bounds_passed),
        };
        counts.into_iter().map(row).collect()
    }
}

fn expires(by_bounds_passed: [u64; EXPIRY_BOUNDS + 1]) -> ExpiryCounts {
    let [
        expired,
        within_7_days,
        within_30_days,
        within_90_days,
        within_365_days,
        later,
    ] = by_bounds_passed;
    ExpiryCounts {
        expired,
        within_7_days,
        within_30_days,
        within_90_days,
        within_365_days,
        later,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn bounds() -> [Timestamp; EXPIRY_BOUNDS] {
        let now = Timestamp::parse("2027-01-01T00:00:00Z").unwrap();
        [0, 7, 30, 90, 365].map(|days| now.plus(Duration::from_secs(days * DAY)))
    }

    fn detail(issuer: &str, end: &str) -> String {
        format!(
            r#"{{"x509":{{"certificateInfo":{{"subjectName":"CN=\"a\"","sha1Thumbprint":"","sha256Thumbprint":"","issuerName":"{issuer}","notBeforeUtc":"2020-01-01T00:00:00Z","notAfterUtc":"{end}","serialNumber":"01","version":3}}}},"presentedKey":{{"keyType":"RSA","keyBits":3072,"signatureAlgorithm":"RSA-SHA256"}}}}"#
        )
    }

    #[test]
    fn every_certificate_is_counted_once_by_its_end() {
        let mut tally = Tally::default();
        for (end, _) in [
            ("2026-12-31T23:59:59Z", 0),
            ("2027-01-01T00:00:00Z", 1),
            ("2027-01-07T23:59:59Z", 1),
            ("2027-01-08T00:00:00Z", 2),
            ("2027-02-01T00:00:00Z", 3),
            ("2027-06-01T00:00:00Z", 4),
            ("2099-01-01T00:00:00Z", 5),
        ] {
            tally.add_registration(Some(&detail("CN=maker", end)), bounds());
        }
        let rows = tally.rows(&HashMap::new());
        let [row] = rows.as_slice() else {
            panic!("{rows:?}");
        };
        assert_eq!(row.certificates, 7);
        assert_eq!(row.issuer.as_deref(), Some("CN=maker"));
        assert_eq!(
            (row.key_type.as_deref(), row.key_bits),
            (Some("RSA"), Some(3072))
        );
        let wanted = ExpiryCounts {
            expired: 1,
            within_7_days: 2,
            within_30_days: 1,
            within_90_days: 1,
            within_365_days: 1,
            later: 1,
        };
        assert_eq!(row.expires, wanted);
    }

    #[test]
    fn leaves_that_sign_themselves_are_one_row_and_what_cannot_be_read_is_none() {
        let mut tally = Tally::default();
        let own = detail(r#"CN=\"a\""#, "2027-06-01T00:00:00Z");
        tally.add_registration(Some(&own), bounds());
        let before = own.replace("presentedKey", "other");
        tally.add_registration(Some(&before), bounds());
        for nothing in [None, Some("{}"), Some("[]"), Some("{\"x509\":{}}")] {
            tally.add_registration(nothing, bounds());
        }
        assert_eq!(tally.without_certificate, 4);
        let rows = tally.rows(&HashMap::new());
        // The second one was written before the kind of key was remembered.
        assert_eq!(rows.len(), 2);
        assert!(
            rows.iter()
                .all(|row| row.self_issued && row.issuer.is_none())
        );
        assert!(rows.iter().any(|row| row.key_type.is_none()));
    }

    #[test]
    fn issuers_beyond_the_limit_are_summed_up() {
        let mut tally = Tally::default();
        for number in 0..MAX_ROWS + 50 {
            let issuer = format!("CN=site {number}");
            tally.add_registration(Some(&detail(&issuer, "2027-06-01T00:00:00Z")), bounds());
        }
        let rows = tally.rows(&HashMap::new());
        assert_eq!(rows.len(), MAX_ROWS + 1);
        assert_eq!(rows[0].certificates, 50);
        assert_eq!(rows[0].issuer, None);
        let all: u64 = rows.iter().map(|row| row.certificates).sum();
        assert_eq!(all, 1050);
    }
}
