//! Opens the server's ports, and names the flag that would help when one cannot be opened.

use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use transport::bind::{self, Obstacle};

/// Listens on `address`, which `flag` set.
pub fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    bind::bind(address).map_err(|error| {
        let advice = match &error.obstacle {
            Obstacle::Privilege => format!(
                "ports below 1024 need a right: run as root, or \
                 `setcap cap_net_bind_service+ep` on this program, or give {flag} another port"
            ),
            Obstacle::InUse { holder } => {
                let holder = holder
                    .as_ref()
                    .map_or_else(String::new, |who| format!(" by {who}"));
                format!(
                    "it is in use{holder}; stop that program, give {flag} another port, \
                     or --listen another address"
                )
            }
            Obstacle::NoSuchAddress => "this machine has no such address; see --listen".to_owned(),
            Obstacle::Other => format!("see {flag} and --listen"),
        };
        let context = format!("{error}: {advice}");
        anyhow!(error.source).context(context)
    })
}

/// The port that a listener has; another than the one asked for when that was 0.
pub fn port(listener: &TcpListener) -> anyhow::Result<u16> {
    bind::port(listener).context("the listener has no address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder_and_the_flag() {
        let first = listen(([127, 0, 0, 1], 0).into(), "--https-port").unwrap();
        let address = first.local_addr().unwrap();
        let error = format!("{:#}", listen(address, "--https-port").unwrap_err());
        let pid = format!("pid {}", std::process::id());
        assert!(
            error.contains("--https-port") && error.contains(&pid),
            "{error}"
        );
    }
}
