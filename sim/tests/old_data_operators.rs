//! Operators go on working with what stands in data directories of earlier programs: every noun is
//! changed once, and what its change is for happens.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sim::{Device, OldData, Server, request_by_openssl};

#[tokio::test]
async fn certificates_are_issued_by_the_keys_that_are_there() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        let identity = data.workshop("certified").issue("issued")?;
        let csr = request_by_openssl(data.root(), "new", "/CN=issued")?;
        let device = Device::with_certificate(&server, &identity)?.sending("csr", json!(csr));
        let state = device.provision().await?;
        ensure!(state["trustBundle"]["id"] == "site", "{state}");
        let chain = state["issuedCertificateChain"].as_array();
        let ca = chain.and_then(|chain| chain.get(1)).context("no chain")?;
        let issuer = data.answer("dps issuer show --issuer-name fleet")?;
        let pem = pki::Certificate::from_der(&STANDARD.decode(ca.as_str().context("text")?)?)?;
        let thumbprint = issuer.pointer("/certificateInfo/sha256Thumbprint");
        let found = pem.sha256().to_string();
        ensure!(thumbprint == Some(&json!(found)), "{issuer} is not {found}");
        let delete = server
            .try_muster("dps issuer delete --issuer-name fleet")
            .await?;
        ensure!(delete.code == Some(1), "a group names it: {delete:?}");
    }
    Ok(())
}

#[tokio::test]
async fn possession_of_a_ca_is_proved_although_its_code_is_old() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        let generate = "dps certificate generate-verification-code --certificate-name coded";
        let coded = server.muster(generate).await?;
        let code = coded.pointer("/properties/verificationCode");
        let code = code.and_then(Value::as_str).context("no code")?;
        let workshop = data.workshop("spare");
        workshop
            .ca(&format!("issue verification --code {code}"))?
            .ok()?;
        let proof = workshop
            .path()
            .join("certs/iot-device-verification-code.cert.pem");
        let verify = "dps certificate verify --certificate-name coded --path";
        let verified = server
            .muster(&format!("{verify} {}", proof.display()))
            .await?;
        ensure!(verified["properties"]["isVerified"] == true, "{verified}");
        let create = "dps enrollment-group create --enrollment-id coded --ca-name coded";
        server.muster(create).await?;
        let device = Device::with_certificate(&server, &workshop.issue("coded-1")?)?;
        device.assigned_hub().await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_noun_can_be_changed_and_deleted() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        let (webhook, key) = (data.webhook().await?, data.answer("dps allocation key")?);
        webhook.trust(key["key"].as_str().context("no key")?)?;
        webhook.answer_now();
        provisioning_changes(&server, &data).await?;
        hub_changes(&server).await?;
        let verified = server.muster("audit verify").await?;
        ensure!(verified.as_array().map(Vec::len) == Some(3), "{verified}");
    }
    Ok(())
}

async fn provisioning_changes(server: &Server, data: &OldData) -> Result<()> {
    let root = data.workshop("factory").root();
    let bundle = "dps trust-bundle update --trust-bundle-id site --certificate-path";
    for line in [
        "dps enrollment update --enrollment-id key-1 --provisioning-status disabled",
        "dps enrollment update --enrollment-id tpm-1 --iot-hubs second.muster.test",
        "dps enrollment delete --enrollment-id by-ca-1",
        "dps enrollment registration delete --enrollment-id pinned-1",
        "dps enrollment delete --enrollment-id pinned-1",
        "dps enrollment-group delete --enrollment-id gone-ca",
        "dps enrollment-group update --enrollment-id line --reprovision-policy never",
        "dps enrollment-group registration delete --registration-id line-1",
        "dps enrollment-group delete --enrollment-id line",
        "dps certificate delete --certificate-name unproved",
        "dps issuer delete --issuer-name own",
        "dps trust-bundle delete --trust-bundle-id old-site",
        &format!("{bundle} {}", root.display()),
        "dps policy regenerate-key --policy-name reader --key primary",
        "dps policy delete --policy-name writer",
        "dps linked-hub update --name second --allocation-weight 9 --latency none",
        "dps linked-hub delete --name third",
        "hub delete --name third",
        "hub delete --name spare",
        "dps update --default-allocation-policy geolatency",
        "dps unblock --registration-id dev-5",
        "dps unblock --registration-id never-seen-1",
        "dps block --registration-id dev-2 --reason again",
        "dps create --name another --hostname another.muster.test",
    ] {
        server.muster(line).await?;
    }
    let list = "dps allocation list --registration-id asked-1";
    let notes = data.answer(list)?;
    let replay = format!("dps allocation replay --id {}", notes[0]["id"]);
    let replayed = server.muster(&replay).await?;
    ensure!(replayed["same"].is_boolean(), "{replayed}");
    let links = server.muster("dps linked-hub list").await?;
    ensure!(links.as_array().map(Vec::len) == Some(3), "{links}");
    Ok(())
}

async fn hub_changes(server: &Server) -> Result<()> {
    let tags = json!({"floor": null, "room": 3});
    let update = format!("hub device-twin update -d sas-1 --tags '{tags}'");
    let twin = server.muster(&update).await?;
    ensure!(
        twin["tags"] == json!({"environment": "test", "room": 3}),
        "{twin}"
    );
    let desired = json!({"SendInterval": 3});
    let update = format!("hub module-twin update -d sas-1 -m sensor --desired '{desired}'");
    let twin = server.muster(&update).await?;
    ensure!(twin["properties"]["desired"]["SendInterval"] == 3, "{twin}");
    for line in [
        "edge deployment update --deployment-id base --priority 11",
        "edge deployment delete --deployment-id layer",
        "hub device-identity delete -d gateway-1",
        "hub device-identity delete -d thumb-1",
    ] {
        server.muster(line).await?;
    }
    let gone = server
        .try_muster("hub module-identity list -d gateway-1")
        .await?;
    ensure!(gone.code == Some(1), "{gone:?}");
    let found = "hub query -q \"SELECT * FROM devices WHERE tags.room = 3\"";
    let found = server.muster(found).await?;
    ensure!(found[0]["deviceId"] == "sas-1", "{found}");
    Ok(())
}
