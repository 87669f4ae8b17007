//! The certificates that an individual enrollment pins follow those of its device, when the issuer
//! of the enrollment says so.
//!
//! Of the two slots the primary is what the device proved last, and the secondary what it was
//! issued last. A device that was issued a certificate may have lost it, so the one with which it
//! asked stays until it has proved the other.

use std::sync::Arc;

use ids::Thumbprint;
use store::CertificateSlot::{Primary, Secondary};

use crate::issued::IssuedCertificate;
use crate::roll::{Occupied, Slots};

/// What a device proved, and was issued.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proven {
    /// SHA-256 of the leaf that it proved itself with.
    pub(crate) leaf: Thumbprint,
    pub(crate) successor: Option<Arc<IssuedCertificate>>,
}

/// The slots once a device has proved a certificate of them. `None`: they stay.
pub(crate) fn with_proven<T: Copy + PartialEq>(slots: &Slots<T>, proven: T) -> Option<Slots<T>> {
    let has_proven_secondary = slots.contains(&(Secondary, proven)) && slots.len() > 1;
    has_proven_secondary.then(|| vec![(Primary, proven)])
}

/// The slots once a device has proved a certificate of them and was issued another. `None`: it
/// proved none of them. `is_free` says whether the secondary may go that the device has not proved.
pub(crate) fn with_successor<T: Copy + PartialEq>(
    slots: &Slots<T>,
    proven: T,
    successor: T,
    is_free: impl FnOnce(T) -> bool,
) -> Option<Result<Slots<T>, Occupied>> {
    let (slot, _) = slots.iter().find(|(_, one)| *one == proven)?;
    let mut others = slots.iter().filter(|(_, one)| *one != proven);
    let is_taken = match (slot, others.next()) {
        (Primary, Some((_, other))) => !is_free(*other),
        (Secondary, _) | (Primary, None) => false,
    };
    Some(match is_taken {
        true => Err(Occupied),
        false => Ok(vec![(Primary, proven), (Secondary, successor)]),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_certificate_that_was_proved_last_stays_until_its_successor_is_proved() {
        let start = vec![(Primary, 1)];
        let renewed = with_successor(&start, 1, 2, |_| false).unwrap();
        assert_eq!(renewed, Ok(vec![(Primary, 1), (Secondary, 2)]));
        let renewed = renewed.unwrap();
        assert_eq!(
            with_proven(&renewed, 1),
            None,
            "it goes on with the old one"
        );
        assert_eq!(with_proven(&renewed, 3), None, "it is not pinned");
        assert_eq!(with_proven(&renewed, 2), Some(vec![(Primary, 2)]));
        assert_eq!(with_proven(&start, 1), None);
        assert_eq!(with_proven(&vec![(Secondary, 1)], 1), None, "the only one");
        // With its new certificate it asks for a third before it has registered.
        let third = with_successor(&renewed, 2, 3, |_| false).unwrap();
        assert_eq!(third, Ok(vec![(Primary, 2), (Secondary, 3)]));
    }

    #[test]
    fn a_certificate_of_the_operator_stays_in_its_slot() {
        let both = vec![(Primary, 1), (Secondary, 9)];
        assert_eq!(with_successor(&both, 1, 2, |_| false), Some(Err(Occupied)));
        let again = with_successor(&both, 1, 2, |one| one == 9).unwrap();
        assert_eq!(again, Ok(vec![(Primary, 1), (Secondary, 2)]));
        assert_eq!(with_successor(&both, 3, 2, |_| true), None);
    }

    /// What happens to a device. A successor is received, or its answer is lost.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// Asks with the certificate of this place among those that it has.
        Renew {
            with: usize,
            received: bool,
        },
        Register {
            with: usize,
        },
        /// Deletes all but the newest that it received.
        Forget,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<usize>(), any::<bool>())
                .prop_map(|(with, received)| Step::Renew { with, received }),
            any::<usize>().prop_map(|with| Step::Register { with }),
            Just(Step::Forget),
        ]
    }

    proptest! {
        /// A device never goes back behind the certificate that it proved last. Answers may be
        /// lost, and all but its newest certificate deleted, at any time.
        #[test]
        fn a_device_always_has_a_certificate_that_is_pinned(
            steps in prop::collection::vec(step(), 1..60)
        ) {
            let mut slots = vec![(Primary, 0_u32)];
            let mut held = BTreeSet::from([0_u32]);
            let (mut issued, mut proved) = (0, 0);
            for step in steps {
                let usable: Vec<u32> = held.range(proved..).copied().collect();
                let nth = |with: usize| usable[with % usable.len()];
                match step {
                    Step::Renew { with, received } => {
                        let with = nth(with);
                        issued += 1;
                        // It asks with the newest that it means to keep.
                        held.retain(|one| *one <= with);
                        if let Some(next) = with_successor(&slots, with, issued, |_| true) {
                            slots = next.unwrap();
                            proved = with;
                            if received {
                                held.insert(issued);
                            }
                        }
                    }
                    Step::Register { with } => {
                        let with = nth(with);
                        if let Some(next) = with_proven(&slots, with) {
                            slots = next;
                        }
                        if slots[0].1 == with {
                            proved = with;
                        }
                    }
                    Step::Forget => held = held.last().copied().into_iter().collect(),
                }
                let is_pinned = |one: &u32| slots.iter().any(|(_, pin)| pin == one);
                prop_assert!(held.iter().any(is_pinned), "{slots:?} {held:?}");
                prop_assert!(slots.len() <= 2);
            }
        }
    }
}
