//! How long the server's certificates are still valid, as metrics, and a warning once a day about
//! those that the server does not renew itself.

use std::collections::HashMap;
use std::time::Duration;

use ids::Timestamp;
use pki::Certificate;
use rustls::sign::CertifiedKey;
use transport::tls::Certificates;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Days before the end from which on the log warns.
const WARN_DAYS: f64 = 42.0;

/// The operator's certificates that were warned about, by position.
#[derive(Debug, Default)]
pub struct ExpiryWatch {
    warned: HashMap<usize, Timestamp>,
}

impl ExpiryWatch {
    /// Sets the gauges, and warns.
    pub fn look(&mut self, certificates: &Certificates, now: Timestamp) {
        let made = [
            ("ec", Some(&certificates.ec)),
            ("rsa", certificates.rsa.as_ref()),
        ];
        for (which, key) in made {
            if let Some(certificate) = key.and_then(|key| leaf(key)) {
                measure(which, &certificate, now);
            }
        }
        let own = certificates.own.iter().enumerate();
        let ends: Vec<(usize, Certificate)> = own
            .filter_map(|(position, key)| Some((position, leaf(&key.key)?)))
            .collect();
        if let Some((_, first)) = ends.iter().min_by_key(|(_, one)| one.not_after()) {
            measure("own", first, now);
        }
        for (position, certificate) in ends {
            if self.is_due(position, certificate.not_after(), now) {
                tracing::warn!(
                    subject = certificate.subject(),
                    "the server's certificate expires at {}; replace its files before",
                    certificate.not_after().in_seconds()
                );
            }
        }
    }

    fn is_due(&mut self, position: usize, end: Timestamp, now: Timestamp) -> bool {
        if days_left(end, now) > WARN_DAYS {
            self.warned.remove(&position);
            return false;
        }
        let before = self.warned.get(&position);
        if before.is_some_and(|before| now.since(*before) < DAY) {
            return false;
        }
        self.warned.insert(position, now);
        true
    }
}

fn leaf(key: &CertifiedKey) -> Option<Certificate> {
    Certificate::from_der(key.cert.first()?.as_ref()).ok()
}

/// Whole days until `end`; negative once it is past.
fn days_left(end: Timestamp, now: Timestamp) -> f64 {
    let days = |length: Duration| (length.as_secs_f64() / DAY.as_secs_f64()).floor();
    match end >= now {
        true => days(end.since(now)),
        false => -1.0 - days(now.since(end)),
    }
}

fn measure(which: &'static str, certificate: &Certificate, now: Timestamp) {
    let days = days_left(certificate.not_after(), now);
    metrics::gauge!("muster_server_certificate_days_left", "which" => which).set(days);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_about_once_a_day() {
        let mut watch = ExpiryWatch::default();
        let end = Timestamp::parse("2027-03-01T00:00:00Z").unwrap();
        let days: Vec<bool> = [100, 43, 42, 42, 41]
            .map(|days| {
                watch.is_due(
                    0,
                    end,
                    Timestamp::from_ticks(end.ticks() - days * 864_000_000_000),
                )
            })
            .into();
        assert_eq!(days, [false, false, true, false, true]);
        assert!(watch.is_due(1, end, end));
        assert!(days_left(end, end.plus(DAY)) < 0.0);
    }
}
