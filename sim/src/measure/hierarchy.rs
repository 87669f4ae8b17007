//! A P-256 hierarchy: root, intermediate, and as many device leaves as are asked for.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use ids::Timestamp;
use pki::{
    Certificate, Issuer, KeyType, PrivateKey, Profile, Serial, ServerName, Subject, Validity,
    prepare,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Issues the devices' certificates.
pub struct Hierarchy {
    pub root_pem: String,
    root: Issuer,
    intermediate: Issuer,
    now: Timestamp,
}

/// Who issues a device's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuedBy {
    /// The one intermediate that all devices share: a server has seen it after the first of them.
    TheSharedIntermediate,
    /// An intermediate of the device's own, which no server can have seen.
    AnIntermediateOfItsOwn,
}

impl Hierarchy {
    /// Makes the CAs, and leaves `root.pem`, `server.pem` and `server.key.pem` in `dir`
    /// for the bare server.
    pub fn make(dir: &Path) -> Result<Self> {
        let now = now();
        let root = ca_certificate(Profile::Root { path_length: 1 }, "Bench Root", None, now)?;
        let intermediate = ca_certificate(
            Profile::Intermediate { path_length: 0 },
            "Bench Intermediate",
            Some(&root),
            now,
        )?;
        let profile = Profile::Server {
            names: vec![ServerName::parse("127.0.0.1")?],
        };
        let (server, key) = issue(profile, "bench server", Some(&intermediate), now)?;
        let root_pem = root.certificate().to_pem();
        std::fs::write(dir.join("root.pem"), &root_pem)?;
        std::fs::write(
            dir.join("server.pem"),
            server.to_pem() + &intermediate.certificate().to_pem(),
        )?;
        std::fs::write(dir.join("server.key.pem"), key.to_pem().as_bytes())?;
        Ok(Self {
            root_pem,
            root,
            intermediate,
            now,
        })
    }

    /// A device's chain (leaf, intermediate) and key.
    pub fn device(
        &self,
        name: &str,
        issued_by: IssuedBy,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let own;
        let issuer = match issued_by {
            IssuedBy::TheSharedIntermediate => &self.intermediate,
            IssuedBy::AnIntermediateOfItsOwn => {
                let subject = format!("Bench Intermediate of {name}");
                own = self.intermediate(&subject)?;
                &own
            }
        };
        let (leaf, key) = issue(Profile::EdgeIdentity, name, Some(issuer), self.now)?;
        let chain = [&leaf, issuer.certificate()].map(|c| c.certificate_der().clone());
        Ok((
            chain.to_vec(),
            PrivateKeyDer::Pkcs8(key.pkcs8_der().clone_key()),
        ))
    }

    fn intermediate(&self, subject: &str) -> Result<Issuer> {
        let profile = Profile::Intermediate { path_length: 0 };
        ca_certificate(profile, subject, Some(&self.root), self.now)
    }
}

fn ca_certificate(
    profile: Profile,
    name: &str,
    issuer: Option<&Issuer>,
    now: Timestamp,
) -> Result<Issuer> {
    let (certificate, key) = issue(profile, name, issuer, now)?;
    Ok(Issuer::new(certificate, key)?)
}

fn issue(
    profile: Profile,
    name: &str,
    issuer: Option<&Issuer>,
    now: Timestamp,
) -> Result<(Certificate, PrivateKey)> {
    let key = PrivateKey::generate(KeyType::default())?;
    let subject = Subject::common_name(name)?;
    let validity = Validity::UpTo(YEAR);
    let prepared = prepare(profile, &subject, issuer, validity, Serial::random()?, now)?;
    Ok((prepared.lint()?.sign(&key)?, key))
}

#[expect(clippy::disallowed_methods, reason = "this program's clock")]
fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_seconds(0).plus(since_1970)
}
