//! A service's shared access policies.

use provisioning::{Act, KeyChoice, ServingError};
use registry::{Right, SharedAccessPolicy};
use wire::muster_api::serving::{KeyKind, PolicyDocument, PolicyRequest, RegenerateRequest};

use super::serving::{Request, ok};
use crate::error::ServiceFault;
use crate::http::Reply;
use crate::service_api::linked_hubs::judged as serving;

pub(crate) fn list(request: &Request<'_>) -> Reply {
    let service = request.operator.registry().service();
    let policies: Vec<_> = service.policies.iter().map(document).collect();
    ok(&policies)
}

pub(crate) async fn read(request: &Request<'_>, name: &str) -> Result<Reply, ServiceFault> {
    let service = request.operator.registry().service();
    let mut policies = service.policies.iter();
    let policy = policies.find(|policy| policy.name.eq_ignore_ascii_case(name));
    let policy = policy.ok_or_else(|| ServingError::NoSuchPolicy(name.to_owned()))?;
    request.disclose(Act::ReadPolicyKeys, &policy.name).await?;
    Ok(ok(&with_keys(policy)))
}

pub(crate) async fn put(request: &Request<'_>, name: &str) -> Result<Reply, ServiceFault> {
    let asked: PolicyRequest = request.parsed()?;
    let draft = serving::policy(name, &asked)?;
    let policy = request.operator.registry().create_policy(draft).await?;
    Ok(ok(&with_keys(&policy)))
}

pub(crate) async fn delete(request: &Request<'_>, name: &str) -> Result<Reply, ServiceFault> {
    request.operator.registry().delete_policy(name).await?;
    Ok(Reply::no_content())
}

pub(crate) async fn regenerate(request: &Request<'_>, name: &str) -> Result<Reply, ServiceFault> {
    let RegenerateRequest { key } = request.parsed()?;
    let choice = match key {
        KeyKind::Primary => KeyChoice::Primary,
        KeyKind::Secondary => KeyChoice::Secondary,
        KeyKind::Swap => KeyChoice::Swap,
    };
    let registry = request.operator.registry();
    let policy = registry.regenerate_key(name, choice).await?;
    Ok(ok(&with_keys(&policy)))
}

fn document(policy: &SharedAccessPolicy) -> PolicyDocument {
    PolicyDocument {
        key_name: policy.name.clone(),
        rights: policy.rights.iter().copied().map(right).collect(),
        primary_key: None,
        secondary_key: None,
    }
}

fn right(right: Right) -> String {
    right.name().to_owned()
}

fn with_keys(policy: &SharedAccessPolicy) -> PolicyDocument {
    PolicyDocument {
        primary_key: Some(policy.primary.reveal().to_owned()),
        secondary_key: Some(policy.secondary.reveal().to_owned()),
        ..document(policy)
    }
}
