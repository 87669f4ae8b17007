//! A cache saves work and never changes a result.

use pki::{ChainError, IssuerCache, PresentedChain, verify_chain};
use proptest::prelude::*;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::toy::{NOW, Toy, ca_params, chain, days, key};

#[test]
fn a_path_is_remembered_once_and_the_oldest_leaves() {
    let cache = IssuerCache::new(2);
    for name in ["a", "b", "c", "c"] {
        let root = Toy::root(name);
        let presented = chain(&[&root.leaf("edge-001")]);
        verify_chain(&presented, &root.certificate, NOW, &cache).unwrap();
    }
    assert_eq!(cache.len(), 2);
    let refused = Toy::root("d");
    let presented = chain(&[&Toy::root("e").leaf("edge-001")]);
    assert!(verify_chain(&presented, &refused.certificate, NOW, &cache).is_err());
    assert_eq!(cache.len(), 2);
}

#[test]
fn a_remembered_issuer_must_still_be_shown_with_its_own() {
    let root = Toy::root("root");
    let middle = root.ca("middle", 1);
    let low = middle.ca("low", 2);
    let (first, second) = (low.leaf("edge-001"), low.leaf("edge-002"));
    let cache = IssuerCache::default();
    let verify =
        |presented: &PresentedChain| verify_chain(presented, &root.certificate, NOW, &cache);
    verify(&chain(&[&first, &low, &middle])).unwrap();
    let gap = verify(&chain(&[&second, &low])).unwrap_err();
    assert!(matches!(gap, ChainError::MissingIssuer { .. }));
    assert!(verify(&chain(&[&second, &low, &middle])).is_ok());
}

#[test]
fn a_remembered_issuer_can_expire() {
    let root = Toy::root("root");
    let mut params = ca_params("short");
    params.not_after = days(1).to_offset_date_time();
    let short = Toy::signed(params, key(1), Some(&root));
    let presented = chain(&[&short.leaf("edge-001"), &short]);
    let cache = IssuerCache::default();
    let at = |now| verify_chain(&presented, &root.certificate, now, &cache);
    at(NOW).unwrap();
    assert_eq!(at(days(2)).unwrap_err().code(), "certificate_expired");
    at(NOW).unwrap();
}

#[test]
fn a_forged_leaf_below_a_remembered_issuer_is_refused() {
    let root = Toy::root("root");
    let low = root.ca("low", 1);
    let forger = Toy::signed(ca_params("low"), key(5), None);
    let cache = IssuerCache::default();
    let verify = |leaf: &Toy| verify_chain(&chain(&[leaf, &low]), &root.certificate, NOW, &cache);
    verify(&low.leaf("edge-001")).unwrap();
    assert_eq!(
        verify(&forger.leaf("edge-002")).unwrap_err().code(),
        "signature_bad"
    );
}

#[test]
fn a_remembered_issuer_below_another_of_the_same_name_is_refused() {
    let root = Toy::root("root");
    let middle = root.ca("middle", 1);
    let other_middle = root.ca("middle", 2);
    let low = middle.ca("low", 3);
    let leaf = low.leaf("edge-001");
    let cache = IssuerCache::default();
    let verify = |middle: &Toy| {
        verify_chain(
            &chain(&[&leaf, &low, middle]),
            &root.certificate,
            NOW,
            &cache,
        )
    };
    verify(&middle).unwrap();
    assert_eq!(verify(&other_middle).unwrap_err().code(), "signature_bad");
}

/// How one CA of a generated hierarchy is made.
#[derive(Debug, Clone)]
struct CaPlan {
    path_length: Option<u8>,
    not_before: i64,
    not_after: i64,
    is_ca: bool,
    may_sign: bool,
    server_only: bool,
    forged: bool,
    shares_name: bool,
}

/// One look at a leaf: which CAs are shown with it, in which order, under which anchor, when.
#[derive(Debug, Clone)]
struct Look {
    leaf: usize,
    selected: u8,
    reversed: bool,
    /// A CA that is replaced by another of the same name and issuer, with another key.
    replaced: Option<usize>,
    trust_anchor: usize,
    day: i64,
}

fn ca_plan() -> impl Strategy<Value = CaPlan> {
    // Mostly sound, so that deep paths get somewhere.
    let rarely = || prop::bool::weighted(0.07);
    let length = prop_oneof![4 => Just(None), 1 => (0_u8..3).prop_map(Some)];
    (
        length,
        -6_i64..2,
        0_i64..8,
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
    )
        .prop_map(
            |(path_length, not_before, lasts, no_ca, no_sign, server_only, forged, shares_name)| {
                CaPlan {
                    path_length,
                    not_before,
                    not_after: not_before + 2 + lasts,
                    is_ca: !no_ca,
                    may_sign: !no_sign,
                    server_only,
                    forged,
                    shares_name,
                }
            },
        )
}

fn look() -> impl Strategy<Value = Look> {
    let selected = prop_oneof![3 => Just(u8::MAX), 1 => any::<u8>()];
    let replaced = prop_oneof![3 => Just(None), 1 => (0_usize..4).prop_map(Some)];
    (
        0_usize..3,
        selected,
        any::<bool>(),
        replaced,
        0_usize..3,
        -3_i64..5,
    )
        .prop_map(
            |(leaf, selected, reversed, replaced, trust_anchor, day)| Look {
                leaf,
                selected,
                reversed,
                replaced,
                trust_anchor,
                day,
            },
        )
}

/// For every CA another of the same name below the same issuer.
fn replacements(cas: &[Toy]) -> Vec<Toy> {
    let replacement = |(index, ca): (usize, &Toy)| {
        let name = &ca.certificate.subject()["CN=".len()..];
        let issuer = index.checked_sub(1).map(|above| &cas[above]);
        Toy::signed(ca_params(name), key(5), issuer)
    };
    cas.iter().enumerate().map(replacement).collect()
}

fn hierarchy(plans: &[CaPlan]) -> Vec<Toy> {
    let mut all: Vec<Toy> = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let name = if plan.shares_name {
            "ca-0".to_owned()
        } else {
            format!("ca-{index}")
        };
        let mut params = ca_params(&name);
        params.not_before = days(plan.not_before).to_offset_date_time();
        params.not_after = days(plan.not_after).to_offset_date_time();
        if plan.is_ca {
            let length = plan.path_length.map_or(
                BasicConstraints::Unconstrained,
                BasicConstraints::Constrained,
            );
            params.is_ca = IsCa::Ca(length);
        } else {
            params.is_ca = IsCa::ExplicitNoCa;
        }
        if !plan.may_sign {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        }
        if plan.server_only {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        let forger = all.last().map(|last| {
            Toy::signed(
                ca_params(&last.certificate.subject()["CN=".len()..]),
                key(6),
                None,
            )
        });
        let issuer = if plan.forged {
            forger.as_ref()
        } else {
            all.last()
        };
        all.push(Toy::signed(params, key(index), issuer));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn with_and_without_a_cache_the_result_is_the_same(
        plans in prop::collection::vec(ca_plan(), 1..5),
        looks in prop::collection::vec(look(), 1..12),
    ) {
        let cas = hierarchy(&plans);
        let last = cas.len() - 1;
        let low = &cas[last];
        let leaves = [low.leaf("edge-0"), low.leaf("edge-1"), cas[last / 2].leaf("edge-2")];
        let replacements = replacements(&cas);
        let shared = IssuerCache::new(3);
        for look in looks {
            let mut selected: Vec<&Toy> = cas
                .iter()
                .enumerate()
                .filter(|(index, _)| look.selected >> index & 1 == 1)
                .map(|(index, ca)| match look.replaced {
                    Some(replaced) if replaced == index => &replacements[index],
                    _ => ca,
                })
                .collect();
            if !look.reversed {
                selected.reverse();
            }
            selected.insert(0, &leaves[look.leaf]);
            let presented = chain(&selected);
            let trust_anchor = &cas[look.trust_anchor.min(last)].certificate;
            let now = days(look.day);
            let cold = verify_chain(&presented, trust_anchor, now, &IssuerCache::new(0));
            let warm = verify_chain(&presented, trust_anchor, now, &shared);
            let summary = |result: Result<pki::VerifiedChain, ChainError>| {
                result.map(|chain| {
                    let issuers = chain.issuers().to_vec();
                    (chain.leaf().sha256(), chain.trust_anchor(), issuers)
                })
            };
            prop_assert_eq!(summary(cold), summary(warm));
        }
    }
}
