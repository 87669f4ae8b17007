//! The root of a factory is replaced: while the old and the new one vouch for each other, devices
//! register below either, whichever of the two the server knows.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sim::{Device, Identity, Server, Workshop, binary, openssl, run};

const CERTS: &str = "certs/azure-iot-test-only.root.ca";

/// The file of a root, kept apart from the folder, as others have it.
fn kept(workshop: &Workshop, to: &Path, name: &str) -> Result<PathBuf> {
    let file = to.join(format!("{name}.pem"));
    std::fs::copy(workshop.root(), &file)?;
    Ok(file)
}

/// Whether OpenSSL and `muster ca verify` accept an identity with its chain below a root.
fn accepted(identity: &Identity, root: &Path) -> Result<bool> {
    let (chain, leaf) = (&identity.full_chain, &identity.certificate);
    let verify = format!(
        "verify -x509_strict -purpose sslclient -CAfile {} -untrusted {} {}",
        root.display(),
        chain.display(),
        leaf.display()
    );
    let by_openssl = openssl(Path::new("."), &verify).is_ok();
    let words = ["ca", "verify", "--purpose", "client", "--chain"].map(str::to_owned);
    let mut words = words.to_vec();
    words.push(chain.display().to_string());
    words.extend(["--anchor".to_owned(), root.display().to_string()]);
    let here = run(&binary("muster")?, words)?.code == Some(0);
    assert_eq!(by_openssl, here, "{}", identity.name);
    Ok(here)
}

async fn registers(server: &Server, identity: &Identity) -> Result<()> {
    let device = Device::with_certificate(server, identity)?;
    let hub = device.assigned_hub().await?;
    assert_eq!(device.connack(&hub).await?, 0);
    Ok(())
}

#[tokio::test]
async fn devices_below_the_old_and_the_new_root_register_while_they_vouch_for_each_other()
-> Result<()> {
    let (workshop, apart) = (Workshop::with_muster_ca()?, tempfile::tempdir()?);
    let old = kept(&workshop, apart.path(), "old")?;
    let before = workshop.issue("before")?;
    workshop.ca("roll root start")?.ok()?;
    let again = workshop.ca("roll root start")?;
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("roll root status"),
        "{}",
        again.stderr
    );
    let new = kept(&workshop, apart.path(), "new")?;
    let between = workshop.issue("between")?;
    workshop.ca("roll start")?.ok()?;
    let after = workshop.issue("after")?;
    for identity in [&between, &after] {
        for root in [&old, &new] {
            assert!(accepted(identity, root)?, "{}", identity.name);
        }
    }
    assert!(accepted(&before, &old)? && !accepted(&before, &new)?);

    // Each server knows one of the roots.
    for (root, names) in [
        (&old, &["before", "between", "after"][..]),
        (&new, &["between", "after"][..]),
    ] {
        let server = Server::start().await?;
        server.enroll_group("factory", root, "").await?;
        for name in names {
            let identity = workshop.identity(name);
            registers(&server, &identity)
                .await
                .with_context(|| format!("{name} below {}", root.display()))?;
        }
    }

    let refused = workshop.ca("roll root finish")?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("roll the intermediate first"),
        "{}",
        refused.stderr
    );
    workshop.ca("roll finish --force")?.ok()?;
    let status = workshop.ca("roll root finish")?.ok()?;
    assert!(!status.contains("previous"), "{status}");
    let written = workshop.ca("crl --issuer root")?.ok()?;
    assert!(written.contains("\"entries\": 1"), "{written}");
    for gone in ["previous", "new-by-previous", "previous-by-new", "next"] {
        let file = workshop.path().join(format!("{CERTS}.{gone}.cert.pem"));
        assert!(!file.exists(), "{}", file.display());
    }
    let last = workshop.issue("last")?;
    assert!(accepted(&last, &new)? && !accepted(&last, &old)?);
    Ok(())
}
