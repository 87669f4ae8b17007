//! `muster hub message-route`: which events go to which endpoint.

use clap::Subcommand;
use ids::{EndpointName, RouteName};
use reqwest::Method;
use serde_json::{Value, json};
use wire::muster_api::routing::{Route, Routing};
use wire::telemetry::EventSource;

use super::{exists, missing, read};
use crate::cli::argument::{object, yes_or_no};
use crate::cli::output::Format;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service};

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Source", "/source"),
    ("Endpoint", "/endpointNames/0"),
    ("Enabled", "/isEnabled"),
    ("Condition", "/condition"),
];

/// How the fallback route is called where a name of a route is asked for.
const FALLBACK: &str = "$fallback";

/// Verbs of `muster hub message-route`.
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Add a route. Messages that come from then on go to the endpoint when the condition holds.
    #[command(after_help = "Example:\n  \
            muster hub message-route create --route-name hot --source-type DeviceMessages \
            --endpoint-name hook --condition \"level = 'hot'\" --data-dir ./data")]
    Create(RouteCreate),
    /// Change a route.
    #[command(after_help = "Example:\n  \
            muster hub message-route update --route-name hot --enabled false --data-dir ./data")]
    Update(RouteUpdate),
    /// Show one route, or $fallback.
    #[command(
        after_help = "Example:\n  muster hub message-route show --route-name hot --data-dir ./data"
    )]
    Show(Name),
    /// List the routes, the fallback route last.
    #[command(
        after_help = "Example:\n  muster hub message-route list --data-dir ./data --output table"
    )]
    List,
    /// Delete a route.
    #[command(after_help = "Example:\n  \
            muster hub message-route delete --route-name hot --data-dir ./data")]
    Delete(Name),
    /// Switch the fallback route on or off: where telemetry goes that no route matches.
    #[command(after_help = "Example:\n  \
            muster hub message-route set-fallback --enabled true --data-dir ./data")]
    SetFallback {
        #[arg(long, short = 'e', value_parser = yes_or_no)]
        enabled: bool,
    },
    /// Say which routes match a message, without sending it.
    #[command(after_help = "Example:\n  \
            muster hub message-route test --route-name hot --body '{\"t\": 5}' --ap \
            '{\"level\": \"hot\"}' --data-dir ./data")]
    Test(RouteTest),
}

#[derive(Debug, clap::Args)]
pub struct Name {
    #[arg(long, visible_aliases = ["rn", "route"], short = 'n')]
    route_name: String,
}

#[derive(Debug, clap::Args)]
pub struct RouteCreate {
    #[arg(long, visible_aliases = ["rn", "route"], short = 'n')]
    route_name: RouteName,
    /// DeviceMessages, TwinChangeEvents, DeviceLifecycleEvents or another event source.
    #[arg(long, visible_alias = "source", short = 't')]
    source_type: EventSource,
    /// An endpoint of the hub; `events` is the built-in one.
    #[arg(long, visible_alias = "en")]
    endpoint_name: EndpointName,
    /// A condition in the language of routing queries.
    #[arg(long, short = 'c', default_value = "true")]
    condition: String,
    #[arg(long, short = 'e', value_parser = yes_or_no, default_value = "true")]
    enabled: bool,
}

#[derive(Debug, clap::Args)]
pub struct RouteUpdate {
    #[arg(long, visible_aliases = ["rn", "route"], short = 'n')]
    route_name: RouteName,
    #[arg(long, visible_alias = "source", short = 't')]
    source_type: Option<EventSource>,
    #[arg(long, visible_alias = "en")]
    endpoint_name: Option<EndpointName>,
    #[arg(long, short = 'c')]
    condition: Option<String>,
    #[arg(long, short = 'e', value_parser = yes_or_no)]
    enabled: Option<bool>,
}

#[derive(Debug, clap::Args)]
pub struct RouteTest {
    /// Only this route [default: all that are enabled].
    #[arg(long, visible_aliases = ["rn", "route"], short = 'n')]
    route_name: Option<String>,
    /// Only routes of this source; a named route must have it.
    #[arg(long, visible_alias = "source", short = 't')]
    source_type: Option<EventSource>,
    /// The content of the message.
    #[arg(long, short = 'b')]
    body: Option<String>,
    /// Application properties, JSON or @file.
    #[arg(long, visible_alias = "ap", value_name = "JSON")]
    app_properties: Option<String>,
    /// System properties such as contentType, JSON or @file.
    #[arg(long, visible_alias = "sp", value_name = "JSON")]
    system_properties: Option<String>,
    /// The twin of the sender, JSON or @file.
    #[arg(long, value_name = "JSON")]
    twin: Option<String>,
}

pub async fn run(command: RouteCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let answer = match command {
        RouteCommand::Create(flags) => create(flags, invocation).await?,
        RouteCommand::Update(flags) => update(flags, invocation).await?,
        RouteCommand::Show(name) => found(&read(invocation).await?.document, &name.route_name)?,
        RouteCommand::List => listed(&read(invocation).await?.document)?,
        RouteCommand::Delete(name) => delete(&name.route_name, invocation).await?,
        RouteCommand::SetFallback { enabled } => {
            let mut stored = read(invocation).await?;
            stored.document.fallback_route.is_enabled = enabled;
            serde_json::to_value(stored.write().await?.fallback_route)?
        }
        RouteCommand::Test(flags) => {
            let answer = test(flags, invocation).await?;
            return print_test(&answer, invocation.output);
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// The outcome of a test of one route.
const OUTCOME: &[Column] = &[
    ("Result", "/result"),
    ("Error", "/details/compilationErrors/0/message"),
];

/// Prints the outcome of one route, or a row for each route that matches.
fn print_test(answer: &Value, format: Format) -> anyhow::Result<()> {
    let is_for_people = matches!(format, Format::Table | Format::Tsv);
    let Some(matched) = answer["routes"].as_array().filter(|_| is_for_people) else {
        return Ok(output::print(format, answer, OUTCOME)?);
    };
    let rows: Value = matched
        .iter()
        .map(|route| &route["properties"])
        .cloned()
        .collect();
    Ok(output::print(format, &rows, COLUMNS)?)
}

fn place(document: &Routing, name: &str) -> Option<usize> {
    let mut routes = document.routes.iter();
    routes.position(|route| route.name.as_str().eq_ignore_ascii_case(name))
}

fn found(document: &Routing, name: &str) -> anyhow::Result<Value> {
    if name.eq_ignore_ascii_case(FALLBACK) {
        return Ok(serde_json::to_value(&document.fallback_route)?);
    }
    let at = place(document, name).ok_or_else(|| missing("route", name))?;
    Ok(serde_json::to_value(&document.routes[at])?)
}

fn listed(document: &Routing) -> anyhow::Result<Value> {
    let routes = document.routes.iter().map(serde_json::to_value);
    let mut rows: Vec<Value> = routes.collect::<Result<_, _>>()?;
    rows.push(serde_json::to_value(&document.fallback_route)?);
    Ok(rows.into())
}

async fn create(flags: RouteCreate, invocation: &Invocation) -> anyhow::Result<Value> {
    let mut stored = read(invocation).await?;
    let name = flags.route_name;
    if place(&stored.document, name.as_str()).is_some() {
        return Err(exists("route", name).into());
    }
    stored.document.routes.push(Route {
        name: name.clone(),
        source: flags.source_type,
        condition: flags.condition,
        endpoint_names: vec![flags.endpoint_name],
        is_enabled: flags.enabled,
    });
    found(&stored.write().await?, name.as_str())
}

async fn update(flags: RouteUpdate, invocation: &Invocation) -> anyhow::Result<Value> {
    let mut stored = read(invocation).await?;
    let name = flags.route_name.as_str();
    let at = place(&stored.document, name).ok_or_else(|| missing("route", name))?;
    let route = &mut stored.document.routes[at];
    route.source = flags.source_type.unwrap_or(route.source);
    route.is_enabled = flags.enabled.unwrap_or(route.is_enabled);
    if let Some(condition) = flags.condition {
        route.condition = condition;
    }
    if let Some(endpoint) = flags.endpoint_name {
        route.endpoint_names = vec![endpoint];
    }
    found(&stored.write().await?, name)
}

async fn delete(name: &str, invocation: &Invocation) -> anyhow::Result<Value> {
    let mut stored = read(invocation).await?;
    let at = place(&stored.document, name).ok_or_else(|| missing("route", name))?;
    stored.document.routes.remove(at);
    stored.write().await?;
    Ok(Value::Null)
}

async fn test(flags: RouteTest, invocation: &Invocation) -> anyhow::Result<Value> {
    let message = json!({
        "body": flags.body.unwrap_or_default(),
        "appProperties": object("--app-properties", flags.app_properties)?.unwrap_or_default(),
        "systemProperties": object("--system-properties", flags.system_properties)?.unwrap_or_default(),
    });
    let twin = object("--twin", flags.twin)?.unwrap_or_default();
    let mut body = json!({"message": message, "twin": twin});
    let Some(name) = flags.route_name else {
        if let Some(source) = flags.source_type {
            body["routingSource"] = source.name().into();
        }
        return post("testRoutes", &body, invocation).await;
    };
    let route = found(&read(invocation).await?.document, &name)?;
    if let Some(source) = flags.source_type
        && route["source"] != source.name()
    {
        let problem = format!("route {name} has the source {}", route["source"]);
        return Err(CommandError::Usage(problem).into());
    }
    body["route"] = route;
    if name.eq_ignore_ascii_case(FALLBACK) {
        let problem = "the fallback route matches what no other route does; test all routes";
        return Err(CommandError::Usage(problem.to_owned()).into());
    }
    post("testRoute", &body, invocation).await
}

async fn post(verb: &str, body: &Value, invocation: &Invocation) -> anyhow::Result<Value> {
    let client = invocation.target.connect(Service::Hub)?;
    let path = ["muster", "v1", "hub", "routing", verb];
    let call = Call::new(Method::POST, &path).body(body);
    Ok(client.call(call).await?)
}
