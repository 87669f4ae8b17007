//! Times in the life of a certificate: `expiry_days`, `lifetime`, `auto_renew`.

use std::time::Duration;

use crate::config::issuance::{AutoRenew, RenewalTime};
use crate::config::reader::{At, Section};
use crate::config::values;

/// `expiry_days`, or ours: `lifetime = "10m"`.
pub(super) fn lifetime(section: &Section<'_, '_>) -> Option<Duration> {
    let by_days = section
        .unsigned("expiry_days")
        .and_then(|at| days(section, "expiry_days", at));
    let At { value, line } = match section.text("lifetime") {
        Some(at) => at,
        None => return by_days,
    };
    let name = section.name("lifetime");
    if by_days.is_some() {
        section.fault(
            line,
            format!("{name}: expiry_days says it already; remove one"),
        );
    }
    let time = values::time(&value);
    if time.is_none() {
        let message = format!("{name}: {value:?} is not a time; write \"90d\" or \"10m\"");
        section.fault(line, message);
    }
    time
}

pub(super) fn days(section: &Section<'_, '_>, key: &str, at: At<u64>) -> Option<Duration> {
    let time = values::days(at.value);
    if time.is_none() {
        let name = section.name(key);
        let message = format!("{name}: {} is not 1 to 36500 days", at.value);
        section.fault(at.line, message);
    }
    time
}

/// `auto_renew` and its like: a table, or ours: `false`. `is_default` says whether a certificate is
/// renewed where nothing is said.
pub(super) fn renewal(
    section: &Section<'_, '_>,
    key: &'static str,
    is_default: bool,
) -> Option<AutoRenew> {
    let default = is_default.then(AutoRenew::default);
    if !section.has(key) {
        return default;
    }
    if !section.is_table(key) {
        return section
            .boolean(key)
            .and_then(|at| at.value.then(AutoRenew::default));
    }
    let table = section.asking_section(key)?;
    let usual = AutoRenew::default();
    let rotate_key = table
        .boolean("rotate_key")
        .map_or(usual.rotate_key, |at| at.value);
    let threshold = renewal_time(&table, "threshold", usual.threshold);
    let retry = renewal_time(&table, "retry", usual.retry);
    table.finish();
    Some(AutoRenew {
        rotate_key,
        threshold,
        retry,
    })
}

/// The usual time also stands in for a wrong one, which has a fault.
fn renewal_time(table: &Section<'_, '_>, key: &'static str, usual: RenewalTime) -> RenewalTime {
    let Some(At { value, line }) = table.text(key) else {
        return usual;
    };
    values::renewal_time(&value).unwrap_or_else(|| {
        let name = table.name(key);
        let message = format!(
            "{name}: {value:?} is neither a share of the lifetime, \"1%\" to \"99%\", nor a time, \
             \"30min\" or \"10day\""
        );
        table.fault(line, message);
        usual
    })
}
