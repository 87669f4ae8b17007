//! Muster's own API under `/muster/v1`: hubs, services, and a service's links, settings and policies. All need `ServiceConfig`.

use axum::http::StatusCode;

use registry::{OperatorAct, Right};
use serde::de::DeserializeOwned;
use wire::muster_api::serving::MAX_BODY;

use crate::error::ServiceFault;
use crate::http::route::serving::Call;
use crate::http::{Incoming, Reply};
use crate::service::Dps;
use crate::service_api::access::{Operator, authorize};
use crate::service_api::linked_hubs::judged::{ServingFault, is_first};

use super::{allocations, hubs, linked_hubs as links, policies, services};

/// An operator with the right to configure his service, and what he sent.
pub(crate) struct Request<'a> {
    pub(crate) operator: Operator<'a>,
    pub(crate) query: Option<&'a str>,
    body: Vec<u8>,
}

pub(crate) async fn answer(
    dps: &Dps,
    request: Incoming<'_>,
    call: Call<'_>,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let query = request.parts.uri.query();
    let body = request.read(MAX_BODY).await?.to_vec();
    let request = Request {
        operator,
        query,
        body,
    };
    match call {
        Call::ListHubs => hubs::list(&request),
        Call::ReadHub(name) => hubs::read(&request, &name?).await,
        Call::PutHub(name) => hubs::put(&request, name?).await,
        Call::DeleteHub(name) => hubs::delete(&request, &name?).await,
        Call::ListServices => services::list(&request),
        Call::ReadService(name) => services::read(&request, &name?).await,
        Call::PutService(name) => services::put(&request, name?).await,
        Call::ReadSettings => Ok(services::settings(&request)),
        Call::PatchSettings => services::patch_settings(&request).await,
        Call::ListLinks => links::list(&request),
        Call::ReadLink(name) => links::read(&request, &name?),
        Call::PutLink(name) => links::put(&request, name?).await,
        Call::DeleteLink(name) => links::delete(&request, &name?).await,
        Call::ListPolicies => Ok(policies::list(&request)),
        Call::ReadPolicy(name) => policies::read(&request, name).await,
        Call::PutPolicy(name) => policies::put(&request, name).await,
        Call::DeletePolicy(name) => policies::delete(&request, name).await,
        Call::RegenerateKey(name) => policies::regenerate(&request, name).await,
        Call::ListAllocations => allocations::list(&request).await,
        Call::ReadAllocation(id) => allocations::read(&request, id).await,
        Call::ReplayAllocation(id) => allocations::replay(&request, id).await,
        Call::WebhookKey => allocations::key(&request).await,
    }
}

/// An operator who may read and change what the whole server has: one of the first service. Only [`Owner::of`] makes one.
pub(crate) struct Owner<'a>(&'a Operator<'a>);

impl Request<'_> {
    pub(crate) fn parsed<T: DeserializeOwned>(&self) -> Result<T, ServiceFault> {
        Ok(wire::muster_api::serving::parse(&self.body).map_err(ServingFault::from)?)
    }

    pub(crate) fn as_owner(&self) -> Result<Owner<'_>, ServiceFault> {
        Owner::of(&self.operator)
    }

    /// Enters into the audit that a key is about to be shown.
    pub(crate) async fn disclose(
        &self,
        act: impl OperatorAct,
        target: &str,
    ) -> Result<(), ServiceFault> {
        let disclosed = self.operator.registry().disclose(act, target);
        Ok(disclosed.await?)
    }
}

impl<'a> Owner<'a> {
    /// Takes an operator with the right to configure his service.
    ///
    /// # Errors
    /// When that service is not the server's first one.
    pub(crate) fn of(operator: &'a Operator<'a>) -> Result<Self, ServiceFault> {
        let registry = operator.registry();
        let service = registry.service();
        match is_first(&service, &registry.services()) {
            true => Ok(Self(operator)),
            false => Err(ServingFault::NotServersOwner(service.name.clone()).into()),
        }
    }

    pub(crate) fn operator(&self) -> &Operator<'a> {
        self.0
    }

    /// Waits until clients can trust the server under a new host.
    pub(crate) async fn await_certificate_for_hosts(&self) {
        if let Some(covered) = &self.0.options().await_certificate_for_hosts {
            covered().await;
        }
    }
}

pub(crate) fn ok(document: &impl serde::Serialize) -> Reply {
    Reply::json(StatusCode::OK, document)
}

impl From<provisioning::ServingError> for ServiceFault {
    fn from(error: provisioning::ServingError) -> Self {
        Self::Serving(error.into())
    }
}

impl From<registry::HubError> for ServiceFault {
    fn from(error: registry::HubError) -> Self {
        Self::Serving(error.into())
    }
}
