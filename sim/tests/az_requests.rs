//! The requests of `az iot hub` and `az iot edge` as they were recorded, one after another against
//! one server, and their answers. What is written `{{name}}` in the recording is bound by the first
//! answer that has it; `{{*}}` is anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, Response};
use serde_json::Value;
use sim::{ClientsPage, Device, Server, until};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/az/hub_requests.json");
/// The chosen key of the device and the module that answer methods.
const KEY: &str = "QUFBQUFBQUFBQUFBQUFBQQ==";
/// How long a read may take to show what was written in the background.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Numbers that a deployment may raise meanwhile, if it reaches the device before it is deleted.
const VERSIONS: [&str; 3] = ["version", "$version", "$lastUpdatedVersion"];

/// Values of this server for names of the recording.
type Bindings = BTreeMap<String, String>;

fn recording() -> Result<Value> {
    let text = std::fs::read_to_string(RECORDING)?;
    Ok(serde_json::from_str(&text)?)
}

fn list<'a>(value: &'a Value, member: &str) -> Result<&'a Vec<Value>> {
    value[member]
        .as_array()
        .with_context(|| format!("no {member}"))
}

fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str> {
    value[member]
        .as_str()
        .with_context(|| format!("no {member}"))
}

/// A text of the recording with the values of this server.
fn filled(text: &str, bindings: &Bindings) -> String {
    bindings
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), value)
        })
}

/// Everything that `wanted` says is in `seen`. Binds the names that have no value.
fn matches(wanted: &Value, seen: &Value, place: &str, bindings: &mut Bindings) -> Result<()> {
    match (wanted, seen) {
        (Value::Object(wanted), Value::Object(seen)) => {
            for (name, value) in wanted {
                let found = seen.get(name).unwrap_or(&Value::Null);
                if VERSIONS.contains(&name.as_str()) && value.is_u64() && found.is_u64() {
                    continue;
                }
                matches(value, found, &format!("{place}/{name}"), bindings)?;
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(seen)) => {
            ensure!(
                wanted.len() == seen.len(),
                "{place} has {} items: {seen:?}",
                seen.len()
            );
            let mut pairs = wanted.iter().zip(seen).enumerate();
            pairs.try_for_each(|(index, (wanted, seen))| {
                matches(wanted, seen, &format!("{place}/{index}"), bindings)
            })
        }
        (Value::String(wanted), Value::String(seen)) => {
            let fits = matches_text(&filled(wanted, bindings), seen, bindings);
            ensure!(fits, "{place} is {seen:?}, not {wanted:?}");
            Ok(())
        }
        _ => {
            ensure!(wanted == seen, "{place} is {seen}, not {wanted}");
            Ok(())
        }
    }
}

fn matches_text(wanted: &str, seen: &str, bindings: &mut Bindings) -> bool {
    let Some((before, (name, after))) = wanted
        .split_once("{{")
        .and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    else {
        return wanted == seen;
    };
    let Some(value) = seen
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
    else {
        return false;
    };
    if name != "*" {
        bindings.insert(name.to_owned(), value.to_owned());
    }
    !value.is_empty()
}

/// A server, and the recording as far as it was replayed.
struct Replay {
    server: Server,
    client: reqwest::Client,
    /// What every request of `az` has beside its own.
    headers: Value,
    bindings: Bindings,
}

impl Replay {
    async fn start(recording: &Value) -> Result<Self> {
        let server = Server::start().await?;
        let host = ("host".to_owned(), server.host().to_string());
        Ok(Self {
            client: server.client()?,
            server,
            headers: recording["headers"].clone(),
            bindings: Bindings::from([host]),
        })
    }

    /// Sends a recorded request until its answer is the recorded one: once, or as often as a read
    /// needs.
    async fn replay(&mut self, request: &Value) -> Result<()> {
        let target = text(request, "target")?;
        let reads = request["method"] == "GET" || target.starts_with("/devices/query?");
        let what = format!("{} {target}", request["method"]);
        let bindings = match reads {
            true => until(&what, SETTLED_WITHIN, || self.ask(request)).await,
            false => self.ask(request).await,
        };
        self.bindings = bindings.context(what)?;
        Ok(())
    }

    async fn ask(&self, request: &Value) -> Result<Bindings> {
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.text().await?;
        ensure!(request["status"] == status, "status {status}: {body}");
        let mut bindings = self.bindings.clone();
        let wanted = request["answerHeaders"].as_object();
        for (name, value) in wanted.into_iter().flatten() {
            let seen = headers
                .get(name)
                .with_context(|| format!("no header {name}"))?;
            let seen = Value::from(seen.to_str()?.trim_matches('"'));
            matches(value, &seen, name, &mut bindings)?;
        }
        match request.get("answer") {
            Some(Value::String(text)) => ensure!(*text == body, "{body:?}, not {text:?}"),
            Some(wanted) => matches(wanted, &serde_json::from_str(&body)?, "", &mut bindings)?,
            None => ensure!(body.is_empty(), "an answer without a body has {body:?}"),
        }
        Ok(bindings)
    }

    async fn send(&self, request: &Value) -> Result<Response> {
        let fill = |text: &str| filled(text, &self.bindings);
        let method = Method::from_bytes(text(request, "method")?.as_bytes())?;
        let url = format!(
            "https://{}{}",
            self.server.host(),
            fill(text(request, "target")?)
        );
        let token = match request["resource"].as_str() {
            Some(path) => self.server.hub_owner_token_for(path)?,
            None => self.server.hub_owner_token()?,
        };
        let mut sent = self
            .client
            .request(method, url)
            .header("authorization", token);
        for headers in [&self.headers, &request["headers"]] {
            for (name, value) in headers.as_object().into_iter().flatten() {
                sent = sent.header(name, fill(value.as_str().context("no text")?));
            }
        }
        if let Some(body) = request.get("body") {
            sent = sent.body(fill(&body.to_string()));
        }
        Ok(sent.send().await?)
    }

    /// A device and its module connect, and answer methods from now on.
    async fn connect(&self) -> Result<()> {
        for id in ["press-1", "press-1/camera"] {
            let device = Device::with_key(&self.server, id, KEY)?;
            let mut session = device.connect(&self.server.host()).await?;
            session.subscribe("$iothub/methods/POST/#").await?;
            session
                .report(&serde_json::json!({"firmware": "1.2.3"}))
                .await?;
            tokio::spawn(session.echo_methods());
        }
        Ok(())
    }
}

#[tokio::test]
async fn every_recorded_request_of_az_is_answered_as_recorded() -> Result<()> {
    let recording = recording()?;
    let mut replay = Replay::start(&recording).await?;
    for step in list(&recording, "steps")? {
        if let Some(line) = step["operator"].as_str() {
            replay.server.muster(line).await?;
        } else if step["device"] == "connects" {
            replay.connect().await?;
        } else {
            for request in list(step, "requests")? {
                let done = replay.replay(request).await;
                done.with_context(|| step["command"].to_string())?;
            }
        }
    }
    Ok(())
}

/// The names of a command, without its flags and their values.
fn names(command: &str) -> String {
    let words = command.split(' ').take_while(|word| !word.starts_with('-'));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_names_the_commands_that_are_replayed() -> Result<()> {
    let recording = recording()?;
    let steps = list(&recording, "steps")?;
    let mut replayed: BTreeSet<String> = steps
        .iter()
        .filter_map(|step| Some(names(step["command"].as_str()?)))
        .collect();
    let page = ClientsPage::read()?;
    for (command, says) in page.rows("`az`")? {
        match says {
            "works" => ensure!(replayed.remove(command), "{command} is not replayed"),
            says if says.starts_with("works: ") => drop(replayed.remove(command)),
            says => {
                ensure!(says.starts_with("not offered"), "{command}: {says}");
                ensure!(!replayed.contains(command), "{command} is replayed");
            }
        }
    }
    ensure!(replayed.is_empty(), "the page lacks {replayed:?}");
    Ok(())
}
