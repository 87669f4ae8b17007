//! Each act and each decision leaves its record, and no secret in it.

use axum::http::Method;
use serde_json::json;

use crate::harness::{Service, group};
use crate::hierarchy::{Ca, chain, self_signed};
use crate::symmetric_key::symmetric;

#[tokio::test]
async fn acts_and_decisions_are_on_record_in_their_order() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let keys = symmetric("registrationId", "sym-1", &json!({}));
    let created = service.create("/enrollments/sym-1", &keys).await;
    let shown = chain(&[&root.leaf("device-1"), &root.certificate]);
    service.provision("device-1", &shown).await;
    service
        .register("device-2", &chain(&[&self_signed("device-2")]))
        .await;
    for path in ["/registrations/device-1", "/enrollments/sym-1"] {
        service.operate(Method::DELETE, path, &[], None).await;
    }
    // What is refused is no act.
    let missing = "/enrollments/sym-1";
    service.operate(Method::DELETE, missing, &[], None).await;
    assert_eq!(
        service.audited(),
        [
            "enrollment.put enrollment group all",
            "enrollment.put individual enrollment sym-1",
            "registration.delete device-1",
            "enrollment.delete individual enrollment sym-1",
            "registration.assigned device-1",
            "registration.refused device-2",
        ]
    );
    let key = &created.body["attestation"]["symmetricKey"]["primaryKey"];
    let told = service.audit_text();
    assert!(told.contains("provisioningserviceowner"));
    assert!(!told.contains(key.as_str().unwrap()));
}
