//! Another certificate for a device that is connected to its hub, from the issuer that its
//! enrollment names. Only for devices that got one as they registered.

use std::sync::Arc;

use ids::{Identity, RegistrationId, Thumbprint, Timestamp, error_chain};
use issuing::{IssueError, Wanted};
use pki::{Certificate, ProvenRequest};
use provisioning::{
    DeviceOwner, EnrolledBy, EnrollmentKey, IssuedRecord, IssuedToDevice, IssuerRecord,
    Provisioning, Renewal, RenewalError, Requester,
};
use registry::StorageError;
use registry::revocation::ProvenPath;

use crate::registration::enrollment::{Enrollment, EnrollmentMatch, UnreadableEnrollment};
use crate::registration::issue::NamedIssuer;
use crate::service::Dps;
use crate::service::tenants::Tenant;

/// Why a connected device gets no certificate. The device reads the first two.
#[derive(Debug, thiserror::Error)]
pub enum RenewalFault {
    /// Nothing that it could ask for would change that.
    #[error("{0}")]
    NotEntitled(String),
    #[error("{0}")]
    Request(String),
    #[error(transparent)]
    Issuer(#[from] IssueError),
    #[error("a stored certificate cannot be read")]
    Damaged(#[from] pki::PemError),
    #[error(transparent)]
    Enrollment(#[from] UnreadableEnrollment),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A certificate with its issuers, DER.
pub type RenewedChain = Vec<Vec<u8>>;

impl Dps {
    /// Issues a certificate to a connected device. It is durable and opens the hub when this
    /// returns; so does still the one that the device is connected with, which is `presented`.
    pub async fn renew_certificate(
        &self,
        device: &Identity,
        presented: ProvenPath,
        csr: &[u8],
    ) -> Result<RenewedChain, RenewalFault> {
        let owner = self.tenants().provisioning().registered_device(device)?;
        let owner = owner.ok_or_else(|| {
            RenewalFault::NotEntitled("no registration made it; register first".to_owned())
        })?;
        let tenant = self.tenants().by_scope(owner.id_scope.as_str());
        let tenant = tenant.ok_or_else(|| {
            RenewalFault::NotEntitled("its provisioning service is not there any more".to_owned())
        })?;
        let renewing = Renewing {
            issuer: issuer(&tenant, &owner).await?,
            tenant,
            id: owner.registration_id,
            device,
            presented,
            now: self.now(),
        };
        renewing.run(csr).await
    }
}

/// The issuer that the enrollment of a registration names, if that lets its device in.
async fn issuer(tenant: &Tenant, owner: &DeviceOwner) -> Result<IssuerRecord, RenewalFault> {
    let provisioning = &tenant.context.provisioning;
    let enrollment = enrollment(provisioning, &owner.registration_id).await?;
    let matched = EnrollmentMatch::enabled(Arc::new(enrollment));
    let matched = matched.map_err(|reason| RenewalFault::NotEntitled(reason.to_string()))?;
    let enrollment = matched.enrollment();
    let key = enrollment.key();
    let problem = match NamedIssuer::of(enrollment, provisioning)? {
        NamedIssuer::OfIdentities(issuer) => return Ok(issuer),
        NamedIssuer::Absent => format!("{key} names no issuer of certificates"),
        NamedIssuer::OfOthers(issuer) => format!(
            "{key} names device issuer {}, which has the profile {}; its certificates are no \
             identities of devices",
            issuer.name,
            issuer.profile.kind.name()
        ),
    };
    Err(RenewalFault::NotEntitled(problem))
}

async fn enrollment(
    provisioning: &Provisioning,
    id: &RegistrationId,
) -> Result<Enrollment, RenewalFault> {
    // An individual one decides, also for a device that came through a group before.
    if let Some(record) = provisioning.find_individual(id).await? {
        return Ok(Enrollment::parse(&record)?);
    }
    let registration = provisioning.registration(id).await?;
    let group = registration.map(|record| record.enrollment);
    let record = match group {
        Some(EnrolledBy::Group(group)) => {
            provisioning
                .enrollment(&EnrollmentKey::Group(group))
                .await?
        }
        Some(EnrolledBy::Individual) | None => None,
    };
    let record = record.ok_or_else(|| {
        RenewalFault::NotEntitled("the enrollment that let it in was deleted".to_owned())
    })?;
    Ok(Enrollment::parse(&record)?)
}

struct Renewing<'r> {
    tenant: Arc<Tenant>,
    issuer: IssuerRecord,
    id: RegistrationId,
    device: &'r Identity,
    presented: ProvenPath,
    now: Timestamp,
}

impl Renewing<'_> {
    async fn run(self, csr: &[u8]) -> Result<RenewedChain, RenewalFault> {
        let provisioning = &self.tenant.context.provisioning;
        let issued = provisioning.issued_to_device(&self.issuer.name, &self.id, self.device)?;
        if issued.is_empty() {
            let problem = "it was given none when it registered; register with a certificate \
                           request";
            return Err(RenewalFault::NotEntitled(problem.to_owned()));
        }
        let refused = |error: pki::RequestError| RenewalFault::Request(error.to_string());
        let request = pki::prove_request(csr).map_err(refused)?;
        for IssuedToDevice { record, der } in issued.iter().rev() {
            if let Some(der) = der
                && self.is_answer_that_was_lost(record, der, &request)
            {
                return self.chain(der, &record.authority);
            }
        }
        let wanted = Wanted {
            issuer: &self.issuer,
            request,
            common_name: Some(&self.id),
            requester: Requester::Hub,
        };
        let issuers = &self.tenant.context.device_issuers;
        let signed = issuing::sign(wanted, issuers, self.now).await;
        let signed = signed.map_err(|error| match error {
            IssueError::Request(error) => refused(error),
            other => other.into(),
        })?;
        let renewal = Renewal {
            registration_id: self.id.clone(),
            hub: self.device.hub.clone(),
            device: self.device.device.clone(),
            presented: self.presented.clone(),
            issued: signed.entry().clone(),
        };
        let written = provisioning.renew(renewal, self.now).await;
        written.map_err(|error| match error {
            RenewalError::Storage(error) => error.into(),
            other => RenewalFault::Request(error_chain(&other)),
        })?;
        let all = signed.chain().certificates();
        Ok(all.map(|one| one.der().to_vec()).collect())
    }

    /// Whether a certificate was issued for the same key and the device has not connected with it.
    /// One that has lived half its time is not given again: a device may ask with one key for ever.
    /// Nor is one of a CA that the issuer has left.
    fn is_answer_that_was_lost(
        &self,
        record: &IssuedRecord,
        der: &[u8],
        request: &ProvenRequest,
    ) -> bool {
        let whole = record.not_after.since(record.not_before);
        let left = record.not_after.since(self.now);
        let same_key = |certificate: &Certificate| request.has_key_of(certificate);
        let mut admitted = self.issuer.generations.admitted();
        admitted.any(|one| one.thumbprint == record.authority)
            && record.thumbprint != self.presented.leaf
            && left >= whole / 2
            && Certificate::from_der(der).is_ok_and(|certificate| same_key(&certificate))
    }

    fn chain(&self, leaf: &[u8], authority: &Thumbprint) -> Result<RenewedChain, RenewalFault> {
        let generations = &self.issuer.generations;
        let signed = generations.all().find(|one| one.thumbprint == *authority);
        let signed = signed.unwrap_or_else(|| generations.issuing());
        let issuers = Certificate::parse_pem_bundle(&signed.chain)?;
        let issuers = issuers.iter().map(|one| one.der().to_vec());
        Ok(std::iter::once(leaf.to_vec()).chain(issuers).collect())
    }
}
