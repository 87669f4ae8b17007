//! Certificates are asked whether they are in force in the transaction that gives their holder
//! another one.

use ids::{CertificateName, Thumbprint};
use pki::RevocationReason;
use provisioning::{EnterError, IssuedCertificate, ListVersion, Requester, RevocationListDraft};
use registry::revocation::ProvenPath;
use registry::{IfMatch, ListSource, StalePolicy};

use crate::revocations::{Ca, serial};
use crate::{Bench, issued};

use RevocationReason::{CertificateHold, KeyCompromise};

impl Bench {
    /// A client that proved to have a certificate gets one of issuer `fleet`.
    async fn renew_by(&self, ca: &Ca, number: u8, proven: ProvenPath) -> Result<(), EnterError> {
        let entry = IssuedCertificate {
            authority: ca.certificate().sha256(),
            requester: Requester::EstCertificate(proven),
            ..issued::certificate(number, "d")
        };
        self.enter(entry).await
    }
}

fn path(ca: &Ca, number: u8) -> ProvenPath {
    ProvenPath {
        leaf: Thumbprint::from_bytes([number; 32]),
        ..ProvenPath::of(&ca.leaf(number), [ca.certificate()])
    }
}

pub(crate) async fn a_certificate_that_is_not_in_force_gets_no_other(bench: Bench) {
    let (ca, partner) = (Ca::named("fleet"), Ca::named("partner"));
    bench.issue_with("fleet", &ca).await;
    for number in [1, 2, 3] {
        bench.enter_leaf("fleet", &ca, number).await;
    }
    bench.revoke(1, KeyCompromise).await.unwrap();
    bench.revoke(2, CertificateHold).await.unwrap();
    bench.follow(&partner, StalePolicy::Accept).await;
    let list = partner.list(1, &[(8, KeyCompromise)]);
    bench.publish(list).await.unwrap();
    // The certificates of another CA's name are not found in memory: their rows are.
    let unnamed = Ca::named("another");
    for (holder, number) in [
        (&ca, 1),
        (&ca, 2),
        (&unnamed, 1),
        (&unnamed, 2),
        (&partner, 8),
    ] {
        let refused = bench.renew_by(&ca, 20, path(holder, number)).await;
        assert!(
            matches!(refused, Err(EnterError::NotInForce(_))),
            "{number} {refused:?}"
        );
    }
    bench.renew_by(&ca, 20, path(&ca, 3)).await.unwrap();
    bench.renew_by(&ca, 21, path(&partner, 9)).await.unwrap();
    bench.restore(2).await.unwrap();
    bench.renew_by(&ca, 22, path(&ca, 2)).await.unwrap();
}

pub(crate) async fn a_certificate_is_revoked_by_any_issuer_of_its_ca(bench: Bench) {
    let ca = Ca::named("fleet");
    bench.issue_with("fleet", &ca).await;
    bench.issue_with("factory", &ca).await;
    bench.enter_leaf("factory", &ca, 1).await;
    bench.revoke(1, CertificateHold).await.unwrap();
    assert_eq!(bench.reason(&ca, 1), Some(CertificateHold));
    let found = bench.provisioning.issued_certificates(&serial(1)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].issuer, issued::issuer("factory"));
    let bench = bench.restart().await;
    assert_eq!(bench.reason(&ca, 1), Some(CertificateHold));
    bench.restore(1).await.unwrap();
    assert_eq!(bench.reason(&ca, 1), None);
}

fn list_at(ca: &Ca, url: &str) -> RevocationListDraft {
    RevocationListDraft {
        source: Some(ListSource {
            url: url.to_owned(),
            interval: 3600,
        }),
        ..ca.list_draft("partner")
    }
}

fn version() -> ListVersion {
    ListVersion {
        etag: Some("\"1\"".to_owned()),
        modified: Some("yesterday".to_owned()),
    }
}

pub(crate) async fn another_url_is_asked_for_the_whole_list(bench: Bench) {
    let ca = Ca::named("partner");
    let name = CertificateName::parse("partner").unwrap();
    let at = |url: &str| list_at(&ca, url);
    let provisioning = &bench.provisioning;
    let put = provisioning.put_revocation_list(at("http://a/crl"), &IfMatch::Absent, bench.now());
    let asked = put.await.unwrap();
    let list = ca.list(1, &[(1, KeyCompromise)]);
    let kept = provisioning.keep_fetched_list(&asked, list, version(), bench.now());
    kept.await.unwrap();
    for (url, known) in [("http://a/crl", true), ("http://b/crl", false)] {
        let put = provisioning.put_revocation_list(at(url), &IfMatch::Any, bench.now());
        let answered = put.await.unwrap().content.unwrap();
        let stored = provisioning.revocation_list(&name).unwrap().unwrap();
        for content in [answered, stored.content.unwrap()] {
            assert_eq!(content.http_etag.is_some(), known, "{url}");
            assert_eq!(content.http_modified.is_some(), known, "{url}");
        }
    }
    assert_eq!(bench.reason(&ca, 1), Some(KeyCompromise), "the list stays");
}

pub(crate) async fn a_fetch_that_was_under_way_leaves_a_changed_list_alone(bench: Bench) {
    let (ca, successor) = (Ca::named("partner"), Ca::named("partner"));
    let name = CertificateName::parse("partner").unwrap();
    let (provisioning, now) = (&bench.provisioning, bench.now());
    let first = list_at(&ca, "http://a/crl");
    let put = provisioning.put_revocation_list(first, &IfMatch::Absent, now);
    let mut asked = put.await.unwrap();
    for (ca, url) in [(&ca, "http://b/crl"), (&successor, "http://b/crl")] {
        let put = provisioning.put_revocation_list(list_at(ca, url), &IfMatch::Any, now);
        let changed = put.await.unwrap();
        let list = ca.list(1, &[(1, KeyCompromise)]);
        let kept = provisioning.keep_fetched_list(&asked, list, version(), now);
        assert!(kept.await.unwrap().content.is_none(), "{url}");
        let fault = Some("it answered 404".to_owned());
        let noted = provisioning.note_list_fetch(&asked, fault, now);
        noted.await.unwrap();
        let stored = provisioning.revocation_list(&name).unwrap().unwrap();
        assert!(stored.content.is_none(), "{url}");
        assert_eq!((stored.fault, stored.fetched), (None, None), "{url}");
        assert_eq!(bench.reason(ca, 1), None, "{url}");
        asked = changed;
    }
    let fault = Some("it answered 404".to_owned());
    let noted = provisioning.note_list_fetch(&asked, fault.clone(), now);
    noted.await.unwrap();
    let stored = provisioning.revocation_list(&name).unwrap().unwrap();
    assert_eq!((stored.fault, stored.fetched), (fault, Some(now)));
}
