//! Whether the TPM is the work of a vendor that the owner trusts.

use std::path::Path;

use anyhow::{Context, bail};
use pki::{PathRules, PresentedChain, Purpose, verify_path_to_any};
use tpm::Tpm;

use super::read_certificates;
use super::report::{Done, Outcome};

/// Verifies the certificate of the endorsement key up to the given CA certificates.
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
    let issuers = read_certificates(roots)?;
    let leaf = found.certificate.clone();
    // Intermediates may stand among the roots.
    let chain = std::iter::once(leaf).chain(issuers.iter().cloned());
    let presented = PresentedChain::from_certificates(chain.collect())?;
    let rules = PathRules::new(Purpose::Any);
    let anchors: Vec<_> = issuers
        .into_iter()
        .filter(pki::Certificate::is_self_issued)
        .collect();
    verify_path_to_any(&rules, &presented, &anchors, edge::clock::now())
        .context("the endorsement certificate does not lead to a CA that you trust")?;
    let text = format!("the TPM was made by {}", found.certificate.issuer());
    Ok(((), Done::Now(text)))
}
