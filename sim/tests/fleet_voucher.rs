//! A batch of devices on its way from the factory over a dealer to the owner who lets them in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Device, Finished, Server, Workshop, openssl};

struct Batch {
    workshop: Workshop,
    dir: tempfile::TempDir,
}

impl Batch {
    /// Four devices of a factory: two with their certificates, two with thumbprints only.
    fn made() -> Result<Self> {
        let batch = Self {
            workshop: Workshop::with_muster_ca()?,
            dir: tempfile::tempdir()?,
        };
        let mut rows = "id,certificate,thumbprint,tags\n".to_owned();
        for number in 1..=4 {
            let name = format!("press-{number}");
            let identity = batch.workshop.issue(&name)?;
            let file = identity.certificate.display();
            let pem = std::fs::read_to_string(&identity.certificate)?;
            let thumbprint = pki::Certificate::parse_one(pem.as_bytes())?.sha256();
            rows += &match number {
                1 | 2 => format!("{name},{file},,\"{{\"\"line\"\": {number}}}\"\n"),
                _ => format!("{name},,{thumbprint},\n"),
            };
        }
        std::fs::write(batch.path("batch.csv"), rows)?;
        for owner in ["dealer", "owner"] {
            let key = "ecparam -name prime256v1 -genkey -noout -out";
            openssl(batch.dir.path(), &format!("{key} {owner}.key.pem"))?;
            let public = format!("pkey -in {owner}.key.pem -pubout -out {owner}.pem");
            openssl(batch.dir.path(), &public)?;
        }
        Ok(batch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn maker(&self) -> PathBuf {
        self.workshop.intermediate()
    }

    /// A verb of `muster fleet voucher`; `{name}` stands for a file of the batch.
    async fn try_voucher(&self, server: &Server, line: &str) -> Result<Finished> {
        let line = line.replace("{maker}", &self.maker().to_string_lossy());
        let line = line.replace("{ca}", &self.workshop.path().to_string_lossy());
        let line = line.replace("{}", &self.dir.path().to_string_lossy());
        server.try_muster(&format!("fleet voucher {line}")).await
    }

    async fn voucher(&self, server: &Server, line: &str) -> Result<Value> {
        let stdout = self.try_voucher(server, line).await?.ok()?;
        Ok(serde_json::from_str(&stdout)?)
    }

    async fn refusal(&self, server: &Server, line: &str) -> Result<String> {
        let finished = self.try_voucher(server, line).await?;
        ensure!(finished.code == Some(1), "{line}: {finished:?}");
        Ok(finished.stderr)
    }
}

/// Verifies the signature of the batch as any other implementation would.
fn verify_with_openssl(dir: &Path, voucher: &Path, maker: &Path) -> Result<()> {
    let document: Value = serde_json::from_str(&std::fs::read_to_string(voucher)?)?;
    let part = |name: &str| document["batch"][name].as_str().context("no part");
    let signed = format!("{}.{}", part("protected")?, part("payload")?);
    std::fs::write(dir.join("signed"), signed)?;
    let raw = base64::Engine::decode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        part("signature")?,
    )?;
    std::fs::write(dir.join("signature"), ecdsa_der(&raw))?;
    let maker = maker.display();
    openssl(
        dir,
        &format!("x509 -in {maker} -pubkey -noout -out maker.pem"),
    )?;
    let verified = openssl(
        dir,
        "dgst -sha256 -verify maker.pem -signature signature signed",
    )?;
    ensure!(verified.contains("Verified OK"), "{verified}");
    Ok(())
}

/// `r` and `s` of a JSON Web Signature as OpenSSL wants them (RFC 3279 2.2.3).
fn ecdsa_der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes
            .iter()
            .position(|b| *b != 0)
            .unwrap_or(bytes.len() - 1);
        let mut content = bytes[start..].to_vec();
        if content[0] >= 0x80 {
            content.insert(0, 0);
        }
        let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
        [vec![0x02, length], content].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let both = [integer(r), integer(s)].concat();
    let length = u8::try_from(both.len()).unwrap_or(u8::MAX);
    [vec![0x30, length], both].concat()
}

/// The maker sells all of it to the dealer, who sells three devices to the owner.
async fn sell_twice(server: &Server, batch: &Batch) -> Result<()> {
    let create = "create --devices {}/batch.csv --ca-dir {ca} --out {}/made.json";
    let made = batch.voucher(server, create).await?;
    assert_eq!(made["devices"], 4);
    verify_with_openssl(batch.dir.path(), &batch.path("made.json"), &batch.maker())?;
    let sell = "endorse --voucher {}/made.json --ca-dir {ca} --to {}/dealer.pem --out {}/sold.json";
    batch.voucher(server, sell).await?;
    let resell = "endorse --voucher {}/sold.json --signing-key {}/dealer.key.pem \
                  --to {}/owner.pem --device-ids press-1 press-2 press-3 --out {}/mine.json";
    batch.voucher(server, resell).await?;
    Ok(())
}

#[tokio::test]
async fn a_batch_goes_from_its_maker_over_a_dealer_to_its_owner_and_registers() -> Result<()> {
    let (server, batch) = (Server::start().await?, Batch::made()?);
    sell_twice(&server, &batch).await?;
    let trust = "--trusted-maker {maker} --owner-key {}/owner.key.pem";
    let mine = format!("verify --voucher {{}}/mine.json {trust}");
    let mine = batch.voucher(&server, &mine).await?;
    assert_eq!(mine["devices"], 3);
    assert_eq!(mine["links"].as_array().map(Vec::len), Some(3));
    let printed = batch
        .voucher(&server, "show --voucher {}/mine.json")
        .await?;
    assert_eq!(printed["devices"].as_array().map(Vec::len), Some(3));

    // A voucher of the dealer's, and one of a maker that is not trusted.
    let dealers = format!("import --voucher {{}}/sold.json {trust}");
    let refused = batch.refusal(&server, &dealers).await?;
    assert!(refused.contains("was not endorsed to it"), "{refused}");
    let other = "verify --voucher {}/mine.json --trusted-maker {}/dealer.pem";
    let refused = batch.refusal(&server, other).await?;
    assert!(
        refused.contains("not one of those that are trusted"),
        "{refused}"
    );

    // Nothing is written before every device has its certificate.
    let import = format!("import --voucher {{}}/mine.json {trust} --edge-enabled true");
    let missing = batch.try_voucher(&server, &import).await?;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("--certificates-dir"), "{missing:?}");
    assert_eq!(server.muster("dps enrollment list").await?, json!([]));

    let import = format!("{import} --certificates-dir {{ca}}/certs");
    let imported = batch.voucher(&server, &import).await?;
    assert_eq!(
        imported,
        json!({"devices": 3, "created": 3, "present": 0, "failed": []})
    );
    let again = batch.voucher(&server, &import).await?;
    assert_eq!(
        again,
        json!({"devices": 3, "created": 0, "present": 3, "failed": []})
    );
    for name in ["press-1", "press-3"] {
        let device = Device::with_certificate(&server, &batch.workshop.identity(name))?;
        let state = device.provision().await?;
        assert_eq!(state["status"], "assigned", "{state}");
    }
    let show = "dps enrollment show --enrollment-id press-2";
    let stored = server.muster(show).await?;
    assert_eq!(stored["initialTwin"]["tags"]["line"], 2);
    assert_eq!(stored["capabilities"]["iotEdge"], true);
    Ok(())
}

#[tokio::test]
async fn an_enrollment_of_another_credential_stays_and_is_reported() -> Result<()> {
    let (server, batch) = (Server::start().await?, Batch::made()?);
    let create = "create --devices {}/batch.csv --ca-dir {ca} --out {}/made.json";
    batch.voucher(&server, create).await?;
    let taken = "dps enrollment create --attestation-type symmetrickey --enrollment-id PRESS-2";
    server.muster(taken).await?;
    let import = "import --voucher {}/made.json --trusted-maker {maker} --owner-key {maker} \
                  --certificates-dir {ca}/certs";
    let partly = batch.try_voucher(&server, import).await?;
    assert_eq!(partly.code, Some(1), "{partly:?}");
    let answer: Value = serde_json::from_str(&partly.stdout)?;
    assert_eq!(answer["created"], 3);
    assert_eq!(answer["failed"][0]["id"], "press-2");
    let message = "1 of 4 devices are not enrolled; the first: press-2: ";
    assert!(partly.stderr.contains(message), "{partly:?}");
    let kept = server.muster("dps enrollment show --enrollment-id press-2");
    assert_eq!(kept.await?["attestation"]["type"], "symmetricKey");
    // With the old enrollment gone, the rest is imported.
    let gone = "dps enrollment delete --enrollment-id press-2";
    server.try_muster(gone).await?.ok()?;
    let rest = batch.voucher(&server, import).await?;
    assert_eq!(
        rest,
        json!({"devices": 4, "created": 1, "present": 3, "failed": []})
    );
    Ok(())
}
