//! What the server says of certificates that will end, without being asked.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sim::{Server, Workshop, until};

const SOON: Duration = Duration::from_secs(20);

/// The number of a metric whose line has all of some texts.
async fn measured(server: &Server, name: &str, labels: &[&str]) -> Result<Option<f64>> {
    let metrics = server.metrics().await?;
    let mut lines = metrics.lines().filter(|line| line.starts_with(name));
    let line = lines.find(|line| labels.iter().all(|label| line.contains(label)));
    let number = line.and_then(|line| line.rsplit(' ').next());
    number
        .map(|text| text.parse().context("no number"))
        .transpose()
}

#[tokio::test]
async fn ends_of_ca_certificates_are_measured_and_warned_about() -> Result<()> {
    let (mut server, workshop) = (Server::start().await?, Workshop::with_muster_ca()?);
    let create = "dps issuer create --issuer-name fleet --validity 12h --authority-days 20";
    server.muster(create).await?;
    let root = workshop.root();
    let upload = format!(
        "dps certificate create --certificate-name maker --verified true -p {}",
        root.display()
    );
    server.muster(&upload).await?;
    let group = "dps enrollment-group create --enrollment-id line --certificate-path";
    let intermediate = workshop.intermediate();
    server
        .muster(&format!("{group} {}", intermediate.display()))
        .await?;
    server.kill()?;
    server.start_again().await?;

    let days = "muster_certificate_days_left";
    let issuer = ["kind=\"issuer\"", "name=\"fleet\""];
    let look = async || {
        let left = measured(&server, days, &issuer).await?;
        left.context("no such line")
    };
    let left = until("the calendar has the issuer", SOON, look).await?;
    ensure!((19.0..=20.0).contains(&left), "{left}");
    for (kind, name) in [("ca_certificate", "maker"), ("enrollment_group", "line")] {
        let labels = [format!("kind=\"{kind}\""), format!("name=\"{name}\"")];
        let labels = labels.each_ref().map(String::as_str);
        let left = measured(&server, days, &labels).await?.context(name)?;
        ensure!(left > 300.0, "{name}: {left}");
    }
    let expiring = "muster_certificates_expiring";
    let within = ["issuer=\"fleet\"", "within=\"30d\""];
    ensure!(measured(&server, expiring, &within).await? == Some(0.0));
    let own = measured(&server, "muster_server_certificate_days_left", &["ec"]).await?;
    ensure!(own.is_some_and(|left| left > 0.0), "{own:?}");
    let log = server.log();
    let warnings = log.matches("the certificate of issuer fleet expires at");
    ensure!(warnings.count() == 1, "{log}");
    ensure!(!log.contains("the certificate of ca_certificate maker"));
    Ok(())
}
