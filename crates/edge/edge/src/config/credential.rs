//! The files that a configuration names: whether they exist, can be read, are
//! private, and fit together.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use ids::{RegistrationId, Timestamp, error_chain};
use pki::{Certificate, KeyError, PrivateKey};
use serde_json::Value;
use zeroize::Zeroizing;

use super::key_file::key_text;
use super::{
    Attestation, Config, Dps, Fault, FileReference, IdentityCertificate, KeyLocation, Source,
};

/// The longest file that is read, bytes. Ten certificates of 4096 bit are a tenth of it.
const MAX_FILE: u64 = 256 * 1024;
const IDENTITY_FILE: &str = "iot-edge-device-identity-NAME-full-chain.cert.pem";

/// The device's certificate chain and key, complete and consistent. Only [`examine`] makes one.
#[derive(Debug, Clone)]
pub struct Credential {
    pub identity: device::Identity,
    pub registration_id: RegistrationId,
    /// SHA-256 of the public key in hexadecimal, to recognise another key.
    pub key_digest: String,
    /// The end of the leaf's validity.
    pub not_after: Timestamp,
}

/// What the files of a configuration hold.
#[derive(Debug, Clone, Default)]
pub struct Examined {
    /// In the order of the checks.
    pub faults: Vec<Fault>,
    /// `None` when one of its files has an error.
    pub credential: Option<Credential>,
    pub roots: Vec<Certificate>,
    /// The JSON of `payload.uri`.
    pub payload: Option<Value>,
}

/// Reads every file that `config` names.
#[must_use]
pub fn examine(config: &Config, now: Timestamp) -> Examined {
    let mut faults = Vec::new();
    let roots = config
        .trust_bundle
        .as_ref()
        .and_then(|file| certificates(file, &mut faults))
        .unwrap_or_default();
    let payload = config
        .source
        .payload()
        .and_then(|file| payload(file, &mut faults));
    let credential = credential(config, now, &mut faults);
    Examined {
        faults,
        credential,
        roots,
        payload,
    }
}

fn credential(config: &Config, now: Timestamp, faults: &mut Vec<Fault>) -> Option<Credential> {
    let before = faults.len();
    let identity = config.source.x509()?;
    let (IdentityCertificate::File(certificate), KeyLocation::File(key_file)) =
        (&identity.certificate, &identity.key)
    else {
        return None;
    };
    let chain = certificates(certificate, faults);
    let key = private_key(key_file, faults);
    let chain = chain?;
    let leaf = chain.first()?;
    let line = certificate.line.into();
    let named = certificate.path.display();
    validity(&chain, &named.to_string(), line, now, faults);
    if leaf.is_ca() {
        // The subject and the key belong to a CA. Further checks would give misleading faults.
        faults.push(Fault::error(
            line,
            format!("{named} {}", begins_with_a_ca(&chain)),
        ));
        return None;
    }
    order(&chain, &named.to_string(), line, faults);
    let registration_id = registration_id(config, certificate, leaf, faults);
    let key = key?;
    match device::Identity::new(&chain, &key) {
        Ok(identity) if super::acceptable(&faults[before..]) => Some(Credential {
            identity,
            registration_id: registration_id?,
            key_digest: hex(digest(&SHA256, leaf.spki_der()).as_ref()),
            not_after: leaf.not_after(),
        }),
        Ok(_) => None,
        Err(error) => {
            faults.push(Fault::error(
                key_file.line,
                format!(
                    "identity_pk {} does not fit identity_cert {named}: {}",
                    key_file.path.display(),
                    error_chain(&error),
                ),
            ));
            None
        }
    }
}

/// Why a chain that begins with a CA certificate is not an identity, and what to do.
fn begins_with_a_ca(chain: &[Certificate]) -> String {
    let leaf = chain.iter().position(|certificate| !certificate.is_ca());
    match (chain, leaf) {
        (_, Some(position)) => format!(
            "begins with a CA certificate; the device's own ({}) stands at place {} and has to be \
             the first, followed by its issuers",
            chain[position].subject(),
            position + 1,
        ),
        ([only], None) if only.is_self_issued() => format!(
            "holds one certificate ({}) that issued itself and is a CA's, as plain \
             `openssl req -x509` makes it; a device identity is a leaf: make it with \
             `openssl req -x509 -extensions usr_cert -addext extendedKeyUsage=clientAuth …`, \
             or use {IDENTITY_FILE}",
            only.subject(),
        ),
        ([first, ..], None) => format!(
            "begins with a CA certificate ({}), perhaps the Edge CA's; a device identity is a \
             leaf: use {IDENTITY_FILE}",
            first.subject(),
        ),
        ([], None) => "holds no certificate".to_owned(),
    }
}

fn validity(
    chain: &[Certificate],
    named: &str,
    line: Option<usize>,
    now: Timestamp,
    faults: &mut Vec<Fault>,
) {
    for certificate in chain {
        let subject = certificate.subject();
        if now > certificate.not_after() {
            let (ended, now) = (certificate.not_after().in_seconds(), now.in_seconds());
            faults.push(Fault::error(
                line,
                format!(
                    "{named}: the certificate of {subject} expired \
                at {ended}; issue a new one (the clock says {now})"
                ),
            ));
        } else if now < certificate.not_before() {
            let (begins, now) = (certificate.not_before().in_seconds(), now.in_seconds());
            faults.push(Fault::error(
                line,
                format!(
                    "{named}: the certificate of {subject} is not valid before {begins}, but the \
                 clock says {now}; if the clock is wrong, set it",
                ),
            ));
        }
    }
}

/// TLS requires that every certificate is followed by its issuer.
fn order(chain: &[Certificate], named: &str, line: Option<usize>, faults: &mut Vec<Fault>) {
    let [leaf, rest @ ..] = chain else { return };
    if rest.is_empty() && !leaf.is_self_issued() {
        faults.push(Fault::warning(line, format!(
            "{named} holds only the leaf and not its issuer {}; that is enough for an individual \
             enrollment with this very certificate, an enrollment group will refuse it: \
             use {IDENTITY_FILE}", leaf.issuer(),
        )));
    }
    for pair in chain.windows(2) {
        let [certificate, next] = pair else { continue };
        if certificate.is_issued_by_name(next) && certificate.is_signed_by(next) {
            continue;
        }
        let issuer = chain
            .iter()
            .position(|c| certificate.is_issued_by_name(c) && certificate.is_signed_by(c));
        let problem = match issuer {
            Some(position) => format!(
                "the certificate of {} is issued by {}, which stands at place {} of the file; \
                 every certificate has to be followed by its issuer, the leaf first",
                certificate.subject(),
                certificate.issuer(),
                position + 1,
            ),
            None => format!(
                "the certificate of {} is followed by that of {}, which did not issue it; its \
                 issuer {} is not in the file",
                certificate.subject(),
                next.subject(),
                certificate.issuer(),
            ),
        };
        faults.push(Fault::error(line, format!("{named}: {problem}")));
        return;
    }
}

fn registration_id(
    config: &Config,
    certificate: &FileReference,
    leaf: &Certificate,
    faults: &mut Vec<Fault>,
) -> Option<RegistrationId> {
    let line = certificate.line;
    let common_name = leaf.subject_common_name();
    let given = match &config.source {
        Source::Dps(Dps {
            attestation: Attestation::X509 {
                registration_id, ..
            },
            ..
        }) => registration_id.as_ref(),
        _ => None,
    };
    match (given, common_name) {
        (Some(given), Some(name))
            if RegistrationId::parse(name).is_ok_and(|named| named == given.id) =>
        {
            Some(given.id.clone())
        }
        (Some(given), name) => {
            let (name, id) = (name.unwrap_or("(none)"), &given.id);
            faults.push(Fault::error(
                given.line,
                format!(
                    "registration_id is {:?} but the common name of the identity certificate is \
                 {name:?}; they have to be the same: correct registration_id or issue a \
                 certificate for {id}",
                    id.as_str(),
                ),
            ));
            None
        }
        (None, Some(name)) => RegistrationId::parse(name)
            .map_err(|error| {
                faults.push(Fault::error(
                    line,
                    format!("the certificate's common name cannot be a registration id: {error}"),
                ))
            })
            .ok(),
        (None, None) => {
            faults.push(Fault::error(
                line,
                "the certificate has no common name and no \
                registration_id is given; issue a certificate whose common name is the \
                registration id",
            ));
            None
        }
    }
}

fn certificates(file: &FileReference, faults: &mut Vec<Fault>) -> Option<Vec<Certificate>> {
    let bytes = bytes(file, faults)?;
    open_to_everybody(file, faults);
    let chain = Certificate::read_all(&bytes).map_err(|error| error_chain(&error));
    keep_or_record(file, chain, faults)
}

fn private_key(file: &FileReference, faults: &mut Vec<Fault>) -> Option<PrivateKey> {
    let bytes = bytes(file, faults)?;
    let path = file.path.display();
    if let Ok(about) = std::fs::metadata(&file.path)
        && about.mode() & 0o077 != 0
    {
        let mode = about.mode() & 0o777;
        faults.push(Fault::error(
            file.line,
            format!(
                "{} {path} can be read by others (mode {mode:04o}); run: chmod 600 {path}",
                file.key
            ),
        ));
    }
    let key = key_text(&bytes)
        .and_then(|text| PrivateKey::from_pem(&text, None).map_err(|error| problem_of_key(&error)));
    keep_or_record(file, key, faults)
}

/// A passphrase has no place on the device, where the mode of the file protects the key.
fn problem_of_key(error: &KeyError) -> String {
    match error {
        KeyError::PassphraseNeeded | KeyError::OldEncryption | KeyError::WrongPassphrase => {
            "the private key is encrypted with a passphrase, and the device has no place for one; \
             decrypt it with: openssl pkey -in FILE -out NEW, and give NEW the mode 0600"
                .to_owned()
        }
        other => error_chain(other),
    }
}

fn keep_or_record<T>(
    file: &FileReference,
    outcome: Result<T, String>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let outcome = outcome.map_err(|problem| {
        let message = format!("{} {}: {problem}", file.key, file.path.display());
        faults.push(Fault::error(file.line, message));
    });
    outcome.ok()
}

/// A user who can write the trusted roots decides which servers the device trusts.
fn open_to_everybody(file: &FileReference, faults: &mut Vec<Fault>) {
    let Ok(about) = std::fs::metadata(&file.path) else {
        return;
    };
    let (mode, path) = (about.mode() & 0o777, file.path.display());
    if mode & 0o002 != 0 {
        let message = format!(
            "{} {path} can be written by everybody (mode {mode:04o}); run: chmod 644 {path}",
            file.key
        );
        faults.push(Fault::warning(file.line, message));
    }
}

fn payload(file: &FileReference, faults: &mut Vec<Fault>) -> Option<Value> {
    let bytes = bytes(file, faults)?;
    open_to_everybody(file, faults);
    // Editors on Windows put a byte order mark in front of UTF-8.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match serde_json::from_slice(text) {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(Fault::error(
                file.line,
                format!(
                    "provisioning.payload {} is not JSON in UTF-8: {error}",
                    file.path.display()
                ),
            ));
            None
        }
    }
}

fn bytes(file: &FileReference, faults: &mut Vec<Fault>) -> Option<Zeroizing<Vec<u8>>> {
    match read(file) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let problem = problem_of(&file.path, &error);
            faults.push(Fault::error(file.line, format!("{}: {problem}", file.key)));
            None
        }
    }
}

fn problem_of(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("the file {path} does not exist"),
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "the file {path} may not be read by this user; give it to the user that runs the \
                 runtime, mode 0600"
            )
        }
        _ => format!("the file {path} cannot be read: {error}"),
    }
}

fn read(file: &FileReference) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // With its full capacity from the start, because growing would leave copies of a key in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    let mut open = std::fs::File::open(&file.path)?.take(MAX_FILE + 1);
    open.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!(
            "it has more than {MAX_FILE} bytes"
        )));
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
