//! Opens listening sockets, and names the program that holds a port.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel completes before they are accepted, at most its own
/// `net.core.somaxconn`. A fleet that returns after an outage connects within a moment. A client
/// that finds the queue full tries again after one, three and seven seconds.
pub const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart does not wait until the connections of the process before it have ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A socket that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// The reason why the address cannot be used.
    pub obstacle: Obstacle,
    /// The error of the system.
    pub source: io::Error,
}

/// What keeps a program from listening on an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Ports below 1024 need a privilege.
    Privilege,
    /// Another socket listens there.
    InUse {
        /// Its program and process id, as far as they can be seen.
        holder: Option<String>,
    },
    /// The machine does not have the address.
    NoSuchAddress,
    /// Anything else; the system's error says what.
    Other,
}

/// Listens on `address`. Port 0 lets the system choose.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    listen(address).map_err(|source| {
        let obstacle = match source.kind() {
            ErrorKind::PermissionDenied => Obstacle::Privilege,
            ErrorKind::AddrInUse => Obstacle::InUse {
                holder: holder(address),
            },
            ErrorKind::AddrNotAvailable => Obstacle::NoSuchAddress,
            _ => Obstacle::Other,
        };
        BindError {
            address,
            obstacle,
            source,
        }
    })
}

/// The program that listens where `address` is wanted, if `/proc` shows it.
fn holder(address: SocketAddr) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let table = |path| std::fs::read_to_string(path).ok();
    let inode = tables
        .into_iter()
        .filter_map(table)
        .find_map(|table| listening_inode(&table, address))?;
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids =
        processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut targets = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        targets.any(|target| target.as_os_str() == wanted.as_str())
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim()))
}

/// Reads the socket inode of the listener that keeps `address` from the text of
/// `/proc/net/tcp` or `tcp6` (proc(5)).
fn listening_inode(table: &str, address: SocketAddr) -> Option<u64> {
    const LISTEN: &str = "0A";
    let wanted = address.ip();
    let clashes =
        |local: IpAddr| local == wanted || local.is_unspecified() || wanted.is_unspecified();
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, port) = columns.get(1)?.split_once(':')?;
        let same_port = u16::from_str_radix(port, 16) == Ok(address.port());
        let matches = same_port && *columns.get(3)? == LISTEN && clashes(local_address(local)?);
        matches.then(|| columns.get(9)?.parse().ok())?
    })
}

/// Reads an address as the kernel prints it: 32-bit words in hexadecimal, each in
/// the machine's byte order.
fn local_address(words: &str) -> Option<IpAddr> {
    let word = |at| {
        Some(
            u32::from_str_radix(words.get(at..at + 8)?, 16)
                .ok()?
                .to_ne_bytes(),
        )
    };
    match words.len() {
        8 => Some(word(0)?.into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(8 * at)?);
            }
            Some(bytes.into())
        }
        _ => None,
    }
}

/// The port of a listener. It differs from the one asked for when that was 0.
pub fn port(listener: &TcpListener) -> io::Result<u16> {
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder() {
        let first = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        let Obstacle::InUse { holder } = error.obstacle else {
            panic!("{error:?}");
        };
        let pid = format!("pid {}", std::process::id());
        assert!(holder.as_ref().is_some_and(|holder| holder.contains(&pid)));
    }

    /// H17: a fleet after a restart connects at once, before this process accepts.
    #[tokio::test]
    async fn a_thousand_connections_wait_to_be_accepted() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for number in 0..1000 {
            let connecting = tokio::net::TcpStream::connect(address);
            let connected = tokio::time::timeout(Duration::from_millis(900), connecting).await;
            waiting.push(connected.unwrap_or_else(|_| panic!("{number} did not connect")));
        }
    }

    /// Several servers live side by side on addresses of their own, with the same ports.
    #[cfg(target_endian = "little")]
    #[test]
    fn only_a_listener_that_is_in_the_way_is_named() {
        let row = |local: &str, state: &str, inode: u32| {
            let remote = "00000000:0000";
            format!(
                "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     \
                 0        0 {inode} 1 0\n"
            )
        };
        let head =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
        let table = [
            head.to_owned(),
            row("0900007F:01BB", "0A", 158_015),
            row("0800007F:01BB", "01", 158_016),
            row("0800007F:01BB", "0A", 158_017),
            row("00000000:22B3", "0A", 158_018),
        ]
        .concat();
        let ipv6 = row("00000000000000000000000001000000:01BB", "0A", 158_019);
        let six = format!("{head}{ipv6}");
        for (table, address, inode) in [
            (&table, "127.0.0.9:443", Some(158_015)),
            (&table, "127.0.0.8:443", Some(158_017)),
            (&table, "127.0.0.7:443", None),
            (&table, "0.0.0.0:443", Some(158_015)),
            (&table, "127.0.0.7:8883", Some(158_018)),
            (&six, "[::1]:443", Some(158_019)),
            (&six, "[::2]:443", None),
        ] {
            assert_eq!(
                listening_inode(table, address.parse().unwrap()),
                inode,
                "{address}"
            );
        }
    }
}
