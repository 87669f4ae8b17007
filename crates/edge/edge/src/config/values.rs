//! Values that are written as texts: keys, times, locations.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ids::HubHost;
use wire::sas::SharedAccessKey;

use super::fault::LineNumber;
use super::issuance::{EstUrl, RenewalTime};

/// Base64 with or without padding, as Azure's tools take it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest lifetime that is accepted. X.509 has no time behind the year 9999.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A symmetric key in base64, or what is wrong with it.
pub(super) fn base64_key(text: &str) -> Result<SharedAccessKey, String> {
    let bytes = BASE64
        .decode(text.trim())
        .map_err(|_| "the key is not base64; copy it whole from the registry".to_owned())?;
    SharedAccessKey::from_bytes(bytes).map_err(|error| error.to_string())
}

/// `10m`, `12h`, `90d`, also `4min` and `30day`; not zero.
pub(super) fn time(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text.trim()).ok()?;
    (!time.is_zero() && time <= LONGEST).then_some(time)
}

/// A time of whole days.
pub(super) fn whole_days(text: &str) -> Option<Duration> {
    time(text).filter(|time| time.as_secs().is_multiple_of(DAY.as_secs()))
}

/// A lifetime in days; not zero.
pub(super) fn days(number: u64) -> Option<Duration> {
    let time = Duration::from_secs(number.checked_mul(DAY.as_secs())?);
    (!time.is_zero() && time <= LONGEST).then_some(time)
}

/// `80%`, or a time.
pub(super) fn renewal_time(text: &str) -> Option<RenewalTime> {
    match text.trim().strip_suffix('%') {
        Some(number) => match number.parse() {
            Ok(percent @ 1..=99) => Some(RenewalTime::Percent(percent)),
            _ => None,
        },
        None => time(text).map(RenewalTime::Time),
    }
}

/// `HH:MM`, as minutes after midnight.
pub(super) fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
        }
        _ => None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| hours * 60 + minutes)
}

/// The base URL of an EST server, or what is wrong with it.
pub(super) fn est_url(text: &str, line: usize) -> Result<EstUrl, String> {
    let (is_https, rest) = if let Some(rest) = scheme(text, "https://") {
        (true, rest)
    } else if let Some(rest) = scheme(text, "http://") {
        (false, rest)
    } else {
        return Err("it has to begin with https://".to_owned());
    };
    if rest.contains(['?', '#', ' ']) {
        return Err("it has to end with a path, without ? and #".to_owned());
    }
    if rest.contains('@') {
        return Err("a user and a password belong into username and password".to_owned());
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = HubHost::parse(host).map_err(|error| error.to_string())?;
    let path = path.trim_end_matches('/');
    let path = match path {
        "" => "/.well-known/est".to_owned(),
        path => format!("/{path}"),
    };
    Ok(EstUrl {
        is_https,
        host,
        path,
        line: LineNumber(line),
    })
}

/// What follows a scheme, which is compared without case.
pub(super) fn scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// `tpm:0x81010001`, or what is wrong with it.
pub(super) fn tpm_handle(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let handle = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match handle {
        Some(handle @ 0x8100_0000..=0x81ff_ffff) => Ok(handle),
        _ => Err(
            "it has to be the handle of a persistent object, tpm:0x81000000 to tpm:0x81ffffff"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shares_minutes_or_days() {
        assert_eq!(renewal_time("80%"), Some(RenewalTime::Percent(80)));
        let four = RenewalTime::Time(Duration::from_secs(240));
        assert_eq!(renewal_time("4min"), Some(four));
        assert_eq!(renewal_time("30day"), Some(RenewalTime::Time(30 * DAY)));
        for wrong in ["", "0%", "100%", "-1%", "0min", "4", "1.5%", "%"] {
            assert_eq!(renewal_time(wrong), None, "{wrong}");
        }
        assert_eq!(time("10m"), Some(Duration::from_secs(600)));
        assert_eq!(time("90d"), Some(90 * DAY));
        assert_eq!((days(0), days(u64::MAX), days(1)), (None, None, Some(DAY)));
        assert_eq!((whole_days("36h"), whole_days("2d")), (None, Some(2 * DAY)));
    }

    #[test]
    fn minutes_of_a_day_are_hours_and_minutes() {
        assert_eq!(minute_of_day("23:59"), Some(23 * 60 + 59));
        assert_eq!(minute_of_day("00:00"), Some(0));
        for wrong in ["24:00", "1:00", "00:60", "0000", "", "+1:00", "00:00:00"] {
            assert_eq!(minute_of_day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn est_urls_have_a_host_and_a_path() {
        let url = est_url("HTTPS://est.example:8085/.well-known/est/dev/", 1).unwrap();
        assert_eq!(url.host.as_str(), "est.example:8085");
        assert_eq!(
            (url.is_https, url.path.as_str()),
            (true, "/.well-known/est/dev")
        );
        let bare = est_url("http://est.example", 1).unwrap();
        assert_eq!(
            (bare.is_https, bare.path.as_str()),
            (false, "/.well-known/est")
        );
        for wrong in [
            "est.example",
            "ftp://e",
            "https:///x",
            "https://u:p@e/x",
            "https://e/?x",
        ] {
            assert!(est_url(wrong, 1).is_err(), "{wrong}");
        }
    }

    /// Keys are shown with and without padding, and copied with a line end.
    #[test]
    fn keys_are_base64_with_or_without_padding() {
        for text in ["a2V5MQ==", "a2V5MQ", " a2V5MQ==\n"] {
            assert_eq!(*base64_key(text).unwrap().to_base64(), "a2V5MQ==", "{text}");
        }
        assert!(base64_key("käse").is_err() && base64_key("").is_err());
        assert!(tpm_handle("0x81010001").is_ok() && tpm_handle("0x80000001").is_err());
    }
}
