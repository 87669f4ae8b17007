//! Whether the TPM is the work of a vendor that the owner trusts.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use aws_lc_rs::hmac;
use pki::tpm::{EndorsementKey, HmacKey, StorageRootKey};
use pki::{Certificate, PathRules, PresentedChain, Purpose, verify_path_to_any};
use tpm::{Public, Tpm};

use super::read_certificates;
use super::report::{Done, Outcome};

/// Verifies that the TPM has the key of its endorsement certificate, and that certificate up to the
/// given CA certificates.
pub fn verify(tpm: &Tpm, roots: Option<&Path>) -> Outcome<()> {
    let certificates = tpm.endorsement_certificates()?;
    let ours = certificates.iter().find(|found| found.is_of_this_tpm);
    let Some(roots) = roots else {
        let text = match (ours, certificates.is_empty()) {
            (Some(found), _) => format!(
                "the endorsement certificate is of {}; it is verified with --endorsement-roots",
                found.certificate.issuer()
            ),
            (None, true) => "the TPM has no endorsement certificate".to_owned(),
            (None, false) => "the endorsement certificate in the TPM is for another key".to_owned(),
        };
        return Ok(((), Done::Skipped(text)));
    };
    let Some(found) = ours else {
        match certificates.is_empty() {
            true => {
                bail!("the TPM has no endorsement certificate, so that nothing says who made it")
            }
            false => {
                bail!("the endorsement certificate in the TPM is for another key than the TPM's")
            }
        }
    };
    prove(tpm, &found.certificate)?;
    let issuers = read_certificates(roots)?;
    let leaf = found.certificate.clone();
    // Intermediates may stand among the roots.
    let chain = std::iter::once(leaf).chain(issuers.iter().cloned());
    let presented = PresentedChain::from_certificates(chain.collect())?;
    let rules = PathRules::new(Purpose::Any);
    let anchors: Vec<_> = issuers
        .into_iter()
        .filter(Certificate::is_self_issued)
        .collect();
    verify_path_to_any(&rules, &presented, &anchors, edge::clock::now())
        .context("the endorsement certificate does not lead to a CA that you trust")?;
    let text = format!("the TPM was made by {}", found.certificate.issuer());
    Ok(((), Done::Now(text)))
}

/// Requires that the TPM has the private half of the certificate's key: only then can it open a
/// key that was sealed for it. Public key and certificate alone can be replayed.
fn prove(tpm: &Tpm, certificate: &Certificate) -> anyhow::Result<()> {
    const UNPROVEN: &str = "the TPM does not prove that it has the key of its endorsement \
                            certificate";
    let keys = tpm.public_keys()?;
    // The key that is sealed for is the certificate's, whatever the TPM said before.
    let area = keys.endorsement.get(2..).unwrap_or_default();
    Public::parse(area)?
        .key()
        .matches(certificate)
        .context(UNPROVEN)?;
    let endorsement = EndorsementKey::parse(&keys.endorsement)?;
    let storage_root = StorageRootKey::parse(&keys.storage_root)?;
    let key: [u8; 32] = rand::random();
    let question: [u8; 32] = rand::random();
    let sealed = HmacKey::new(key).seal(&endorsement, &storage_root, "genuineness")?;
    let imported = tpm.import(sealed.as_bytes()).context(UNPROVEN)?;
    let answer = tpm.sign(&imported, &question).context(UNPROVEN)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    hmac::verify(&key, &question, &answer).map_err(|_| anyhow!(UNPROVEN))
}
