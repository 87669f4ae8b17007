//! `[moby_runtime]`, `[connect]`, `[listen]`: the container engine and the sockets.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::reader::{At, Section};
use crate::config::settings::{AddressRange, MobyRuntime, Network, Sockets};

pub(super) fn moby_runtime(top: &Section<'_, '_>) -> Option<MobyRuntime> {
    let Some(section) = top.section("moby_runtime") else {
        return (!top.has("moby_runtime")).then(MobyRuntime::default);
    };
    let usual = MobyRuntime::default();
    let socket = match section.text("uri") {
        None if section.has("uri") => None,
        None => Some(usual.socket),
        Some(at) => {
            let path = unix_path(&at.value);
            if path.is_none() {
                let message = format!(
                    "moby_runtime.uri: {:?} is not unix:///path/of/docker.sock",
                    at.value
                );
                section.fault(at.line, message);
            }
            path
        }
    };
    let network = network(&section);
    if let Some((line, _)) = section.first(&["content_trust"]) {
        // Azure's runtime reads it and does nothing. Here the owner learns that.
        section.warn(
            line,
            "moby_runtime.content_trust has no effect: neither this runtime nor Azure's verifies \
             signatures of images; name images by digest (image@sha256:…)",
        );
    }
    section.finish();
    Some(MobyRuntime {
        socket: socket?,
        network: network?,
    })
}

fn unix_path(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("unix://")?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// The network is a name, or a table with a name in it.
fn network(section: &Section<'_, '_>) -> Option<Network> {
    let usual = Network::default();
    if !section.is_table("network") {
        // As in Azure's runtime, an empty name asks for the usual network.
        let named = section.text("network").filter(|at| !at.value.is_empty());
        let name = named.map_or(usual.name, |at| at.value);
        return Some(Network {
            name,
            ..Network::default()
        });
    }
    let table = section.section("network")?;
    let name = table.required_text("name").map(|at| at.value);
    let ipv6 = table.boolean("ipv6").is_some_and(|at| at.value);
    let mut ranges = Vec::new();
    if let Some(ipam) = table.asking_section("ipam") {
        ranges = ipam
            .sections("config")
            .into_iter()
            .map(address_range)
            .collect();
        ipam.finish();
    }
    table.finish();
    Some(Network {
        name: name?,
        ipv6,
        ranges,
    })
}

fn address_range(section: Section<'_, '_>) -> AddressRange {
    let gateway = section.text("gateway").and_then(|at| {
        let address = at.value.parse::<IpAddr>().ok();
        if address.is_none() {
            wrong_address(&section, "gateway", &at, "an address, such as 172.18.0.1");
        }
        address
    });
    let network = |key: &'static str| {
        section.text(key).and_then(|at| {
            let is_network = at.value.split_once('/').is_some_and(|(address, length)| {
                let longest = match address.parse::<IpAddr>() {
                    Ok(IpAddr::V4(_)) => 32,
                    Ok(IpAddr::V6(_)) => 128,
                    Err(_) => return false,
                };
                length.parse::<u8>().is_ok_and(|length| length <= longest)
            });
            if !is_network {
                wrong_address(&section, key, &at, "a network, such as 172.18.0.0/16");
            }
            is_network.then_some(at.value)
        })
    };
    let (subnet, part) = (network("subnet"), network("ip_range"));
    section.finish();
    AddressRange {
        gateway,
        subnet,
        part,
    }
}

fn wrong_address(section: &Section<'_, '_>, key: &str, at: &At<String>, wanted: &str) {
    let name = section.name(key);
    section.fault(at.line, format!("{name}: {:?} is not {wanted}", at.value));
}

/// `[listen]`, and `[connect]`, which has to agree with it.
pub(super) fn sockets(top: &Section<'_, '_>) -> Sockets {
    let (connect, listen) = (top.section("connect"), top.section("listen"));
    let mut found = Sockets::default();
    for (key, socket, place) in [
        ("management_uri", "mgmt", &mut found.management),
        ("workload_uri", "workload", &mut found.workload),
    ] {
        let other = listen
            .as_ref()
            .and_then(|section| Some((section, section.text(key)?)))
            .filter(|(_, at)| !is_usual(&at.value, socket));
        if let Some((section, at)) = &other {
            *place = unix_path(&at.value);
            if place.is_none() {
                let message = format!(
                    "{}: {:?} is not unix:///path/of/a.sock; sockets of the network are not served",
                    section.name(key),
                    at.value
                );
                section.fault(at.line, message);
            }
        }
        let target = connect
            .as_ref()
            .and_then(|section| Some((section, section.text(key)?)));
        if let Some((section, at)) = target
            && !(is_usual(&at.value, socket) && at.value.starts_with("unix:"))
            && other.is_none_or(|(_, listened)| listened.value != at.value)
        {
            let message = format!(
                "{}: nothing listens at {:?}; write the same as listen.{key}, or remove both",
                section.name(key),
                at.value
            );
            section.fault(at.line, message);
        }
    }
    if let Some(section) = connect {
        section.finish();
    }
    if let Some(section) = listen {
        section.without_effect(
            &["min_tls_version"],
            "the sockets are files of this device, where TLS is not spoken",
        );
        section.finish();
    }
    found
}

/// Whether a URI means the socket that is served in any case.
fn is_usual(uri: &str, socket: &str) -> bool {
    let path = uri
        .strip_prefix("unix:///var/run/iotedge/")
        .or_else(|| uri.strip_prefix("unix:///run/iotedge/"));
    path.is_some_and(|file| file.strip_suffix(".sock") == Some(socket))
        || uri.strip_prefix("fd://").is_some_and(|name| {
            name.strip_prefix("aziot-edged.")
                .and_then(|name| name.strip_suffix(".socket"))
                == Some(socket)
        })
}
