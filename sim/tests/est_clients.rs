//! EST with clients that are not ours: curl with OpenSSL, strongSwan's `pki`, and the requests of
//! Azure's certificate daemon.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Identity, RequestBuilder};
use serde_json::Value;
use sim::{Device, Finished, Server, certs_only, openssl, request_by_openssl};

/// A server with an issuer and a user that may have as many certificates as it was given.
struct Factory {
    server: Server,
    password: String,
    /// Where clients keep their files.
    shop: tempfile::TempDir,
}

impl Factory {
    async fn start(uses: u32) -> Result<Self> {
        let server = Server::start().await?;
        server
            .muster("dps issuer create --issuer-name fleet --validity-days 30")
            .await?;
        let create = "dps issuer user create --issuer-name fleet --username line-1 --uses";
        let user = server.muster(&format!("{create} {uses}")).await?;
        let password = user["password"].as_str().context("no password")?;
        Ok(Self {
            password: password.to_owned(),
            shop: tempfile::tempdir()?,
            server,
        })
    }

    fn dir(&self) -> &Path {
        self.shop.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn url(&self, operation: &str) -> String {
        let address = self.server.address();
        format!("https://{address}/.well-known/est/{operation}")
    }

    /// A key `NAME.key` and a request for it, `NAME.csr`, DER.
    fn request(&self, name: &str, subject: &str) -> Result<()> {
        request_by_openssl(self.dir(), name, subject).map(drop)
    }

    /// Runs a program in the shop.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<Finished> {
        let mut command = std::process::Command::new(program);
        let output = command.args(arguments).current_dir(self.dir()).output();
        Ok(output.with_context(|| program.to_owned())?.into())
    }

    /// curl, with further flags; the HTTP status. The body is in the file `answer`.
    fn curl(&self, operation: &str, more: &[&str]) -> Result<u16> {
        let (ca, url) = (self.server.ca()?, self.url(operation));
        let ca = ca.to_str().context("the path is not UTF-8")?;
        let flags = ["-sS", "--cacert", ca, "-o", "answer", "-w", "%{http_code}"];
        let arguments: Vec<&str> = flags.iter().chain(more).copied().collect();
        let arguments: Vec<&str> = arguments.into_iter().chain([url.as_str()]).collect();
        let status = self.run("curl", &arguments)?.ok()?;
        status.trim().parse().context("no status")
    }

    /// The file `answer` as certificates in the file `name`, by OpenSSL.
    fn certificates(&self, name: &str) -> Result<()> {
        openssl(self.dir(), "base64 -d -in answer -out answer.p7")?;
        let print = "pkcs7 -inform DER -in answer.p7 -print_certs -out";
        openssl(self.dir(), &format!("{print} {name}")).map(drop)
    }

    /// Posts `NAME.csr` with curl.
    fn post(&self, operation: &str, name: &str, more: &[&str]) -> Result<u16> {
        openssl(
            self.dir(),
            &format!("base64 -in {name}.csr -out {name}.b64"),
        )?;
        let data = format!("@{name}.b64");
        let type_of = "Content-Type: application/pkcs10";
        let flags = ["--data-binary", data.as_str(), "-H", type_of];
        let arguments: Vec<&str> = flags.iter().chain(more).copied().collect();
        self.curl(operation, &arguments)
    }

    fn verify(&self, certificate: &str) -> Result<()> {
        let verify = "verify -x509_strict -purpose sslclient -CAfile ca.pem";
        let printed = openssl(self.dir(), &format!("{verify} {certificate}"))?;
        ensure!(printed.trim() == format!("{certificate}: OK"), "{printed}");
        Ok(())
    }

    async fn listed(&self) -> Result<usize> {
        let list = "dps issuer certificate list --issuer-name fleet";
        let listed = self.server.muster(list).await?;
        Ok(listed.as_array().context("no list")?.len())
    }
}

#[tokio::test]
async fn curl_and_openssl_enroll_and_re_enroll() -> Result<()> {
    let factory = Factory::start(1).await?;
    assert_eq!(factory.curl("cacerts", &[])?, 200);
    factory.certificates("ca.pem")?;
    factory.request("first", "/CN=press-7")?;
    let user = format!("line-1:{}", factory.password);
    // Without credentials, with wrong ones, and with good ones.
    assert_eq!(factory.post("simpleenroll", "first", &[])?, 401);
    assert_eq!(
        factory.post("simpleenroll", "first", &["-u", "line-1:wrong"])?,
        401
    );
    assert_eq!(
        factory.post("fleet/simpleenroll", "first", &["-u", &user])?,
        200
    );
    factory.certificates("first.pem")?;
    factory.verify("first.pem")?;
    factory.request("other", "/CN=press-8")?;
    assert_eq!(factory.post("simpleenroll", "other", &["-u", &user])?, 403);
    let spent = std::fs::read_to_string(factory.path("answer"))?;
    assert_eq!(spent, "this user has no certificates left\n");

    // The certificate renews itself, with the key that the TLS handshake proves.
    factory.request("second", "/CN=press-7")?;
    let proof = ["--cert", "first.pem", "--key", "first.key"];
    assert_eq!(factory.post("simplereenroll", "second", &proof)?, 200);
    factory.certificates("second.pem")?;
    factory.verify("second.pem")?;
    assert_eq!(factory.post("simplereenroll", "other", &proof)?, 403);
    assert_eq!(
        factory.post("simplereenroll", "second", &["-u", &user])?,
        403
    );
    // Another key than the certificate's ends the handshake.
    let stolen = ["--cert", "first.pem", "--key", "second.key"];
    assert!(factory.post("simplereenroll", "second", &stolen).is_err());
    assert_eq!(factory.listed().await?, 2);
    explained(&factory).await
}

/// The operator reads why press-8 got nothing.
async fn explained(factory: &Factory) -> Result<()> {
    let explain = "dps explain --registration-id press-8";
    let explained = factory.server.try_muster(explain).await?;
    let text = explained.stdout + &explained.stderr;
    for reason in ["est_user_spent", "est_name_not_own"] {
        ensure!(text.contains(reason), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn strongswan_enrolls_and_re_enrolls() -> Result<()> {
    let factory = Factory::start(5).await?;
    let (address, ca) = (factory.server.address(), factory.server.ca()?);
    let (url, ca) = (
        format!("https://{address}"),
        ca.to_str().context("not UTF-8")?.to_owned(),
    );
    let estca = [
        "--estca", "--url", &url, "--cacert", &ca, "--caout", "ca.pem",
    ];
    let estca: Vec<&str> = estca.into_iter().chain(["--outform", "pem"]).collect();
    factory.run("pki", &estca)?.ok()?;
    factory.request("first", "/CN=press-7")?;
    let user = format!("line-1:{}", factory.password);
    let est = [
        "--est", "--url", &url, "--cacert", &ca, "--cacert", "ca.pem",
    ];
    let enroll = |more: &[&str]| {
        let arguments: Vec<&str> = est.iter().chain(more).copied().collect();
        factory.run("pki", &arguments)
    };
    let wrong = [
        "--in",
        "first.csr",
        "--userpass",
        "line-1:wrong",
        "--outform",
        "pem",
    ];
    assert_ne!(enroll(&wrong)?.code, Some(0));
    let first = enroll(&["--in", "first.csr", "--userpass", &user, "--outform", "pem"])?.ok()?;
    std::fs::write(factory.path("first.pem"), first)?;
    factory.verify("first.pem")?;
    factory.request("second", "/CN=press-7")?;
    let proof = [
        "--cert",
        "first.pem",
        "--key",
        "first.key",
        "--outform",
        "pem",
    ];
    let renew: Vec<&str> = ["--in", "second.csr"].into_iter().chain(proof).collect();
    let second = enroll(&renew)?.ok()?;
    std::fs::write(factory.path("second.pem"), second)?;
    factory.verify("second.pem")?;
    assert_eq!(factory.listed().await?, 2);
    Ok(())
}

/// Azure's certificate daemon: how it sends requests, and what it makes of the answers.
struct CertificateDaemon<'a> {
    factory: &'a Factory,
    client: Client,
}

impl<'a> CertificateDaemon<'a> {
    fn new(factory: &'a Factory, chain: &str, key: &str) -> Result<Self> {
        let roots = std::fs::read(factory.server.ca()?)?;
        let roots = reqwest::Certificate::from_pem_bundle(&roots)?;
        let identity = format!("{chain}{}", std::fs::read_to_string(factory.path(key))?);
        let client = Client::builder()
            .tls_certs_only(roots)
            .identity(Identity::from_pem(identity.as_bytes())?)
            .build()?;
        Ok(Self { factory, client })
    }

    /// Requests `NAME.csr` and the CA certificates at the same time; what it stores is both
    /// answers, one behind the other.
    async fn create(&self, name: &str) -> Result<String> {
        let der = std::fs::read(self.factory.path(&format!("{name}.csr")))?;
        let lines: Vec<String> = STANDARD
            .encode(der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let enroll = self.client.post(self.factory.url("fleet/simpleenroll"));
        let enroll = enroll
            .header("content-type", "application/pkcs10")
            .header("content-transfer-encoding", "base64")
            .body(lines.join("\n"));
        let ca_certificates = self.client.get(self.factory.url("fleet/cacerts"));
        let (issued, above) = tokio::try_join!(pem_of(enroll), pem_of(ca_certificates))?;
        Ok(issued + &above)
    }
}

async fn pem_of(request: RequestBuilder) -> Result<String> {
    let certificates = certs_only(request).await?;
    Ok(certificates.iter().map(pki::Certificate::to_pem).collect())
}

/// A certificate of the maker for a device, `NAME.pem`, signed by `maker.pem`.
fn bootstrap(factory: &Factory, name: &str) -> Result<String> {
    let dir = factory.dir();
    let new = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        dir,
        &format!("{new} -x509 -days 30 -keyout maker.key -out maker.pem -subj /CN=Maker"),
    )?;
    openssl(
        dir,
        &format!("{new} -keyout {name}.key -out {name}.req -subj /CN=press-7"),
    )?;
    let usage = "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n";
    std::fs::write(factory.path("leaf.cnf"), usage)?;
    let sign =
        "x509 -req -days 30 -CA maker.pem -CAkey maker.key -CAcreateserial -extfile leaf.cnf";
    openssl(dir, &format!("{sign} -in {name}.req -out {name}.pem"))?;
    Ok(std::fs::read_to_string(
        factory.path(&format!("{name}.pem")),
    )?)
}

#[tokio::test]
async fn azures_daemon_begins_with_a_bootstrap_certificate_and_renews_with_its_own() -> Result<()> {
    let factory = Factory::start(1).await?;
    let chain = bootstrap(&factory, "bootstrap")?;
    let maker = factory.path("maker.pem");
    let upload = "dps certificate create --verified true --certificate-name maker --path";
    factory
        .server
        .muster(&format!("{upload} {}", maker.display()))
        .await?;
    factory
        .server
        .muster("dps issuer trust --issuer-name fleet --certificate-name maker")
        .await?;
    // Its EST identity first, with the subject of the certificate that it wants.
    factory.request("est-id", "/CN=press-7")?;
    let with_bootstrap = CertificateDaemon::new(&factory, &chain, "bootstrap.key")?;
    let est_id = with_bootstrap.create("est-id").await?;
    let stored = pki::Certificate::parse_pem_bundle(&est_id)?;
    let [leaf, ca] = stored.as_slice() else {
        anyhow::bail!("{} certificates", stored.len())
    };
    assert!(leaf.is_signed_by(ca) && ca.is_ca());
    // Then the device identity and every renewal, always with simpleenroll.
    let with_own = CertificateDaemon::new(&factory, &est_id, "est-id.key")?;
    let mut device_id = String::new();
    for name in ["device-id", "renewed"] {
        factory.request(name, "/CN=press-7")?;
        device_id = with_own.create(name).await?;
    }
    factory.request("other", "/CN=press-8")?;
    let refused = with_own
        .create("other")
        .await
        .err()
        .context("it was issued")?;
    assert!(refused.to_string().starts_with("403"), "{refused}");
    assert_eq!(factory.listed().await?, 3);
    registers(&factory, &device_id).await
}

/// The device identity registers with an enrollment group of the issuer and opens the hub.
async fn registers(factory: &Factory, device_id: &str) -> Result<()> {
    let server = &factory.server;
    let stored = pki::Certificate::parse_pem_bundle(device_id)?;
    let ca = factory.path("fleet-ca.pem");
    std::fs::write(&ca, stored.last().context("no CA")?.to_pem())?;
    server.enroll_group("presses", &ca, "").await?;
    let key = std::fs::read_to_string(factory.path("renewed.key"))?;
    let device = Device::with_pem(server, "press-7", &format!("{device_id}{key}"))?;
    let state: Value = device.provision().await?;
    assert_eq!(state["status"], "assigned");
    assert_eq!(device.connack(&server.host()).await?, 0);
    Ok(())
}
