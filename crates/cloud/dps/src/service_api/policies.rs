//! `/muster/v1/dps/policies`: the shared access policies of a service.

use provisioning::{Act, KeyChoice, PolicyDraft, PolicyDraftError, ServiceSetupError};
use registry::{Right, SharedAccessPolicy};
use rest::{Reply, delete, get, post, put};
use wire::muster_api::policy::{KeyKind, PolicyDocument, PolicyRequest, RegenerateRequest};
use wire::service_api::identity::KeyText;

use super::access::Access;
use super::{Call, Route, disclose, own_json, provisioning};
use crate::error::{NounError, ServiceFault};

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/muster/v1/dps/policies", access, list),
        get("/muster/v1/dps/policies/{name}", access, read),
        put("/muster/v1/dps/policies/{name}", access, create),
        delete("/muster/v1/dps/policies/{name}", access, remove),
        post(
            "/muster/v1/dps/policies/{name}/regenerateKey",
            access,
            regenerate_key,
        ),
    ]
}

async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let service = provisioning(&call).service();
    let policies: Vec<_> = service.policies.iter().map(describe).collect();
    Ok(Reply::json(&policies))
}

async fn read(call: Call, name: String) -> Result<Reply, ServiceFault> {
    let service = provisioning(&call).service();
    let mut policies = service.policies.iter();
    let policy = policies.find(|policy| policy.name.eq_ignore_ascii_case(&name));
    let policy = policy.ok_or(ServiceSetupError::NoSuchPolicy(name))?;
    disclose(&call, Act::ReadPolicyKeys, &policy.name).await?;
    Ok(Reply::json(&with_keys(policy)))
}

async fn create(call: Call, name: String) -> Result<Reply, ServiceFault> {
    let draft = draft(&name, &own_json(&call)?)?;
    let policy = provisioning(&call).create_policy(draft).await?;
    Ok(Reply::json(&with_keys(&policy)))
}

async fn remove(call: Call, name: String) -> Result<Reply, ServiceFault> {
    provisioning(&call).delete_policy(&name).await?;
    Ok(Reply::no_content())
}

async fn regenerate_key(call: Call, name: String) -> Result<Reply, ServiceFault> {
    let RegenerateRequest { key } = own_json(&call)?;
    let choice = match key {
        KeyKind::Primary => KeyChoice::Primary,
        KeyKind::Secondary => KeyChoice::Secondary,
        KeyKind::Swap => KeyChoice::Swap,
    };
    let policy = provisioning(&call).regenerate_key(&name, choice).await?;
    Ok(Reply::json(&with_keys(&policy)))
}

/// Why a policy is not made.
#[derive(Debug, thiserror::Error)]
enum PolicyFault {
    #[error(transparent)]
    Draft(#[from] PolicyDraftError),
    #[error("'{member}': {problem}")]
    Key {
        member: &'static str,
        problem: &'static str,
    },
}

impl NounError for PolicyFault {}

fn draft(name: &str, request: &PolicyRequest) -> Result<PolicyDraft, PolicyFault> {
    let key = |member, text: &Option<String>| {
        let parsed = text.as_deref().map(KeyText::parse).transpose();
        parsed.map_err(|problem| PolicyFault::Key { member, problem })
    };
    let keys = [
        key("primaryKey", &request.primary_key)?,
        key("secondaryKey", &request.secondary_key)?,
    ];
    Ok(PolicyDraft::new(name, &request.rights, keys)?)
}

fn describe(policy: &SharedAccessPolicy) -> PolicyDocument {
    let rights = policy.rights.iter();
    PolicyDocument {
        key_name: policy.name.clone(),
        rights: rights.map(|right| right.name().to_owned()).collect(),
        primary_key: None,
        secondary_key: None,
    }
}

fn with_keys(policy: &SharedAccessPolicy) -> PolicyDocument {
    PolicyDocument {
        primary_key: Some(policy.primary.reveal().to_owned()),
        secondary_key: Some(policy.secondary.reveal().to_owned()),
        ..describe(policy)
    }
}
