//! `[agent]` and `[moby_runtime]`: the environment of modules, and the container engine.

use std::path::PathBuf;

use crate::config::MobyRuntime;
use crate::config::reader::{At, Section};

/// Azure's bootstrap agent is a container. Here the agent is part of the daemon, so that only its
/// environment has an effect.
pub(super) fn agent(top: &Section<'_, '_>) -> Vec<(String, String)> {
    let Some(section) = top.section("agent") else {
        return Vec::new();
    };
    let built_in = "the edge agent is part of aziot-edged and needs no image";
    section.without_effect(&["config"], built_in);
    for (key, usual) in [
        ("name", "edgeAgent"),
        ("type", "docker"),
        ("imagePullPolicy", "on-create"),
    ] {
        if section.text(key).is_some_and(|at| at.value != usual) {
            section.without_effect(&[key], built_in);
        }
    }
    let env = section
        .section("env")
        .map(|env| env.texts())
        .unwrap_or_default();
    section.finish();
    env
}

pub(super) fn moby_runtime(top: &Section<'_, '_>) -> Option<MobyRuntime> {
    let Some(section) = top.section("moby_runtime") else {
        return (!top.has("moby_runtime")).then(MobyRuntime::default);
    };
    let usual = MobyRuntime::default();
    let socket = match section.text("uri") {
        None if section.has("uri") => None,
        None => Some(usual.socket),
        Some(At { value, line }) => match value
            .strip_prefix("unix://")
            .filter(|path| path.starts_with('/'))
        {
            Some(path) => Some(PathBuf::from(path)),
            None => {
                section.fault(
                    line,
                    format!("moby_runtime.uri: {value:?} is not unix:///path/of/docker.sock"),
                );
                None
            }
        },
    };
    let network = network(&section, usual.network);
    section.not_offered("content_trust", "remove the line");
    section.finish();
    Some(MobyRuntime {
        socket: socket?,
        network: network?,
    })
}

/// The network is a name, or a table with a name in it.
fn network(section: &Section<'_, '_>, usual: String) -> Option<String> {
    if !section.is_table("network") {
        // As in Azure's runtime, an empty name asks for the usual network.
        let named = section.text("network").filter(|at| !at.value.is_empty());
        return Some(named.map_or(usual, |at| at.value));
    }
    let table = section.section("network")?;
    let instead = "create the network with these settings yourself and give its name";
    if table.boolean("ipv6").is_some_and(|at| at.value) {
        table.not_offered("ipv6", instead);
    }
    table.not_offered("ipam", instead);
    let name = table.required_text("name").map(|at| at.value);
    table.finish();
    name
}
