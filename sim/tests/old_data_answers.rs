//! Data directories of earlier programs give the answers that these gave.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use sim::{OldData, Server, lost_members};

/// What a running server sees for itself, and the file that it writes its CA to.
const OBSERVED: [&str; 2] = ["health", "serverCa"];
/// What the first of the programs did not store of sessions, and what it said of desired properties
/// that were never written.
const NO_LONGER_SAID: [&str; 4] = [
    "connectionState",
    "connectionStateUpdatedTime",
    "lastActivityTime",
    "$lastUpdatedVersion",
];

/// An answer of an earlier program in the words of this one: audit records named their stream
/// `book`, and enrollments had their issuer as in previews of Azure's.
fn in_words_of_today(line: &str, mut before: Value) -> Value {
    if line.starts_with("dps enrollment") {
        name_issuers(&mut before);
    }
    if line.starts_with("audit list") {
        for record in before.as_array_mut().into_iter().flatten() {
            let stream = record
                .as_object_mut()
                .and_then(|members| members.remove("book"));
            record["stream"] = stream.unwrap_or_default();
        }
    }
    before
}

fn name_issuers(answer: &mut Value) {
    match answer {
        Value::Array(items) => items.iter_mut().for_each(name_issuers),
        Value::Object(members) => {
            let policy = members.remove("clientCertificateIssuancePolicy");
            let named = policy.map(|mut policy| policy["certificateAuthorityName"].take());
            if let Some(issuer) = members.remove("credentialPolicyName").or(named) {
                members.insert("certificateAuthorityName".to_owned(), issuer);
            }
        }
        _ => {}
    }
}

/// A device for which the earlier programs stored configurations of devices and modules, which they
/// did not apply.
const CONFIGURED_NOW: &str = "sas-1";
/// What is newer in its twins, because they were written once more.
const WRITTEN_AGAIN: [&str; 5] = ["etag", "version", "$version", "$metadata", "configurations"];

/// A twin without what tells when it was written, if it was written since.
fn as_first_written(mut before: Value) -> Value {
    match &mut before {
        Value::Array(twins) => twins
            .iter_mut()
            .for_each(|twin| *twin = as_first_written(twin.take())),
        Value::Object(twin) if twin.get("deviceId").is_some_and(|id| id == CONFIGURED_NOW) => {
            forget_writing(&mut before);
        }
        _ => {}
    }
    before
}

fn forget_writing(part: &mut Value) {
    let Some(members) = part.as_object_mut() else {
        return;
    };
    members.retain(|name, _| !WRITTEN_AGAIN.contains(&name.as_str()));
    members.values_mut().for_each(forget_writing);
}

/// A list in the order of a member; its own order is promised to nobody.
fn by(list: Value, member: &str) -> Value {
    let mut list = list.as_array().cloned().unwrap_or_default();
    list.sort_by_key(|item| item[member].to_string());
    list.into()
}

fn joined(one: Value, other: Value) -> Value {
    let both = [one, other].into_iter();
    let items = both.flat_map(|list| list.as_array().cloned().unwrap_or_default());
    items.collect()
}

/// The last `count` of a list: what is newer stands before them.
fn oldest(list: &Value, count: usize) -> Value {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    all[all.len().saturating_sub(count)..].to_vec().into()
}

async fn compare(data: &OldData, server: &Server, writer: &str) -> Result<()> {
    let (mut skipped, mut found) = (OBSERVED.to_vec(), Vec::new());
    if writer == OldData::WRITERS[0] {
        skipped.extend(NO_LONGER_SAID);
    }
    for (line, before) in data.commands()? {
        let mut now = server.muster(line).await?;
        let mut before = in_words_of_today(line, before.clone());
        match line {
            "audit verify" => continue,
            _ if line.contains("-twin ") => before = as_first_written(before),
            // The earlier programs listed configurations of devices and modules with deployments.
            "edge deployment list" => {
                let others = server.muster("hub configuration list").await?;
                (before, now) = (by(before, "id"), by(joined(now, others), "id"));
            }
            _ if line.starts_with("hub query") => {
                (before, now) = (
                    as_first_written(by(before, "deviceId")),
                    by(now, "deviceId"),
                );
            }
            _ if line.starts_with("audit list") => {
                now = oldest(&now, before.as_array().map_or(0, Vec::len));
            }
            _ => {}
        }
        found.extend(lost_members(line, &before, &now, &skipped));
    }
    for request in data.requests()? {
        let now = repeat(data, request, server).await?;
        let path = request["path"].to_string();
        found.extend(lost_members(&path, &request["answer"], &now, &skipped));
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// Makes a request of the earlier operator once more.
async fn repeat(data: &OldData, request: &Value, server: &Server) -> Result<Value> {
    let text = |name: &str| request[name].as_str().context(name.to_owned());
    let show = data.answer("show")?;
    let connection = match text("who")?.split_once(' ') {
        Some(("hub", name)) => {
            let mut hubs = show["hubs"].as_array().into_iter().flatten();
            let hub = hubs
                .find(|hub| hub["name"] == name)
                .context("no such hub")?;
            hub["connectionString"].as_str().context("no string")?
        }
        _ => data.fact("/tenant/connectionString")?,
    };
    let path = format!("{}?api-version={}", text("path")?, text("version")?);
    let method = Method::from_bytes(text("method")?.as_bytes())?;
    let body = Some(&request["body"]).filter(|body| !body.is_null());
    server.operate_as(connection, method, &path, body).await
}

fn migrations(server: &Server) -> usize {
    let log = server.log();
    log.lines().filter(|line| line.contains("migrat")).count()
}

#[tokio::test]
async fn everything_is_as_the_earlier_program_said_and_is_migrated_once() -> Result<()> {
    for writer in OldData::WRITERS {
        let data = OldData::written_by(writer)?;
        let (_webhook, mut server) = (data.webhook().await?, data.open().await?);
        compare(&data, &server, writer).await?;
        let migrated = migrations(&server);
        ensure!(
            migrated > 0 || writer != OldData::WRITERS[0],
            "{}",
            server.log()
        );
        server.kill()?;
        server.start_again().await?;
        compare(&data, &server, writer)
            .await
            .context("after kill -9")?;
        ensure!(migrations(&server) == migrated, "{}", server.log());
    }
    Ok(())
}
