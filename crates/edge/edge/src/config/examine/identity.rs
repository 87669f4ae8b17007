//! The device's own credential: a certificate with its key, or a symmetric key.

use aws_lc_rs::digest::{SHA256, digest};
use ids::{RegistrationId, error_chain};

use super::chain::Chain;
use super::{Credential, Examiner};
use crate::config::{
    Attestation, DEVICE_ID, Dps, Fault, IdentityCertificate, KeyLocation, Manual, Source,
    SymmetricKey, X509Identity, acceptable,
};
use crate::provision::RoleKey;

/// The shortest symmetric key of a registry, bytes.
const SHORTEST_KEY: usize = 16;

impl Examiner<'_> {
    /// The identity, if its certificate is in a file.
    pub(super) fn identity(&mut self, source: &Source) -> Option<Credential> {
        let X509Identity { certificate, key } = source.x509()?;
        let before = self.faults.len();
        let certificate = match certificate {
            IdentityCertificate::File(file) => Some(file),
            IdentityCertificate::Issued(_) => None,
        };
        let chain = certificate.and_then(|file| self.certificates(file));
        let line = match key {
            KeyLocation::File(file) => Some(file.line),
            KeyLocation::Pkcs11(token) => Some(token.line),
            KeyLocation::Tpm(object) => Some(object.line),
            KeyLocation::Held => None,
        };
        let key = self.private_key(DEVICE_ID, key);
        let (file, chain) = (certificate?, chain?);
        let chain = Chain::new(&chain, file)?;
        if !self.identity_chain(chain) {
            return None;
        }
        let registration_id = self.name(source, chain);
        let (key, line) = (key?, line?);
        match device::Identity::new(chain.all, &key) {
            Ok(identity) if acceptable(&self.faults[before..]) => Some(Credential {
                identity,
                registration_id,
                key_digest: hex(digest(&SHA256, chain.leaf.spki_der()).as_ref()),
                not_after: chain.leaf.not_after(),
            }),
            Ok(_) => None,
            Err(error) => {
                self.faults.push(Fault::error(
                    line,
                    format!(
                        "identity_pk does not fit identity_cert {}: {}",
                        file.path.display(),
                        error_chain(&error),
                    ),
                ));
                None
            }
        }
    }

    /// The registration id, if the device has one. The common name has to be the device's name.
    fn name(&mut self, source: &Source, chain: Chain<'_>) -> Option<RegistrationId> {
        match source {
            Source::Dps(Dps {
                attestation:
                    Attestation::X509 {
                        registration_id, ..
                    },
                ..
            }) => match registration_id {
                Some(given) => self
                    .has_common_name(chain, "registration_id", given.id.as_str(), given.line.0)
                    .then(|| given.id.clone()),
                None => self.registration_id_of(chain),
            },
            Source::Manual(Manual { device_id, .. }) => {
                self.common_name_of_device(chain, device_id.as_str());
                None
            }
            Source::Dps(_) => None,
        }
    }

    fn has_common_name(&mut self, chain: Chain<'_>, key: &str, id: &str, line: usize) -> bool {
        let name = chain.leaf.subject_common_name();
        let is_same = name.is_some_and(|name| name.eq_ignore_ascii_case(id));
        if !is_same {
            let name = name.unwrap_or("(none)");
            self.faults.push(Fault::error(
                Some(line),
                format!(
                    "{key} is {id:?} but the common name of the identity certificate is {name:?}; \
                     they have to be the same: correct {key} or issue a certificate for {id}"
                ),
            ));
        }
        is_same
    }

    /// A hub that knows the certificate by its thumbprint does not look at its name.
    fn common_name_of_device(&mut self, chain: Chain<'_>, id: &str) {
        let name = chain.leaf.subject_common_name().unwrap_or("(none)");
        if name != id {
            self.faults.push(Fault::warning(
                chain.file.line,
                format!(
                    "device_id is {id:?} but the common name of the identity certificate is \
                     {name:?}; that works only while the hub knows the device by the certificate's \
                     thumbprint"
                ),
            ));
        }
    }

    fn registration_id_of(&mut self, chain: Chain<'_>) -> Option<RegistrationId> {
        let line = chain.file.line;
        let Some(name) = chain.leaf.subject_common_name() else {
            self.faults.push(Fault::error(
                line,
                "the certificate has no common name and no registration_id is given; issue a \
                 certificate whose common name is the registration id",
            ));
            return None;
        };
        RegistrationId::parse(name)
            .map_err(|error| {
                self.faults.push(Fault::error(
                    line,
                    format!("the certificate's common name cannot be a registration id: {error}"),
                ));
            })
            .ok()
    }

    /// The symmetric key. The process that holds the keys reads it.
    pub(super) fn symmetric_key(&mut self, source: &Source) -> Option<RoleKey> {
        let (line, key) = match source.symmetric_key()? {
            SymmetricKey::Inline(inline) => {
                let length = inline.key.to_base64().len() / 4 * 3;
                if length < SHORTEST_KEY {
                    self.faults.push(Fault::warning(
                        inline.line,
                        format!(
                            "the symmetric key has less than {SHORTEST_KEY} bytes; was it copied \
                             whole?"
                        ),
                    ));
                }
                (inline.line, "the symmetric key")
            }
            SymmetricKey::File(file) => {
                self.open_to_others(file);
                (file.line, file.key.as_str())
            }
            SymmetricKey::Pkcs11(token) => (token.line, token.key.as_str()),
        };
        let opened = RoleKey::open(self.keys).map_err(|error| {
            let message = format!("{key}: {error}");
            self.faults.push(Fault::error(line, message));
        });
        opened.ok()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
