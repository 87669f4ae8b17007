//! The day of an operator without a provisioning service: identities, tokens, telemetry and digital
//! twins by `muster hub` and `muster device`.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::Server;

const DEVICE: &str = "hub device-identity";
const MODULE: &str = "hub module-identity";
const THUMBPRINT: &str = "AB0123456789ABCDEF0123456789ABCDEF012345";

fn key<'a>(identity: &'a Value, name: &str) -> Result<&'a str> {
    let key = identity["authentication"]["symmetricKey"][name].as_str();
    key.with_context(|| format!("no {name} in {identity}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_created_changed_and_deleted_by_commands() -> Result<()> {
    let server = Server::start().await?;
    let created = server
        .muster(&format!(
            "{DEVICE} create -d dev-1 --status disabled --star new"
        ))
        .await?;
    assert_eq!(created["status"], "disabled");
    assert_eq!(created["statusReason"], "new");
    let keys = (key(&created, "primaryKey")?, key(&created, "secondaryKey")?);
    let again = server
        .try_muster(&format!("{DEVICE} create -d dev-1"))
        .await?;
    ensure!(again.code == Some(1), "{again:?}");
    let enabled = server
        .muster(&format!("{DEVICE} update -d dev-1 --sta enabled"))
        .await?;
    assert_eq!(enabled["status"], "enabled");
    assert_eq!(key(&enabled, "primaryKey")?, keys.0);
    let changed = server
        .muster(&format!(
            "{DEVICE} update -d dev-1 --sk c2Vjb25kYXJ5LWtleS1vZi1kZXYtMQ=="
        ))
        .await?;
    assert_eq!(key(&changed, "primaryKey")?, keys.0);
    assert_eq!(
        key(&changed, "secondaryKey")?,
        "c2Vjb25kYXJ5LWtleS1vZi1kZXYtMQ=="
    );
    let stale = format!("{DEVICE} update -d dev-1 --sta disabled --etag bm9uZQ==");
    let refused = server.try_muster(&stale).await?;
    ensure!(refused.stderr.contains("412"), "{refused:?}");

    server.muster(&format!("{DEVICE} create -d dev-2")).await?;
    server
        .muster(&format!("{DEVICE} create -d edge-1 --ee --am x509_ca"))
        .await?;
    let mut edge = server.muster(&format!("{DEVICE} list --ee")).await?;
    let rest = server.muster(&format!("{DEVICE} list --ee false")).await?;
    let ids = |rows: &Value| {
        let rows = rows.as_array().into_iter().flatten();
        let mut ids: Vec<_> = rows.map(|row| row["deviceId"].clone()).collect();
        ids.sort_by_key(Value::to_string);
        ids
    };
    assert_eq!(ids(&edge.take()), ["edge-1"]);
    assert_eq!(ids(&rest), ["dev-1", "dev-2"]);
    server.muster(&format!("{DEVICE} delete -d dev-2")).await?;
    let printed = server
        .try_muster(&format!("{DEVICE} show -d dev-2"))
        .await?;
    ensure!(printed.stderr.contains("404"), "{printed:?}");
    Ok(())
}

/// What has no keys gets none by the way, and a refusal says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_certificate_keeps_it() -> Result<()> {
    let server = Server::start().await?;
    let of_thumbprint = format!("{DEVICE} create -d dev-2 --am x509_thumbprint --ptp {THUMBPRINT}");
    let created = server.muster(&of_thumbprint).await?;
    assert_eq!(created["authentication"]["type"], "selfSigned");
    for keys in [
        "update -d dev-2 --pk c2Vjb25kYXJ5LWtleS1vZi1kZXYtMQ==",
        "renew-key -d dev-2 --kt primary",
        "renew-key -d nobody --kt primary",
    ] {
        let refused = server.try_muster(&format!("{DEVICE} {keys}")).await?;
        let is_explained = !refused.stderr.contains("Bad Request");
        ensure!(refused.code != Some(0) && is_explained, "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_have_the_verbs_of_devices() -> Result<()> {
    let server = Server::start().await?;
    server.muster(&format!("{DEVICE} create -d dev-1")).await?;
    let camera = "-d dev-1 -m camera";
    let created = server.muster(&format!("{MODULE} create {camera}")).await?;
    let renewed = server
        .muster(&format!("{MODULE} renew-key {camera} --kt primary"))
        .await?;
    assert_ne!(key(&renewed, "primaryKey")?, key(&created, "primaryKey")?);
    assert_eq!(
        key(&renewed, "secondaryKey")?,
        key(&created, "secondaryKey")?
    );
    let printed = server
        .muster(&format!(
            "{MODULE} connection-string show {camera} --kt secondary"
        ))
        .await?;
    let expected = format!(
        "HostName={};DeviceId=dev-1;ModuleId=camera;SharedAccessKey={}",
        server.host(),
        key(&created, "secondaryKey")?
    );
    assert_eq!(printed["connectionString"], expected);
    let with_ca = server
        .muster(&format!("{MODULE} update {camera} --am x509_ca"))
        .await?;
    assert_eq!(with_ca["authentication"]["type"], "certificateAuthority");
    server.muster(&format!("{MODULE} delete {camera}")).await?;
    let modules = server.muster(&format!("{MODULE} list -d dev-1")).await?;
    assert_eq!(modules, json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_what_they_were_made_for() -> Result<()> {
    let server = Server::start().await?;
    server.muster(&format!("{DEVICE} create -d dev-1")).await?;
    let token = async |flags: &str| -> Result<String> {
        let answer = server
            .muster(&format!("hub generate-sas-token {flags}"))
            .await?;
        Ok(answer["sas"].as_str().context("no token")?.to_owned())
    };
    let status = async |path: &str, token: &str| -> Result<u16> {
        let url = format!("https://{}{path}?api-version=2021-04-12", server.host());
        let request = server.client()?.get(url).header("authorization", token);
        Ok(request.send().await?.status().as_u16())
    };
    let (policy, device) = (token("").await?, token("-d dev-1 --du 60").await?);
    let queue = "/devices/dev-1/messages/deviceBound";
    assert_eq!(status("/devices/dev-1", &policy).await?, 200);
    assert_eq!(status("/devices/dev-1", &device).await?, 401);
    assert_eq!(status(queue, &device).await?, 204);

    // The connection string that is printed opens the hub for other commands.
    let printed = server.muster("hub connection-string show").await?;
    let text = printed["connectionString"].as_str().context("no string")?;
    let listed = server
        .try_muster_as(text, &format!("{DEVICE} list"))
        .await?;
    ensure!(listed.ok()?.contains("dev-1"));

    // Other policies have fewer rights; the command of a connection string knows only its own.
    let show = "hub connection-string show --pn registryRead";
    let reader = server.muster(&format!("{show} --kt secondary")).await?;
    let reader = reader["connectionString"].as_str().context("no string")?;
    server
        .try_muster_as(reader, &format!("{DEVICE} list"))
        .await?
        .ok()?;
    let delete = format!("{DEVICE} delete -d dev-1");
    let refused = server.try_muster_as(reader, &delete).await?;
    ensure!(refused.stderr.contains("401"), "{refused:?}");
    let refused = server.try_muster_as(text, show).await?;
    ensure!(refused.code == Some(2), "{refused:?}");
    let secondary = token("--pn registryRead --kt secondary").await?;
    assert_eq!(status("/devices/dev-1", &secondary).await?, 200);
    let all = server.muster("hub connection-string show --all").await?;
    assert_eq!(all.as_array().map(Vec::len), Some(5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sends_telemetry_in_the_place_of_a_device() -> Result<()> {
    let server = Server::start().await?;
    server.muster(&format!("{DEVICE} create -d dev-1")).await?;
    let send = "device send-d2c-message -d dev-1 --data '{\"t\":21}'";
    server
        .muster(&format!(
            "{send} -p '$.ct=application/json;$.mid=m1;Level=é'"
        ))
        .await?;
    let read = "hub monitor-events --timeout 1 --properties all --device-id dev-1";
    let printed = server.try_muster(read).await?.ok()?;
    let event: Value = serde_json::from_str(&printed)?;
    assert_eq!(event["body"], json!({"t": 21}));
    assert_eq!(event["properties"], json!({"Level": "é"}));
    assert_eq!(event["systemProperties"]["message-id"], "m1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digital_twin_is_shown_and_changed_by_commands() -> Result<()> {
    let server = Server::start().await?;
    server.muster(&format!("{DEVICE} create -d dev-1")).await?;
    let patch = r#"'{"op":"add","path":"/target","value":54}'"#;
    let update = format!("hub digital-twin update -d dev-1 --json-patch {patch}");
    let changed = server.muster(&update).await?;
    assert_eq!(changed["$dtId"], "dev-1");
    let twin = server.muster("hub device-twin show -d dev-1").await?;
    assert_eq!(twin["properties"]["desired"]["target"], 54);
    let printed = server.muster("hub digital-twin show -d dev-1").await?;
    assert_eq!(printed, changed);
    let call = "hub digital-twin invoke-command -d dev-1 --cn reboot --rto 5";
    let absent = server.try_muster(call).await?;
    ensure!(absent.stderr.contains("404"), "{absent:?}");
    let metrics = server.metrics().await?;
    let counted = "muster_hub_methods_total{result=\"not_online\"} 1";
    ensure!(metrics.contains(counted), "{metrics}");
    ensure!(
        metrics.contains("muster_hub_jobs_open{state=\"begun\"} 0"),
        "{metrics}"
    );
    Ok(())
}

/// Files of no byte, of one block and of several.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_uploads_files_in_the_place_of_a_device() -> Result<()> {
    let server = Server::start().await?;
    server.muster(&format!("{DEVICE} create -d dev-1")).await?;
    let folder = tempfile::tempdir()?;
    for (name, size) in [("empty", 0), ("a b.log", 100), ("large", 9_000_001_usize)] {
        let content: Vec<u8> = (0_u32..).flat_map(u32::to_le_bytes).take(size).collect();
        let file = folder.path().join(name);
        std::fs::write(&file, &content)?;
        let upload = format!(
            "device upload-file -d dev-1 --file-path '{}'",
            file.display()
        );
        let answer = server.muster(&upload).await?;
        assert_eq!(
            answer,
            json!({"blobName": format!("dev-1/{name}"), "bytes": size})
        );
        let stored = server.data_dir().join("uploads/hub/dev-1").join(name);
        ensure!(std::fs::read(&stored)? == content, "{}", stored.display());
    }
    let absent = "device upload-file -d dev-1 --file-path /nonexistent";
    let refused = server.try_muster(absent).await?;
    ensure!(refused.code == Some(2), "{refused:?}");
    Ok(())
}
