//! CAs on the device, and the client certificates for EST servers.

use pki::Certificate;

use super::Examiner;
use super::chain::Chain;
use crate::config::{
    CertIssuance, Config, EdgeCa, EstClient, Fault, FileReference, IssuanceMethod, KeyLocation,
    LocalCa, PreloadedCertificate,
};

impl Examiner {
    /// `[edge_ca]`.
    pub(super) fn edge_ca(&mut self, edge_ca: &EdgeCa) {
        if let EdgeCa::Files { certificate, key } = edge_ca {
            self.ca(certificate, key);
        }
    }

    /// `[cert_issuance]`, and the EST servers of all certificates.
    pub(super) fn issuers(&mut self, config: &Config) {
        let CertIssuance { est, local_ca } = &config.cert_issuance;
        if let Some(LocalCa::Files { certificate, key }) = local_ca {
            self.ca(certificate, key);
        }
        let mut clients: Vec<&EstClient> = Vec::new();
        if let Some(est) = est {
            for file in &est.trusted {
                self.trusted(file);
            }
            clients.extend(&est.auth.client);
        }
        for issued in config.issuances().into_values() {
            if let IssuanceMethod::Est(settings) = &issued.method
                && let Some(client) = &settings.auth.client
                && !clients.contains(&client)
            {
                clients.push(client);
            }
        }
        for client in clients {
            self.client(client);
        }
    }

    /// `[preloaded_keys]` and `[preloaded_certs]`.
    pub(super) fn preloaded(&mut self, config: &Config) {
        for location in config.preloaded_keys.values() {
            if let KeyLocation::File(file) = location {
                // It may be a symmetric key: what it holds is its user's business.
                if self.bytes(file).is_some() {
                    self.open_to_others(file);
                }
            }
        }
        for certificate in config.preloaded_certs.values() {
            if let PreloadedCertificate::File(file) = certificate {
                let _ = self.certificates(file);
            }
        }
    }

    fn ca(&mut self, certificate: &FileReference, key: &KeyLocation) {
        let chain = self.certificates(certificate);
        if let Some(chain) = &chain
            && let Some(chain) = Chain::new(chain, certificate)
        {
            self.ca_chain(chain);
        }
        self.pair(certificate, chain.as_deref(), key);
    }

    fn client(&mut self, client: &EstClient) {
        let chain = self.certificates(&client.certificate);
        if let Some(chain) = &chain
            && let Some(chain) = Chain::new(chain, &client.certificate)
        {
            self.validity(chain);
        }
        self.pair(&client.certificate, chain.as_deref(), &client.key);
    }

    /// Whether a key in a file belongs to the first certificate of another file.
    fn pair(
        &mut self,
        certificate: &FileReference,
        chain: Option<&[Certificate]>,
        key: &KeyLocation,
    ) {
        let KeyLocation::File(key_file) = key else {
            return;
        };
        let key = self.private_key(key_file);
        if let (Some(key), Some(leaf)) = (key, chain.and_then(<[Certificate]>::first))
            && let Err(error) = key.matches(leaf)
        {
            let message = format!(
                "{} {} does not fit {} {}: {error}",
                key_file.key,
                key_file.path.display(),
                certificate.key,
                certificate.path.display(),
            );
            self.faults.push(Fault::error(key_file.line, message));
        }
    }

    /// Roots that decide which servers are trusted.
    fn trusted(&mut self, file: &FileReference) {
        if let Some(roots) = self.certificates(file)
            && let Some(chain) = Chain::new(&roots, file)
        {
            self.validity(chain);
        }
    }
}
