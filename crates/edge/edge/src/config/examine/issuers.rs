//! CAs on the device, and the client certificates for EST servers.

use keys::KeyId;
use pki::Certificate;

use super::Examiner;
use super::chain::Chain;
use crate::config::{
    CertIssuance, Config, EDGE_CA, EdgeCa, EstClient, Fault, FileReference, IssuanceMethod,
    KeyLocation, LOCAL_CA, LocalCa, PreloadedCertificate,
};

impl Examiner<'_> {
    /// `[edge_ca]`.
    pub(super) fn edge_ca(&mut self, edge_ca: &EdgeCa) {
        if let EdgeCa::Files { certificate, key } = edge_ca {
            self.ca(EDGE_CA, certificate, key);
        }
    }

    /// `[cert_issuance]`, and the EST servers of all certificates.
    pub(super) fn issuers(&mut self, config: &Config) {
        let CertIssuance { est, local_ca } = &config.cert_issuance;
        if let Some(LocalCa::Files { certificate, key }) = local_ca {
            self.ca(LOCAL_CA, certificate, key);
        }
        let mut clients: Vec<&EstClient> = Vec::new();
        if let Some(est) = est {
            for file in &est.trusted {
                self.trusted(file);
            }
            clients.extend(&est.auth.client);
        }
        for issued in config.issuances().into_values() {
            let client = match &issued.method {
                IssuanceMethod::Est(settings) => settings.auth.client.as_ref(),
                IssuanceMethod::Dps(client) => Some(&**client),
                IssuanceMethod::LocalCa | IssuanceMethod::SelfSigned => None,
            };
            clients.extend(client.filter(|client| !clients.contains(client)));
        }
        for client in clients {
            self.client(client);
        }
    }

    /// `[preloaded_keys]` and `[preloaded_certs]`.
    pub(super) fn preloaded(&mut self, config: &Config) {
        for (id, location) in &config.preloaded_keys {
            if let KeyLocation::File(file) = location {
                self.open_to_others(file);
                self.any_key(id, file);
            }
        }
        for certificate in config.preloaded_certs.values() {
            if let PreloadedCertificate::File(file) = certificate {
                let _ = self.certificates(file);
            }
        }
    }

    /// A key for another program may be a key pair or a symmetric key.
    fn any_key(&mut self, id: &str, file: &FileReference) {
        let found = KeyId::parse(id).and_then(|id| {
            let pair = self.keys.pair(&id).map(drop);
            pair.or_else(|error| self.keys.secret(&id).map(drop).map_err(|_| error))
        });
        if let Err(error) = found {
            let message = format!("{}: {error}", file.key);
            self.faults.push(Fault::error(file.line, message));
        }
    }

    /// `imported_master_encryption_key`.
    pub(super) fn imported_key(&mut self, config: &Config) {
        let Some(file) = &config.imported_master_key else {
            return;
        };
        self.open_to_others(file);
        if let Err(error) = self.keys.secret(&KeyId::encryption()) {
            let message = format!("{}: {error}", file.key);
            self.faults.push(Fault::error(file.line, message));
        }
    }

    fn ca(&mut self, id: &str, certificate: &FileReference, key: &KeyLocation) {
        let chain = self.certificates(certificate);
        if let Some(chain) = &chain
            && let Some(chain) = Chain::new(chain, certificate)
        {
            self.ca_chain(chain);
        }
        self.pair(certificate, chain.as_deref(), (id, key));
    }

    fn client(&mut self, client: &EstClient) {
        let chain = self.certificates(&client.certificate);
        if let Some(chain) = &chain
            && let Some(chain) = Chain::new(chain, &client.certificate)
        {
            self.validity(chain);
        }
        let key = (client.id.as_str(), &client.key);
        self.pair(&client.certificate, chain.as_deref(), key);
    }

    /// Whether a key belongs to the first certificate of a file.
    fn pair(
        &mut self,
        certificate: &FileReference,
        chain: Option<&[Certificate]>,
        (id, location): (&str, &KeyLocation),
    ) {
        let (line, name) = match location {
            KeyLocation::Held => return,
            KeyLocation::File(file) => (file.line, &file.key),
            KeyLocation::Pkcs11(token) => (token.line, &token.key),
            KeyLocation::Tpm(object) => (object.line, &object.key),
        };
        let key = self.private_key(id, location);
        if let (Some(key), Some(leaf)) = (key, chain.and_then(<[Certificate]>::first))
            && let Err(error) = key.matches(leaf)
        {
            let message = format!(
                "{name} does not fit {} {}: {error}",
                certificate.key,
                certificate.path.display(),
            );
            self.faults.push(Fault::error(line, message));
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
