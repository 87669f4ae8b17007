//! Enrollments name issuers whose certificates are identities of devices, and no others.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps::RenewalFault;
use serde_json::json;

use crate::harness::Service;
use crate::harness::keys::symmetric;
use crate::issuing::{Device, certificates, issuer, request};
use crate::renewals::{path, provisioned};

impl Service {
    /// Gives a stored issuer another profile, as no request can.
    fn store_profile(&self, issuer: &str, profile: &str) {
        let file = self.data_dir().join("muster.db");
        let database = rusqlite::Connection::open(file).unwrap();
        let sql = "UPDATE issuers SET document = json_set(document, '$.profile.profile', ?2)
                   WHERE folded = ?1";
        let changed = database.execute(sql, [issuer, profile]).unwrap();
        assert_eq!(changed, 1);
    }
}

#[tokio::test]
async fn an_enrollment_names_no_issuer_of_other_certificates() {
    let service = Service::start().await;
    for profile in ["edge-ca", "edge-server", "verification"] {
        issuer(&service, profile, json!({"profile": profile})).await;
        for (path, id) in [
            ("/enrollments/dev-1", "registrationId"),
            ("/enrollmentGroups/dev-1", "enrollmentGroupId"),
        ] {
            let mut enrollment = symmetric(id, "dev-1", &json!({}));
            enrollment["credentialPolicyName"] = json!(profile);
            let answer = service
                .operate(Method::PUT, path, &[], Some(&enrollment))
                .await;
            assert_eq!(answer.error(), 400_004, "{path} {profile}");
            let message = answer.message();
            for part in [
                format!("device issuer {profile} has the profile {profile}"),
                "name an issuer of the profile edge-identity or device".to_owned(),
            ] {
                assert!(message.contains(&part), "{message}");
            }
        }
    }
    for profile in ["edge-identity", "device"] {
        issuer(&service, profile, json!({"profile": profile})).await;
        let id: &'static str = ["dev-1", "dev-2"][usize::from(profile == "device")];
        let more = json!({"credentialPolicyName": profile});
        let device = Device::enrolled(&service, id, more).await;
        let csr = STANDARD.encode(request(id));
        let (_, state) = device.provision(&service, json!({"csr": csr})).await;
        assert_eq!(certificates(&state)[0].subject_common_name(), Some(id));
    }
}

#[tokio::test]
async fn a_stored_enrollment_with_such_an_issuer_gets_no_certificate() {
    let service = Service::start().await;
    let first = provisioned(&service, "dev-1").await;
    let more = json!({"credentialPolicyName": "fleet"});
    let device = Device::enrolled(&service, "dev-2", more).await;
    for profile in ["edge-server", "edge-ca"] {
        service.store_profile("fleet", profile);
        let csr = json!({"csr": STANDARD.encode(request("dev-2"))});
        let answer = device.register(&service, csr).await;
        assert_eq!(answer.error(), 400_004, "{profile}");
        let kept = service.newest_refusal("dev-2").await;
        assert_eq!(kept["reason"], "csr_issuer_profile_wrong", "{kept}");
        let listed = include_str!("../../../../../docs/reason-codes.md");
        assert!(listed.contains("| `csr_issuer_profile_wrong` |"));
        let renewed = service
            .renew("dev-1", path(&first), &request("dev-1"))
            .await;
        let Err(RenewalFault::NotEntitled(why)) = renewed else {
            panic!("{renewed:?}")
        };
        assert!(why.contains(&format!("has the profile {profile}")), "{why}");
    }
    service.store_profile("fleet", "edge-identity");
    device
        .provision(&service, json!({"csr": STANDARD.encode(request("dev-2"))}))
        .await;
}
