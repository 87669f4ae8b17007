//! `/muster/v1/dps/issuers/{name}/log`: the head of the log of issued certificates, and proofs from
//! it. The log is one of the service: all its issuers share it.

use std::sync::Arc;

use ids::{CertificateSerial, IssuerName};
use issuing::log::{self, StoredLog};
use pki::log::{LogProof, LogSigner, consistency_path, inclusion_path};
use provisioning::CertificateLog;
use registry::Right;
use rest::{Reply, get};
use wire::error::DpsErrorCode;
use wire::lenient::BodyError;
use wire::muster_api::certificate_log::{LogConsistencyDocument, LogDocument, LogProofDocument};

use super::{certificates, existing};
use crate::error::{NounError, ServiceFault};
use crate::service_api::access::Access;
use crate::service_api::{Call, Route, provisioning, query_text};

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    vec![
        get("/muster/v1/dps/issuers/{name}/log", reads, head),
        get("/muster/v1/dps/issuers/{name}/log/proof", reads, proof),
        get(
            "/muster/v1/dps/issuers/{name}/log/consistency",
            reads,
            consistency,
        ),
    ]
}

fn signer(call: &Call) -> Result<Arc<LogSigner>, LogFault> {
    let issuers = &call.permit.context().device_issuers;
    issuers
        .log_signer()
        .map_err(|error| LogFault::Key(Box::new(error)))
}

fn origin(call: &Call) -> String {
    log::origin(provisioning(call))
}

async fn head(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let (signer, origin) = (signer(&call)?, origin(&call));
    let head = provisioning(&call).read_certificate_log(|log| StoredLog(log).head(&origin))?;
    Ok(Reply::json(&LogDocument {
        public_key: signer.key(&origin).to_string(),
        size: head.size,
        checkpoint: signer.sign(&head),
        origin,
    }))
}

/// The size that is asked for, of the log as it is now or was once.
fn size(call: &Call, log: &CertificateLog<'_>) -> Result<u64, ServiceFault> {
    let now = log.size()?;
    let Some(text) = query_text(call, "size") else {
        return Ok(now);
    };
    let size = text.parse::<u64>().ok();
    let size = size.ok_or_else(|| BodyError::new("size", "is not the size of a log"))?;
    match size <= now {
        true => Ok(size),
        false => Err(LogFault::Shorter { size, now }.into()),
    }
}

/// Query: `?serialNumber=&size=`.
async fn proof(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let text = query_text(&call, "serialNumber");
    let text = text.ok_or_else(|| BodyError::new("serialNumber", "is missing"))?;
    let serial = CertificateSerial::parse(&text)?;
    let record = certificates::first_of_serial(&call, &name, &serial)?;
    let (signer, origin) = (signer(&call)?, origin(&call));
    let (index, path, head) = provisioning(&call).read_certificate_log(|log| {
        let index = log.index(&record.serial, &record.thumbprint)?;
        let index = index.ok_or(LogFault::NotLogged(serial))?;
        let size = size(&call, log)?;
        if index >= size {
            return Err(LogFault::NotYet { index, size }.into());
        }
        let head = StoredLog(log).head_at(&origin, size)?;
        let path = inclusion_path(&StoredLog(log), index, size)?;
        Ok::<_, ServiceFault>((index, path, head))
    })?;
    let checkpoint = signer.sign(&head);
    let proof = LogProof {
        index,
        path,
        checkpoint,
    };
    Ok(Reply::json(&LogProofDocument {
        index,
        size: head.size,
        proof: proof.to_string(),
    }))
}

/// Query: `?from=&size=`.
async fn consistency(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let from = query_text(&call, "from").and_then(|text| text.parse::<u64>().ok());
    let from = from.ok_or_else(|| BodyError::new("from", "is not the size of an earlier log"))?;
    let (signer, origin) = (signer(&call)?, origin(&call));
    let (head, path) = provisioning(&call).read_certificate_log(|log| {
        let size = size(&call, log)?;
        if from > size {
            return Err(LogFault::Shorter {
                size: from,
                now: size,
            }
            .into());
        }
        let head = StoredLog(log).head_at(&origin, size)?;
        let path = match from {
            0 => Vec::new(),
            _ => consistency_path(&StoredLog(log), from, size)?,
        };
        Ok::<_, ServiceFault>((head, path))
    })?;
    Ok(Reply::json(&LogConsistencyDocument {
        from,
        size: head.size,
        consistency: pki::log::consistency_text(&path),
        checkpoint: signer.sign(&head),
    }))
}

/// Why the log proves nothing.
#[derive(Debug, thiserror::Error)]
enum LogFault {
    #[error(
        "the certificate with the serial number {0} is not in the log: it was issued before the \
         log began, and is known from the audit alone"
    )]
    NotLogged(CertificateSerial),
    #[error("the certificate is entry {index}, and the log of {size} certificates ends before it")]
    NotYet { index: u64, size: u64 },
    #[error("the log has {now} certificates and not {size}")]
    Shorter { size: u64, now: u64 },
    #[error("the key of the log cannot be used")]
    Key(#[source] Box<ca::CaError>),
}

impl NounError for LogFault {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::NotLogged(_) | Self::NotYet { .. } => DpsErrorCode::NotFound,
            Self::Shorter { .. } => DpsErrorCode::ArgumentInvalid,
            Self::Key(_) => DpsErrorCode::InternalServerError,
        }
    }
}
