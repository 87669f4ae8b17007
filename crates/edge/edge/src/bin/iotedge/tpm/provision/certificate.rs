//! A certificate for a key in the TPM, over EST.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use device::est::{EstClient, EstCredential, EstPassword, EstServer};
use device::{Identity, Trust};
use edge::files::durable;
use ids::Timestamp;
use pki::{Certificate, Profile, Signer, Subject, make_request};

use super::report::{Done, Outcome};

/// How a certificate is got.
pub struct Enrollment {
    pub server: EstServer,
    pub trust: Trust,
    pub identity: Option<Identity>,
    pub password: Option<EstPassword>,
    pub subject: Subject,
    pub key: Signer,
}

/// The chain in the file `path`, leaf first. One that is missing, is for another key or name, or
/// has a third of its life left, is enrolled anew.
pub async fn hold(path: &Path, how: anyhow::Result<Enrollment>) -> Outcome<Vec<Certificate>> {
    let how = how?;
    let now = edge::clock::now();
    if let Some(chain) = kept(path, &how, now) {
        let text = in_words(&chain, path);
        return Ok((chain, Done::Already(text)));
    }
    let request = make_request(&Profile::EdgeIdentity, &how.subject, &how.key)?;
    let credential = EstCredential {
        identity: how.identity,
        password: how.password,
    };
    let client = EstClient::new(how.server.clone(), &how.trust, &credential);
    let enrolled = client.enroll(&request, how.key.public_key(), false).await;
    let chain = enrolled.with_context(|| how.server.to_string())?;
    let pem: String = chain.iter().map(Certificate::to_pem).collect();
    write(path, &pem)?;
    let text = in_words(&chain, path);
    Ok((chain, Done::Now(text)))
}

/// Certificates are no secret, and the runtime may be another user.
fn write(path: &Path, pem: &str) -> anyhow::Result<()> {
    durable::write_in_any_folder(path, pem.as_bytes())?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o644))?)
}

fn kept(path: &Path, how: &Enrollment, now: Timestamp) -> Option<Vec<Certificate>> {
    let chain = Certificate::read_all(&fs::read(path).ok()?).ok()?;
    let leaf = chain.first()?;
    let life = leaf.not_after().since(leaf.not_before());
    let is_fresh = leaf.not_after().since(now) > life / 3;
    let is_named = leaf.subject_common_name() == Some(how.subject.as_str());
    let is_ours = how.key.matches(leaf).is_ok();
    (is_fresh && is_named && is_ours).then_some(chain)
}

fn in_words(chain: &[Certificate], path: &Path) -> String {
    let end = chain.first().map(|leaf| leaf.not_after().in_seconds());
    let end = end.unwrap_or_default();
    format!("{}, valid until {end}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_readable_and_its_folder_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for folder in [0o777, 0o750] {
            fs::set_permissions(dir.path(), Permissions::from_mode(folder)).unwrap();
            let path = dir.path().join("ldevid.cert.pem");
            write(&path, "a").unwrap();
            assert_eq!((mode(dir.path()), mode(&path)), (folder, 0o644));
        }
    }
}
