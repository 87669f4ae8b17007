//! Random chains, each with a few things wrong, before three verifiers: ours, rustls-webpki and
//! OpenSSL. Where they differ, one of the things that are wrong has a reason in a list.

use std::process::Command;
use std::time::Duration;

use pki::{IssuerCache, PathRules, verify_path};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::openssl::Workshop;
use crate::toy::{NOW, Toy, ca_params, chain, days, key, leaf_params};

/// What can be wrong, or merely unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    LeafExpired,
    LeafNotYetValid,
    LeafForServers,
    LeafForAnything,
    LeafWithoutPurpose,
    LeafCannotSign,
    LeafIsCa,
    LeafOfAnotherKey,
    IssuerExpired,
    IssuerNoCa,
    IssuerMayNotIssue,
    IssuerForServers,
    IssuerPathLengthZero,
    IssuerRenewedItself,
    IssuerMissing,
    IssuerTwice,
    OrderReversed,
    RootExpired,
    RootPathLengthZero,
}

use Change as C;

const ALL: [Change; 19] = [
    C::LeafExpired,
    C::LeafNotYetValid,
    C::LeafForServers,
    C::LeafForAnything,
    C::LeafWithoutPurpose,
    C::LeafCannotSign,
    C::LeafIsCa,
    C::LeafOfAnotherKey,
    C::IssuerExpired,
    C::IssuerNoCa,
    C::IssuerMayNotIssue,
    C::IssuerForServers,
    C::IssuerPathLengthZero,
    C::IssuerRenewedItself,
    C::IssuerMissing,
    C::IssuerTwice,
    C::OrderReversed,
    C::RootExpired,
    C::RootPathLengthZero,
];

/// Where rustls-webpki accepts what we refuse.
const WEBPKI_ACCEPTS: &[(Change, &str)] = &[
    (
        C::RootExpired,
        "it takes a name and a key from an anchor, and no dates",
    ),
    (
        C::RootPathLengthZero,
        "it reads no path length of an anchor",
    ),
    (C::IssuerMayNotIssue, "it reads no keyUsage"),
];

/// Where rustls-webpki refuses what we accept.
const WEBPKI_REFUSES: &[(Change, &str)] = &[
    (
        C::LeafForAnything,
        "it wants the very purpose; RFC 5280, 4.2.1.12 lets anyExtendedKeyUsage stand for it",
    ),
    (
        C::IssuerRenewedItself,
        "it counts a CA that renewed its own certificate (RFC 5280, 6.1.4 (l) does not)",
    ),
];

/// Where OpenSSL accepts what we refuse.
const OPENSSL_ACCEPTS: &[(Change, &str)] =
    &[(C::LeafIsCa, "it has no rule against it; our design has")];

/// Where OpenSSL refuses what we accept.
const OPENSSL_REFUSES: &[(Change, &str)] = &[
    (
        C::LeafForAnything,
        "its purpose sslclient wants clientAuth; RFC 5280, 4.2.1.12 lets any stand for it",
    ),
    (
        C::LeafCannotSign,
        "its purpose sslclient wants digitalSignature; the handshake proves what a key does",
    ),
];

/// What a verifier is given.
struct Scene {
    changes: Vec<Change>,
    leaf: Toy,
    /// As presented.
    issuers: Vec<Toy>,
    root: Toy,
}

impl Scene {
    fn new(depth: usize, at: usize, changes: &[Change]) -> Self {
        let has = |change| changes.contains(&change);
        let mut root = ca_params("root");
        if has(C::RootExpired) {
            root.not_after = days(-1).to_offset_date_time();
        }
        if has(C::RootPathLengthZero) {
            root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }
        let root = Toy::signed(root, key(0), None);
        let mut issuers: Vec<Toy> = Vec::new();
        for level in 0..depth {
            let above = issuers.last().unwrap_or(&root);
            let mut params = ca_params(&format!("ca-{level}"));
            if level == at {
                change_issuer(&mut params, changes);
            }
            let issuer = Toy::signed(params, key(1 + level), Some(above));
            if level == at && has(C::IssuerRenewedItself) {
                let name = format!("ca-{level}");
                let renewed = Toy::signed(ca_params(&name), key(4 + level), Some(&issuer));
                issuers.push(issuer);
                issuers.push(renewed);
            } else {
                issuers.push(issuer);
            }
        }
        let above = issuers.last().unwrap_or(&root);
        let leaf = leaf_under(above, changes);
        present(&mut issuers, at, changes);
        Self {
            changes: changes.to_vec(),
            leaf,
            issuers,
            root,
        }
    }

    fn ours(&self) -> bool {
        let presented: Vec<&Toy> = [&self.leaf].into_iter().chain(&self.issuers).collect();
        let presented = chain(&presented);
        let (root, cache) = (&self.root.certificate, IssuerCache::new(0));
        verify_path(&PathRules::DEVICE, &presented, root, NOW, &cache).is_ok()
    }

    fn webpki(&self) -> bool {
        let Ok(leaf) = EndEntityCert::try_from(self.leaf.certificate.certificate_der()) else {
            return false;
        };
        let root = anchor_from_trusted_cert(self.root.certificate.certificate_der()).unwrap();
        let issuers: Vec<CertificateDer<'_>> = self
            .issuers
            .iter()
            .map(|one| one.certificate.certificate_der().clone())
            .collect();
        let seconds = NOW.unix_seconds().unsigned_abs();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[root],
            &issuers,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .is_ok()
    }

    fn openssl(&self, shop: &Workshop) -> bool {
        shop.write("leaf.pem", &self.leaf.certificate.to_pem());
        shop.write("root.pem", &self.root.certificate.to_pem());
        let issuers: String = self
            .issuers
            .iter()
            .map(|one| one.certificate.to_pem())
            .collect();
        shop.write("issuers.pem", &issuers);
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-purpose", "sslclient", "-attime"]);
        verify.arg(NOW.unix_seconds().to_string());
        verify.args(["-CAfile", "root.pem", "-no-CApath", "-no-CAstore"]);
        if !self.issuers.is_empty() {
            verify.args(["-untrusted", "issuers.pem"]);
        }
        let output = verify.arg("leaf.pem").current_dir(shop.path()).output();
        output.expect("apt-get install openssl").status.success()
    }

    /// A difference needs a reason among the changes.
    fn compare(&self, whose: &str, theirs: bool, accepts: Reasons, refuses: Reasons) -> bool {
        let ours = self.ours();
        let reasons = if theirs { accepts } else { refuses };
        let is_listed = reasons
            .iter()
            .any(|(change, _)| self.changes.contains(change));
        assert!(
            ours == theirs || is_listed,
            "{:?}: {whose} says {theirs}, we say {ours}",
            self.changes
        );
        ours != theirs
    }
}

type Reasons = &'static [(Change, &'static str)];

fn change_issuer(params: &mut CertificateParams, changes: &[Change]) {
    for change in changes {
        match change {
            C::IssuerExpired => params.not_after = days(-1).to_offset_date_time(),
            C::IssuerNoCa => params.is_ca = IsCa::ExplicitNoCa,
            C::IssuerMayNotIssue => params.key_usages = vec![KeyUsagePurpose::CrlSign],
            C::IssuerForServers => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            C::IssuerPathLengthZero => {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            }
            _ => {}
        }
    }
}

fn leaf_under(issuer: &Toy, changes: &[Change]) -> Toy {
    let mut params = leaf_params("edge-001");
    for change in changes {
        match change {
            C::LeafExpired => params.not_after = days(-1).to_offset_date_time(),
            C::LeafNotYetValid => params.not_before = days(1).to_offset_date_time(),
            C::LeafForServers => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            C::LeafForAnything => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
            }
            C::LeafWithoutPurpose => params.extended_key_usages.clear(),
            C::LeafCannotSign => params.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
            C::LeafIsCa => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
            }
            _ => {}
        }
    }
    if changes.contains(&C::LeafOfAnotherKey) {
        return Toy::signed(params, key(7), Some(&issuer.with_key(key(6))));
    }
    Toy::signed(params, key(7), Some(issuer))
}

/// What is done with the list of issuers, nearest to the leaf first in the end.
fn present(issuers: &mut Vec<Toy>, at: usize, changes: &[Change]) {
    let has = |change| changes.contains(&change);
    if has(C::IssuerTwice)
        && let Some(one) = issuers.get(at)
    {
        let again = one.again();
        issuers.push(again);
    }
    if has(C::IssuerMissing) && at < issuers.len() {
        issuers.remove(at);
    }
    if !has(C::OrderReversed) {
        issuers.reverse();
    }
}

fn scenes() -> impl Strategy<Value = (usize, usize, Vec<Change>)> {
    let changes = prop_oneof![
        1 => Just(Vec::new()),
        6 => subsequence(ALL.to_vec(), 1),
        3 => subsequence(ALL.to_vec(), 2),
    ];
    (0_usize..4, any::<proptest::sample::Index>(), changes)
        .prop_map(|(depth, at, changes)| (depth, at.index(depth.max(1)), changes))
}

fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
}

#[test]
fn random_chains_before_webpki() {
    runner(600)
        .run(&scenes(), |(depth, at, changes)| {
            let scene = Scene::new(depth, at, &changes);
            scene.compare("webpki", scene.webpki(), WEBPKI_ACCEPTS, WEBPKI_REFUSES);
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_chains_before_openssl() {
    let shop = Workshop::new();
    runner(150)
        .run(&scenes(), |(depth, at, changes)| {
            let scene = Scene::new(depth, at, &changes);
            let theirs = scene.openssl(&shop);
            scene.compare("OpenSSL", theirs, OPENSSL_ACCEPTS, OPENSSL_REFUSES);
            Ok(())
        })
        .unwrap();
}

/// A reason for a difference that is none would excuse others.
#[test]
fn every_listed_reason_makes_a_difference() {
    let shop = Workshop::new();
    let differs = |change: Change, compare: &dyn Fn(&Scene) -> bool| {
        let beside = [
            Vec::new(),
            vec![C::RootPathLengthZero],
            vec![C::IssuerPathLengthZero],
        ];
        beside.into_iter().any(|mut changes| {
            changes.push(change);
            (0..4).any(|depth| compare(&Scene::new(depth, 0, &changes)))
        })
    };
    let webpki =
        |scene: &Scene| scene.compare("webpki", scene.webpki(), WEBPKI_ACCEPTS, WEBPKI_REFUSES);
    let openssl = |scene: &Scene| {
        scene.compare(
            "OpenSSL",
            scene.openssl(&shop),
            OPENSSL_ACCEPTS,
            OPENSSL_REFUSES,
        )
    };
    for (change, reason) in WEBPKI_ACCEPTS.iter().chain(WEBPKI_REFUSES) {
        assert!(differs(*change, &webpki), "webpki: {change:?}: {reason}");
    }
    for (change, reason) in OPENSSL_ACCEPTS.iter().chain(OPENSSL_REFUSES) {
        assert!(differs(*change, &openssl), "OpenSSL: {change:?}: {reason}");
    }
}
