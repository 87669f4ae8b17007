//! A device whose own certificate is enrolled renews it over EST, and its enrollment follows:
//! whatever is killed in between, the device has a certificate that is admitted.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::RequestBuilder;
use sim::{Device, Server, certs_only, request_by_openssl};

const ID: &str = "press-7";

/// A certificate of the device, and the device as it presents it.
struct Issued {
    leaf: pki::Certificate,
    device: Device,
}

/// A server whose issuer `fleet` has pinned certificates follow.
struct Factory {
    server: Server,
    shop: tempfile::TempDir,
}

impl Factory {
    async fn start() -> Result<Self> {
        let server = Server::start().await?;
        let create = "dps issuer create --issuer-name fleet --validity-days 30";
        let created = server.muster(create).await?;
        ensure!(created["pinnedCertificates"] == "keep", "{created}");
        let update = "dps issuer update --issuer-name fleet --pinned-certificates follow";
        server.muster(update).await?;
        Ok(Self {
            server,
            shop: tempfile::tempdir()?,
        })
    }

    fn dir(&self) -> &Path {
        self.shop.path()
    }

    /// A request with a new key, in `NAME.key`.
    fn post(&self, client: &reqwest::Client, path: &str, name: &str) -> Result<RequestBuilder> {
        let csr = request_by_openssl(self.dir(), name, &format!("/CN={ID}"))?;
        let url = format!("https://{}/.well-known/est/{path}", self.server.address());
        let post = client.post(url).body(csr);
        Ok(post.header("content-type", "application/pkcs10"))
    }

    fn issued(&self, leaf: pki::Certificate, name: &str) -> Result<Issued> {
        let key = std::fs::read_to_string(self.dir().join(format!("{name}.key")))?;
        let device = Device::with_pem(&self.server, ID, &(leaf.to_pem() + &key))?;
        std::fs::write(self.dir().join(format!("{name}.pem")), leaf.to_pem())?;
        Ok(Issued { leaf, device })
    }

    /// What a factory line has issued, and an operator enrolls.
    async fn first(&self) -> Result<Issued> {
        let create = "dps issuer user create --issuer-name fleet --username line-1 --uses 1";
        let user = self.server.muster(create).await?;
        let anyone = Device::with_nothing(&self.server, ID)?.client()?;
        let post = self.post(&anyone, "simpleenroll", "first")?;
        let post = post.basic_auth("line-1", user["password"].as_str());
        let issued = self.issued(certs_only(post).await?.remove(0), "first")?;
        let file = self.dir().join("first.pem");
        let enroll = "dps enrollment create --attestation-type x509 --certificate-authority-name \
                      fleet --enrollment-id";
        let enroll = format!("{enroll} {ID} --certificate-path {}", file.display());
        self.server.muster(&enroll).await?;
        Ok(issued)
    }

    async fn renewed(&self, with: &Issued, name: &str) -> Result<Issued> {
        let post = self.post(&with.device.client()?, "simplereenroll", name)?;
        self.issued(certs_only(post).await?.remove(0), name)
    }

    async fn pinned(&self) -> Result<Vec<String>> {
        let show = format!("dps enrollment show --enrollment-id {ID}");
        let enrollment = self.server.muster(&show).await?;
        let pair = &enrollment["attestation"]["x509"]["clientCertificates"];
        let slots = ["primary", "secondary"].map(|slot| &pair[slot]["info"]["sha256Thumbprint"]);
        Ok(slots
            .iter()
            .filter_map(|one| one.as_str())
            .map(str::to_owned)
            .collect())
    }
}

fn print(issued: &Issued) -> String {
    issued.leaf.sha256().to_string()
}

#[tokio::test]
async fn a_device_renews_its_pinned_certificate_and_the_old_one_is_refused() -> Result<()> {
    let mut factory = Factory::start().await?;
    let hub = factory.server.host();
    let first = factory.first().await?;
    first.device.assigned_hub().await?;
    assert_eq!(first.device.connack(&hub).await?, 0);

    let second = factory.renewed(&first, "second").await?;
    assert_eq!(factory.pinned().await?, [print(&first), print(&second)]);
    factory.server.kill()?;
    factory.server.start_again().await?;
    // It was interrupted before it used the new one.
    first.device.assigned_hub().await?;
    assert_eq!(first.device.connack(&hub).await?, 0);

    second.device.assigned_hub().await?;
    assert_eq!(factory.pinned().await?, [print(&second)]);
    assert_eq!(second.device.connack(&hub).await?, 0);
    let (status, body) = first.device.register().await?;
    assert_eq!(status, 401, "{body}");
    assert_eq!(first.device.connack(&hub).await?, 5);
    let file = factory.dir().join("first.pem");
    let explain = format!(
        "dps explain --registration-id {ID} --certificate {}",
        file.display()
    );
    let explained = factory.server.try_muster(&explain).await?;
    assert_eq!(explained.code, Some(1));
    let said = explained.stdout;
    assert!(
        said.contains("has proved a later certificate since"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn kills_in_the_middle_of_renewals_leave_a_certificate_that_is_admitted() -> Result<()> {
    let mut factory = Factory::start().await?;
    let hub = factory.server.host();
    let mut current = factory.first().await?;
    let mut renewed = 0;
    for round in 0..6_u32 {
        current.device.assigned_hub().await?;
        let name = format!("round-{round}");
        let post = factory.post(&current.device.client()?, "simplereenroll", &name)?;
        let asked = tokio::spawn(certs_only(post));
        tokio::time::sleep(Duration::from_millis(u64::from(4 * round))).await;
        factory.server.kill()?;
        factory.server.start_again().await?;
        // What it had is admitted, whether the answer arrived or not.
        let what = format!("round {round}");
        current.device.assigned_hub().await.context(what.clone())?;
        if let Ok(answer) = asked.await? {
            let leaf = answer.into_iter().next().context("no certificate")?;
            current = factory.issued(leaf, &name)?;
            renewed += 1;
        }
        current.device.assigned_hub().await.context(what)?;
        assert_eq!(current.device.connack(&hub).await?, 0);
    }
    // In peace it comes to the end.
    let last = factory.renewed(&current, "last").await?;
    last.device.assigned_hub().await?;
    assert_eq!(
        factory.pinned().await?,
        [print(&last)],
        "after {renewed} renewals"
    );
    Ok(())
}
