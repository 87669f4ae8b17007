//! Opens listening sockets, and says who holds a port when it cannot.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;

/// Binds `address`, which the flag `flag` set.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        let why = match error.kind() {
            ErrorKind::PermissionDenied => format!(
                "ports below 1024 need a right: run as root, or `setcap cap_net_bind_service+ep` on this program, or give {flag} another port"
            ),
            ErrorKind::AddrInUse => {
                let holder = holder(port).map_or_else(String::new, |who| format!(" by {who}"));
                format!("it is in use{holder}; stop that program, give {flag} another port, or --listen another address")
            }
            ErrorKind::AddrNotAvailable => "this machine has no such address; see --listen".to_owned(),
            _ => format!("see {flag} and --listen"),
        };
        anyhow!(error).context(format!("cannot listen on {address}: {why}"))
    })
}

/// The program that listens on a TCP port of this machine, as far as `/proc` shows it to us.
fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|p| listening_inode(p, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let fds = process.path().join("fd");
        let holds = std::fs::read_dir(fds).is_ok_and(|mut fds| {
            fds.any(|fd| {
                fd.is_ok_and(|fd| {
                    std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str())
                })
            })
        });
        if holds {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {})", name.trim(), process.file_name().to_string_lossy()));
        }
    }
    None
}

/// Reads the socket inode of the listener on `port` from a `/proc/net/tcp` table (proc(5)).
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    std::fs::read_to_string(table).ok()?.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let matches = columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == LISTEN;
        matches.then(|| columns.get(9)?.parse().ok())?
    })
}

/// The port that a bound listener really has; differs from the one asked for when that was 0.
pub fn port(listener: &TcpListener) -> anyhow::Result<u16> {
    Ok(listener.local_addr().context("the listener has no address")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder_and_the_flag() {
        let first = bind(([127, 0, 0, 1], 0).into(), "--https-port").await.unwrap();
        let taken = first.local_addr().unwrap();
        let error = format!("{:#}", bind(taken, "--https-port").await.unwrap_err());
        let pid = format!("pid {}", std::process::id());
        assert!(error.contains("--https-port") && error.contains(&pid), "{error}");
    }
}
