//! Which addresses may be called for provisioning services whose operators do not own this network.
//!
//! The addresses that are checked are those that are connected to, so a DNS server that answers
//! differently the second time gains nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ids::Network;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Admits public addresses, and the networks that the owner of the server listed.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    listed: Vec<Network>,
}

impl Guard {
    /// Admits `listed` networks beside the public ones.
    pub fn new(listed: Vec<Network>) -> Self {
        Self { listed }
    }

    /// Whether an address may be called.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.lists(address) || is_public(address)
    }

    /// Whether an address is in a network that the owner of the server listed.
    pub fn lists(&self, address: IpAddr) -> bool {
        self.listed.iter().any(|network| network.contains(address))
    }
}

/// Whether an address is neither of this machine nor of a private network.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_reserved = first == 0 || first >= 240;
    let is_ietf = address.octets()[..3] == [192, 0, 0];
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || is_shared
        || is_ietf
        || is_reserved)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // IPv4 addresses within IPv6: NAT64 (RFC 6052), 6to4, and the old compatible form.
    let embedded = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        let v4 = Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
        return !address.is_loopback() && is_public_v4(v4);
    }
    let is_local_nat64 = segments[..3] == [0x64, 0xff9b, 1];
    let is_site_local = segments[0] & 0xffc0 == 0xfec0;
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || is_local_nat64
        || is_site_local)
}

/// All addresses of a name are ones that may not be called.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that may not be called")]
pub struct NotAllowed;

/// Resolves names as the system does, to admitted addresses only.
pub struct GuardedResolver(pub Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let admitted = found.into_iter().filter(|found| guard.admits(found.ip()));
            let admitted: Vec<SocketAddr> = admitted.collect();
            match admitted.is_empty() {
                true => Err(NotAllowed.into()),
                false => Ok(Box::new(admitted.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A5.
    #[test]
    fn private_addresses_are_distinguished_from_public_ones() {
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap()]);
        for (address, admitted) in [
            ("127.0.0.1", false),
            ("127.255.0.9", false),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("10.1.2.3", true),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("203.0.113.7", true),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.1.0.1", true),
            ("::127.0.0.1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b:1::1", false),
            ("64:ff9b::cb00:7107", true),
            ("2002:7f00:1::", false),
            ("2001:4860:4860::8888", true),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(guard.admits(address), admitted, "{address}");
        }
    }
}
