//! Proxies for outgoing connections, as the variables `https_proxy` and `no_proxy` name them.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest header of a proxy's answer, bytes.
const MAX_HEADER: usize = 8 * 1024;

/// Which connections go through which proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies {
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// The value of `https_proxy` is not a proxy that this device can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProxyError(&'static str);

/// A proxy that connects to other servers (HTTP CONNECT).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Whether the connection to the proxy itself is encrypted.
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

/// One entry of `no_proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A domain and all below it.
    Domain {
        name: String,
        port: Option<u16>,
    },
    Network {
        address: IpAddr,
        bits: u8,
    },
}

impl Proxies {
    /// Reads the values of `https_proxy` and `no_proxy`. A proxy is
    /// `http://[user:password@]host[:port]`, or the same with `https://`.
    ///
    /// # Errors
    /// When `https_proxy` is something else. The message does not repeat it, as it may hold a
    /// password.
    pub fn parse(https: Option<&str>, no_proxy: Option<&str>) -> Result<Self, ProxyError> {
        let https = https.map(str::trim).filter(|text| !text.is_empty());
        Ok(Self {
            https: https.map(Proxy::parse).transpose()?,
            exceptions: no_proxy.map(exceptions).unwrap_or_default(),
        })
    }

    /// The proxy for TLS connections to a server; `None` to connect directly.
    pub(crate) fn proxy_for(&self, host: &str, port: u16) -> Option<&Proxy> {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let direct = self.exceptions.iter().any(|e| e.covers(&host, port));
        self.https.as_ref().filter(|_| !direct)
    }
}

impl Proxy {
    fn parse(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(ProxyError("only http:// and https:// proxies can be used")),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place).ok_or(ProxyError(
            "a proxy is http://[user:password@]host[:port], or the same with https://",
        ))?;
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            authorization: user.map(basic),
        })
    }

    /// Asks the proxy for a connection to a server, on a new connection to the proxy. The error is
    /// the reason in words.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        host: &str,
        port: u16,
    ) -> Result<(), String> {
        let place = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n");
        if let Some(value) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
        }
        request.push_str("\r\n");
        let failed = |error: std::io::Error| error.to_string();
        stream.write_all(request.as_bytes()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        let header = read_header(stream).await?;
        let line = header.lines().next().unwrap_or_default();
        let mut words = line.splitn(3, ' ');
        let (version, status) = (words.next().unwrap_or_default(), words.next());
        match status.and_then(|status| status.parse::<u16>().ok()) {
            Some(200..=299) if version.starts_with("HTTP/1.") => Ok(()),
            Some(407) if self.authorization.is_none() => {
                Err("it asks for a user name and a password (407)".to_owned())
            }
            Some(407) => Err("it does not accept the user name and password (407)".to_owned()),
            Some(status) => Err(format!("it answered {status}")),
            None => Err("its answer is not HTTP".to_owned()),
        }
    }
}

/// User name and password are secret.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Byte by byte, because what follows the header belongs to the server behind the proxy.
async fn read_header<S: AsyncRead + Unpin>(stream: &mut S) -> Result<String, String> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        if header.len() >= MAX_HEADER {
            return Err(format!("its answer is longer than {MAX_HEADER} bytes"));
        }
        header.push(stream.read_u8().await.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        })?);
    }
    Ok(String::from_utf8_lossy(&header).into_owned())
}

fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':')?.parse().ok()?),
        };
        return Some((host, port));
    }
    let (host, port) = match place.split_once(':') {
        None => (place, None),
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.parse().ok()?)),
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!host.is_empty() && host.chars().all(valid)).then_some((host, port))
}

fn basic(user: &str) -> String {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut plain = decoded(name);
    plain.push(b':');
    plain.extend(decoded(password));
    format!("Basic {}", STANDARD.encode(plain))
}

/// Without the percent encoding of URLs.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().iter();
    let mut out = Vec::with_capacity(text.len());
    while let Some(&byte) = bytes.next() {
        let digits = bytes.as_slice().get(..2).filter(|_| byte == b'%');
        let code = digits
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                bytes.nth(1);
            }
            None => out.push(byte),
        }
    }
    out
}

fn exceptions(text: &str) -> Vec<Exception> {
    let entries = text.split([',', ' ']).map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .filter_map(|entry| Exception::parse(&entry.to_ascii_lowercase()))
        .collect()
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let bits = bits.parse().ok()?;
            return (bits <= width(address)).then_some(Self::Network { address, bits });
        }
        if let Ok(address) = entry.trim_matches(['[', ']']).parse() {
            let bits = width(address);
            return Some(Self::Network { address, bits });
        }
        let (name, port) = host_and_port(entry.trim_start_matches(['*', '.']))?;
        let name = name.to_owned();
        Some(Self::Domain { name, port })
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Domain { name, port: only } => {
                let below = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'));
                below && only.is_none_or(|only| only == port)
            }
            Self::Network { address, bits } => match (host.parse(), address) {
                (Ok(IpAddr::V4(host)), IpAddr::V4(address)) => {
                    let shift = u32::from(32 - *bits);
                    let cut = |address: u32| address.checked_shr(shift).unwrap_or(0);
                    cut(host.to_bits()) == cut(address.to_bits())
                }
                (Ok(IpAddr::V6(host)), IpAddr::V6(address)) => {
                    let shift = u32::from(128 - *bits);
                    let cut = |address: u128| address.checked_shr(shift).unwrap_or(0);
                    cut(host.to_bits()) == cut(address.to_bits())
                }
                _ => false,
            },
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests;
