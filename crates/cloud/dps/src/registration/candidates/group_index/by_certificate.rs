use std::collections::HashMap;
use std::sync::Arc;

use ids::Thumbprint;
use pki::Certificate;

use super::Name;
use crate::registration::enrollment::{Attestation, Enrollment, EnrollmentCa};

/// Groups by the CA certificates that their devices' chains may lead to.
#[derive(Debug, Default)]
pub struct ByCertificate {
    thumbprints: HashMap<Thumbprint, Arc<Enrollment>>,
    subjects: HashMap<Vec<u8>, Vec<Arc<Enrollment>>>,
}

impl ByCertificate {
    pub fn new(groups: Vec<Arc<Enrollment>>) -> Self {
        let mut index = Self::default();
        for group in &groups {
            let Attestation::CaCertificates(cas) = group.attestation() else {
                continue;
            };
            for ca in cas {
                index.add(group, ca);
            }
        }
        index
    }

    fn add(&mut self, group: &Arc<Enrollment>, ca: &EnrollmentCa) {
        let certificate: &Certificate = ca.certificate();
        // A certificate belongs to one group, except that one that was withdrawn may have
        // been uploaded anew for another.
        if ca.is_withdrawn() {
            let known = self.thumbprints.entry(certificate.sha256());
            known.or_insert_with(|| group.clone());
        } else {
            self.thumbprints.insert(certificate.sha256(), group.clone());
        }
        let subject = certificate.subject_key().to_vec();
        self.subjects
            .entry(subject)
            .or_default()
            .push(group.clone());
    }

    /// The groups with one of these certificates, each group once.
    pub fn with_certificates(&self, thumbprints: &[Thumbprint]) -> Vec<Arc<Enrollment>> {
        once_each(
            thumbprints
                .iter()
                .filter_map(|one| self.thumbprints.get(one)),
        )
    }

    /// The groups with a certificate whose subject is one of these names, each group once.
    pub fn with_subjects(&self, names: &[Name<'_>]) -> Vec<Arc<Enrollment>> {
        let found = names.iter().map(|name| self.subjects.get(name.key));
        once_each(found.flatten().flatten())
    }
}

fn once_each<'g>(groups: impl Iterator<Item = &'g Arc<Enrollment>>) -> Vec<Arc<Enrollment>> {
    let mut found: Vec<Arc<Enrollment>> = Vec::new();
    for group in groups {
        if found.iter().all(|known| known.key() != group.key()) {
            found.push(group.clone());
        }
    }
    found
}
