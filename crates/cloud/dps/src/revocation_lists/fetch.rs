//! Fetches revocation lists from the URLs that operators named.

use std::time::Duration;

use axum::http::Method;
use ids::{Timestamp, error_chain};
use outbound::{OutboundCall, OutboundFault};
use pki::MAX_CRL_BYTES;
use provisioning::{ListVersion, Provisioning, RevocationListError, RevocationListRecord};
use registry::revocation::ListAge;
use registry::{ListSource, StorageError};
use zeroize::Zeroizing;

use crate::revocation_lists::verify::{ListFault, verify_apart};
use crate::service::Dps;

/// For the whole answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Time from a look that failed to the next one, at most.
const RETRY: Duration = Duration::from_secs(300);
/// Shortest time between two looks at a URL whose list has ended.
const AFTER_END: Duration = Duration::from_secs(60);

/// Why a look at a URL brought no list.
#[derive(Debug, thiserror::Error)]
enum FetchFault {
    #[error(transparent)]
    Outbound(#[from] OutboundFault),
    #[error("it answered {0}")]
    Status(u16),
    #[error(transparent)]
    List(#[from] ListFault),
    #[error(transparent)]
    NotStored(#[from] RevocationListError),
}

pub(super) fn is_due(list: &RevocationListRecord, now: Timestamp) -> bool {
    list.source
        .as_ref()
        .is_some_and(|source| due(list, source) <= now)
}

/// When to look next: after the interval, when the list ends, or some time after a fault.
fn due(list: &RevocationListRecord, source: &ListSource) -> Timestamp {
    let Some(fetched) = list.fetched else {
        return Timestamp::NEVER;
    };
    let interval = Duration::from_secs(source.interval.into());
    if list.fault.is_some() {
        return fetched.plus(interval.min(RETRY));
    }
    let next = fetched.plus(interval);
    match list.age() {
        ListAge::Until(end) => next.min(end.max(fetched.plus(AFTER_END))),
        ListAge::Absent | ListAge::Unlimited => next,
    }
}

/// Looks at the URL of a list, and stores what is new there. A fault is noted, and no error.
pub async fn fetch(
    dps: &Dps,
    provisioning: &Provisioning,
    list: &RevocationListRecord,
) -> Result<(), StorageError> {
    let Some(source) = &list.source else {
        return Ok(());
    };
    match look(dps, provisioning, list, source).await {
        Ok(News::Stored) => Ok(()),
        Ok(News::Unchanged) => provisioning.note_list_fetch(list, None, dps.now()).await,
        Err(FetchFault::NotStored(RevocationListError::Storage(error))) => Err(error),
        Err(fault) => {
            let fault = error_chain(&fault);
            tracing::warn!(
                id_scope = %provisioning.service().id_scope,
                revocation_list = %list.name,
                "the revocation list {} was not fetched: {fault}",
                list.name
            );
            metrics::counter!("muster_dps_revocation_list_fetch_failures_total").increment(1);
            provisioning
                .note_list_fetch(list, Some(fault), dps.now())
                .await
        }
    }
}

enum News {
    Stored,
    Unchanged,
}

async fn look(
    dps: &Dps,
    provisioning: &Provisioning,
    list: &RevocationListRecord,
    source: &ListSource,
) -> Result<News, FetchFault> {
    let call = OutboundCall {
        on_behalf: dps.on_behalf(&provisioning.service().id_scope),
        method: Method::GET,
        url: Zeroizing::new(source.url.clone()),
        headers: conditions(list),
        body: None,
        limit: MAX_CRL_BYTES,
        timeout: TIMEOUT,
    };
    let answer = dps.outbound().call(call).await?;
    match answer.status {
        200 => {}
        304 if list.content.is_some() => return Ok(News::Unchanged),
        other => return Err(FetchFault::Status(other)),
    }
    let version = ListVersion {
        etag: answer.etag,
        modified: answer.last_modified,
    };
    let at = dps.now();
    let new = verify_apart(answer.body, list.clone(), at).await?;
    let kept = provisioning.keep_fetched_list(list, new, version, at);
    kept.await?;
    Ok(News::Stored)
}

/// Asks for the list only if it is another one than the stored.
fn conditions(list: &RevocationListRecord) -> Vec<(&'static str, String)> {
    let Some(content) = &list.content else {
        return Vec::new();
    };
    let etag = content
        .http_etag
        .clone()
        .map(|etag| ("if-none-match", etag));
    let modified = content.http_modified.clone();
    let modified = modified.map(|at| ("if-modified-since", at));
    etag.into_iter().chain(modified).collect()
}
