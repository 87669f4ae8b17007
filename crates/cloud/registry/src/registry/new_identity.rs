//! How devices and modules begin.

use ids::{DeviceId, GenerationId, ModuleId, Timestamp};
use store::{AuthKind, IdentityKey, IdentityRow, StoreError, TwinRow, Tx};
use wire::service_api::identity::{Authentication, AuthenticationRequest};

use crate::entropy::{Entropy, generate_key, random};

/// Randomness for up to three new identities: what names their lives and their first versions.
pub(crate) struct Seeds([u64; 4]);

impl Seeds {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self(std::array::from_fn(|_| u64::from_le_bytes(random(entropy))))
    }

    /// 18 decimal digits, as Azure's look.
    fn generation(&self, index: usize) -> GenerationId {
        let number = 100_000_000_000_000_000 + self.0[index] % 900_000_000_000_000_000;
        GenerationId::from_number(number)
    }

    /// Where an identity's versions begin: another one in its next life, so that no old etag fits.
    fn revision(&self, index: usize) -> i64 {
        let spread =
            self.0[3].rotate_left(u32::try_from(index).unwrap_or_default() * 16) % 900_000_000;
        100_000_000 + i64::try_from(spread).unwrap_or_default()
    }
}

/// An identity about to be made.
pub(crate) struct NewIdentity<'a> {
    pub(crate) key: IdentityKey<'a>,
    pub(crate) now: Timestamp,
}

impl NewIdentity<'_> {
    /// Its row: enabled, without credentials.
    pub(crate) fn row(&self, seeds: &Seeds, index: usize) -> IdentityRow {
        IdentityRow {
            id: 0,
            hub: self.key.hub.clone(),
            device_id: self.key.device_id.clone(),
            module_id: self.key.module_id.cloned(),
            generation_id: seeds.generation(index),
            revision: seeds.revision(index),
            enabled: true,
            status_reason: None,
            status_updated: Timestamp::NEVER.ticks(),
            auth_kind: AuthKind::None,
            auth_primary: None,
            auth_secondary: None,
            iot_edge: false,
            managed_by: None,
            device_scope: None,
            parent_scopes: None,
        }
    }

    pub(crate) fn twin(&self) -> TwinRow {
        TwinRow {
            version: 2,
            desired_version: 1,
            reported_version: 1,
            written: self.now.ticks(),
            ..TwinRow::default()
        }
    }

    /// See [`edge_scope`].
    pub(crate) fn scope(&self, seeds: &Seeds) -> String {
        edge_scope(self.key.device_id, &seeds.generation(0))
    }
}

/// The scope of an Edge device: names its life, so that children of an earlier life
/// are not its own.
pub(crate) fn edge_scope(device_id: &DeviceId, generation_id: &GenerationId) -> String {
    format!("ms-azure-iot-edge://{device_id}-{generation_id}")
}

/// `$edgeAgent` and `$edgeHub`, whose keys the device uploads later.
pub(crate) fn insert_system_modules(
    tx: &Tx<'_>,
    device: &IdentityRow,
    seeds: &Seeds,
    now: Timestamp,
) -> Result<(), StoreError> {
    let new = NewIdentity {
        key: IdentityKey::device(&device.hub, &device.device_id),
        now,
    };
    for (index, module) in [(1, ModuleId::edge_agent()), (2, ModuleId::edge_hub())] {
        let mut row = new.row(seeds, index);
        row.module_id = Some(module);
        tx.insert_identity(&row, &new.twin())?;
    }
    Ok(())
}

/// The authentication asked for, with keys generated where none were given.
pub(crate) fn complete(request: AuthenticationRequest, entropy: &dyn Entropy) -> Authentication {
    match request {
        AuthenticationRequest::Sas { primary, secondary } => Authentication::Sas {
            primary: primary.unwrap_or_else(|| generate_key(entropy)),
            secondary: secondary.unwrap_or_else(|| generate_key(entropy)),
        },
        AuthenticationRequest::SelfSigned { primary, secondary } => {
            Authentication::SelfSigned { primary, secondary }
        }
        AuthenticationRequest::CertificateAuthority => Authentication::CertificateAuthority,
        AuthenticationRequest::None => Authentication::None,
    }
}
