//! Zero touch: `iotedge tpm provision` takes a device from a TPM with its vendor's certificate to a
//! session with its hub. The keys are in the TPM only.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use sim::{EdgeDevice, Server, Tpm, until};
use tpm::TpmSettings;

const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";
const SOON: Duration = Duration::from_secs(60);
const ID: &str = "zero-touch-1";

struct World {
    server: Server,
    tpm: Tpm,
    device: EdgeDevice,
    /// Roots, passwords.
    shop: tempfile::TempDir,
}

/// A CA of a vendor, in PEM, and a certificate of it for the endorsement key of the TPM.
fn vendor(tpm: &Tpm) -> Result<(String, Vec<u8>)> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "a vendor of TPMs");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let commands = tpm::Tpm::new(TpmSettings {
        tcti: tpm.tcti().parse()?,
        ..TpmSettings::default()
    });
    let endorsement = commands.endorsement_key()?;
    let public = tpm::Public::parse(endorsement.get(2..).context("short")?)?;
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name.push(DnType::CommonName, "a TPM");
    Ok((ca.pem(), leaf.signed_by(public.key(), &ca)?.der().to_vec()))
}

impl World {
    async fn prepare() -> Result<Self> {
        let server = Server::start().await?;
        let tpm = Tpm::start().await?;
        let shop = tempfile::tempdir()?;
        let (root, certificate) = vendor(&tpm)?;
        std::fs::write(shop.path().join("vendor.pem"), root)?;
        std::fs::write(tpm.path("ek.cert"), &certificate)?;
        let size = certificate.len().to_string();
        let attributes = ["-a", "ownerread|ownerwrite|authread"];
        let define = ["0x01c00002", "-C", "o", "-s", &size];
        tpm.tool("nvdefine", &[&define[..], &attributes[..]].concat())?;
        tpm.tool("nvwrite", &["0x01c00002", "-C", "o", "-i", "ek.cert"])?;
        let issuer = "dps issuer create --issuer-name fleet --validity-days 30 --default";
        server.muster(issuer).await?;
        let user = "dps issuer user create --issuer-name fleet --username line-1 --uses 5";
        let user = server.muster(user).await?;
        let password = user["password"].as_str().context("no password")?;
        std::fs::write(shop.path().join("password"), format!("{password}\n"))?;
        // What stands there is replaced.
        let device = EdgeDevice::provisioned_by(&server, ID, "", NO_ENGINE)?;
        std::fs::remove_file(device.root().join("etc/aziot/config.toml"))?;
        Ok(Self {
            server,
            tpm,
            device,
            shop,
        })
    }

    /// The command, with more flags; its exit code and its steps.
    fn provision(&self, more: &str) -> Result<(Option<i32>, Value)> {
        let line = format!(
            "tpm provision --output json --tcti {tcti} --name {ID} --endpoint {host} \
             --scope {scope} --est https://{host}/.well-known/est/fleet --est-user line-1 \
             --est-password-file {shop}/password --trust {ca} {more}",
            tcti = self.tpm.tcti(),
            host = self.server.host(),
            scope = self.server.id_scope()?,
            shop = self.shop.path().display(),
            ca = self.server.ca()?.display(),
        );
        let finished = self.device.iotedge(&line)?;
        let steps: Value =
            serde_json::from_str(&finished.stdout).with_context(|| format!("{finished:?}"))?;
        Ok((finished.code, steps["steps"].clone()))
    }

    fn vendor_flag(&self) -> String {
        format!(
            "--endorsement-roots {}/vendor.pem",
            self.shop.path().display()
        )
    }
}

fn states(steps: &Value) -> Vec<&str> {
    let steps = steps.as_array().map(Vec::as_slice).unwrap_or_default();
    steps
        .iter()
        .filter_map(|step| step["state"].as_str())
        .collect()
}

#[tokio::test]
async fn tpm_device_is_provisioned_by_one_command_that_may_be_repeated() -> Result<()> {
    let mut world = World::prepare().await?;
    // A CA of somebody else vouches for nothing.
    let wrong = format!("--endorsement-roots {}", world.server.ca()?.display());
    let (code, steps) = world.provision(&wrong)?;
    ensure!(
        code == Some(12) && states(&steps) == ["already", "failed"],
        "{code:?} {steps}"
    );

    let (code, steps) = world.provision(&world.vendor_flag())?;
    ensure!(code == Some(0), "{code:?} {steps}");
    let wanted = [
        "already", "done", "done", "done", "done", "done", "done", "done",
    ];
    ensure!(states(&steps) == wanted, "{steps}");

    let chain = world
        .device
        .root()
        .join("etc/aziot/certificates/ldevid.cert.pem");
    let chain = pki::Certificate::read_all(&std::fs::read(chain)?)?;
    let issuer = chain.get(1).context("no issuer in the chain")?;
    let path = world.shop.path().join("issuer.pem");
    std::fs::write(&path, issuer.to_pem())?;
    let group = "dps enrollment-group create --enrollment-id line --edge-enabled true";
    let group = format!("{group} --certificate-path {}", path.display());
    world.server.muster(&group).await?;
    world.device.start()?;
    let waited = until("the device is connected", SOON, || async {
        let status = world.device.iotedge("system status")?;
        ensure!(status.stdout.contains("connected since"), "{status:?}");
        Ok(())
    });
    waited.await.with_context(|| world.device.log())?;

    // Once more: nothing is made again.
    let (code, steps) = world.provision(&world.vendor_flag())?;
    ensure!(code == Some(0), "{code:?} {steps}");
    let made = states(&steps)
        .iter()
        .filter(|state| **state == "done")
        .count();
    ensure!(made == 2, "only the proof and apply are anew: {steps}");

    // Without the TPM the first step names it.
    world.device.terminate()?;
    world.tpm.kill()?;
    let (code, steps) = world.provision("")?;
    ensure!(code == Some(11), "{code:?} {steps}");
    let tcti = world.tpm.tcti();
    ensure!(
        steps[0]["text"]
            .as_str()
            .is_some_and(|text| text.contains(&tcti)),
        "{steps}"
    );
    Ok(())
}
