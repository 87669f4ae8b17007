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
    intermediate: Issuer,
    now: Timestamp,
}

impl Hierarchy {
    /// Makes the CAs, and leaves `root.pem`, `server.pem` and `server.key.pem` in `dir` for the bare server.
    pub fn make(dir: &Path) -> Result<Self> {
        let now = now();
        let root = authority(Profile::Root { path_length: 1 }, "Bench Root", None, now)?;
        let intermediate = authority(
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
            intermediate,
            now,
        })
    }

    /// A device's chain (leaf, intermediate) and key.
    pub fn device(
        &self,
        name: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let (leaf, key) = issue(
            Profile::EdgeIdentity,
            name,
            Some(&self.intermediate),
            self.now,
        )?;
        let chain = [&leaf, self.intermediate.certificate()].map(|c| c.certificate_der().clone());
        Ok((
            chain.to_vec(),
            PrivateKeyDer::Pkcs8(key.pkcs8_der().clone_key()),
        ))
    }
}

fn authority(
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
