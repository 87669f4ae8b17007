//! Issuing keys outside of plain files: in a PKCS#11 token (SoftHSM), and sealed under a passphrase.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use sim::{
    Device, ServeSettings, Server, SoftToken, enroll_requesting, issued_chain, openssl, write_pem,
};

/// A text that nothing else contains.
const WRONG_PIN: &str = "crocus-pin-of-a-guess";

/// A device with a certificate request.
struct Press {
    device: Device,
}

impl Press {
    async fn enroll(server: &Server, id: &str, issuer: &str, dir: &Path) -> Result<Self> {
        let device = enroll_requesting(server, (id, issuer), (dir, id)).await?;
        Ok(Self { device })
    }

    /// Registers; its leaf and those above it.
    async fn certificates(&self) -> Result<Vec<pki::Certificate>> {
        issued_chain(&self.device.provision().await?)
    }

    /// Registers, and has OpenSSL verify what it gets.
    async fn is_issued_by(&self, subject: &str, dir: &Path) -> Result<()> {
        write_pem(dir, &self.certificates().await?)?;
        let verify = "verify -x509_strict -purpose sslclient -CAfile ca.pem leaf.pem";
        assert_eq!(openssl(dir, verify)?.trim(), "leaf.pem: OK");
        let issuer = openssl(dir, "x509 -in leaf.pem -noout -issuer")?;
        assert!(issuer.contains(subject), "{issuer}");
        Ok(())
    }
}

async fn start(token: &SoftToken) -> Result<Server> {
    let library = SoftToken::library()?.display().to_string();
    let settings = ServeSettings {
        flags: vec!["--pkcs11-library".to_owned(), library],
        environment: token.environment(),
    };
    Server::start_as(settings).await
}

async fn create(server: &Server, token: &SoftToken, name: &str, rest: &str) -> Result<Value> {
    let (library, pin) = (SoftToken::library()?, token.pin_file());
    server
        .muster(&format!(
            "dps issuer create --issuer-name {name} --pkcs11-library {} --pin-file {} {rest}",
            library.display(),
            pin.display()
        ))
        .await
}

#[tokio::test]
async fn an_issuer_in_a_token_issues_and_survives_a_restart_and_a_lost_token() -> Result<()> {
    let token = SoftToken::new()?;
    let mut server = start(&token).await?;
    let dir = tempfile::tempdir()?;
    let uri = token.add_key("ca", 1, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256")?;
    let created = create(&server, &token, "ec", &format!("--pkcs11-uri '{uri}'")).await?;
    assert_eq!(created["keyStorage"], "token");
    assert!(!created.to_string().contains(token.pin()), "{created}");
    let press = Press::enroll(&server, "press-1", "ec", dir.path()).await?;
    press.is_issued_by("CN = ec", dir.path()).await?;

    server.kill()?;
    server.start_again().await?;
    press.is_issued_by("CN = ec", dir.path()).await?;

    // The data directory alone does not issue.
    let files = std::fs::read_dir(server.data_dir().join("ca/issuers"))?;
    for file in files {
        let text = std::fs::read_to_string(file?.path())?;
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }

    token.remove()?;
    press.certificates().await.unwrap_err();
    let missed = "has no token of pkcs11:token=fleet";
    assert!(server.log().contains(missed), "{}", server.log());
    assert!(!server.log().contains(token.pin()));
    token.insert()?;
    press.is_issued_by("CN = ec", dir.path()).await
}

#[tokio::test]
async fn tokens_hold_the_keys_of_existing_ca_certificates_too() -> Result<()> {
    let token = SoftToken::new()?;
    let server = start(&token).await?;
    let dir = tempfile::tempdir()?;
    let kinds = [
        ("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
        ("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ];
    for (id, (name, algorithm)) in (1..).zip(kinds) {
        let uri = token.add_key(name, id, algorithm)?;
        let request = "req -x509 -days 30 -addext keyUsage=critical,keyCertSign,cRLSign";
        openssl(
            token.folder(),
            &format!("{request} -key {name}.pem -out {name}.cert.pem -subj '/CN=Plant {name}'"),
        )?;
        let certificate = token.folder().join(format!("{name}.cert.pem"));
        let flags = format!(
            "--pkcs11-uri '{uri}' --certificate-path {}",
            certificate.display()
        );
        create(&server, &token, name, &flags).await?;
        let press = Press::enroll(&server, &format!("press-{id}"), name, dir.path()).await?;
        press
            .is_issued_by(&format!("CN = Plant {name}"), dir.path())
            .await?;
    }
    // The certificate of another key.
    let certificate = token.folder().join("rsa.cert.pem");
    let flags = "--pkcs11-uri 'pkcs11:token=fleet;object=p384' --certificate-path";
    let flags = format!("{flags} {}", certificate.display());
    let other = create(&server, &token, "other", &flags).await;
    let other = format!("{:#}", other.unwrap_err());
    assert!(
        other.contains("CKM_RSA_PKCS") || other.contains("not the key of"),
        "{other}"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_request_may_not_load_or_guess_is_refused() -> Result<()> {
    let token = SoftToken::new()?;
    let server = start(&token).await?;
    let uri = token.add_key("ca", 1, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256")?;
    let fake = token.folder().join("fake.so");
    std::fs::write(&fake, "")?;
    let pin = token.pin_file().display().to_string();
    let command = |uri: &str, library: &Path, pin: &str| {
        format!(
            "dps issuer create --issuer-name x --pkcs11-uri '{uri}' --pkcs11-library {} \
             --pin-file {pin}",
            library.display()
        )
    };
    let library = SoftToken::library()?;
    let wrong = token.folder().join("wrong-pin");
    std::fs::write(&wrong, format!("{WRONG_PIN}\n"))?;
    let wrong = wrong.display().to_string();
    for (line, wanted) in [
        (command(&uri, &fake, &pin), "--pkcs11-library"),
        (
            command("pkcs11:token=none;object=ca", &library, &pin),
            "has no token",
        ),
        (
            command("pkcs11:token=fleet;object=none", &library, &pin),
            "has 0 keys of",
        ),
        (command(&uri, &library, &wrong), "PinIncorrect"),
        // Without another attempt: a token counts them.
        (command(&uri, &library, &wrong), "not tried again"),
    ] {
        let refused = server.try_muster(&line).await?;
        assert_ne!(refused.code, Some(0), "{line}");
        assert!(
            refused.stderr.contains(wanted),
            "{line}: {}",
            refused.stderr
        );
        assert!(!refused.stderr.contains(WRONG_PIN), "{}", refused.stderr);
    }
    server.muster(&command(&uri, &library, &pin)).await?;
    // Once the token is open it compares no PIN.
    let other = token.folder().join("other-pin");
    std::fs::write(&other, "2222\n")?;
    let line = command(&uri, &library, &other.display().to_string());
    let refused = server.try_muster(&line.replace(" x ", " y ")).await?;
    assert_ne!(refused.code, Some(0));
    let wanted = "is open with another PIN";
    assert!(refused.stderr.contains(wanted), "{}", refused.stderr);
    server
        .muster(&command(&uri, &library, &pin).replace(" x ", " y "))
        .await?;
    Ok(())
}

#[tokio::test]
async fn sealed_keys_open_only_with_the_passphrase() -> Result<()> {
    let mut server = Server::start().await?;
    let dir = tempfile::tempdir()?;
    let plain = server
        .muster("dps issuer create --issuer-name fleet")
        .await?;
    assert_eq!(plain["keyStorage"], "file");
    let press = Press::enroll(&server, "press-1", "fleet", dir.path()).await?;
    press.is_issued_by("CN = fleet", dir.path()).await?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = dir.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (first, second) = (file("first", "one two\n")?, file("second", "three\n")?);
    let seal = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect();
    for (flags, works) in [
        (seal(&["--issuer-passphrase-file", &first]), true),
        (seal(&["--issuer-passphrase-file", &second]), false),
        (seal(&[]), false),
        (
            seal(&[
                "--issuer-passphrase-file",
                &second,
                "--former-issuer-passphrase-file",
                &first,
            ]),
            true,
        ),
        (seal(&["--issuer-passphrase-file", &second]), true),
    ] {
        server.kill()?;
        server.settings_mut().flags = flags;
        server.start_again().await?;
        let answer = server.muster("dps issuer show --issuer-name fleet").await?;
        assert_eq!(answer["keyStorage"], "sealedFile");
        match works {
            true => press.is_issued_by("CN = fleet", dir.path()).await?,
            false => drop(press.certificates().await.unwrap_err()),
        }
    }
    Ok(())
}
