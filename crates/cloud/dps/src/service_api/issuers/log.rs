//! `/muster/v1/dps/issuers/{name}/log`: the head of the log of issued certificates, and proofs from
//! it. The log is one of the service: all its issuers share it.

use std::sync::Arc;

use ids::{CertificateSerial, IssuerName};
use pki::log::{
    Checkpoint, LogHash, LogNodes, LogProof, LogSigner, consistency_path, inclusion_path, tree_hash,
};
use provisioning::CertificateLog;
use registry::{Right, StorageError};
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

/// The stored hashes, as proofs are made of them.
struct Stored<'a, 'v>(&'a CertificateLog<'v>);

impl LogNodes for Stored<'_, '_> {
    type Error = StorageError;

    fn node(&self, level: u32, index: u64) -> Result<LogHash, StorageError> {
        self.0.node(level, index)
    }
}

impl Stored<'_, '_> {
    fn head(&self, origin: &str) -> Result<Checkpoint, StorageError> {
        let size = self.0.size()?;
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size,
            root: tree_hash(self, size)?,
        })
    }
}

fn signer(call: &Call) -> Result<Arc<LogSigner>, LogFault> {
    let issuers = &call.permit.context().device_issuers;
    issuers
        .log_signer()
        .map_err(|error| LogFault::Key(Box::new(error)))
}

fn origin(call: &Call) -> String {
    format!("muster/{}", provisioning(call).service().id_scope)
}

async fn head(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let (signer, origin) = (signer(&call)?, origin(&call));
    let head = provisioning(&call).read_certificate_log(|log| Stored(log).head(&origin))?;
    Ok(Reply::json(&LogDocument {
        public_key: signer.key(&origin).to_string(),
        size: head.size,
        checkpoint: signer.sign(&head),
        origin,
    }))
}

/// Query: `?serialNumber=`.
async fn proof(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let text = query_text(&call, "serialNumber");
    let text = text.ok_or_else(|| BodyError::new("serialNumber", "is missing"))?;
    let serial = CertificateSerial::parse(&text)?;
    let record = certificates::first_of_serial(&call, &name, &serial)?;
    let (signer, origin) = (signer(&call)?, origin(&call));
    let found = provisioning(&call).read_certificate_log(|log| {
        let Some(index) = log.index(&record.serial, &record.thumbprint)? else {
            return Ok(None);
        };
        let head = Stored(log).head(&origin)?;
        let path = inclusion_path(&Stored(log), index, head.size)?;
        Ok(Some((index, path, head)))
    })?;
    let (index, path, head) = found.ok_or(LogFault::NotLogged(serial))?;
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

/// Query: `?from=`.
async fn consistency(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let from = query_text(&call, "from").and_then(|text| text.parse::<u64>().ok());
    let from = from.ok_or_else(|| BodyError::new("from", "is not the size of an earlier log"))?;
    let (signer, origin) = (signer(&call)?, origin(&call));
    let (head, path) = provisioning(&call).read_certificate_log(|log| {
        let head = Stored(log).head(&origin)?;
        let path = match (1..=head.size).contains(&from) {
            true => consistency_path(&Stored(log), from, head.size)?,
            false => Vec::new(),
        };
        Ok((head, path))
    })?;
    if from > head.size {
        let size = head.size;
        return Err(LogFault::Shorter { from, size }.into());
    }
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
    #[error("the log has {size} certificates and never had {from}")]
    Shorter { from: u64, size: u64 },
    #[error("the key of the log cannot be used")]
    Key(#[source] Box<ca::CaError>),
}

impl NounError for LogFault {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::NotLogged(_) => DpsErrorCode::NotFound,
            Self::Shorter { .. } => DpsErrorCode::ArgumentInvalid,
            Self::Key(_) => DpsErrorCode::InternalServerError,
        }
    }
}
