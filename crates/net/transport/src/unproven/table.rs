//! Which unproven connections there are, in the order of their arrival, without a lock.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Unproven connections by network. `E` evicts one.
#[derive(Debug)]
pub(super) struct UnprovenTable<E> {
    last_number: u64,
    connections: HashMap<u64, Unproven<E>>,
    networks: HashMap<IpAddr, Network>,
    /// Networks by their number of connections. Among equals the one with the
    /// oldest connection is last.
    by_size: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
}

#[derive(Debug)]
struct Unproven<E> {
    network: IpAddr,
    lingers: bool,
    /// Whether a request of it is being answered.
    answering: Arc<AtomicBool>,
    evict: E,
}

#[derive(Debug, Default)]
struct Network {
    connections: BTreeSet<u64>,
    lingering: usize,
}

impl<E> Default for UnprovenTable<E> {
    fn default() -> Self {
        Self {
            last_number: 0,
            connections: HashMap::new(),
            networks: HashMap::new(),
            by_size: BTreeSet::new(),
        }
    }
}

impl<E> UnprovenTable<E> {
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Adds a connection and returns its number.
    pub(super) fn insert(&mut self, network: IpAddr, answering: Arc<AtomicBool>, evict: E) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let unproven = Unproven {
            network,
            lingers: false,
            answering,
            evict,
        };
        self.connections.insert(number, unproven);
        self.change(network, |network| {
            network.connections.insert(number);
        });
        number
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<E> {
        let removed = self.connections.remove(&number)?;
        self.change(removed.network, |network| {
            network.connections.remove(&number);
            network.lingering -= usize::from(removed.lingers);
        });
        Some(removed.evict)
    }

    /// Marks a connection as lingering; one of its network is evicted when more than
    /// `limit` of it linger.
    pub(super) fn mark_lingering(&mut self, number: u64, limit: usize) -> Option<E> {
        let unproven = self.connections.get_mut(&number)?;
        let first_time = !std::mem::replace(&mut unproven.lingers, true);
        let address = unproven.network;
        let network = self.networks.get_mut(&address)?;
        network.lingering += usize::from(first_time);
        if network.lingering <= limit {
            return None;
        }
        self.evict_from(address)
    }

    /// Evicts a connection of the network that has most.
    pub(super) fn evict_from_largest(&mut self) -> Option<E> {
        let (_, _, network) = *self.by_size.last()?;
        self.evict_from(network)
    }

    /// Evicts the oldest connection of a network. One whose request is being answered goes
    /// last, because the answer may prove it: an operator who waits for events is unproven
    /// until the first response.
    fn evict_from(&mut self, network: IpAddr) -> Option<E> {
        let connections = &self.networks.get(&network)?.connections;
        let is_idle = |number: &&u64| {
            let unproven = self.connections.get(*number);
            unproven.is_some_and(|unproven| !unproven.answering.load(Ordering::Relaxed))
        };
        let oldest = connections.iter().find(is_idle).or(connections.first());
        self.remove(*oldest?)
    }

    fn change(&mut self, address: IpAddr, act: impl FnOnce(&mut Network)) {
        let network = self.networks.entry(address).or_default();
        if let Some(oldest) = network.connections.first() {
            let before = (network.connections.len(), Reverse(*oldest), address);
            self.by_size.remove(&before);
        }
        act(network);
        match network.connections.first() {
            Some(oldest) => {
                let after = (network.connections.len(), Reverse(*oldest), address);
                self.by_size.insert(after);
            }
            None => {
                self.networks.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_network_with_most_loses_its_oldest() {
        let mut table = UnprovenTable::default();
        let all = [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (2, "e")];
        let answering = all.map(|(address, name)| {
            let answering = Arc::default();
            table.insert(ip(address), Arc::clone(&answering), name);
            answering
        });
        // A connection whose request is being answered stays as long as there are others.
        answering[1].store(true, Ordering::Relaxed);
        assert_eq!(table.evict_from_largest(), Some("c"));
        assert_eq!(table.evict_from_largest(), Some("e"));
        // All networks have one now: the oldest of all goes first.
        for name in ["a", "b", "d"] {
            assert_eq!(table.evict_from_largest(), Some(name));
        }
        assert_eq!(table.evict_from_largest(), None);
        assert!(table.networks.is_empty() && table.by_size.is_empty());
    }
}
