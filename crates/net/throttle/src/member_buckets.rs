//! Token buckets of members and of the groups that they belong to, such as devices and their hub.
//!
//! A demand is admitted when the bucket of its member and that of its group allow it. Both are
//! counted, or neither is. A bucket that is full again is forgotten, which changes nothing: memory
//! is bounded by the members that were active lately.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ids::Timestamp;

use crate::rate::{Bucket, Rate};

/// Members are spread over so many locks.
const SHARDS: usize = 16;
/// The number of entries of a shard from which on idle ones are forgotten.
const FORGET_ABOVE: usize = 32;

/// Demands of `N` kinds. Every kind has buckets of its own.
pub struct MemberBuckets<const N: usize> {
    hasher: RandomState,
    members: [Mutex<Entries<N>>; SHARDS],
    groups: Mutex<Entries<N>>,
}

/// The two limits of one kind of demand; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemberLimits {
    /// Of each member.
    pub member: Option<Rate>,
    /// Of all members of a group together, and of demands that no member makes.
    pub group: Option<Rate>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// The kind, less than `N`.
    pub kind: usize,
    /// How many tokens it takes. More than a burst is admitted when the bucket is full.
    pub count: u32,
    /// The longest wait that the caller accepts before it is refused.
    pub patience: Duration,
}

/// The demand exceeds a limit, and can be met after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whether the limit of the member was exceeded, or that of its group.
    pub by: Exceeding,
    /// Time until the demand would be admitted.
    pub wait: Duration,
}

/// Whose limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeding {
    /// The member's own.
    Member,
    /// That of all members together.
    Group,
}

struct Entries<const N: usize> {
    buckets: HashMap<u64, [Bucket; N]>,
    /// The number of entries above which idle ones are forgotten.
    forget_above: usize,
}

impl<const N: usize> Default for MemberBuckets<N> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            members: std::array::from_fn(|_| Mutex::new(Entries::new())),
            groups: Mutex::new(Entries::new()),
        }
    }
}

impl<const N: usize> MemberBuckets<N> {
    /// The time that a demand has to wait before it may be carried out; it counts from now on.
    ///
    /// # Errors
    /// When the wait would be longer than the caller's patience. Nothing is counted then.
    pub fn take(
        &self,
        (group, member): (&impl Hash, Option<&impl Hash>),
        demand: Demand,
        limits: MemberLimits,
        now: Timestamp,
    ) -> Result<Duration, Exceeded> {
        let member = member.zip(limits.member).map(|(member, rate)| {
            let key = self.hasher.hash_one(member);
            (locked(&self.members[key as usize % SHARDS]), key, rate)
        });
        let group = limits
            .group
            .map(|rate| (locked(&self.groups), self.hasher.hash_one(group), rate));
        let mut places = [(member, Exceeding::Member), (group, Exceeding::Group)];
        let mut counted = [None; 2];
        let mut wait = Duration::ZERO;
        for ((place, by), counted) in places.iter().zip(&mut counted) {
            let Some((entries, key, rate)) = place else {
                continue;
            };
            let mut bucket = entries.bucket(*key, demand.kind);
            let taken = bucket.take(*rate, demand.count, demand.patience, now);
            wait = wait.max(taken.map_err(|wait| Exceeded { by: *by, wait })?);
            *counted = Some(bucket);
        }
        for ((place, _), bucket) in places.iter_mut().zip(counted) {
            if let Some(((entries, key, _), bucket)) = place.as_mut().zip(bucket) {
                entries.put(*key, demand.kind, bucket, now);
            }
        }
        Ok(wait)
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        let lengths = self.members.iter().map(|shard| locked(shard).buckets.len());
        lengths.sum()
    }
}

fn locked<const N: usize>(entries: &Mutex<Entries<N>>) -> MutexGuard<'_, Entries<N>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<const N: usize> Entries<N> {
    fn new() -> Self {
        Self {
            buckets: HashMap::new(),
            forget_above: FORGET_ABOVE,
        }
    }

    fn bucket(&self, key: u64, kind: usize) -> Bucket {
        let known = self.buckets.get(&key).map(|buckets| buckets[kind]);
        known.unwrap_or_default()
    }

    fn put(&mut self, key: u64, kind: usize, bucket: Bucket, now: Timestamp) {
        self.buckets.entry(key).or_insert([Bucket::default(); N])[kind] = bucket;
        if self.buckets.len() > self.forget_above {
            let is_full = |bucket: &Bucket| bucket.last_use() <= now;
            self.buckets
                .retain(|_, buckets| !buckets.iter().all(is_full));
            // Not again before there are as many more.
            self.forget_above = FORGET_ABOVE.max(self.buckets.len() * 2);
            self.buckets.shrink_to(self.forget_above);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn one(kind: usize) -> Demand {
        Demand {
            kind,
            count: 1,
            patience: Duration::ZERO,
        }
    }

    fn limits(member: u32, group: u32) -> MemberLimits {
        let rate = |count: u32| (count > 0).then(|| Rate::new(count, SECOND, count));
        MemberLimits {
            member: rate(member),
            group: rate(group),
        }
    }

    #[test]
    fn a_member_that_asks_for_too_much_leaves_the_others_their_share() {
        let buckets = MemberBuckets::<2>::default();
        let limits = limits(2, 5);
        let ask = |member: &str, kind| {
            let taken = buckets.take((&"hub", Some(&member)), one(kind), limits, START);
            taken.map_err(|exceeded| exceeded.by)
        };
        let admitted = (0..100).filter(|_| ask("loud", 0).is_ok()).count();
        assert_eq!(admitted, 2);
        assert_eq!(ask("loud", 0), Err(Exceeding::Member));
        // What was refused to it did not count against its group.
        let others = (0..100).filter(|n| ask(&format!("d{n}"), 0).is_ok());
        assert_eq!(others.count(), 3);
        assert_eq!(ask("quiet", 0), Err(Exceeding::Group));
        assert_eq!(ask("loud", 1), Ok(Duration::ZERO), "kinds are apart");
        let apart = buckets.take((&"other hub", Some(&"x")), one(0), limits, START);
        assert_eq!(apart, Ok(Duration::ZERO));
    }

    #[test]
    fn a_patient_demand_waits_for_its_turn_and_counts() {
        let buckets = MemberBuckets::<1>::default();
        let patient = Demand {
            patience: SECOND,
            ..one(0)
        };
        let ask = || buckets.take((&"hub", Some(&"d")), patient, limits(4, 0), START);
        let waits: Vec<_> = (0..8).map(|_| ask().unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 250, 500, 750, 1000]);
        let wait = Duration::from_millis(1250);
        let by = Exceeding::Member;
        assert_eq!(ask(), Err(Exceeded { by, wait }));
        assert_eq!(ask(), Err(Exceeded { by, wait }), "a refusal costs nothing");
    }

    #[test]
    fn a_demand_beyond_the_burst_is_admitted_when_the_bucket_is_full() {
        let buckets = MemberBuckets::<1>::default();
        let large = Demand {
            count: 100,
            ..one(0)
        };
        let ask = |now| buckets.take((&"hub", None::<&str>.as_ref()), large, limits(0, 4), now);
        assert_eq!(ask(START), Ok(Duration::ZERO));
        assert!(ask(START).is_err());
        assert_eq!(ask(START.plus(SECOND)), Ok(Duration::ZERO));
    }

    #[test]
    fn idle_members_are_forgotten() {
        let buckets = MemberBuckets::<1>::default();
        for number in 0..200_000_u32 {
            let now = START.plus(Duration::from_millis(u64::from(number) * 10));
            buckets
                .take((&"hub", Some(&number)), one(0), limits(1, 0), now)
                .unwrap();
        }
        let most = SHARDS * (FORGET_ABOVE + 1);
        assert!(buckets.remembered() <= most, "{}", buckets.remembered());
    }

    proptest! {
        /// No second has more than a burst and a rate of a member or of
        /// its group. Forgetting changes nothing of that.
        #[test]
        fn no_second_has_more_than_burst_and_rate(
            asked in prop::collection::vec((0u8..4, 0u64..400), 1..300),
        ) {
            let buckets = MemberBuckets::<1>::default();
            let mut now = START;
            let mut admitted: Vec<(u8, Timestamp)> = Vec::new();
            for (member, gap) in asked {
                now = now.plus(Duration::from_millis(gap));
                if buckets.take((&"hub", Some(&member)), one(0), limits(3, 5), now).is_ok() {
                    admitted.push((member, now));
                }
            }
            for (at, &(member, begin)) in admitted.iter().enumerate() {
                let within = admitted[at..].iter().filter(|(_, when)| when.since(begin) < SECOND);
                let (own, all) = within.fold((0, 0), |(own, all), (who, _)| {
                    (own + u32::from(*who == member), all + 1)
                });
                prop_assert!(own <= 6 && all <= 10, "{own} {all}");
            }
        }
    }
}
