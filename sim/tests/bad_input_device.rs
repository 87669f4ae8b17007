//! What `iotedge config apply` and the daemon say to a device's owner who made a mistake. Nothing
//! is called before all that can be checked locally has been.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sim::{EdgeDevice, Identity, Server, Workshop, until};

/// No container engine is needed to be told of a mistake.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

struct Bench {
    server: Server,
    workshop: Workshop,
}

impl Bench {
    async fn start() -> Result<Self> {
        Ok(Self {
            server: Server::start().await?,
            workshop: Workshop::with_openssl_ca()?,
        })
    }

    fn device(&self, identity: &Identity) -> Result<EdgeDevice> {
        EdgeDevice::with_engine_uri(&self.server, identity, NO_ENGINE)
    }

    /// `config apply` of `config` refuses, says all of `wanted`, and leaves nothing applied.
    fn refuses(&self, device: &EdgeDevice, config: &str, wanted: &[&str]) -> Result<()> {
        device.write_config(config)?;
        let finished = device.iotedge("config apply")?;
        ensure!(finished.code == Some(1), "it was accepted: {finished:?}");
        for part in wanted {
            ensure!(
                finished.stderr.contains(part),
                "nothing says {part:?}:\n{}",
                finished.stderr
            );
        }
        let applied = device.root().join("etc/aziot/edged/config.d/00-super.toml");
        ensure!(!applied.exists(), "something was applied");
        Ok(())
    }
}

fn line_of(config: &str, text: &str) -> String {
    let line = config
        .lines()
        .position(|line| line.contains(text))
        .map_or(0, |at| at + 1);
    format!("line {line}")
}

#[tokio::test]
async fn mistakes_in_the_file_name_the_line() -> Result<()> {
    let bench = Bench::start().await?;
    let device = bench.device(&bench.workshop.issue_with_openssl("edge-1")?)?;
    let good = device.config()?;

    let typo = good.replace("id_scope", "idscope");
    bench.refuses(
        &device,
        &typo,
        &["idscope", "id_scope", &line_of(&typo, "idscope")],
    )?;
    let block = "\n[provisioning]\nsource = \"manual\"\n";
    let twice = good.replace("\n[moby_runtime]", &format!("{block}\n[moby_runtime]"));
    bench.refuses(&device, &twice, &["provisioning", "line"])?;
    let not_toml = good.replace("hostname = \"edge-1\"", "hostname = edge-1");
    bench.refuses(&device, &not_toml, &["line 1"])
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_named() -> Result<()> {
    let bench = Bench::start().await?;
    let workshop = &bench.workshop;
    let (one, two) = (
        workshop.issue_with_openssl("edge-1")?,
        workshop.issue_with_openssl("edge-2")?,
    );
    let device = bench.device(&one)?;
    let good = device.config()?;
    let text = |path: &Path| path.to_string_lossy().into_owned();

    let foreign_key = good.replace(&text(&one.key), &text(&two.key));
    bench.refuses(&device, &foreign_key, &["identity_pk", "match"])?;
    let other_name = good.replace(
        "registration_id = \"edge-1\"",
        "registration_id = \"edge-7\"",
    );
    bench.refuses(
        &device,
        &other_name,
        &["edge-7", "edge-1", "registration_id"],
    )?;
    let ca = good
        .replace(&text(&one.full_chain), &text(&workshop.intermediate()))
        .replace(
            &text(&one.key),
            &text(&workshop.path().join("private/intermediate.key.pem")),
        );
    bench.refuses(&device, &ca, &["CA certificate", "full-chain"])?;
    let nowhere = good.replace(&text(&one.full_chain), "/nonexistent/chain.pem");
    bench.refuses(
        &device,
        &nowhere,
        &["identity_cert", "/nonexistent/chain.pem"],
    )?;

    let expired = workshop.issue_expired("edge-3")?;
    let device = bench.device(&expired)?;
    bench.refuses(
        &device,
        &device.config()?,
        &["edge-3", "expired", "2020-01-31"],
    )
}

#[tokio::test]
async fn a_leaf_without_its_issuers_is_warned_about() -> Result<()> {
    let bench = Bench::start().await?;
    let one = bench.workshop.issue_with_openssl("edge-1")?;
    let device = bench.device(&one)?;
    let lone = device.config()?.replace(
        &*one.full_chain.to_string_lossy(),
        &one.certificate.to_string_lossy(),
    );
    device.write_config(&lone)?;
    let finished = device
        .iotedge("config apply --check --output json")?
        .json()?;
    let warned = finished["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|finding| {
            finding["severity"] == "warning"
                && finding["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("Azure_IoT_Hub_Intermediate"))
        });
    ensure!(warned, "{finished}");
    Ok(())
}

/// Waits until the daemon's status tells a problem with the registration that contains `wanted`.
async fn problem(device: &EdgeDevice, wanted: &str) -> Result<()> {
    until(
        &format!("the status tells {wanted:?}"),
        Duration::from_secs(40),
        || async {
            let finished = device.iotedge("system status --output json")?;
            let status: Value =
                serde_json::from_str(&finished.stdout).with_context(|| format!("{finished:?}"))?;
            let problem = status["provisioning"]["problem"]
                .as_str()
                .unwrap_or_default();
            ensure!(problem.contains(wanted), "it says {status}");
            ensure!(
                finished.code == Some(1),
                "a device without a hub is not well: {finished:?}"
            );
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn an_unreachable_an_untrusted_and_a_refusing_server_are_told_apart() -> Result<()> {
    let mut bench = Bench::start().await?;
    let identity = bench.workshop.issue_with_openssl("edge-1")?;

    let mut refused = bench.device(&identity)?;
    refused.apply()?;
    refused.start()?;
    problem(&refused, "401").await?;

    let mut untrusting = bench.device(&identity)?;
    let config = untrusting.config()?;
    let without: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with("trust_bundle_cert"))
        .collect();
    untrusting.write_config(&without.join("\n"))?;
    untrusting.apply()?;
    untrusting.start()?;
    problem(&untrusting, "certificate").await?;

    let mut lonely = bench.device(&identity)?;
    lonely.apply()?;
    bench.server.kill()?;
    lonely.start()?;
    problem(&lonely, "refused").await
}
