//! How many connections each address may hold.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts open connections by address and bounds them. An address without a connection takes no
/// memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AddressLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address; counted until it is dropped.
#[derive(Debug)]
pub struct ConnectionSlot {
    limit: AddressLimit,
    network: IpAddr,
}

impl AddressLimit {
    /// At most `limit` connections of each address.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit,
            open: Mutex::default(),
        }))
    }

    /// Counts one more connection of an address; `None` when it holds as many as it may.
    #[must_use]
    pub fn reserve(&self, address: IpAddr) -> Option<ConnectionSlot> {
        let network = network(address);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if *count >= self.0.limit {
            return None;
        }
        *count += 1;
        Some(ConnectionSlot {
            limit: self.clone(),
            network,
        })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let open = &self.limit.0.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

/// What counts as one address. A client that has one IPv6 address has the 2^64 of its network.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_a_number_of_slots_and_gets_them_back() {
        let limit = AddressLimit::new(2);
        let first = limit.reserve(ip("192.0.2.1")).unwrap();
        let mapped = limit.reserve(ip("::ffff:192.0.2.1")).unwrap();
        assert!(limit.reserve(ip("192.0.2.1")).is_none());
        assert!(limit.reserve(ip("192.0.2.2")).is_some());
        drop(first);
        let again = limit.reserve(ip("192.0.2.1")).unwrap();
        drop((mapped, again));
        let open = limit.0.open.lock().unwrap();
        assert!(open.is_empty(), "no address is remembered");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let limit = AddressLimit::new(1);
        let _slot = limit.reserve(ip("2001:db8::1")).unwrap();
        assert!(limit.reserve(ip("2001:db8::ffff:2")).is_none());
        assert!(limit.reserve(ip("2001:db8:0:1::1")).is_some());
    }
}
