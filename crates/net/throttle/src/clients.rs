//! What is remembered of each client that called lately.

use std::hash::{Hash, Hasher};

use ids::Timestamp;

use crate::retry_schedule::Jitter;
use crate::table::{Entry, Key, Memory, Table};

/// Clients remembered at once, in 10 MiB when all of it is in use.
pub const CAPACITY: usize = 256 * 1024;

/// The client of a request, as its limits are counted.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The service that the client belongs to. ASCII case does not count.
    pub scope: &'a str,
    /// The client's id within its scope, in the form that ids are compared by.
    pub id: &'a str,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct ClientMemory {
    /// The time that the client was given, in ticks; 0 for none.
    scheduled: i64,
    /// Whether the client has proved its identity.
    proven: bool,
}

impl Memory for ClientMemory {
    fn is_known(&self) -> bool {
        self.proven
    }

    fn last_use(&self) -> Timestamp {
        Timestamp::from_ticks(self.scheduled)
    }
}

impl ClientMemory {
    /// The time that the client was given when it was refused, until it is admitted.
    pub fn scheduled(&self) -> Option<Timestamp> {
        (self.scheduled != 0).then(|| Timestamp::from_ticks(self.scheduled))
    }

    pub fn set_scheduled(&mut self, time: Option<Timestamp>) {
        self.scheduled = time.map_or(0, Timestamp::ticks);
    }

    pub fn mark_proven(&mut self) {
        self.proven = true;
    }
}

/// The jitter of the client of a key.
pub fn jitter(key: Key) -> Jitter {
    Jitter::from_hash(key.hash())
}

pub struct Clients(Table<ClientMemory>);

impl Clients {
    /// `secret` is fresh randomness.
    pub fn new(secret: u128) -> Self {
        Self(Table::new(CAPACITY, secret))
    }

    pub fn key(&self, client: Client<'_>) -> Key {
        self.0.key(|hasher| {
            client.scope.len().hash(hasher);
            for byte in client.scope.bytes() {
                hasher.write_u8(byte.to_ascii_lowercase());
            }
            client.id.hash(hasher);
        })
    }

    /// Runs `act` on what is remembered of a client.
    pub fn with<R>(&self, key: Key, act: impl FnOnce(&mut Entry<ClientMemory>) -> R) -> R {
        self.0.with(key, act)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate::Rate;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn key(clients: &Clients, scope: &str, id: &str) -> Key {
        clients.key(Client { scope, id })
    }

    fn numbered(number: u64) -> Key {
        Key::from_hash(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    #[test]
    fn a_client_is_its_id_and_its_scope_in_any_case() {
        let clients = Clients::new(7);
        let client = key(&clients, "0neA", "dev-1");
        assert_eq!(client, key(&clients, "0nea", "dev-1"));
        assert_ne!(client, key(&clients, "0neB", "dev-1"));
        assert_ne!(client, key(&clients, "0neA", "dev-2"));
        assert_ne!(client, key(&Clients::new(8), "0neA", "dev-1"));
    }

    #[test]
    fn each_client_has_a_memory_of_its_own() {
        let clients = Clients::new(7);
        let (one, other) = (key(&clients, "s", "a"), key(&clients, "s", "b"));
        let scheduled = |key| clients.with(key, |entry| entry.memory.scheduled());
        let set = |time| clients.with(one, |entry| entry.memory.set_scheduled(time));
        let time = START.plus(Duration::from_secs(9));
        set(Some(time));
        assert_eq!(scheduled(one), Some(time));
        assert_eq!(scheduled(other), None);
        set(None);
        assert_eq!(scheduled(one), None);
    }

    #[test]
    fn twice_as_many_clients_take_no_more_memory_and_the_latest_are_remembered() {
        let (clients, rate) = (Clients::new(7), Rate::new(1, Duration::from_secs(1), 5));
        let count = 2 * CAPACITY as u64;
        for number in 1..=count {
            let now = START.plus(Duration::from_micros(number));
            clients
                .with(numbered(number), |entry| entry.polls.try_acquire(rate, now))
                .unwrap();
        }
        assert_eq!(clients.0.allocated_entries(), CAPACITY);
        let now = START.plus(Duration::from_micros(count));
        let remembered = (count - 1000..=count).filter(|number| {
            let level = clients.with(numbered(*number), |entry| entry.polls.level(rate, now));
            level < 5
        });
        assert_eq!(remembered.count(), 1001);
    }

    #[test]
    fn invented_names_do_not_evict_proven_clients() {
        let (clients, rate) = (Clients::new(7), Rate::new(1, Duration::from_secs(1), 5));
        let proven = key(&clients, "s", "proven");
        clients.with(proven, |entry| entry.memory.mark_proven());
        for number in 1..=4 * CAPACITY as u64 {
            let now = START.plus(Duration::from_micros(number));
            clients
                .with(numbered(number), |entry| entry.polls.try_acquire(rate, now))
                .unwrap();
        }
        assert!(clients.with(proven, |entry| entry.memory.is_known()));
    }
}
