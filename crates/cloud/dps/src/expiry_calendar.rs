//! How many issued certificates end soon, how long CA certificates are still valid, and warnings
//! weeks before one ends: as metrics, and once a day in the log.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use ids::{IdScope, Timestamp};
use metrics::gauge;
use pki::Certificate;
use provisioning::{EnrollmentKind, Provisioning};
use registry::{PageRequest, StorageError};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Dps;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause between two looks.
const PERIOD: Duration = Duration::from_secs(15 * 60);
/// Days before the end from which on the log warns.
const WARN_DAYS: i64 = 42;
/// The times of `muster_certificates_expiring`, in days.
const WITHIN: [(&str, u32); 3] = [("7d", 7), ("30d", 30), ("90d", 90)];
/// Groups that are read at a time.
const PAGE: usize = 500;

/// What a certificate is to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// A CA of an issuer.
    Issuer,
    /// An uploaded CA certificate.
    CaCertificate,
    /// A certificate of an enrollment group.
    Group,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::CaCertificate => "ca_certificate",
            Self::Group => "enrollment_group",
        }
    }
}

/// A certificate that devices depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Named {
    id_scope: String,
    kind: Kind,
    name: String,
    /// Which of several of that name: `primary`, `secondary`, or a CA of an issuer.
    which: String,
}

/// Whole days until `end`; negative once it is past.
fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    let days =
        |length: Duration| i64::try_from(length.as_secs() / DAY.as_secs()).unwrap_or(i64::MAX);
    match end >= now {
        true => days(end.since(now)),
        false => -1 - days(now.since(end)),
    }
}

/// How many certificates of an issuer end soon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Expiring {
    id_scope: String,
    issuer: String,
    /// One of [`WITHIN`].
    within: &'static str,
}

/// What was found in one look.
#[derive(Debug, Default)]
struct Calendar {
    ends: HashMap<Named, Timestamp>,
    expiring: HashMap<Expiring, u64>,
}

/// When which certificate was warned about.
#[derive(Debug, Default)]
struct Warned(HashMap<Named, Timestamp>);

impl Warned {
    /// Whether the log has to warn about a certificate: in its last weeks, once a day.
    fn is_due(&mut self, certificate: &Named, days: i64, now: Timestamp) -> bool {
        if days > WARN_DAYS {
            self.0.remove(certificate);
            return false;
        }
        let before = self.0.get(certificate);
        if before.is_some_and(|before| now.since(*before) < DAY) {
            return false;
        }
        self.0.insert(certificate.clone(), now);
        true
    }

    /// Forgets certificates that exist no longer.
    fn retain(&mut self, present: &HashMap<Named, Timestamp>) {
        self.0
            .retain(|certificate, _| present.contains_key(certificate));
    }
}

/// Runs until `stopping` turns true.
pub(crate) async fn run(dps: &Dps, mut stopping: watch::Receiver<bool>) {
    let mut warned = Warned::default();
    let mut measured = Calendar::default();
    while !*stopping.borrow() {
        match look(dps).await {
            Ok(present) => {
                publish(&present, &measured, dps.now());
                warn(&present.ends, &mut warned, dps.now());
                measured = present;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "it was not looked which certificates expire");
            }
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}

/// Counts what expires, and gathers the ends of the certificates of all services.
async fn look(dps: &Dps) -> Result<Calendar, StorageError> {
    let mut present = Calendar::default();
    let services = dps.tenants().provisioning().services();
    for service in services.iter() {
        let Some(tenant) = dps.tenants().by_scope(service.id_scope.as_str()) else {
            continue;
        };
        let provisioning = &tenant.context.provisioning;
        let mut found = Found {
            id_scope: &service.id_scope,
            present: &mut present,
        };
        found.issuers(provisioning, dps.now()).await?;
        found.ca_certificates(provisioning)?;
        found.groups(provisioning).await?;
    }
    Ok(present)
}

struct Found<'a> {
    id_scope: &'a IdScope,
    present: &'a mut Calendar,
}

impl Found<'_> {
    fn add(&mut self, kind: Kind, (name, which): (&str, String), certificate: &Certificate) {
        let named = Named {
            id_scope: self.id_scope.to_string(),
            kind,
            name: name.to_owned(),
            which,
        };
        self.present.ends.insert(named, certificate.not_after());
    }

    async fn issuers(
        &mut self,
        provisioning: &Provisioning,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        for issuer in provisioning.issuers()? {
            let ends = WITHIN.map(|(_, days)| now.plus(DAY * days));
            let counts = provisioning.issued_expiring(&issuer.name, now, ends);
            for ((within, _), count) in WITHIN.into_iter().zip(counts.await?) {
                let expiring = Expiring {
                    id_scope: self.id_scope.to_string(),
                    issuer: issuer.name.to_string(),
                    within,
                };
                self.present.expiring.insert(expiring, count);
            }
            for generation in issuer.generations.admitted() {
                // The CA itself. Those above it are certificates of other issuers.
                let chain = Certificate::parse_pem_bundle(&generation.chain);
                if let Some(own) = chain.ok().and_then(|chain| chain.into_iter().next()) {
                    let which = generation.thumbprint.to_string();
                    self.add(Kind::Issuer, (issuer.name.as_str(), which), &own);
                }
            }
        }
        Ok(())
    }

    fn ca_certificates(&mut self, provisioning: &Provisioning) -> Result<(), StorageError> {
        for one in provisioning.ca_certificates()? {
            if let Ok(certificate) = Certificate::from_der(&one.der) {
                let name = (one.name.as_str(), String::new());
                self.add(Kind::CaCertificate, name, &certificate);
            }
        }
        Ok(())
    }

    async fn groups(&mut self, provisioning: &Provisioning) -> Result<(), StorageError> {
        let mut page = PageRequest {
            after: None,
            limit: PAGE,
        };
        loop {
            let found = provisioning
                .list_enrollments(EnrollmentKind::Group, &page)
                .await?;
            for group in &found.items {
                for one in &group.certificates {
                    if let Ok(certificate) = Certificate::from_der(&one.der) {
                        let which = one.slot.name().to_owned();
                        self.add(Kind::Group, (group.key.as_str(), which), &certificate);
                    }
                }
            }
            match found.continuation {
                Some(after) => page.after = Some(after),
                None => return Ok(()),
            }
        }
    }
}

/// Sets the gauges of each certificate and issuer. Those that are gone have no number any more.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the days of all years and 2^53 certificates are exact in it"
)]
fn publish(present: &Calendar, before: &Calendar, now: Timestamp) {
    let days = |named: &Named| {
        gauge!(
            "muster_certificate_days_left",
            "id_scope" => named.id_scope.clone(),
            "kind" => named.kind.name(),
            "name" => named.name.clone(),
            "which" => named.which.clone()
        )
    };
    for gone in gone(&before.ends, &present.ends) {
        days(gone).set(f64::NAN);
    }
    for (named, end) in &present.ends {
        days(named).set(days_left(*end, now) as f64);
    }
    let certificates = |expiring: &Expiring| {
        gauge!(
            "muster_certificates_expiring",
            "id_scope" => expiring.id_scope.clone(),
            "issuer" => expiring.issuer.clone(),
            "within" => expiring.within
        )
    };
    for gone in gone(&before.expiring, &present.expiring) {
        certificates(gone).set(f64::NAN);
    }
    for (expiring, count) in &present.expiring {
        certificates(expiring).set(*count as f64);
    }
}

fn gone<'b, K: Eq + Hash, V>(
    before: &'b HashMap<K, V>,
    present: &HashMap<K, V>,
) -> impl Iterator<Item = &'b K> {
    before.keys().filter(|key| !present.contains_key(*key))
}

fn warn(present: &HashMap<Named, Timestamp>, warned: &mut Warned, now: Timestamp) {
    warned.retain(present);
    for (named, end) in present {
        let days = days_left(*end, now);
        if !warned.is_due(named, days, now) {
            continue;
        }
        let (kind, name, which) = (named.kind.name(), &named.name, &named.which);
        let end = end.in_seconds();
        match days < 0 {
            true => tracing::warn!(
                id_scope = named.id_scope,
                kind,
                which,
                "the certificate of {kind} {name} expired at {end}; devices that depend on it are \
                 refused"
            ),
            false => tracing::warn!(
                id_scope = named.id_scope,
                kind,
                which,
                "the certificate of {kind} {name} expires at {end}, in {days} days; replace it \
                 before"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn root() -> Named {
        Named {
            id_scope: "0ne1".to_owned(),
            kind: Kind::CaCertificate,
            name: "root".to_owned(),
            which: String::new(),
        }
    }

    #[test]
    fn whole_days_are_counted_to_both_sides() {
        let end = at("2027-01-10T12:00:00Z");
        for (now, wanted) in [
            ("2027-01-01T12:00:00Z", 9),
            ("2027-01-01T12:00:01Z", 8),
            ("2027-01-10T11:59:59Z", 0),
            ("2027-01-10T12:00:00Z", 0),
            ("2027-01-10T12:00:01Z", -1),
            ("2027-01-12T12:00:01Z", -3),
        ] {
            assert_eq!(days_left(end, at(now)), wanted, "{now}");
        }
    }

    #[test]
    fn the_gauges_of_what_is_gone_have_no_number_any_more() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let now = at("2027-01-01T00:00:00Z");
        let (mut before, present) = (Calendar::default(), Calendar::default());
        before.ends.insert(root(), now.plus(DAY * 9));
        let fleet = Expiring {
            id_scope: "0ne1".to_owned(),
            issuer: "fleet".to_owned(),
            within: "7d",
        };
        before.expiring.insert(fleet, 3);
        for (calendar, measured, numbers) in [
            (&before, &present, ["3", "9"]),
            (&present, &before, ["NaN", "NaN"]),
        ] {
            metrics::with_local_recorder(&recorder, || publish(calendar, measured, now));
            let text = recorder.handle().render();
            let mut printed: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("muster_"))
                .map(|line| line.rsplit_once(' ').unwrap().1)
                .collect();
            printed.sort_unstable();
            assert_eq!(printed, numbers, "{text}");
        }
    }

    #[test]
    fn a_certificate_is_warned_about_once_a_day_in_its_last_weeks() {
        let (mut warned, end) = (Warned::default(), at("2027-03-01T00:00:00Z"));
        let mut now = at("2027-01-01T00:00:00Z");
        let mut warnings = 0;
        while now <= end.plus(DAY * 2) {
            warnings += usize::from(warned.is_due(&root(), days_left(end, now), now));
            now = now.plus(PERIOD);
        }
        // 42 days and the day that has begun, and two days after the end.
        assert_eq!(warnings, 45);
        let present = HashMap::new();
        warned.retain(&present);
        assert!(warned.0.is_empty());
    }
}
