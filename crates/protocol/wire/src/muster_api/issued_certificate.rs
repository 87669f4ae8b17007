//! `/muster/v1/dps/issuers/{name}/certificates`: what an issuer has issued.

use std::time::Duration;

use ids::{CertificateSerial, IssuerName, IssuerUserName, Thumbprint, Timestamp};
use serde::Serialize;

use crate::lenient::BodyError;

/// `x-ms-item-type` of a list of issued certificates.
pub const ISSUED_ITEM: &str = "issuedCertificate";

/// A certificate that an issuer has issued.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedDocument {
    /// Upper-case hexadecimal, without separators.
    pub serial_number: CertificateSerial,
    /// The name of the issuer.
    pub issuer_name: IssuerName,
    /// The common name of its subject.
    pub common_name: String,
    /// SHA-256 of the certificate.
    pub sha256_thumbprint: Thumbprint,
    /// SHA-256 of the CA certificate that signed it. Absent when that is not known any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_sha256_thumbprint: Option<Thumbprint>,
    /// `notBefore` of its validity.
    pub not_before_utc: Timestamp,
    /// `notAfter` of its validity.
    pub not_after_utc: Timestamp,
    /// `P-256`, `P-384`, `RSA`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
    /// `registration`, `est`, `hub`, `operator`, or `audit`: known only from there.
    pub origin: &'static str,
    /// The user of the issuer who had it issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<IssuerUserName>,
    /// Time in UTC, RFC 3339.
    pub issued_date_time_utc: Timestamp,
    /// `valid`, `held` or `revoked`; also of a certificate that has expired.
    pub state: &'static str,
    /// Why it is held or revoked: a name of RFC 5280, 5.3.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its state last changed. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_date_time_utc: Option<Timestamp>,
    /// The certificate, PEM; only where one is asked for, and absent when it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Reads a length of time such as `90m`, `12h` or `30d`.
pub fn length_of_time(member: &str, text: &str) -> Result<Duration, BodyError> {
    let problem = || {
        let start: String = text.chars().take(64).collect();
        BodyError::new(
            member,
            format!("{start:?} is not a length of time such as 90m, 12h or 30d"),
        )
    };
    let number_and_unit = |unit, seconds| Some((text.strip_suffix(unit)?, seconds));
    let (number, seconds) = number_and_unit('m', 60)
        .or_else(|| number_and_unit('h', 3600))
        .or_else(|| number_and_unit('d', 86_400))
        .ok_or_else(problem)?;
    // `u32` would also parse a sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(problem());
    }
    let number = number.parse::<u32>().map_err(|_| problem())?;
    Ok(Duration::from_secs(seconds * u64::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        let seconds = |text| {
            length_of_time("t", text)
                .map(|length| length.as_secs())
                .ok()
        };
        assert_eq!(seconds("90m"), Some(5400));
        assert_eq!(seconds("12h"), Some(43_200));
        assert_eq!(seconds("30d"), Some(2_592_000));
        for text in [
            "",
            "d",
            "30",
            "-1d",
            "+1d",
            "1dd",
            "1hd",
            "1.5d",
            "99999999999d",
            "3 d",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
