//! Any sequence of changes of what is revoked, against a model.

use std::collections::BTreeMap;

use pki::RevocationReason;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use registry::StalePolicy;

use crate::Bench;
use crate::revocations::{Ca, serial};

use RevocationReason::{CertificateHold, KeyCompromise, Superseded};

#[derive(Debug, Clone)]
enum Step {
    Revoke(u8, RevocationReason),
    Restore(u8),
    /// The other CA publishes a list.
    Publish(BTreeMap<u8, RevocationReason>),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let reason = || prop::sample::select(vec![CertificateHold, KeyCompromise, Superseded]);
    prop_oneof![
        4 => (0..4u8, reason()).prop_map(|(number, reason)| Step::Revoke(number, reason)),
        2 => (0..4u8).prop_map(Step::Restore),
        2 => prop::collection::btree_map(0..4u8, reason(), 0..4).prop_map(Step::Publish),
        1 => Just(Step::Restart),
    ]
}

/// What a reader of RFC 5280 expects of the issuer's own certificates.
fn expect(before: Option<RevocationReason>, step: &Step) -> Option<RevocationReason> {
    match (before, step) {
        (Some(CertificateHold) | None, Step::Revoke(_, reason)) => Some(*reason),
        (Some(known), Step::Revoke(_, CertificateHold)) => Some(known),
        (Some(_), Step::Revoke(_, reason)) => Some(*reason),
        (Some(CertificateHold), Step::Restore(_)) => None,
        (before, _) => before,
    }
}

/// A bench a case, each with some steps.
pub(crate) async fn any_sequence_of_changes_is_answered_as_it_is_stored(first: Bench) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (own, partner) = (Ca::named("fleet"), Ca::named("partner"));
    let mut bench = first;
    bench.issue_with("fleet", &own).await;
    bench.follow(&partner, StalePolicy::Accept).await;
    for number in 0..3 {
        bench.enter_leaf("fleet", &own, number).await;
    }
    let (mut revoked, mut listed, mut number) = (BTreeMap::new(), BTreeMap::new(), 0);
    let steps = prop::collection::vec(step(), 120);
    let steps = steps.new_tree(&mut runner).unwrap().current();
    for step in steps {
        match &step {
            Step::Revoke(one, reason) => {
                let _ = bench.revoke(*one, *reason).await;
            }
            Step::Restore(one) => {
                let _ = bench.restore(*one).await;
            }
            Step::Publish(entries) => {
                number += 1;
                let entries: Vec<_> = entries.iter().map(|(n, reason)| (*n, *reason)).collect();
                bench.publish(partner.list(number, &entries)).await.unwrap();
                listed = entries.into_iter().collect();
            }
            Step::Restart => bench = bench.restart().await,
        }
        if let Step::Revoke(one, _) | Step::Restore(one) = &step {
            let before = revoked.remove(one);
            revoked.extend(expect(before, &step).map(|reason| (*one, reason)));
        }
        for one in 0..4u8 {
            assert_eq!(
                bench.reason(&own, one),
                revoked.get(&one).copied(),
                "{one} {step:?}"
            );
            assert_eq!(
                bench.reason(&partner, one),
                listed.get(&one).copied(),
                "{step:?}"
            );
            let rows = bench
                .provisioning
                .issued_certificates(&serial(one))
                .unwrap();
            let stored = rows.first().and_then(|row| row.reason.clone());
            let expected = revoked.get(&one).map(|reason| reason.name().to_owned());
            assert_eq!(stored, expected, "{one} {step:?}");
        }
    }
}
