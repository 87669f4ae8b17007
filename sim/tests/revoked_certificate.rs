//! A certificate that is revoked opens nothing any more: its session ends, and connecting,
//! registering and renewing with it are refused.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, RequestBuilder};
use sim::{Device, MqttDevice, Server, certs_only, request_by_openssl};

/// What a revocation has to reach after the command has returned.
const BOUND: Duration = Duration::from_secs(1);

/// A server whose issuer `fleet` issues over EST, and admits what it has issued.
struct Fleet {
    server: Server,
    password: String,
    /// The issuer's CA certificate, PEM.
    ca: String,
    shop: tempfile::TempDir,
}

/// A device with a certificate of the issuer.
struct Issued {
    device: Device,
    hub: String,
    leaf: pki::Certificate,
}

/// A request for a certificate, as EST has it; the key is in `ID.key`.
fn request(dir: &Path, id: &str) -> Result<String> {
    request_by_openssl(dir, id, &format!("/CN={id}"))
}

impl Fleet {
    async fn start() -> Result<Self> {
        let (server, shop) = (Server::start().await?, tempfile::tempdir()?);
        server
            .muster("dps issuer create --issuer-name fleet --validity-days 30")
            .await?;
        let create = "dps issuer user create --issuer-name fleet --username line-1 --uses 9";
        let user = server.muster(create).await?;
        let password = user["password"].as_str().context("no password")?;
        let anyone = Device::with_nothing(&server, "anyone")?.client()?;
        let ca = certs_only(anyone.get(est(&server, "cacerts"))).await?;
        let ca = ca.first().context("no CA certificate")?.to_pem();
        let file = shop.path().join("ca.pem");
        std::fs::write(&file, &ca)?;
        server.enroll_group("line", &file, "").await?;
        Ok(Self {
            password: password.to_owned(),
            server,
            ca,
            shop,
        })
    }

    fn post(&self, client: &Client, operation: &str, csr: String) -> RequestBuilder {
        let post = client.post(est(&self.server, operation)).body(csr);
        post.header("content-type", "application/pkcs10")
    }

    /// Gets a certificate, registers with it, and connects.
    async fn connected(&self, id: &str) -> Result<(Issued, MqttDevice)> {
        let csr = request(self.shop.path(), id)?;
        let anyone = Device::with_nothing(&self.server, id)?.client()?;
        let enroll = self.post(&anyone, "simpleenroll", csr);
        let enroll = enroll.basic_auth("line-1", Some(&self.password));
        let leaf = certs_only(enroll).await?.remove(0);
        let key = std::fs::read_to_string(self.shop.path().join(format!("{id}.key")))?;
        let pem = format!("{}{}{key}", leaf.to_pem(), self.ca);
        let device = Device::with_pem(&self.server, id, &pem)?;
        let hub = device.assigned_hub().await?;
        let session = device.connect(&hub).await?;
        Ok((Issued { device, hub, leaf }, session))
    }

    /// When the command has returned.
    async fn change(&self, verb: &str, issued: &Issued, more: &str) -> Result<Instant> {
        let serial = issued.leaf.serial_hex();
        let which = format!("--issuer-name fleet --serial-number {serial}");
        let command = format!("dps issuer certificate {verb} {which} {more}");
        self.server.muster(&command).await?;
        Ok(Instant::now())
    }

    /// The session ends, and nothing is to be had with the certificate, in time.
    async fn is_out(
        &self,
        (issued, session): (&Issued, &mut MqttDevice),
        since: Instant,
        reason: &str,
    ) -> Result<()> {
        let end = async {
            while session.received().await?.is_some() {}
            anyhow::Ok(())
        };
        let end = tokio::time::timeout(BOUND.saturating_sub(since.elapsed()), end);
        end.await
            .context("the session outlived its certificate")??;
        let (status, refused) = issued.device.register().await?;
        let registered = since.elapsed();
        ensure!(status == 401, "{status} {refused}");
        assert_eq!(refused["errorCode"], 401_002, "{refused}");
        ensure!(registered < BOUND, "{registered:?}");
        assert_eq!(issued.device.connack(&issued.hub).await?, 5);

        let id = issued.device.id();
        let explain = format!("dps explain --registration-id {id}");
        let explained = self.server.muster(&explain).await?;
        assert_eq!(explained[0]["reason"], reason, "{explained}");
        let (status, body) = self.renew(issued).await?;
        ensure!(status == 403, "{status} {body}");
        Ok(())
    }

    /// Asks for another certificate with the one that there is.
    async fn renew(&self, issued: &Issued) -> Result<(u16, String)> {
        let id = issued.device.id();
        // The key of the first certificate is in the device already.
        let csr = request(self.shop.path(), id)?;
        let renew = self.post(&issued.device.client()?, "simplereenroll", csr);
        let answer = renew.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}

fn est(server: &Server, operation: &str) -> String {
    format!("https://{}/.well-known/est/{operation}", server.address())
}

#[tokio::test]
async fn a_revoked_certificate_is_out_within_a_second_and_others_are_not_disturbed() -> Result<()> {
    let fleet = Fleet::start().await?;
    let (stolen, mut session) = fleet.connected("press-1").await?;
    let (neighbour, mut neighbours_session) = fleet.connected("press-2").await?;
    session.twin().await?;

    let since = fleet
        .change("revoke", &stolen, "--reason keyCompromise")
        .await?;
    let out = (&stolen, &mut session);
    fleet.is_out(out, since, "certificate_revoked").await?;

    neighbours_session.twin().await?;
    assert_eq!(neighbour.device.register().await?.0, 202);
    // It is final.
    ensure!(fleet.change("restore", &stolen, "").await.is_err());
    assert_eq!(stolen.device.connack(&stolen.hub).await?, 5);
    Ok(())
}

#[tokio::test]
async fn a_certificate_on_hold_is_out_until_it_is_restored() -> Result<()> {
    let fleet = Fleet::start().await?;
    let (held, mut session) = fleet.connected("press-1").await?;
    session.twin().await?;

    let since = fleet
        .change("revoke", &held, "--reason certificateHold")
        .await?;
    let out = (&held, &mut session);
    fleet.is_out(out, since, "certificate_on_hold").await?;

    fleet.change("restore", &held, "").await?;
    let mut session = held.device.connect(&held.hub).await?;
    session.twin().await?;
    assert_eq!(fleet.renew(&held).await?.0, 200);
    assert_eq!(held.device.register().await?.0, 202);
    Ok(())
}
