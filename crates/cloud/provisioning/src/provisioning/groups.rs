//! Enrollment groups, found by what a device shows.

use std::sync::Arc;

use ids::Thumbprint;
use registry::StorageError;
use store::{EnrollmentKind, EnrollmentVersion, View};

use super::Provisioning;
use super::damaged::readable;
use crate::enrollment::EnrollmentRecord;

impl Provisioning {
    /// The groups whose certificate is one of these, be it their own or that of an
    /// CA certificate they refer to, in the order of `nearest_first` (the presented issuers, the
    /// leaf's own issuer first).
    pub async fn groups_by_certificate(
        &self,
        nearest_first: &[Thumbprint],
    ) -> Result<Vec<Arc<EnrollmentRecord>>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let mut groups = Groups::default();
            for thumbprint in nearest_first {
                let version = match view.enrollment_of_certificate(&id_scope, thumbprint)? {
                    Some(version) => Some(version),
                    None => view.group_of_ca_certificate(&id_scope, thumbprint)?,
                };
                if let Some(version) = version {
                    groups.add(self.current(view, version)?);
                }
            }
            Ok(groups.0)
        })
    }

    /// The groups with a certificate of one of these subjects: issuers that a device names
    /// and does not show.
    pub async fn groups_by_subject(
        &self,
        subjects: &[&[u8]],
    ) -> Result<Vec<Arc<EnrollmentRecord>>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let mut groups = Groups::default();
            for subject in subjects {
                for version in view.groups_of_subject(&id_scope, subject)? {
                    groups.add(self.current(view, version)?);
                }
            }
            Ok(groups.0)
        })
    }

    /// How many commits may have made another group let a device in than before: enrollment groups
    /// or the CA certificates they refer to were written. It moves before such a write is
    /// acknowledged. A number, no I/O.
    #[must_use]
    pub fn group_generation(&self) -> u64 {
        self.registry.store().group_generation()
    }

    /// All groups whose devices prove themselves by certificates, by name; `None` when there
    /// are more than `most`, or one of them is damaged: that one is a fault of the devices alone
    /// that come through it.
    pub async fn groups_with_certificates(
        &self,
        most: usize,
    ) -> Result<Option<Vec<Arc<EnrollmentRecord>>>, StorageError> {
        let (registry, id_scope) = (self.clone(), self.id_scope());
        let scan = move |view: &View<'_>| {
            let versions = view.groups_with_certificates(&id_scope, most + 1)?;
            if versions.len() > most {
                return Ok(None);
            }
            let count = versions.len();
            let readable = |version| registry.readable(view, version);
            let groups = versions.into_iter().map(readable);
            let groups: Vec<_> = groups
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?;
            Ok::<_, StorageError>((groups.len() == count).then_some(groups))
        };
        self.registry.store().scan_shortly(scan).await
    }

    /// All groups whose devices prove themselves by derived keys, by name: a token does not say
    /// which of them is meant. A damaged one is left out.
    pub async fn groups_with_keys(&self) -> Result<Vec<Arc<EnrollmentRecord>>, StorageError> {
        let (registry, id_scope) = (self.clone(), self.id_scope());
        let scan = move |view: &View<'_>| {
            let versions = view.groups_with_keys(&id_scope)?.into_iter();
            let groups = versions.map(|version| registry.readable(view, version));
            groups.filter_map(Result::transpose).collect()
        };
        self.registry.store().scan_shortly(scan).await
    }
}

impl Provisioning {
    /// A group, unless it is gone or damaged.
    fn readable(
        &self,
        view: &View<'_>,
        version: EnrollmentVersion,
    ) -> Result<Option<Arc<EnrollmentRecord>>, StorageError> {
        let row = format!("in row {}", version.id);
        let read = self.current(view, version);
        Ok(readable("an enrollment group", &row, read)?.flatten())
    }
}

/// Groups in the order found, each once.
#[derive(Default)]
struct Groups(Vec<Arc<EnrollmentRecord>>);

impl Groups {
    fn add(&mut self, found: Option<Arc<EnrollmentRecord>>) {
        let group = found.filter(|found| found.key.kind() == EnrollmentKind::Group);
        let group = group.filter(|group| self.0.iter().all(|known| known.key != group.key));
        self.0.extend(group);
    }
}
