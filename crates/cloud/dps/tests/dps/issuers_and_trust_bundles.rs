//! Issuers and trust bundles, as operators make, see and delete them.

use std::os::unix::fs::PermissionsExt;

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::keys::symmetric;
use crate::harness::{Service, individual};

const ISSUERS: &str = "/muster/v1/dps/issuers";

#[tokio::test]
async fn an_issuer_is_made_seen_named_and_deleted() {
    let service = Service::start().await;
    let made = service
        .create(&format!("{ISSUERS}/Fleet"), &json!({"validityDays": 7}))
        .await;
    assert_eq!(
        made.body["certificateAuthorityType"],
        "musterCertificateAuthority"
    );
    assert_eq!(made.body["validityDays"], 7);
    assert_eq!(made.body["keyTypes"], json!(["P-256", "P-384", "RSA"]));
    assert_eq!(made.body["certificateInfo"]["subjectName"], "CN=Fleet");
    assert!(!made.body.to_string().contains("PRIVATE"));
    let get = |path: &'static str| service.operate(Method::GET, path, &[], None);
    assert_eq!(get("/certificateAuthorities/fleet").await.body, made.body);
    assert_eq!(get(ISSUERS).await.body["value"], json!([made.body]));
    assert_eq!(
        get("/certificateAuthorities").await.body,
        json!([made.body])
    );
    let query = json!({"query": "SELECT *"});
    let path = "/certificateAuthorities/query";
    let queried = service.operate(Method::POST, path, &[], Some(&query)).await;
    assert_eq!(queried.body, json!([made.body]));
    assert_eq!(queried.header("x-ms-item-type"), "certificateAuthority");

    // Its name keeps its key.
    let again = service
        .operate(
            Method::PUT,
            "/certificateAuthorities/fleet",
            &[],
            Some(&json!({})),
        )
        .await;
    assert_eq!(again.error(), 409_211);
    let mut enrollment = symmetric("registrationId", "dev-1", &json!({}));
    enrollment["credentialPolicyName"] = json!("FLEET");
    let stored = service.create("/enrollments/dev-1", &enrollment).await;
    assert_eq!(stored.body["credentialPolicyName"], "FLEET");
    let delete = |path: &'static str| service.operate(Method::DELETE, path, &[], None);
    let refused = delete("/certificateAuthorities/fleet").await;
    assert_eq!(refused.error(), 409_211);
    assert!(refused.message().contains("individual enrollment dev-1"));
    assert_eq!(delete("/enrollments/dev-1").await.status, 204);
    assert_eq!(delete("/certificateAuthorities/fleet").await.status, 204);
    assert_eq!(get("/certificateAuthorities/fleet").await.error(), 404_211);
    let acts = service.audited();
    assert!(
        acts.contains(&"issuer.create device issuer Fleet".to_owned()),
        "{acts:?}"
    );
    assert!(
        acts.contains(&"issuer.delete device issuer fleet".to_owned()),
        "{acts:?}"
    );
}

#[tokio::test]
async fn keys_are_files_of_the_owner_alone_and_go_with_their_issuer() {
    let service = Service::start().await;
    for name in ["a", "b"] {
        service
            .create(&format!("{ISSUERS}/{name}"), &json!({}))
            .await;
    }
    let dir = service.data_dir().join("ca/issuers");
    let modes = || -> Vec<u32> {
        let files = std::fs::read_dir(&dir).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777)
            .collect()
    };
    assert_eq!(modes(), [0o600, 0o600]);
    let mode = std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    let path = format!("{ISSUERS}/a");
    let deleted = service.operate(Method::DELETE, &path, &[], None).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(modes().len(), 1);
}

#[tokio::test]
async fn what_cannot_issue_is_not_taken() {
    let service = Service::start().await;
    let leaf = self_signed("leaf").to_pem();
    for (body, wanted) in [
        (
            json!({"certificateAuthorityType": "digiCertCertificateAuthority"}),
            "is not offered",
        ),
        (json!({"validityDays": 0}), "validityDays"),
        (json!({"certificate": leaf}), "privateKey"),
        (
            json!({"certificate": leaf, "privateKey": "none"}),
            "the issuer is not made",
        ),
    ] {
        let path = format!("{ISSUERS}/x");
        let answer = service.operate(Method::PUT, &path, &[], Some(&body)).await;
        assert_eq!(answer.error(), 400_004, "{body}");
        assert!(answer.message().contains(wanted), "{}", answer.message());
    }
    let mut enrollment = symmetric("registrationId", "dev-1", &json!({}));
    enrollment["credentialPolicyName"] = json!("nobody");
    let path = "/enrollments/dev-1";
    let answer = service
        .operate(Method::PUT, path, &[], Some(&enrollment))
        .await;
    assert_eq!(answer.error(), 400_004);
    assert!(
        answer
            .message()
            .contains("device issuer nobody does not exist")
    );
    enrollment["clientCertificateIssuancePolicy"] = json!({"certificateAuthorityName": "other"});
    let answer = service
        .operate(Method::PUT, path, &[], Some(&enrollment))
        .await;
    assert!(
        answer.message().contains("credentialPolicyName"),
        "{}",
        answer.message()
    );
}

fn bundle(roots: &[&Ca]) -> Value {
    let one = |root: &&Ca| json!({"certificate": root.certificate.to_pem()});
    json!({"certificates": roots.iter().map(one).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_device_is_told_the_trust_bundle_as_it_is_now() {
    let service = Service::start().await;
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let made = service.create("/trustBundles/Site", &bundle(&[&old])).await;
    assert_eq!(made.body["id"], "Site");
    let certificate = &made.body["certificates"][0];
    assert_eq!(certificate["metadata"]["subjectName"], "CN=old");
    let leaf = self_signed("edge-001");
    let mut enrollment = individual("edge-001", &leaf);
    enrollment["trustBundleId"] = json!("site");
    service.create("/enrollments/edge-001", &enrollment).await;
    let state = service.provision("edge-001", &chain(&[&leaf])).await;
    assert_eq!(state["trustBundle"], made.body);
    assert!(state.get("trustBundleId").is_none(), "{state}");

    let path = "/trustBundles/site";
    let both = bundle(&[&old, &new]);
    let conflict = service.operate(Method::PUT, path, &[], Some(&both)).await;
    assert_eq!(conflict.error(), 409_000);
    let etag = [("if-match", "*")];
    let replaced = service.operate(Method::PUT, path, &etag, Some(&both)).await;
    assert_eq!(replaced.status, 200, "{}", replaced.body);
    let state = service.provision("edge-001", &chain(&[&leaf])).await;
    assert_eq!(
        state["trustBundle"]["certificates"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let listed = service
        .operate(Method::GET, "/trustBundles", &[], None)
        .await;
    assert_eq!(listed.body, json!([replaced.body]));
    // Operators see its name in the enrollment, and not all of it with every registration.
    let path = "/registrations/edge-001";
    let record = service.operate(Method::GET, path, &[], None).await;
    assert!(record.body.get("trustBundle").is_none() && record.body.get("trustBundleId").is_none());

    let refused = service
        .operate(Method::DELETE, "/trustBundles/site", &[], None)
        .await;
    assert_eq!(refused.error(), 409_000);
    assert!(refused.message().contains("individual enrollment edge-001"));
    let deleted = service
        .operate(Method::DELETE, "/enrollments/edge-001", &[], None)
        .await;
    assert_eq!(deleted.status, 204);
    let deleted = service
        .operate(Method::DELETE, "/trustBundles/site", &[], None)
        .await;
    assert_eq!(deleted.status, 204);
    let leaf = self_signed("leaf");
    let body = json!({"certificates": [{"certificate": leaf.to_pem()}]});
    let refused = service
        .operate(Method::PUT, "/trustBundles/x", &[], Some(&body))
        .await;
    assert_eq!(refused.error(), 400_004);
}
