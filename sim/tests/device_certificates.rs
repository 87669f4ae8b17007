//! Devices whose certificates are issued to them: from nothing to connected, and on through
//! renewals, against the server's own EST.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sim::{EdgeDevice, Server, certs_only, openssl, until};

const NAME: &str = "press-7";
const LIMIT: Duration = Duration::from_secs(60);
/// A certificate of two minutes is valid for seven, because it begins five minutes earlier. Most of
/// that is over when it is issued, and so it is renewed after half a minute.
const VALIDITY: &str = "2m";
const RENEW: &str = "auto_renew = { rotate_key = true, threshold = \"80%\", retry = \"1%\" }";
const NO_ENGINE: &str = "unix:///nowhere/docker.sock";

/// A server with an issuer, and a group for what it issues.
struct Plant {
    server: Server,
    /// Where the maker's files are.
    shop: tempfile::TempDir,
}

impl Plant {
    async fn start() -> Result<Self> {
        let plant = Self::without_group().await?;
        let server = &plant.server;
        let url = format!("https://{}/.well-known/est/fleet/cacerts", server.address());
        let above = certs_only(server.client()?.get(url)).await?;
        let ca = plant.dir().join("fleet-ca.pem");
        std::fs::write(&ca, above.last().context("no CA")?.to_pem())?;
        let flags = "--edge-enabled true";
        server.enroll_group("presses", &ca, flags).await?;
        Ok(plant)
    }

    async fn without_group() -> Result<Self> {
        let server = Server::start().await?;
        let create = "dps issuer create --issuer-name fleet --validity";
        server.muster(&format!("{create} {VALIDITY}")).await?;
        let shop = tempfile::tempdir()?;
        Ok(Self { server, shop })
    }

    fn dir(&self) -> &Path {
        self.shop.path()
    }

    /// The password of a user that may have so many certificates.
    async fn password(&self, uses: u32) -> Result<String> {
        let create = "dps issuer user create --issuer-name fleet --username line-1 --uses";
        let user = self.server.muster(&format!("{create} {uses}")).await?;
        Ok(user["password"].as_str().context("no password")?.to_owned())
    }

    /// A certificate of the maker for the device, which the issuer trusts: its file and that of
    /// its key.
    async fn bootstrap(&self) -> Result<(PathBuf, PathBuf)> {
        let dir = self.dir();
        let new = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let maker = "-x509 -days 30 -keyout maker.key -out maker.pem -subj /CN=Maker";
        openssl(dir, &format!("{new} {maker}"))?;
        openssl(
            dir,
            &format!("{new} -keyout first.key -out first.req -subj /CN={NAME}"),
        )?;
        let usage = "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n";
        std::fs::write(dir.join("leaf.cnf"), usage)?;
        let sign = "x509 -req -days 30 -CA maker.pem -CAkey maker.key -CAcreateserial \
                    -extfile leaf.cnf -in first.req -out first.pem";
        openssl(dir, sign)?;
        let maker = dir.join("maker.pem");
        let upload = "dps certificate create --verified true --certificate-name maker --path";
        self.server
            .muster(&format!("{upload} {}", maker.display()))
            .await?;
        self.server
            .muster("dps issuer trust --issuer-name fleet --certificate-name maker")
            .await?;
        Ok((dir.join("first.pem"), dir.join("first.key")))
    }

    /// A device whose identity is issued over EST; `more` of its table.
    fn device(&self, more: &str) -> Result<EdgeDevice> {
        let url = format!("https://{}/.well-known/est/fleet", self.server.host());
        self.device_by(&format!("method = \"est\"\nurl = \"{url}\"\n{more}"))
    }

    /// A device with this table of its identity.
    fn device_by(&self, table: &str) -> Result<EdgeDevice> {
        let server = &self.server;
        let provisioning = format!(
            r#"source = "dps"
global_endpoint = "https://{host}"
id_scope = "{scope}"

[provisioning.attestation]
method = "x509"
registration_id = "{NAME}"

[provisioning.attestation.identity_cert]
{table}
"#,
            host = server.host(),
            scope = server.id_scope()?,
        );
        EdgeDevice::provisioned_by(server, NAME, &provisioning, NO_ENGINE)
    }

    async fn issued(&self) -> Result<usize> {
        let list = "dps issuer certificate list --issuer-name fleet";
        let listed = self.server.muster(list).await?;
        Ok(listed.as_array().context("no list")?.len())
    }
}

fn status(device: &EdgeDevice) -> Result<Value> {
    let printed = device.iotedge("system status --output json")?;
    serde_json::from_str(&printed.stdout).with_context(|| format!("{printed:?}"))
}

async fn connected(device: &EdgeDevice) -> Result<()> {
    let waited = until("the device is connected", LIMIT, || async {
        let status = status(device)?;
        ensure!(status.to_string().contains("\"connected\""), "{status}");
        Ok(())
    });
    waited.await.with_context(|| device.log())
}

/// The device has replaced its certificate so often.
async fn renewed(device: &EdgeDevice, times: usize) -> Result<()> {
    let accepted = "the hub accepted the new certificate";
    let limit = Duration::from_secs(150);
    let waited = until("the certificate is renewed", limit, || async {
        let found = device.log().matches(accepted).count();
        ensure!(found >= times, "{found} of {times}");
        Ok(())
    });
    waited.await.with_context(|| device.log())
}

#[tokio::test]
async fn a_bootstrap_certificate_becomes_an_identity_that_renews_itself() -> Result<()> {
    let mut plant = Plant::start().await?;
    let (certificate, key) = plant.bootstrap().await?;
    let mut device = plant.device(&format!(
        "bootstrap_identity_cert = \"file://{}\"\nbootstrap_identity_pk = \"file://{}\"\n{RENEW}",
        certificate.display(),
        key.display()
    ))?;
    device.apply()?;
    device.start()?;
    connected(&device).await?;
    // The bootstrap certificate is not needed any more.
    std::fs::remove_file(&certificate)?;
    renewed(&device, 2).await?;

    // Nobody answers when it is due again.
    plant.server.terminate()?;
    let waited = until("a renewal fails", LIMIT, || async {
        ensure!(device.log().contains("a certificate was not issued"));
        Ok(())
    });
    waited.await.with_context(|| device.log())?;
    device.kill()?;
    device.start()?;
    plant.server.start_again().await?;
    connected(&device).await?;
    renewed(&device, 1).await?;
    let keys = device.root().join("var/lib/aziot/keyd/keys");
    let names = std::fs::read_dir(&keys).with_context(|| keys.display().to_string())?;
    let names = names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Result<Vec<String>>>()?;
    let own = names.iter().filter(|name| name.starts_with("deviceid"));
    ensure!(own.count() <= 2, "{names:?}");
    device.terminate()?;
    Ok(())
}

#[tokio::test]
async fn a_password_is_spent_once_and_the_identity_renews_itself() -> Result<()> {
    let plant = Plant::start().await?;
    let password = plant.password(1).await?;
    let user = format!("username = \"line-1\"\npassword = \"{password}\"\n{RENEW}");
    let mut device = plant.device(&user)?;
    device.apply()?;
    device.start()?;
    connected(&device).await?;
    renewed(&device, 2).await?;
    connected(&device).await?;
    ensure!(plant.issued().await? >= 2);
    let log = device.log();
    ensure!(!log.contains(&password), "the log has the password");
    let check = device.iotedge("check --output json")?;
    let check: Value = serde_json::from_str(&check.stdout)?;
    let expiry = &check["checks"]["identity-certificate-expiry"]["result"];
    ensure!(expiry["result"] == "ok", "{expiry}");
    device.terminate()?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_the_provisioning_service_is_renewed_at_the_hub() -> Result<()> {
    let plant = Plant::without_group().await?;
    let (certificate, key) = plant.bootstrap().await?;
    let flags = "--edge-enabled true --credential-policy fleet";
    plant
        .server
        .enroll_group("presses", &plant.dir().join("maker.pem"), flags)
        .await?;
    let mut device = plant.device_by(&format!(
        "method = \"dps\"\nbootstrap_identity_cert = \"file://{}\"\nbootstrap_identity_pk = \
         \"file://{}\"\n{RENEW}",
        certificate.display(),
        key.display()
    ))?;
    device.apply()?;
    device.start()?;
    connected(&device).await?;
    renewed(&device, 2).await?;
    let list = "dps issuer certificate list --issuer-name fleet";
    let listed = plant.server.muster(list).await?.to_string();
    for origin in ["\"registration\"", "\"hub\""] {
        ensure!(listed.contains(origin), "{listed}");
    }
    connected(&device).await?;
    device.terminate()?;
    Ok(())
}
