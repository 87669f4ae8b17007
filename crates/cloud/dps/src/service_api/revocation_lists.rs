//! `/muster/v1/dps/revocation-lists`: the revocation lists of other CAs.

use ids::{CertificateName, Timestamp};
use pki::{MAX_CRL_BYTES, PemError};
use provisioning::{RevocationListDraft, RevocationListError, RevocationListRecord};
use registry::{ListSource, Right, StalePolicy};
use rest::{Reply, delete, get, post, put};
use wire::error::DpsErrorCode;
use wire::etag::QuotedEtag;
use wire::muster_api::revocation::{
    CrlDescription, DEFAULT_INTERVAL, MAX_INTERVAL, MIN_INTERVAL, RevocationListDescription,
    RevocationListRequest, RevocationLists, StaleAction,
};

use super::access::Access;
use super::{Call, Route, if_match, now, own_json, provisioning};
use crate::certificate;
use crate::error::{NounError, ServiceFault};
use crate::revocation_lists::fetch;
use crate::revocation_lists::verify::verify_apart;

const LIST: &str = "/muster/v1/dps/revocation-lists/{name}";

/// Longest URL that is fetched from, characters.
const MAX_URL: usize = 2048;

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/muster/v1/dps/revocation-lists", reads, list),
        get(LIST, reads, read),
        put(LIST, writes, write),
        delete(LIST, writes, remove),
        post(
            "/muster/v1/dps/revocation-lists/{name}/fetch",
            writes,
            fetch_now,
        ),
    ]
}

/// A list is longer than any other body.
pub(super) fn content_routes() -> Vec<Route> {
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    let content = "/muster/v1/dps/revocation-lists/{name}/content";
    vec![put(content, writes, upload).body_limit(MAX_CRL_BYTES)]
}

async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let stored = provisioning(&call).revocation_lists()?.into_iter();
    let value = stored.map(|one| describe(one, now(&call))).collect();
    Ok(Reply::json(&RevocationLists { value }))
}

async fn read(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let stored = provisioning(&call).revocation_list(&name)?;
    let stored = stored.ok_or_else(|| RevocationListError::NotFound(name))?;
    Ok(reply(stored, now(&call)))
}

/// Creates without `If-Match`, changes with it. A list that has a URL is fetched before the answer,
/// which says how that went.
async fn write(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let draft = draft(name.clone(), own_json(&call)?)?;
    let has_url = draft.source.is_some();
    let provisioning = provisioning(&call);
    let written = provisioning.put_revocation_list(draft, &if_match, now(&call));
    let written = written.await?;
    if !has_url {
        return Ok(reply(written, now(&call)));
    }
    fetch::fetch(&call.service, provisioning, &written).await?;
    read(call, name).await
}

async fn fetch_now(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let stored = provisioning(&call).revocation_list(&name)?;
    let stored = stored.ok_or_else(|| RevocationListError::NotFound(name.clone()))?;
    if stored.source.is_none() {
        return Err(SettingsFault::NoUrl(name).into());
    }
    fetch::fetch(&call.service, provisioning(&call), &stored).await?;
    read(call, name).await
}

async fn upload(mut call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let body = std::mem::take(&mut call.body);
    let stored = provisioning(&call).revocation_list(&name)?;
    let stored = stored.ok_or_else(|| RevocationListError::NotFound(name.clone()))?;
    let at = now(&call);
    let list = verify_apart(body.into(), stored, at).await?;
    let stored = provisioning(&call).upload_revocation_list(&name, list, at);
    Ok(reply(stored.await?, now(&call)))
}

async fn remove(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let deleted = provisioning(&call).delete_revocation_list(&name, &if_match);
    deleted.await?;
    Ok(Reply::no_content())
}

/// Why the settings of a list are not accepted.
#[derive(Debug, thiserror::Error)]
enum SettingsFault {
    #[error("the CA certificate of the list cannot be read")]
    Certificate(#[from] PemError),
    #[error("'crlUrl' is not accepted: {0}")]
    Url(&'static str),
    #[error("'intervalSeconds' is {0}; {MIN_INTERVAL} to {MAX_INTERVAL} are allowed")]
    Interval(u32),
    #[error("'intervalSeconds' is for lists that have a 'crlUrl'")]
    IntervalWithoutUrl,
    #[error("revocation list {0} has no URL; upload it")]
    NoUrl(CertificateName),
}

impl NounError for SettingsFault {}

fn draft(
    name: CertificateName,
    request: RevocationListRequest,
) -> Result<RevocationListDraft, SettingsFault> {
    let certificate = request.certificate.as_deref().map(certificate::read);
    let source = match (request.crl_url, request.interval_seconds) {
        (None, None) => None,
        (None, Some(_)) => return Err(SettingsFault::IntervalWithoutUrl),
        (Some(url), interval) => Some(source(url, interval.unwrap_or(DEFAULT_INTERVAL))?),
    };
    Ok(RevocationListDraft {
        name,
        ca: certificate.transpose()?,
        source,
        stale: match request.stale {
            None | Some(StaleAction::Accept) => StalePolicy::Accept,
            Some(StaleAction::Refuse) => StalePolicy::Refuse,
        },
    })
}

fn source(url: String, interval: u32) -> Result<ListSource, SettingsFault> {
    if url.len() > MAX_URL {
        return Err(SettingsFault::Url("it is too long"));
    }
    let parsed = url.parse::<axum::http::Uri>();
    let parsed = parsed.map_err(|_| SettingsFault::Url("it is no URL"))?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
        return Err(SettingsFault::Url("an http or https URL was expected"));
    }
    match interval {
        MIN_INTERVAL..=MAX_INTERVAL => Ok(ListSource { url, interval }),
        other => Err(SettingsFault::Interval(other)),
    }
}

fn reply(stored: RevocationListRecord, now: Timestamp) -> Reply {
    let described = describe(stored, now);
    Reply::json(&described).with_etag(&described.etag.0)
}

fn describe(stored: RevocationListRecord, now: Timestamp) -> RevocationListDescription {
    let is_stale = stored.age().is_stale(now);
    let content = stored.content.map(|content| CrlDescription {
        number: content.number.map(|number| hex(&number)),
        this_update_utc: Timestamp::from_ticks(content.this_update),
        next_update_utc: content.next_update.map(Timestamp::from_ticks),
        entries: content.entries,
        stored_date_time_utc: Timestamp::from_ticks(content.stored),
    });
    let (url, interval) = match stored.source {
        Some(source) => (Some(source.url), Some(source.interval)),
        None => (None, None),
    };
    RevocationListDescription {
        certificate: stored.ca.to_pem(),
        certificate_info: provisioning::describe(&stored.ca),
        name: stored.name,
        crl_url: url,
        interval_seconds: interval,
        stale: match stored.stale {
            StalePolicy::Accept => StaleAction::Accept,
            StalePolicy::Refuse => StaleAction::Refuse,
        },
        crl: content,
        is_stale,
        fetched_date_time_utc: stored.fetched,
        problem: stored.fault,
        etag: QuotedEtag(stored.etag),
        created_date_time_utc: stored.created,
        last_modified_date_time_utc: stored.updated,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

impl NounError for RevocationListError {
    fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::NotFound(_) | Self::NoCaCertificate(_) => Code::CertificateAuthorityNotFound,
            Self::Exists(_) => Code::CertificateAuthorityConflict,
            Self::PreconditionFailed(_) => Code::PreconditionFailed,
            Self::Older { .. } | Self::CaChanged(_) => Code::Conflict,
            Self::TooMany { .. } | Self::TooLong { .. } => Code::ArgumentInvalid,
            Self::Storage(_) => Code::InternalServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use ids::CertificateSerial;
    use pki::{CrlRefused, UnverifiedCrl};
    use wire::error::DpsErrorCode as Code;

    use super::*;
    use crate::revocation_lists::verify::ListFault;

    /// What is refused is the operator's to correct; what has failed is the server's.
    #[test]
    fn each_refusal_of_a_list_has_its_code() {
        let name: CertificateName = "factory".parse().unwrap();
        let refused = CrlRefused::Signature {
            subject: "CN=factory".to_owned(),
        };
        let stored = Timestamp::from_unix_seconds(0);
        for (error, code) in [
            (
                RevocationListError::NotFound(name.clone()),
                Code::CertificateAuthorityNotFound,
            ),
            (
                RevocationListError::NoCaCertificate(name.clone()),
                Code::CertificateAuthorityNotFound,
            ),
            (
                RevocationListError::Exists(name.clone()),
                Code::CertificateAuthorityConflict,
            ),
            (
                RevocationListError::PreconditionFailed(name.clone()),
                Code::PreconditionFailed,
            ),
            (
                RevocationListError::TooMany { limit: 25 },
                Code::ArgumentInvalid,
            ),
            (
                RevocationListError::TooLong { limit: 4 },
                Code::ArgumentInvalid,
            ),
            (RevocationListError::Older { stored }, Code::Conflict),
            (RevocationListError::CaChanged(name.clone()), Code::Conflict),
        ] {
            assert_eq!(error.code(), code, "{error}");
        }
        let unreadable = UnverifiedCrl::read(b"no list".to_vec()).unwrap_err();
        let serial = CertificateSerial::from_bytes(&[1; 22]).unwrap_err();
        for (fault, code) in [
            (ListFault::Unreadable(unreadable), Code::ArgumentInvalid),
            (ListFault::Refused(refused), Code::ArgumentInvalid),
            (ListFault::Serial(serial), Code::ArgumentInvalid),
            (ListFault::Stopping, Code::ServiceUnavailable),
        ] {
            assert_eq!(fault.code(), code, "{fault}");
        }
    }
}
