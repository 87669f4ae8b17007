//! The log of issued certificates: every certificate is in it, and its proofs hold offline.

use crate::harness::{Answer, Service};
use crate::issued_certificates::issued;
use axum::http::Method;
use pki::Certificate;
use pki::log::{Checkpoint, LogKey, LogProof, leaf_hash, parse_consistency, verify_consistency};

const LOG: &str = "/muster/v1/dps/issuers/fleet/log";

async fn get(service: &Service, path: &str) -> Answer {
    service.operate(Method::GET, path, &[], None).await
}

fn text<'a>(answer: &'a Answer, member: &str) -> &'a str {
    answer.body[member].as_str().unwrap()
}

async fn head(service: &Service) -> (LogKey, Checkpoint) {
    let answer = get(service, LOG).await;
    let key = LogKey::parse(text(&answer, "publicKey")).unwrap();
    let head = key.open(text(&answer, "checkpoint")).unwrap();
    assert_eq!(answer.body["size"], head.size);
    (key, head)
}

/// The CA certificate that issued a leaf, as operators get it.
async fn issuer_of(service: &Service) -> Certificate {
    let answer = get(service, "/muster/v1/dps/issuers/fleet").await;
    let chain = Certificate::parse_pem_bundle(text(&answer, "certificate")).unwrap();
    chain[0].clone()
}

#[tokio::test]
async fn every_issued_certificate_is_in_the_log_and_its_proof_needs_the_key_alone() {
    let service = Service::start().await;
    let leaves = issued(&service, &["dev-1", "dev-2", "dev-3", "dev-4", "dev-5"]).await;
    let issuer = issuer_of(&service).await;
    let (key, now) = head(&service).await;
    assert_eq!(now.size, 5);
    for (index, leaf) in (0..).zip(&leaves) {
        let path = format!("{LOG}/proof?serialNumber={}", leaf.serial_hex());
        let answer = get(&service, &path).await;
        assert_eq!(answer.body["index"], index);
        let proof = LogProof::parse(text(&answer, "proof")).unwrap();
        let hash = leaf_hash(&issuer.sha256(), leaf.der());
        assert_eq!(proof.verify(&hash, &key).unwrap(), now);
        let other = leaf_hash(&issuer.sha256(), issuer.der());
        assert!(proof.verify(&other, &key).is_err());
    }
    let absent = get(&service, &format!("{LOG}/proof?serialNumber=0102")).await;
    assert_eq!(absent.status, 404);
    assert_eq!(get(&service, &format!("{LOG}/proof")).await.status, 400);
}

#[tokio::test]
async fn the_log_begins_with_every_earlier_one_and_its_key_outlives_the_process() {
    let service = Service::start().await;
    let mut heads = Vec::new();
    issued(&service, &["dev-1"]).await;
    heads.push(head(&service).await);
    for id in ["dev-2", "dev-3", "dev-4"] {
        crate::issued_certificates::issued_more(&service, id).await;
        heads.push(head(&service).await);
    }
    let service = service.restarted().await;
    crate::issued_certificates::issued_more(&service, "dev-5").await;
    let (key, now) = head(&service).await;
    assert_eq!(now.size, 5);
    for (earlier_key, earlier) in heads {
        assert_eq!(earlier_key, key);
        let answer = get(
            &service,
            &format!("{LOG}/consistency?from={}", earlier.size),
        )
        .await;
        assert_eq!(answer.body["size"], 5);
        let path = parse_consistency(text(&answer, "consistency")).unwrap();
        verify_consistency(&earlier, &now, &path).unwrap();
        let rewritten = Checkpoint {
            root: [0; 32],
            ..earlier
        };
        assert!(verify_consistency(&rewritten, &now, &path).is_err());
    }
    for (from, status) in [("6", 400), ("x", 400), ("0", 200)] {
        let answer = get(&service, &format!("{LOG}/consistency?from={from}")).await;
        assert_eq!(answer.status, status, "{from}");
    }
    let missing = get(&service, "/muster/v1/dps/issuers/other/log").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn proofs_of_every_earlier_size_belong_together() {
    let service = Service::start().await;
    let leaves = issued(&service, &["dev-1", "dev-2", "dev-3", "dev-4", "dev-5"]).await;
    let issuer = issuer_of(&service).await;
    let (key, now) = head(&service).await;
    for size in 1..=now.size {
        let query = format!("{LOG}/consistency?from=1&size={size}");
        let answer = get(&service, &query).await;
        let head = key.open(text(&answer, "checkpoint")).unwrap();
        assert_eq!(head.size, size);
        let first = get(&service, &format!("{LOG}/consistency?from=1&size=1")).await;
        let first = key.open(text(&first, "checkpoint")).unwrap();
        let path = parse_consistency(text(&answer, "consistency")).unwrap();
        verify_consistency(&first, &head, &path).unwrap();
        for (index, leaf) in (0..).zip(&leaves) {
            let serial = leaf.serial_hex();
            let path = format!("{LOG}/proof?serialNumber={serial}&size={size}");
            let answer = get(&service, &path).await;
            if index >= size {
                assert_eq!(answer.status, 404, "{}", answer.body);
                continue;
            }
            let proof = LogProof::parse(text(&answer, "proof")).unwrap();
            let hash = leaf_hash(&issuer.sha256(), leaf.der());
            assert_eq!(proof.verify(&hash, &key).unwrap(), head);
        }
    }
    for (query, status) in [
        ("from=1&size=6", 400),
        ("from=4&size=3", 400),
        ("from=1&size=x", 400),
        ("from=0&size=0", 200),
    ] {
        let answer = get(&service, &format!("{LOG}/consistency?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
    }
}

const DAY: i64 = 24 * 3600;

#[tokio::test]
async fn certificates_that_expired_long_ago_leave_the_list_and_stay_in_the_log() {
    let service = Service::start().await;
    // They live 30 days.
    let old = issued(&service, &["dev-1", "dev-2"]).await;
    let (key, before) = head(&service).await;
    let fleet = "fleet".parse().unwrap();
    let (serial, reason) = (old[0].serial().unwrap(), pki::RevocationReason::Superseded);
    let provisioning = &service.provisioning;
    let revoked = provisioning.revoke_certificate(&fleet, serial, reason, service.now());
    revoked.await.unwrap();
    let listed = async || {
        let path = "/muster/v1/dps/issuers/fleet/certificates";
        get(&service, path).await.body.as_array().unwrap().len()
    };
    let on_list = async || {
        let rows = provisioning.revoked_certificates(&fleet, service.now(), 0, 9);
        rows.await.unwrap().len()
    };
    assert_eq!((listed().await, on_list().await), (2, 1));

    service.advance((30 + 365) * DAY - 60);
    let young = crate::issued_certificates::issued_more(&service, "dev-3").await;
    assert_eq!(provisioning.prune_issued(service.now()).await.unwrap(), 0);
    service.advance(120);
    assert_eq!(provisioning.prune_issued(service.now()).await.unwrap(), 2);
    assert_eq!(provisioning.prune_issued(service.now()).await.unwrap(), 0);
    assert_eq!((listed().await, on_list().await), (1, 0));

    // The log has all of them, begins as it did, and goes on.
    crate::issued_certificates::issued_more(&service, "dev-4").await;
    let (_, now) = head(&service).await;
    assert_eq!(now.size, 4);
    let path = format!("{LOG}/consistency?from={}", before.size);
    let consistency = get(&service, &path).await;
    let consistency = parse_consistency(text(&consistency, "consistency")).unwrap();
    verify_consistency(&before, &now, &consistency).unwrap();
    let path = format!("{LOG}/proof?serialNumber={}", young.serial_hex());
    let proof = get(&service, &path).await;
    assert_eq!(proof.body["index"], 2);
    let hash = leaf_hash(&issuer_of(&service).await.sha256(), young.der());
    let proof = LogProof::parse(text(&proof, "proof")).unwrap();
    assert_eq!(proof.verify(&hash, &key).unwrap(), now);
    let path = format!("{LOG}/proof?serialNumber={}", old[1].serial_hex());
    assert_eq!(get(&service, &path).await.status, 404);
    // The audit still says that it was issued.
    assert!(service.audit_text().contains(old[1].serial_hex()));
}
