//! Every cause of a refusal: the same terse answer to the device, its own code to the operator, and
//! the same decision from `explain` where a file can show it.

use axum::http::Method;
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::{Ca, EXPIRED, NOT_YET, chain, self_signed};
use crate::harness::keys::{key, symmetric};
use crate::harness::tpm;
use crate::harness::{Service, group, individual};
use software_tpm::SoftwareTpm;

type Case = (&'static str, &'static str, Attempt);

/// Certificates: the group `all` trusts `root`, and so does `short`, which allows one CA below it.
async fn certificate_cases(service: &Service) -> Vec<Case> {
    let root = Ca::root("root");
    let short = Ca::root_with_path_length("short", 0);
    for (name, ca) in [("all", &root), ("short", &short)] {
        let body = group(name, &ca.certificate);
        service
            .create(&format!("/enrollmentGroups/{name}"), &body)
            .await;
    }
    let below = root.intermediate("below");
    let expired = root.intermediate_valid("expired", EXPIRED);
    let pretender = root.pretender("pretender");
    let impostor = Ca::root("root");
    let deep = short.intermediate("deep");
    let too_deep = (deep.intermediate("deeper"), deep);
    let r = &root.certificate;
    let pinned = self_signed("c-pinned");
    let body = individual("c-pinned", &pinned);
    service.create("/enrollments/c-pinned", &body).await;
    let stopped = self_signed("c-stopped");
    let mut body = individual("c-stopped", &stopped);
    body["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/c-stopped", &body).await;
    // One has an enrollment of its own, the other is let in by its group.
    let blocked = [self_signed("c-blocked"), root.leaf("c-shut")];
    let body = individual("c-blocked", &blocked[0]);
    service.create("/enrollments/c-blocked", &body).await;
    for id in ["c-blocked", "c-shut"] {
        service.block(Method::PUT, id).await;
    }
    let key_only = symmetric("registrationId", "c-key", &json!({}));
    service.create("/enrollments/c-key", &key_only).await;
    #[rustfmt::skip]
    let cases = vec![
        ("credential_absent", "c-nothing", Attempt::default()),
        ("id_scope_unknown", "c-scope", Attempt { scope: Some("0neOTHER"), ..Attempt::by(&[&root.leaf("c-scope"), r]) }),
        ("common_name_absent", "c-nameless", Attempt::by(&[&root.nameless_leaf(), r])),
        ("common_name_mismatch", "c-name", Attempt::by(&[&root.leaf("c-other"), r])),
        ("not_enrolled", "c-nobody", Attempt::by(&[&self_signed("c-nobody")])),
        ("enrollment_disabled", "c-stopped", Attempt::by(&[&stopped])),
        ("device_blocked", "c-blocked", Attempt::by(&[&blocked[0]])),
        ("device_blocked", "c-shut", Attempt::by(&[&blocked[1], r])),
        ("leaf_not_pinned", "c-pinned", Attempt::by(&[&self_signed("c-pinned")])),
        ("attestation_other", "c-key", Attempt::by(&[&self_signed("c-key")])),
        ("certificate_expired", "c-late", Attempt::by(&[&below.leaf_valid("c-late", EXPIRED), &below.certificate, r])),
        ("certificate_expired", "c-late-ca", Attempt::by(&[&expired.leaf("c-late-ca"), &expired.certificate, r])),
        ("certificate_not_yet_valid", "c-early", Attempt::by(&[&root.leaf_valid("c-early", NOT_YET), r])),
        ("leaf_is_ca", "c-ca", Attempt::by(&[&root.intermediate("c-ca").certificate, r])),
        ("issuer_missing", "c-gap", Attempt::by(&[&below.leaf("c-gap"), r])),
        ("signature_bad", "c-forged", Attempt::by(&[&impostor.leaf("c-forged"), r])),
        ("issuer_not_ca", "c-pretended", Attempt::by(&[&pretender.leaf("c-pretended"), &pretender.certificate, r])),
        ("usage_wrong", "c-server", Attempt::by(&[&root.server_leaf("c-server"), r])),
        ("path_length_exceeded", "c-deep",
            Attempt::by(&[&too_deep.0.leaf("c-deep"), &too_deep.0.certificate, &too_deep.1.certificate, &short.certificate])),
    ];
    cases
}

async fn token_cases(service: &Service) -> Vec<Case> {
    let body = symmetric("registrationId", "s-own", &json!({}));
    let created = service.create("/enrollments/s-own", &body).await;
    let own = key(&created.body["attestation"]["symmetricKey"]["primaryKey"]);
    let body = symmetric("enrollmentGroupId", "keys", &json!({}));
    service.create("/enrollmentGroups/keys", &body).await;
    for id in ["s-late", "s-else", "s-text"] {
        let keys = json!({"primaryKey": own.to_base64().as_str()});
        let body = symmetric("registrationId", id, &keys);
        service.create(&format!("/enrollments/{id}"), &body).await;
    }
    let leaf = self_signed("s-leaf");
    service
        .create("/enrollments/s-leaf", &individual("s-leaf", &leaf))
        .await;
    let wrong = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
    let (soon, past) = (service.soon(), ids::Timestamp::from_unix_seconds(0));
    vec![
        (
            "token_signature_bad",
            "s-own",
            Attempt::with(service.token("s-own", &wrong, soon)),
        ),
        (
            "token_expired",
            "s-late",
            Attempt::with(service.token("s-late", &own, past)),
        ),
        (
            "token_other_resource",
            "s-else",
            Attempt::with(service.token("s-other", &own, soon)),
        ),
        (
            "token_malformed",
            "s-text",
            Attempt::with("SharedAccessSignature nonsense"),
        ),
        (
            "key_unknown",
            "s-group",
            Attempt::with(service.token("s-group", &wrong, soon)),
        ),
        (
            "attestation_other",
            "s-leaf",
            Attempt::with(service.token("s-leaf", &own, soon)),
        ),
    ]
}

async fn tpm_cases(service: &Service) -> Vec<Case> {
    let (own, other) = (SoftwareTpm::new(), SoftwareTpm::new());
    for id in ["t-ek", "t-root", "t-bare", "t-unasked"] {
        service.enroll_tpm(id, &own).await;
    }
    let body = tpm::tpm_enrollment(
        "t-srk",
        &own.endorsement_key(),
        Some(&own.storage_root_key()),
    );
    service.create("/enrollments/t-srk", &body).await;
    let mut bare = tpm::claim(&own);
    bare.as_object_mut().unwrap().remove("storageRootKey");
    let mut mixed = tpm::claim(&own);
    mixed["storageRootKey"] = tpm::claim(&other)["storageRootKey"].clone();
    let wrong = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
    service.show_tpm("t-root", &tpm::claim(&own)).await;
    vec![
        ("tpm_ek_mismatch", "t-ek", Attempt::tpm(tpm::claim(&other))),
        ("tpm_srk_mismatch", "t-srk", Attempt::tpm(mixed)),
        ("tpm_srk_absent", "t-bare", Attempt::tpm(bare)),
        (
            "tpm_key_unsupported",
            "t-junk",
            Attempt::tpm(json!({"endorsementKey": "AToA"})),
        ),
        (
            "tpm_not_challenged",
            "t-unasked",
            Attempt::with(service.daemon_token("t-unasked", &wrong)),
        ),
        (
            "tpm_challenge_failed",
            "t-root",
            Attempt::with(service.daemon_token("t-root", &wrong)),
        ),
        ("not_enrolled", "t-nobody", Attempt::tpm(tpm::claim(&other))),
    ]
}

impl Service {
    async fn show_tpm(&self, id: &str, tpm: &Value) {
        let attempt = Attempt::tpm(tpm.clone());
        assert_eq!(self.attempt(id, &attempt).await.error(), 401_002);
    }
}

#[tokio::test]
async fn each_cause_is_terse_to_the_device_and_plain_to_the_operator() {
    let service = Service::start().await;
    let mut cases = certificate_cases(&service).await;
    cases.extend(token_cases(&service).await);
    cases.extend(tpm_cases(&service).await);
    let mut reasons: Vec<&str> = Vec::new();
    for (reason, id, attempt) in &cases {
        let answer = service.attempt(id, attempt).await;
        assert_eq!(answer.error(), 401_002, "{reason} {id}");
        assert_eq!(answer.message(), "Unauthorized", "{reason} {id}");
        assert!(!answer.body.to_string().contains(reason), "{reason}");
        let kept = service.refusals(&format!("&registrationId={id}")).await;
        assert_eq!(kept[0]["reason"], *reason, "{id}: {kept}");
        assert_eq!(kept[0]["errorCode"], 401_002);
        assert!(!kept[0]["message"].as_str().unwrap().is_empty());
        if attempt.tpm.is_none() && attempt.scope.is_none() {
            let explanation = service.explain(id, attempt).await;
            assert_eq!(explanation["decision"], "refused", "{id}: {explanation}");
            assert_eq!(explanation["reason"], *reason, "{id}: {explanation}");
            assert_eq!(explanation["chain"], kept[0]["chain"], "{id}");
        }
        reasons.push(reason);
    }
    reasons.sort_unstable();
    reasons.dedup();
    assert!(reasons.len() >= 25, "{}: {reasons:?}", reasons.len());
    let listed = include_str!("../../../../../docs/reason-codes.md");
    for reason in reasons {
        assert!(listed.contains(&format!("| `{reason}` |")), "{reason}");
    }
}

#[tokio::test]
async fn a_device_that_would_be_let_in_is_explained_so_and_nothing_is_written() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let presented = chain(&[&root.leaf("device-1"), &root.certificate]);
    let attempt = Attempt::by(&[&root.leaf("device-1"), &root.certificate]);
    let explanation = service.explain("device-1", &attempt).await;
    assert_eq!(explanation["decision"], "accepted");
    assert_eq!(explanation["enrollment"], "enrollment group all");
    let path = "/registrations/device-1";
    let nobody = service.operate(Method::GET, path, &[], None).await;
    assert_eq!(nobody.error(), 404_202);
    let state = service.provision("device-1", &presented).await;
    assert_eq!(state["assignedHub"], explanation["assignedHub"]);
    assert_eq!(state["deviceId"], explanation["deviceId"]);
}

#[tokio::test]
async fn the_same_refusal_again_is_counted_and_the_list_is_paged_newest_first() {
    let service = Service::start().await;
    for id in ["a", "b", "c"] {
        let attempt = Attempt::by(&[&self_signed(id)]);
        for _ in 0..3 {
            service.attempt(id, &attempt).await;
        }
        service.advance(11);
        service.attempt(id, &attempt).await;
    }
    let all = service.refusals("").await;
    let order: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["registrationId"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["c", "b", "a"]);
    assert_eq!(all[0]["times"], 4);
    let from = all[1]["lastDateTimeUtc"].as_str().unwrap();
    let later = service.refusals(&format!("&from={from}")).await;
    assert_eq!(later.as_array().unwrap().len(), 2);
}
