//! What issuers publish, as OpenSSL uses it: certificates name the public port, and lists and OCSP
//! answers follow what operators do, also after the server was killed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, StatusCode};
use sim::{Server, issue_certificate, openssl, plain_client, until};

const ID: &str = "press-7";
/// Longest wait until a revocation is published.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server whose issuer `fleet` has issued a certificate to a device.
struct World {
    server: Server,
    dir: tempfile::TempDir,
    serial: String,
    /// `http://HOST/pki/fleet/GEN`.
    base: String,
    http: Client,
}

impl World {
    async fn start() -> Result<Self> {
        let flags = ["--pki-http-port", "80"].map(str::to_owned);
        let server = Server::start_with(flags.into()).await?;
        let dir = tempfile::tempdir()?;
        issue_certificate(&server, ID, dir.path()).await?;
        let text = openssl(dir.path(), "x509 -in leaf.pem -noout -text -serial")?;
        let serial = text.split("serial=").nth(1).context("no serial")?;
        let serial = serial.trim().to_owned();
        let list = text
            .split("URI:")
            .find(|url| url.lines().next().is_some_and(is_list));
        let list = list
            .and_then(|url| url.lines().next())
            .context("no distribution point")?;
        let base = list.trim_end_matches("/crl").to_owned();
        ensure!(
            base.starts_with(&format!("http://{}/pki/fleet/", server.host())),
            "{base}"
        );
        for url in ["ocsp", "ca.cer"] {
            ensure!(text.contains(&format!("URI:{base}/{url}")), "{url}: {text}");
        }
        let http = plain_client()?;
        Ok(Self {
            server,
            dir,
            serial,
            base,
            http,
        })
    }

    /// What OpenSSL says about the certificate after it has asked the responder.
    fn ocsp(&self, options: &str) -> Result<String> {
        let (base, dir) = (&self.base, self.dir.path());
        let line = format!(
            "ocsp -issuer ca.pem {options} -cert leaf.pem -url {base}/ocsp -CAfile ca.pem -no_nonce"
        );
        openssl(dir, &line)
    }

    /// Verifies the certificate with the list that it names.
    fn verify(&self) -> Result<String> {
        openssl(
            self.dir.path(),
            "verify -crl_check -crl_download -CAfile ca.pem leaf.pem",
        )
    }

    async fn list(&self) -> Result<List> {
        let response = self.http.get(format!("{}/crl", self.base)).send().await?;
        let etag = response.headers()["etag"].to_str()?.to_owned();
        std::fs::write(self.dir.path().join("list.der"), response.bytes().await?)?;
        let read = "crl -inform DER -in list.der -noout -text -CAfile ca.pem -crlnumber";
        let text = openssl(self.dir.path(), read)?;
        let number = text.split("crlNumber=0x").nth(1).context("no number")?;
        let number = u64::from_str_radix(number.lines().next().unwrap_or_default(), 16)?;
        Ok(List { etag, number, text })
    }

    /// Changes the state of the certificate, and waits until the list says so.
    async fn change(&self, verb: &str, listed: bool) -> Result<List> {
        let serial = &self.serial;
        let command = format!("dps issuer certificate {verb} --issuer-name fleet");
        self.server
            .muster(&format!("{command} --serial-number {serial}"))
            .await?;
        until("the list says so", PATIENCE, async || {
            let list = self.list().await?;
            let says = list.text.contains(&format!("Serial Number: {serial}"));
            ensure!(says == listed, "{}", list.text);
            Ok(list)
        })
        .await
    }
}

struct List {
    etag: String,
    number: u64,
    text: String,
}

fn is_list(url: &str) -> bool {
    url.ends_with("/crl")
}

#[tokio::test]
async fn lists_and_ocsp_answers_follow_what_operators_do() -> Result<()> {
    let mut world = World::start().await?;
    let first = world.list().await?;
    ensure!(world.verify()?.contains("leaf.pem: OK"));
    for hash in ["-sha1", "-sha256"] {
        let said = world.ocsp(hash)?;
        ensure!(said.contains("leaf.pem: good"), "{said}");
    }
    let held = world
        .change("revoke --reason certificateHold", true)
        .await?;
    ensure!(held.text.contains("Certificate Hold"), "{}", held.text);
    ensure!(held.number > first.number && held.etag != first.etag);
    ensure!(world.ocsp("-sha1")?.contains("Reason: certificateHold"));
    ensure!(world.verify().is_err());

    let restored = world.change("restore", false).await?;
    ensure!(restored.number > held.number);
    ensure!(world.ocsp("-sha1")?.contains("leaf.pem: good"));

    let revoked = world.change("revoke --reason keyCompromise", true).await?;
    world.server.kill()?;
    world.server.start_again().await?;
    let after = world.list().await?;
    ensure!(
        after.number > revoked.number,
        "{} {}",
        after.number,
        revoked.number
    );
    ensure!(after.text.contains("Key Compromise"), "{}", after.text);
    ensure!(world.ocsp("-sha256")?.contains("Reason: keyCompromise"));
    Ok(())
}

#[tokio::test]
async fn the_public_port_answers_with_what_caches_need_and_serves_nothing_else() -> Result<()> {
    let world = World::start().await?;
    let (http, base) = (&world.http, &world.base);
    for (path, content_type) in [
        (format!("{base}/ca.cer"), "application/pkix-cert"),
        (format!("{base}/crl"), "application/pkix-crl"),
        (format!("{base}/crl/7f"), "application/pkix-crl"),
    ] {
        let response = http.get(&path).send().await?;
        let headers = response.headers().clone();
        ensure!(response.status() == StatusCode::OK, "{path}");
        ensure!(headers["content-type"] == content_type, "{headers:?}");
        ensure!(
            headers["cache-control"]
                .to_str()?
                .starts_with("public, max-age=")
        );
        let known = http.get(&path).header("if-none-match", &headers["etag"]);
        let known = known.send().await?;
        ensure!(known.status() == StatusCode::NOT_MODIFIED, "{path}");
    }
    let newest = format!("http://{}/pki/fleet/ca", world.server.host());
    let chain = http.get(newest).send().await?.text().await?;
    ensure!(
        chain == std::fs::read_to_string(world.dir.path().join("ca.pem"))?,
        "{chain}"
    );

    let request = "ocsp -issuer ca.pem -cert leaf.pem -no_nonce -reqout request.der";
    openssl(world.dir.path(), request)?;
    let request = STANDARD.encode(std::fs::read(world.dir.path().join("request.der"))?);
    let encoded = request
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    for request in [request, encoded] {
        let response = http.get(format!("{base}/ocsp/{request}")).send().await?;
        ensure!(response.headers()["content-type"] == "application/ocsp-response");
        std::fs::write(
            world.dir.path().join("response.der"),
            response.bytes().await?,
        )?;
        let read = "ocsp -respin response.der -issuer ca.pem -cert leaf.pem -CAfile ca.pem";
        let said = openssl(world.dir.path(), read)?;
        ensure!(said.contains("leaf.pem: good"), "{said}");
    }
    refusals(&world).await
}

/// Other paths, methods and bodies.
async fn refusals(world: &World) -> Result<()> {
    let (http, base) = (&world.http, &world.base);
    let origin = format!("http://{}", world.server.host());
    for path in [
        "/",
        "/healthz",
        "/metrics",
        "/enrollments/press-7",
        "/pki",
        "/pki/other/ca",
    ] {
        let response = http.get(format!("{origin}{path}")).send().await?;
        ensure!(response.status() == StatusCode::NOT_FOUND, "{path}");
    }
    let post = http.post(format!("{base}/crl")).send().await?;
    ensure!(post.status() == StatusCode::METHOD_NOT_ALLOWED);
    let long = http.post(format!("{base}/ocsp")).body(vec![0x30; 9000]);
    ensure!(long.send().await?.status() == StatusCode::BAD_REQUEST);
    // malformedRequest, and unauthorized for another CA.
    let broken = http
        .post(format!("{base}/ocsp"))
        .body("hello")
        .send()
        .await?;
    ensure!(broken.bytes().await?[..] == [0x30, 3, 10, 1, 1]);
    let dir = world.dir.path();
    openssl(
        dir,
        "req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key \
         -out other.pem -days 30 -subj /CN=other",
    )?;
    openssl(
        dir,
        "ocsp -issuer other.pem -cert leaf.pem -no_nonce -reqout other.der",
    )?;
    let request = std::fs::read(dir.join("other.der"))?;
    let other = http
        .post(format!("{base}/ocsp"))
        .body(request)
        .send()
        .await?;
    ensure!(other.bytes().await?[..] == [0x30, 3, 10, 1, 6]);
    Ok(())
}
