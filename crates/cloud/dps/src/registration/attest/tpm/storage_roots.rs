//! Storage root keys of challenged devices. A device daemon does not repeat its key with the token
//! that answers the challenge, and an enrollment need not name it. A key that is forgotten costs
//! its device one more attempt.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ids::{IdScope, RegistrationId};
use pki::tpm::StorageRootKey;

use super::secret::Window;

/// Registrations remembered in each generation, about 600 bytes each.
const CAPACITY: usize = 8192;
/// Keys of one registration: anybody who knows its endorsement key can present others, and shall
/// not fill the memory with them.
const PER_REGISTRATION: usize = 4;

type Device = (IdScope, RegistrationId);
type Generation = HashMap<Device, Vec<StorageRootKey>>;

/// The keys that were presented in this window and the one before.
#[derive(Default)]
pub(super) struct RecentStorageRoots(Mutex<Generations>);

/// A new generation begins with each window, and when one is full.
#[derive(Default)]
struct Generations {
    window: Window,
    current: Generation,
    previous: Generation,
}

impl RecentStorageRoots {
    pub(super) fn remember(&self, device: Device, window: Window, key: &StorageRootKey) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.enter(window);
        if generations.current.len() >= CAPACITY {
            generations.rotate();
        }
        let keys = generations.current.entry(device).or_default();
        keys.retain(|known| known != key);
        if keys.len() >= PER_REGISTRATION {
            keys.remove(0);
        }
        keys.push(key.clone());
    }

    pub(super) fn latest_first(&self, device: &Device, window: Window) -> Vec<StorageRootKey> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.enter(window);
        let Generations {
            current, previous, ..
        } = &*generations;
        let known = [current.get(device), previous.get(device)];
        let latest_first = known
            .into_iter()
            .flatten()
            .flat_map(|keys| keys.iter().rev());
        latest_first.cloned().collect()
    }
}

impl Generations {
    fn enter(&mut self, window: Window) {
        if window > self.window {
            let is_next = window.before() == self.window;
            self.rotate();
            if !is_next {
                self.previous.clear();
            }
            self.window = window;
        }
    }

    fn rotate(&mut self) {
        self.previous = std::mem::take(&mut self.current);
    }
}

#[cfg(test)]
mod tests {
    use ids::Timestamp;

    use super::*;

    /// A key on the curve P-256: the generator, or its mirror image.
    fn key(mirrored: bool) -> StorageRootKey {
        let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        let y = if mirrored {
            "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a"
        } else {
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
        };
        let text = format!("005a0023000b00030472000000060080004300100003001000 20{x}0020{y}");
        let text = text.replace(' ', "");
        let digits = text.as_bytes().chunks(2);
        let bytes: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        StorageRootKey::parse(&bytes).unwrap()
    }

    fn device(name: usize) -> Device {
        let scope = IdScope::parse("0ne00000000").unwrap();
        (scope, RegistrationId::parse(&format!("d{name}")).unwrap())
    }

    fn window(minutes: i64) -> Window {
        Window::at(Timestamp::from_unix_seconds(60 * minutes))
    }

    #[test]
    fn the_latest_key_comes_first_and_each_once() {
        let roots = RecentStorageRoots::default();
        roots.remember(device(1), window(0), &key(false));
        roots.remember(device(1), window(0), &key(true));
        roots.remember(device(1), window(0), &key(false));
        assert!(roots.latest_first(&device(1), window(0)) == [key(false), key(true)]);
        assert!(roots.latest_first(&device(2), window(0)).is_empty());
    }

    #[test]
    fn a_key_of_two_windows_ago_is_forgotten() {
        let roots = RecentStorageRoots::default();
        roots.remember(device(1), window(4), &key(false));
        assert_eq!(roots.latest_first(&device(1), window(6)).len(), 1);
        assert_eq!(roots.latest_first(&device(1), window(11)).len(), 0);
        roots.remember(device(1), window(60), &key(false));
        assert_eq!(roots.latest_first(&device(1), window(120)).len(), 0);
    }

    #[test]
    fn a_flood_forgets_the_oldest() {
        let roots = RecentStorageRoots::default();
        for name in 0..=2 * CAPACITY {
            roots.remember(device(name), window(0), &key(false));
        }
        assert_eq!(roots.latest_first(&device(0), window(0)).len(), 0);
        assert_eq!(roots.latest_first(&device(CAPACITY), window(0)).len(), 1);
        assert_eq!(
            roots.latest_first(&device(2 * CAPACITY), window(0)).len(),
            1
        );
    }
}
