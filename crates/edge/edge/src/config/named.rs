//! All files and keys that a configuration names, by the ids that Azure gives them.

use std::collections::BTreeMap;

use super::Config;
use super::issuance::{
    DEVICE_ID, EDGE_CA, EdgeCa, EstClient, Issuance, IssuanceMethod, LOCAL_CA, LocalCa,
};
use super::location::{FileReference, KeyLocation, SymmetricKey};
use super::provisioning::IdentityCertificate;
use super::settings::PreloadedCertificate;

impl Config {
    /// The private keys, by key id: `device-id`, `aziot-edged-ca`, `local-ca`, `est-id…`, and
    /// those of `[preloaded_keys]`.
    #[must_use]
    pub fn private_keys(&self) -> BTreeMap<String, &KeyLocation> {
        let mut keys = BTreeMap::new();
        if let Some(identity) = self.source.x509() {
            keys.insert(DEVICE_ID.to_owned(), &identity.key);
        }
        if let EdgeCa::Files { key, .. } = &self.edge_ca {
            keys.insert(EDGE_CA.to_owned(), key);
        } else {
            keys.insert(EDGE_CA.to_owned(), &KeyLocation::Held);
        }
        match &self.cert_issuance.local_ca {
            Some(LocalCa::Files { key, .. }) => keys.insert(LOCAL_CA.to_owned(), key),
            Some(LocalCa::Issued(_)) => keys.insert(LOCAL_CA.to_owned(), &KeyLocation::Held),
            None => None,
        };
        for client in self.est_clients() {
            keys.insert(client.id.clone(), &client.key);
        }
        for (id, location) in &self.preloaded_keys {
            keys.insert(id.clone(), location);
        }
        keys
    }

    /// The tables of certificates that are issued, by certificate id.
    #[must_use]
    pub fn issuances(&self) -> BTreeMap<&'static str, &Issuance> {
        let mut found = BTreeMap::new();
        if let Some(identity) = self.source.x509()
            && let IdentityCertificate::Issued(issued) = &identity.certificate
        {
            found.insert(DEVICE_ID, issued);
        }
        if let EdgeCa::Issued(issued) = &self.edge_ca {
            found.insert(EDGE_CA, issued);
        }
        if let Some(LocalCa::Issued(issued)) = &self.cert_issuance.local_ca {
            found.insert(LOCAL_CA, issued);
        }
        found
    }

    /// The client certificates for EST servers, and for the registration of a device whose
    /// certificate is issued then. One may be there more than once.
    fn est_clients(&self) -> Vec<&EstClient> {
        let issuances = self.issuances().into_values();
        let own = issuances.filter_map(|issued| match &issued.method {
            IssuanceMethod::Est(settings) => settings.auth.client.as_ref(),
            IssuanceMethod::Dps(client) => Some(&**client),
            IssuanceMethod::LocalCa | IssuanceMethod::SelfSigned => None,
        });
        let defaults = self.cert_issuance.est.as_ref();
        own.chain(defaults.and_then(|est| est.auth.client.as_ref()))
            .collect()
    }

    /// Every file that the configuration names. One may be there more than once.
    #[must_use]
    pub fn files(&self) -> Vec<&FileReference> {
        let mut files: Vec<&FileReference> = Vec::new();
        files.extend(&self.trust_bundle);
        files.extend(self.source.payload());
        files.extend(&self.additional_info);
        files.extend(self.key_files());
        files.extend(self.certificate_files());
        files
    }

    /// The files of keys. Only the process that holds the keys reads them.
    #[must_use]
    pub fn key_files(&self) -> Vec<&FileReference> {
        let mut files: Vec<&FileReference> = Vec::new();
        files.extend(&self.imported_master_key);
        if let Some(SymmetricKey::File(file)) = self.source.symmetric_key() {
            files.push(file);
        }
        for location in self.private_keys().into_values() {
            if let KeyLocation::File(file) = location {
                files.push(file);
            }
        }
        files
    }

    /// The files of certificates that belong to keys of the configuration or stand in bundles.
    fn certificate_files(&self) -> Vec<&FileReference> {
        let mut files: Vec<&FileReference> = Vec::new();
        if let Some(identity) = self.source.x509()
            && let IdentityCertificate::File(file) = &identity.certificate
        {
            files.push(file);
        }
        if let EdgeCa::Files { certificate, .. } = &self.edge_ca {
            files.push(certificate);
        }
        if let Some(LocalCa::Files { certificate, .. }) = &self.cert_issuance.local_ca {
            files.push(certificate);
        }
        files.extend(self.est_clients().iter().map(|client| &client.certificate));
        files.extend(self.cert_issuance.est.iter().flat_map(|est| &est.trusted));
        for certificate in self.preloaded_certs.values() {
            if let PreloadedCertificate::File(file) = certificate {
                files.push(file);
            }
        }
        files
    }
}
