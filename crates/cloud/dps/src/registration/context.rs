//! What the steps of a registration need beside the request.

use std::sync::Arc;

use pki::IssuerCache;
use provisioning::Provisioning;

use crate::registration::attest::{Tpms, Verifiers};
use crate::registration::candidates::GroupIndex;

/// The context of one provisioning service.
pub struct Context {
    /// Enrollments, hubs, devices, registrations.
    pub provisioning: Provisioning,
    /// Issuers whose signatures were verified before.
    pub issuers: Arc<IssuerCache>,
    /// The keys that TPMs are challenged with.
    pub tpms: Tpms,
    /// The enrollment groups of the service, in memory.
    pub groups: GroupIndex,
    /// The CAs that issue to devices.
    pub device_issuers: Arc<ca::DeviceIssuers>,
}

impl Context {
    pub fn new(provisioning: Provisioning, device_issuers: Arc<ca::DeviceIssuers>) -> Self {
        Self::sharing(Arc::default(), provisioning, device_issuers)
    }

    /// The context of another service of the server, with secrets and enrollments of its own.
    pub fn for_service(&self, provisioning: Provisioning) -> Self {
        Self::sharing(
            self.issuers.clone(),
            provisioning,
            self.device_issuers.clone(),
        )
    }

    fn sharing(
        issuers: Arc<IssuerCache>,
        provisioning: Provisioning,
        device_issuers: Arc<ca::DeviceIssuers>,
    ) -> Self {
        Self {
            tpms: Tpms::new(provisioning.service().operation_key.reveal()),
            groups: GroupIndex::default(),
            provisioning,
            issuers,
            device_issuers,
        }
    }

    pub fn verifiers(&self) -> Verifiers<'_> {
        Verifiers {
            issuers: &self.issuers,
            tpms: &self.tpms,
            provisioning: &self.provisioning,
        }
    }
}
