//! Data directories that earlier programs wrote and left by `kill -9`: they open, and everything in
//! them works. `fixtures/README.md` says what is in them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Device, OldData, until};

#[tokio::test]
async fn devices_register_again_and_work_where_they_did() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        for (workshop, id, device_id) in [
            ("factory", "dev-1", "dev-1"),
            ("factory", "dev-3", "dev-3"),
            ("line", "line-1", "line-1"),
            ("uploaded", "up-1", "up-1"),
            ("proved", "up-2", "up-2"),
            ("nearest", "near-1", "near-1"),
            ("certified", "cert-1", "cert-1"),
            ("pinned", "pinned-1", "Press-1"),
        ] {
            let identity = data.workshop(workshop).identity(id);
            let device = Device::with_certificate(&server, &identity)?;
            works_where_it_did(&data, &device, device_id).await?;
        }
        let key = data.answer("dps enrollment show --enrollment-id key-1 --show-keys")?;
        let key = key.pointer("/attestation/symmetricKey/secondaryKey");
        let key = key.and_then(Value::as_str).context("no key")?;
        let device = Device::with_key(&server, "key-1", key)?;
        works_where_it_did(&data, &device, "key-1").await?;
    }
    Ok(())
}

async fn works_where_it_did(data: &OldData, device: &Device, device_id: &str) -> Result<()> {
    let hub = device.assigned_hub().await?;
    let before = data.fact(&format!("/assigned/{}", device.id()))?;
    ensure!(hub == before, "{} was assigned to {before}", device.id());
    let device = device.clone().named(device_id);
    let mut session = device.connect(&hub).await?;
    session.report(&json!({"opened": "again"})).await?;
    until("the report", Duration::from_secs(20), || async {
        let twin = device.connect(&hub).await?.twin().await?;
        ensure!(twin["reported"]["opened"] == "again", "{twin}");
        Ok(())
    })
    .await
    .with_context(|| device.id().to_owned())
}

#[tokio::test]
async fn credentials_that_were_given_out_open_the_hub() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        let hub = server.host();
        let read = |name: &str| std::fs::read_to_string(data.path("keys").join(name));
        let issued = read("cert-1.issued.chain.pem")? + &read("cert-1.issued.key.pem")?;
        let tpm = read("tpm-1.hub.key")?;
        for device in [
            Device::with_pem(&server, "cert-1", &issued)?,
            Device::with_key(&server, "tpm-1", &tpm)?,
        ] {
            device.connect(&hub).await?.twin().await?;
        }
        // The twin of a device that has no enrollment, with everything that it had.
        let show = data.answer("hub device-identity show -d sas-1")?;
        let key = show.pointer("/authentication/symmetricKey/primaryKey");
        let key = key.and_then(Value::as_str).context("no key")?;
        let device = Device::with_key(&server, "sas-1", key)?;
        let twin = device.connect(&hub).await?.twin().await?;
        let before = data.answer("hub device-twin show -d sas-1")?;
        for part in ["desired", "reported"] {
            // Its configuration is applied now: desired properties have a newer version.
            let newer = ["$metadata", "$version"];
            let before = &before["properties"][part];
            let lost = sim::lost_members(part, before, &twin[part], &newer);
            ensure!(lost.is_empty(), "{lost:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn new_devices_come_through_the_old_enrollments() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        for group in ["factory", "line", "uploaded", "certified", "nearest"] {
            let identity = data.workshop(group).issue(&format!("new-{group}"))?;
            let device = Device::with_certificate(&server, &identity)?;
            let hub = device.assigned_hub().await?;
            device.connect(&hub).await?.twin().await?;
        }
        let tags = server.muster("hub device-twin show -d new-nearest").await?;
        ensure!(tags["tags"] == json!({"environment": "test"}), "{tags}");
        let derive = "dps enrollment-group compute-device-key --enrollment-id keyed";
        let key = server
            .muster(&format!("{derive} --registration-id new-keyed"))
            .await?;
        let key = key
            .as_str()
            .or(key["deviceKey"].as_str())
            .context("no key")?;
        Device::with_key(&server, "new-keyed", key)?
            .assigned_hub()
            .await?;
        let tenant = data.fact("/tenant/idScope")?;
        let identity = data.workshop("tenant").issue("new-tenant")?;
        let device = Device::with_certificate(&server, &identity)?;
        device.in_scope(tenant).assigned_hub().await?;
    }
    Ok(())
}

#[tokio::test]
async fn devices_that_were_kept_out_stay_out_until_an_operator_lets_them_in() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        for (workshop, id) in [
            ("factory", "dev-5"),
            ("closed", "closed-1"),
            ("withdrawn", "gone-ca-1"),
            ("unlisted", "nobody-1"),
        ] {
            let identity = data.workshop(workshop).identity(id);
            let refused = Device::with_certificate(&server, &identity)?
                .register()
                .await?;
            ensure!(refused.0 == 401, "{id}: {refused:?}");
        }
        server.muster("dps unblock --registration-id dev-5").await?;
        let identity = data.workshop("factory").identity("dev-5");
        let device = Device::with_certificate(&server, &identity)?;
        works_where_it_did(&data, &device, "dev-5").await?;
        let update = "dps enrollment-group update --enrollment-id closed";
        server
            .muster(&format!("{update} --provisioning-status enabled"))
            .await?;
        let identity = data.workshop("closed").identity("closed-1");
        let device = Device::with_certificate(&server, &identity)?;
        works_where_it_did(&data, &device, "closed-1").await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_was_unfinished_is_finished() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let (webhook, remote) = (data.webhook().await?, data.open_remote().await?);
        let key = data.answer("dps allocation key")?["key"].as_str();
        webhook.trust(key.context("no key")?)?;
        webhook.answer_now();
        let server = data.open().await?;
        let there = server
            .wait_for_registration("waits-abroad-1", "assigned")
            .await?;
        ensure!(there["assignedHub"] == remote.host(), "{there}");
        remote
            .muster("hub device-identity show -d waits-abroad-1")
            .await?;
        until("the remote tasks", Duration::from_secs(60), || async {
            let blocked = remote
                .muster("hub device-identity show -d abroad-2")
                .await?;
            ensure!(blocked["status"] == "disabled", "{blocked}");
            let removed = remote
                .try_muster("hub device-identity show -d abroad-3")
                .await?;
            ensure!(removed.code == Some(1), "{removed:?}");
            Ok(())
        })
        .await?;
        let asked = server
            .wait_for_registration("waits-asked-1", "assigned")
            .await?;
        ensure!(asked["payload"]["for"] == "waits-asked-1", "{asked}");
    }
    Ok(())
}

#[tokio::test]
async fn the_audit_goes_on_from_the_record_where_it_ended() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        let streams = data
            .answer("audit verify")?
            .as_array()
            .context("no streams")?;
        ensure!(streams.len() == 3, "{streams:?}");
        let mut verify = "audit verify".to_owned();
        for stream in streams {
            // The programs of that time called a stream a book.
            let (name, number) = (stream["book"].as_str(), &stream["last"]);
            let hash = stream["hash"].as_str().context("no hash")?;
            verify.push_str(&format!(
                " --known {}:{number}:{hash}",
                name.context("no name")?
            ));
        }
        server
            .muster("dps policy create --policy-name added --rights EnrollmentRead")
            .await?;
        let identity = data.workshop("factory").issue("audited")?;
        Device::with_certificate(&server, &identity)?
            .assigned_hub()
            .await?;
        let identity = data.workshop("unlisted").issue("refused")?;
        Device::with_certificate(&server, &identity)?
            .register()
            .await?;
        let verified = until("the new records", Duration::from_secs(20), || async {
            let verified = server.muster(&verify).await?;
            for before in streams {
                let all = verified.as_array().context("no streams")?;
                let now = all.iter().find(|now| now["stream"] == before["book"]);
                let now = now.with_context(|| verified.to_string())?;
                ensure!(now["last"].as_u64() > before["last"].as_u64(), "{verified}");
            }
            Ok(verified)
        });
        verified.await?;
    }
    Ok(())
}

#[tokio::test]
async fn telemetry_is_read_from_its_first_event() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        let identity = data.workshop("factory").identity("dev-1");
        let device = Device::with_certificate(&server, &identity)?;
        let status = device.send(&server.host(), "{\"new\":true}").await?;
        ensure!(status.is_success(), "{status}");
        let read = server
            .try_muster("hub monitor-events --timeout 2")
            .await?
            .ok()?;
        let events: Vec<Value> = read
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        ensure!(
            events.len() as u64 == data.events()? + 1,
            "{}",
            events.len()
        );
        let offsets: BTreeSet<u64> = events.iter().filter_map(|e| e["offset"].as_u64()).collect();
        ensure!(
            offsets.len() == events.len(),
            "each has a number of its own"
        );
        let from = |event: &Value| event["deviceId"].as_str().map(str::to_owned);
        ensure!(events.first().and_then(from).as_deref() == Some("sas-1"));
        ensure!(events.last().and_then(from).as_deref() == Some("dev-1"));
        let stamped = events
            .iter()
            .find(|event| event["properties"]["number"] == "42");
        ensure!(stamped.is_some(), "properties are kept");
    }
    Ok(())
}

#[tokio::test]
async fn deployments_go_on_choosing_devices() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let server = data.open().await?;
        server
            .muster("hub device-twin update -d lower-1 --tags '{\"environment\":\"test\"}'")
            .await?;
        until("the deployment", Duration::from_secs(20), || async {
            let described = server
                .muster("edge deployment show --deployment-id base")
                .await?;
            let targeted = &described["systemMetrics"]["results"]["targetedCount"];
            let before = data.answer("edge deployment show --deployment-id base")?;
            let before = before["systemMetrics"]["results"]["targetedCount"].as_u64();
            ensure!(
                targeted.as_u64() == before.map(|count| count + 1),
                "{described}"
            );
            let twin = server
                .muster("hub module-twin show -d lower-1 -m '$edgeAgent'")
                .await?;
            ensure!(
                twin["configurations"]["base"]["status"] == "Applied",
                "{twin}"
            );
            Ok(())
        })
        .await?;
        server
            .muster("edge deployment delete --deployment-id base")
            .await?;
        until("the one below", Duration::from_secs(20), || async {
            let twin = server
                .muster("hub module-twin show -d lower-1 -m '$edgeAgent'")
                .await?;
            ensure!(
                twin["configurations"]["lower"]["status"] == "Applied",
                "{twin}"
            );
            Ok(())
        })
        .await?;
    }
    Ok(())
}
