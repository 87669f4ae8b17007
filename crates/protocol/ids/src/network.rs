use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::IdError;

const WHAT: &str = "network";

/// A range of IP addresses, such as `10.1.0.0/16` or `2001:db8::/32`. A lone address is
/// the range of itself.
///
/// The bits after the prefix must be zero: `10.1.0.7/16` is either a mistake in the address
/// or in the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Parses `address` or `address/prefix`.
    ///
    /// # Errors
    /// When it is neither, or bits after the prefix are set.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let wrong = |problem: &str| IdError::new(WHAT, text, problem);
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address)
            .map_err(|_| wrong("is not an IP address, or one with /prefix"))?;
        let most = width(address);
        let prefix = match prefix {
            None => most,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= most && digits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| wrong("has no prefix between 0 and the address's bits"))?,
        };
        match bits(address) & !mask(address, prefix) {
            0 => Ok(Self { address, prefix }),
            _ => Err(wrong("has bits set after the prefix")),
        }
    }

    /// Whether an address is in the range. An IPv4 address that came in the clothes of
    /// IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && bits(address) & mask(address, self.prefix) == bits(self.address)
    }

    /// Leading bits that addresses share: the more, the narrower the range.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address as a number, its first bit the highest.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(address: IpAddr, prefix: u8) -> u128 {
    let all = match width(address) {
        32 => u128::from(u32::MAX) << 96,
        _ => u128::MAX,
    };
    let shared = u128::MAX
        .checked_shl(u32::from(128 - prefix))
        .unwrap_or_default();
    all & shared
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Network {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn what_is_inside() {
        for (range, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("10.0.0.0/8", "::ffff:10.9.9.9", "::ffff:11.0.0.1"),
        ] {
            let range = network(range);
            assert!(range.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(
                !range.contains(outside.parse().unwrap()),
                "{range} {outside}"
            );
        }
    }

    #[test]
    fn texts_come_back() {
        assert_eq!(network("10.1.2.3").to_string(), "10.1.2.3/32");
        assert_eq!(network("2001:DB8::/32").to_string(), "2001:db8::/32");
        for bad in [
            "",
            "10.1.0.0/33",
            "10.1.0.0/",
            "10.1.0.0/+8",
            "10.1.0.7/16",
            "::1/129",
            "a/8",
            "10.1/16",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
