//! Settings of the configuration in the form in which certificates are made.

use device::renewal::{RenewalPolicy, Threshold};
use pki::{NameAttribute, Subject};

use crate::certificates::issuer::IssuanceError;
use crate::certificates::managed::Renewal;
use crate::config::{self, AutoRenew, Issuance, IssuanceMethod, RenewalTime};

/// Percent of a certificate's life over which renewals of a batch of devices are spread.
const SPREAD_PERCENT: u8 = 5;

/// The subject that the configuration names, completed by the usual common name.
pub(super) fn subject(issuance: &Issuance, usual: Subject) -> Result<Subject, IssuanceError> {
    let given = match &issuance.subject {
        Some(config::Subject::Name(names)) if !names.contains_key("CN") => {
            let mut names = names.iter();
            return names.try_fold(usual, |subject, (name, value)| with(subject, name, value));
        }
        _ => own_subject(issuance)?,
    };
    Ok(given.unwrap_or(usual))
}

/// The subject that the configuration names, if it has a common name.
pub(super) fn own_subject(issuance: &Issuance) -> Result<Option<Subject>, IssuanceError> {
    match &issuance.subject {
        None => Ok(None),
        Some(config::Subject::CommonName(name)) => Ok(Some(Subject::common_name(name)?)),
        Some(config::Subject::Name(names)) => {
            let Some(common_name) = names.get("CN") else {
                return Ok(None);
            };
            let subject = Subject::common_name(common_name)?;
            let mut others = names.iter().filter(|(name, _)| *name != "CN");
            let all = others.try_fold(subject, |subject, (name, value)| with(subject, name, value));
            all.map(Some)
        }
    }
}

fn with(subject: Subject, name: &str, value: &str) -> Result<Subject, IssuanceError> {
    let attribute = NameAttribute::parse(name).ok_or_else(|| {
        IssuanceError::Files(format!(
            "subject: {name} is not an attribute that is written"
        ))
    })?;
    Ok(subject.with(attribute, value)?)
}

/// What issues a certificate, as far as another issuer means another certificate.
pub(super) fn issuer_name(method: &IssuanceMethod) -> String {
    match method {
        IssuanceMethod::Est(est) => format!("est {}{}", est.url.host, est.url.path),
        IssuanceMethod::LocalCa => "local_ca".to_owned(),
        IssuanceMethod::SelfSigned => "self_signed".to_owned(),
        IssuanceMethod::Dps(_) => "dps".to_owned(),
    }
}

pub(super) fn renewal(settings: AutoRenew) -> Renewal {
    let threshold = match settings.threshold {
        RenewalTime::Percent(percent) => Threshold::Percent(percent),
        RenewalTime::Time(time) => Threshold::Before(time),
    };
    Renewal {
        policy: RenewalPolicy {
            threshold,
            spread_percent: SPREAD_PERCENT,
        },
        rotate_key: settings.rotate_key,
    }
}
