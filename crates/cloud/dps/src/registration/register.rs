//! One registration, from a claim to a hub device with its first twin: the steps, in order.

use ids::Timestamp;

use crate::registration::assign::{self, Registered};
use crate::registration::candidates::{self, Source};
use crate::registration::context::Context;
use crate::registration::not_proven::NotProven;
use crate::registration::request::Register;
use crate::registration::unregistered::{RegisterError, Unregistered};
use crate::registration::{allocate, attest, claim, issue};
use crate::remote_hub::health::HubHealth;

/// How often a device proves itself while its enrollment changes between proof and assignment.
const PROOFS: usize = 3;

/// Registers a device. The walk is repeated when candidates from memory do not decide, and when the
/// enrollment has changed since the device proved itself to it.
pub async fn register(
    request: Register<'_>,
    context: &Context,
    hub_health: &HubHealth,
    now: Timestamp,
) -> Result<Registered, RegisterError> {
    // Nothing is issued on candidates from memory.
    let mut begin = match request.body.csr {
        None => Source::Memory,
        Some(_) => Source::Store,
    };
    let mut proofs = 0;
    loop {
        // What is refused before there are candidates needs no look at the store.
        let mut source = Source::Store;
        let walked = walk(&request, begin, &mut source, context, hub_health, now);
        let unregistered = match walked.await {
            Ok(registered) => return Ok(registered),
            Err(unregistered) => unregistered,
        };
        proofs += usize::from(source == Source::Store);
        if is_final(&unregistered, source, proofs, &request, context).await? {
            return end(unregistered, &request, context, now).await;
        }
        begin = Source::Store;
    }
}

/// The steps. `begin` is where candidates are sought first; `source` becomes where they were found.
async fn walk(
    request: &Register<'_>,
    begin: Source,
    source: &mut Source,
    context: &Context,
    hub_health: &HubHealth,
    now: Timestamp,
) -> Result<Registered, Unregistered> {
    let provisioning = &context.provisioning;
    let claim = claim::read(request)?;
    let found = candidates::find(&claim, begin, provisioning, &context.groups).await?;
    *source = found.source;
    let device = attest::prove(claim, found.candidates, context.verifiers(), now, &mut ())?;
    let (service, client) = (provisioning.service(), request.presented.from);
    let route = allocate::choose(device, &service, client, hub_health)?;
    let next = assign::prepare(&route, request.body.payload, provisioning).await?;
    let issuers = &context.device_issuers;
    let issued = issue::issue(route.device(), request, provisioning, issuers, now).await?;
    assign::assign(next, issued.as_ref(), provisioning, now).await
}

/// Whether a further walk would come to the same. Candidates from memory decide only
/// when the device has no individual enrollment; the transaction that assigns a device
/// makes sure of that itself.
async fn is_final(
    unregistered: &Unregistered,
    source: Source,
    proofs: usize,
    request: &Register<'_>,
    context: &Context,
) -> Result<bool, NotProven> {
    match (unregistered, source) {
        (
            Unregistered::Rejected(RegisterError::NotProven(NotProven::Refused(_))),
            Source::Memory,
        ) => {
            let individual = context
                .provisioning
                .find_individual(request.registration_id);
            Ok(individual.await?.is_none())
        }
        (Unregistered::Unassigned(_), Source::Memory) => Ok(false),
        (Unregistered::Unassigned(unassigned), Source::Store) => {
            Ok(!unassigned.is_changed_meanwhile() || proofs >= PROOFS)
        }
        (Unregistered::Rejected(_), _) => Ok(true),
    }
}

async fn end(
    unregistered: Unregistered,
    request: &Register<'_>,
    context: &Context,
    now: Timestamp,
) -> Result<Registered, RegisterError> {
    match unregistered {
        Unregistered::Rejected(error) => Err(error),
        Unregistered::Unassigned(unassigned) => {
            let id = request.registration_id;
            let failed = assign::fail(unassigned, id, &context.provisioning, now);
            Ok(failed.await.map_err(NotProven::Storage)?)
        }
    }
}
