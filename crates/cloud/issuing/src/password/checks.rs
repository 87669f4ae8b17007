use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::StoredPassword;

/// Argon2 checks at once, each of which takes a core and 19 MiB.
const AT_ONCE: usize = 2;
/// Checks that wait for one of these.
const WAITING: usize = 256;
/// Passwords that are known to be right, 32 bytes each.
const REMEMBERED: usize = 1024;

/// Proof that a client knows the password of a user. Only this file makes one.
#[derive(Debug)]
pub struct ProvenPassword(());

/// Why a password was not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckError<E> {
    /// Too many are being compared now.
    Busy,
    /// A limit of the caller refuses the comparison.
    Limit(E),
}

/// Compares passwords. One that was right before is recognised by a keyed hash, so that a client
/// that comes often costs one Argon2 check in the life of the process. A wrong password and a user
/// that does not exist cost one Argon2 check each: they take the same time.
pub struct PasswordChecks {
    key: hmac::Key,
    right: Mutex<Right>,
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// What a password is compared with when no user, or none with a chosen one, has the name.
    decoy: StoredPassword,
}

#[derive(Default)]
struct Right {
    known: HashSet<[u8; 32]>,
    oldest: VecDeque<[u8; 32]>,
}

impl PasswordChecks {
    /// `secret` is fresh randomness.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        let decoy = "$argon2id$v=19$m=19456,t=2,p=1$bXVzdGVyLW5vLXVzZXI\
                     $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            right: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            running: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: StoredPassword::from_text(decoy),
        }
    }

    /// Compares a password. `stored` is `None` for a user that does not exist; `Ok(None)` when the
    /// password is wrong. `limit` is asked before a comparison that may fail, and never for a
    /// password that is known to be right.
    ///
    /// # Errors
    /// When too many checks are waiting already, or `limit` refuses.
    pub async fn check<E>(
        &self,
        stored: Option<&StoredPassword>,
        password: &str,
        limit: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<ProvenPassword>, CheckError<E>> {
        let recognised = || stored.and_then(|stored| self.recognise(stored, password));
        if let Some(proven) = recognised() {
            return Ok(Some(proven));
        }
        let _place = self.places.try_acquire().map_err(|_| CheckError::Busy)?;
        let running = self.running.clone().acquire_owned().await;
        let _running = running.map_err(|_| CheckError::Busy)?;
        // Another request with the same password may have been faster.
        if let Some(proven) = recognised() {
            return Ok(Some(proven));
        }
        limit().map_err(CheckError::Limit)?;
        let chosen = stored.filter(|stored| !stored.is_made_up());
        let compared = chosen.unwrap_or(&self.decoy).clone();
        let guess = Zeroizing::new(password.to_owned());
        let compare = move || compared.is_chosen_as(&guess);
        let is_right = tokio::task::spawn_blocking(compare).await.unwrap_or(false);
        let Some(stored) = chosen.filter(|_| is_right) else {
            return Ok(None);
        };
        self.remember(self.digest(stored, password));
        Ok(Some(ProvenPassword(())))
    }

    /// Whether the password is known to be right, without a comparison that costs.
    fn recognise(&self, stored: &StoredPassword, password: &str) -> Option<ProvenPassword> {
        let is_right = match stored.is_made_up() {
            true => stored.is_made_up_as(password),
            false => {
                let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
                right.known.contains(&self.digest(stored, password))
            }
        };
        is_right.then_some(ProvenPassword(()))
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.known.insert(digest) {
            right.oldest.push_back(digest);
        }
        if right.oldest.len() > REMEMBERED
            && let Some(oldest) = right.oldest.pop_front()
        {
            right.known.remove(&oldest);
        }
    }

    /// The salt is in the stored text: another password, or the same one set again, has another
    /// digest.
    fn digest(&self, stored: &StoredPassword, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(stored.as_text().as_bytes());
        context.update(&[0]);
        context.update(password.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

impl std::fmt::Debug for PasswordChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordChecks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: fn() -> Result<(), &'static str> = || Ok(());
    const SPENT: fn() -> Result<(), &'static str> = || Err("limit");

    fn checks() -> PasswordChecks {
        PasswordChecks::new(&[3; 32])
    }

    #[tokio::test]
    async fn a_right_password_is_recognised_until_it_is_set_again() {
        let (checks, password) = (checks(), "correct horse");
        let stored = StoredPassword::choose(password, &[1; 16]).unwrap();
        let limited = checks.check(Some(&stored), password, SPENT).await;
        assert!(matches!(limited, Err(CheckError::Limit("limit"))));
        let proven = checks.check(Some(&stored), password, FREE).await;
        assert!(proven.unwrap().is_some());
        let recognised = checks.check(Some(&stored), password, SPENT).await;
        assert!(recognised.unwrap().is_some());
        assert!(checks.recognise(&stored, "correct horsf").is_none());
        let again = StoredPassword::choose(password, &[2; 16]).unwrap();
        assert!(checks.recognise(&again, password).is_none());
    }

    #[tokio::test]
    async fn wrong_passwords_and_unknown_users_are_refused_after_one_check() {
        let checks = checks();
        assert!(checks.decoy.as_text().starts_with("$argon2id$"));
        argon2::password_hash::PasswordHash::new(checks.decoy.as_text()).unwrap();
        let chosen = StoredPassword::choose("correct horse", &[1; 16]).unwrap();
        let (password, made_up) = StoredPassword::make_up(&[7; 32]);
        for stored in [None, Some(&chosen), Some(&made_up)] {
            assert!(
                checks
                    .check(stored, "other password", FREE)
                    .await
                    .unwrap()
                    .is_none()
            );
        }
        assert!(checks.recognise(&made_up, &password).is_some());
        assert!(checks.recognise(&made_up, "other").is_none());
    }

    #[tokio::test]
    async fn checks_that_wait_are_bounded() {
        let checks = Arc::new(checks());
        let running = checks.running.acquire_many(2).await.unwrap();
        let waiting: Vec<_> = (0..AT_ONCE + WAITING)
            .map(|_| {
                let checks = checks.clone();
                tokio::spawn(async move { checks.check(None, "guess", FREE).await.is_err() })
            })
            .collect();
        while checks.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(
            checks.check(None, "guess", FREE).await,
            Err(CheckError::Busy)
        ));
        for one in &waiting {
            one.abort();
        }
        drop(running);
        for one in waiting {
            let _ = one.await;
        }
        assert!(checks.check(None, "guess", FREE).await.is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let checks = checks();
        for n in 0..REMEMBERED + 10 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            checks.remember(digest);
        }
        let right = checks.right.lock().unwrap();
        assert_eq!(
            (right.known.len(), right.oldest.len()),
            (REMEMBERED, REMEMBERED)
        );
    }
}
