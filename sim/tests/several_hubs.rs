//! Hubs and provisioning services that are added to a running server: there at once, trusted at
//! once, and there after kill -9.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sim::{Device, Server, Workshop};

/// Host names that only this test can resolve; they lead to the server.
const SECOND: &str = "second.hub.test";
const THIRD: &str = "third.hub.test";
const TENANT: &str = "factory.dps.test";

async fn create_hub(server: &Server, name: &str, host: &str, weight: u64) -> Result<()> {
    let create = format!("hub create --name {name} --hostname {host}");
    let created = server.muster(&create).await?;
    ensure!(created["hostName"] == host, "{created}");
    let answer = server.muster("show").await?;
    let hubs = answer["hubs"].as_array().context("no hubs")?;
    let listed = hubs.iter().any(|hub| hub["name"] == name);
    ensure!(listed, "show lists it at once: {answer}");
    let link = format!("hub link --name {name} --apply-allocation-policy true");
    let linked = server
        .muster(&format!("{link} --allocation-weight {weight}"))
        .await?;
    ensure!(linked["allocationWeight"] == weight, "{linked}");
    Ok(())
}

/// Registers devices; the hub of each.
async fn fleet(
    server: &Server,
    workshop: &Workshop,
    count: usize,
) -> Result<BTreeMap<String, String>> {
    let mut hubs = BTreeMap::new();
    for number in 0..count {
        let identity = workshop.issue(&format!("dev-{number:02}"))?;
        let hub = Device::with_certificate(server, &identity)?
            .assigned_hub()
            .await?;
        hubs.insert(identity.name, hub);
    }
    Ok(hubs)
}

#[tokio::test]
async fn hubs_that_are_added_get_their_devices_and_outlive_a_kill() -> Result<()> {
    let mut server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    create_hub(&server, "second", SECOND, 2).await?;
    create_hub(&server, "third", THIRD, 3).await?;
    let hubs = fleet(&server, &workshop, 24).await?;
    let first = server.host();
    let hosts = [first.as_str(), SECOND, THIRD];
    for host in hosts {
        ensure!(hubs.values().any(|hub| hub == host), "{host}: {hubs:?}");
    }
    for (id, hub) in hubs.iter().take(6) {
        let device = Device::with_certificate(&server, &workshop.identity(id))?;
        let status = device.send(hub, "{}").await?;
        ensure!(status.is_success(), "{id} at {hub}: {status}");
        let other = hosts.into_iter().find(|host| host != hub);
        let status = device.send(other.context("a hub")?, "{}").await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{id}: {status}");
    }
    let unproven = Device::with_nothing(&server, "dev-00")?;
    ensure!(unproven.connack(SECOND).await? == 5, "a hub, but no proof");

    let (id, _) = hubs.iter().find(|(_, hub)| *hub == THIRD).context("none")?;
    server.muster("hub unlink --name third").await?;
    server.kill()?;
    server.start_again().await?;
    let show = "dps enrollment-group registration show --registration-id";
    let unlinked = server.muster(&format!("{show} {id}")).await?;
    let message = unlinked["errorMessage"].as_str().unwrap_or_default();
    ensure!(message.contains("no longer linked"), "{unlinked}");
    let device = Device::with_certificate(&server, &workshop.identity(id))?;
    let status = device.send(THIRD, "{}").await?;
    ensure!(status.is_success(), "an unlinked hub is a hub: {status}");
    ensure!(device.assigned_hub().await? != THIRD, "it chose again");
    let answer = server.muster("show").await?;
    ensure!(
        answer["hubs"].as_array().map(Vec::len) == Some(3),
        "{answer}"
    );
    let links = &answer["services"][0]["linkedHubs"];
    ensure!(links[1]["allocationWeight"] == 2, "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_tenant_has_an_id_scope_and_keys_of_its_own() -> Result<()> {
    let mut server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let create = format!("dps create --name factory --hostname {TENANT}");
    let created = server.muster(&create).await?;
    let scope = created["idScope"].as_str().context("no scope")?;
    let string = created["connectionString"].as_str().context("no string")?;
    // Under its own name, which the certificate covers since the answer.
    let put = |connection: String, path: &'static str, body| {
        let (server, path) = (&server, format!("{path}?api-version=2021-10-01"));
        async move {
            server
                .operate_as(&connection, Method::PUT, &path, Some(&body))
                .await
        }
    };
    let hub = json!({ "connectionString": server.show("/hubs/0/connectionString")? });
    put(string.to_owned(), "/muster/v1/dps/linkedHubs/hub", hub).await?;
    let root = json!({ "certificate": std::fs::read_to_string(workshop.root())? });
    let group = json!({
        "enrollmentGroupId": "factory",
        "attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": root}}},
    });
    put(
        string.to_owned(),
        "/enrollmentGroups/factory",
        group.clone(),
    )
    .await?;
    let wrong = string.replace(TENANT, &server.host());
    let refused = put(wrong, "/enrollmentGroups/factory", group).await;
    ensure!(refused.is_err(), "a tenant's key opens no other service");

    let at_first = Device::with_certificate(&server, &workshop.issue("dev-1")?)?;
    let device = at_first.clone().in_scope(scope);
    ensure!(device.assigned_hub().await? == server.host());
    let refused = at_first.register().await?;
    ensure!(refused.0 == 401, "it is not enrolled there: {refused:?}");
    server.kill()?;
    server.start_again().await?;
    ensure!(device.assigned_hub().await? == server.host());
    let services = server.muster("dps list").await?;
    ensure!(services[1]["idScope"] == scope, "{services}");
    ensure!(server.show("/services/1/connectionString")? == string);
    Ok(())
}

#[tokio::test]
async fn a_policy_opens_what_its_rights_say_as_long_as_it_is_there() -> Result<()> {
    let server = Server::start().await?;
    let create = "dps policy create --policy-name reader";
    let rights = "--rights EnrollmentRead RegistrationStatusRead";
    let policy = server.muster(&format!("{create} {rights}")).await?;
    let key = policy["primaryKey"].as_str().context("no key")?;
    let host = server.host();
    let reader = format!("HostName={host};SharedAccessKeyName=reader;SharedAccessKey={key}");
    let read = server
        .try_muster_as(&reader, "dps enrollment-group list")
        .await?;
    ensure!(read.code == Some(0), "{read:?}");
    let configured = server.try_muster_as(&reader, "dps policy list").await?;
    ensure!(configured.code == Some(1), "it may not configure");
    server
        .muster("dps policy delete --policy-name reader")
        .await?;
    let read = server
        .try_muster_as(&reader, "dps enrollment-group list")
        .await?;
    ensure!(read.code == Some(1), "it is gone");
    Ok(())
}
