//! Whose word counts: groups and individual enrollments that refer to uploaded CA certificates, and
//! what may be put into a group.

use axum::http::{Method, StatusCode};
use ids::{DeviceId, HubName};
use serde_json::{Value, json};

use crate::harness::ca_certificates::upload;
use crate::harness::hierarchy::{Ca, chain};
use crate::harness::{Service, group, individual};

fn references(primary: &str, secondary: Option<&str>) -> Value {
    let mut references = json!({ "primary": primary });
    if let Some(secondary) = secondary {
        references["secondary"] = json!(secondary);
    }
    json!({"type": "x509", "x509": {"caReferences": references}})
}

fn referring_group(id: &str, primary: &str, secondary: Option<&str>) -> Value {
    json!({"enrollmentGroupId": id, "attestation": references(primary, secondary)})
}

impl Service {
    async fn refused_group(&self, body: &Value, code: u64, said: &str) {
        let id = body["enrollmentGroupId"].as_str().unwrap();
        let path = format!("/enrollmentGroups/{id}");
        let refused = self.operate(Method::PUT, &path, &[], Some(body)).await;
        assert_eq!(refused.error(), code, "{}", refused.body);
        assert!(refused.message().contains(said), "{}", refused.message());
        let read = self.operate(Method::GET, &path, &[], None).await;
        assert_eq!(read.error(), 404_204);
    }
}

#[tokio::test]
async fn t3_a_group_on_the_root_admits_a_chain_of_three() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let below = root.intermediate("below");
    service.upload("Root", &root.certificate, true).await;
    let body = referring_group("all", "root", None);
    let created = service.create("/enrollmentGroups/all", &body).await;
    assert_eq!(created.body["attestation"], references("root", None));
    let leaf = below.leaf("device-1");
    let presented = chain(&[&leaf, &below.certificate, &root.certificate]);
    let state = service.provision("device-1", &presented).await;
    assert_eq!(state["status"], "assigned");
    assert_eq!(state["x509"]["enrollmentGroupId"], "all");
    // Up to the verified certificate, and not including it.
    let presented = chain(&[&below.leaf("device-2"), &below.certificate]);
    assert_eq!(
        service.provision("device-2", &presented).await["status"],
        "assigned"
    );
    let list = service
        .operate(Method::POST, "/registrations/all/query", &[], None)
        .await;
    let ids: Vec<_> = list
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["registrationId"])
        .collect();
    assert_eq!(ids, ["device-1", "device-2"]);
}

#[tokio::test]
async fn t4_a_group_on_an_intermediate_refuses_a_leaf_alone() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let below = root.intermediate("below");
    service.upload("root", &root.certificate, true).await;
    service
        .create("/enrollmentGroups/b", &group("b", &below.certificate))
        .await;
    let leaf = below.leaf("device-1");
    let alone = service.register("device-1", &chain(&[&leaf])).await;
    assert_eq!(alone.error(), 401_002);
    let presented = chain(&[&leaf, &below.certificate]);
    assert_eq!(
        service.provision("device-1", &presented).await["status"],
        "assigned"
    );
}

#[tokio::test]
async fn a_group_whose_path_reaches_no_trusted_ca_is_refused_with_the_reason() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let (middle, other) = (root.intermediate("middle"), Ca::root("other"));
    let below = middle.intermediate("below");
    service.upload("Root", &root.certificate, false).await;
    service
        .refused_group(
            &referring_group("a", "nowhere", None),
            400_004,
            "no CA certificate nowhere",
        )
        .await;
    service
        .refused_group(
            &referring_group("a", "root", None),
            400_004,
            "is not verified",
        )
        .await;
    service
        .refused_group(
            &referring_group("a", "root", Some("ROOT")),
            400_004,
            "the same certificate",
        )
        .await;
    let pasted = group("a", &root.certificate);
    service
        .refused_group(
            &pasted,
            400_004,
            "was uploaded as CA certificate Root, which is not verified",
        )
        .await;
    let pasted = group("a", &middle.certificate);
    service
        .refused_group(
            &pasted,
            400_004,
            "was issued by CA certificate Root, which is not verified",
        )
        .await;

    // What leads to nothing that was uploaded is the operator's own word.
    for (id, ca) in [("below", &below), ("other", &other)] {
        let path = format!("/enrollmentGroups/{id}");
        service.create(&path, &group(id, &ca.certificate)).await;
    }
    service.ca_certificate(Method::DELETE, "root", None).await;
    service.upload("root", &root.certificate, true).await;
    service.create("/enrollmentGroups/a", &pasted).await;
}

#[tokio::test]
async fn an_unverified_ca_below_a_verified_one_is_on_the_way_to_it() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let middle = root.intermediate("middle");
    let below = middle.intermediate("below");
    service.upload("middle", &middle.certificate, false).await;
    let body = group("b", &below.certificate);
    service
        .refused_group(&body, 400_004, "CA certificate middle")
        .await;
    service.upload("root", &root.certificate, true).await;
    service.create("/enrollmentGroups/b", &body).await;
}

#[tokio::test]
async fn a_ca_of_the_same_name_vouches_for_nobody() {
    let service = Service::start().await;
    let (root, impostor) = (Ca::root("root"), Ca::root("root"));
    service.upload("root", &root.certificate, true).await;
    service
        .create(
            "/enrollmentGroups/all",
            &referring_group("all", "root", None),
        )
        .await;
    let leaf = impostor.leaf("device-1");
    for presented in [chain(&[&leaf]), chain(&[&leaf, &root.certificate])] {
        assert_eq!(
            service.register("device-1", &presented).await.error(),
            401_002
        );
    }
}

#[tokio::test]
async fn a_root_rolls_over_by_the_secondary_reference() {
    let service = Service::start().await;
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    service.upload("old", &old.certificate, true).await;
    let body = referring_group("fleet", "old", None);
    service.create("/enrollmentGroups/fleet", &body).await;
    service.upload("new", &new.certificate, true).await;
    let both = referring_group("fleet", "old", Some("new"));
    let path = "/enrollmentGroups/fleet";
    service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&both))
        .await;
    for (id, ca) in [("device-1", &old), ("device-2", &new)] {
        let presented = chain(&[&ca.leaf(id), &ca.certificate]);
        assert_eq!(
            service.provision(id, &presented).await["status"],
            "assigned"
        );
    }
    let deleted = service.ca_certificate(Method::DELETE, "old", None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let presented = chain(&[&old.leaf("device-1"), &old.certificate]);
    assert_eq!(
        service.register("device-1", &presented).await.error(),
        401_002
    );
    let presented = chain(&[&new.leaf("device-1"), &new.certificate]);
    assert_eq!(
        service.provision("device-1", &presented).await["status"],
        "assigned"
    );
    // The group can be disabled although one of its CA certificates is gone.
    let mut disabled = both.clone();
    disabled["provisioningStatus"] = json!("disabled");
    let changed = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&disabled))
        .await;
    assert_eq!(
        changed.body["provisioningStatus"], "disabled",
        "{}",
        changed.body
    );
}

#[tokio::test]
async fn the_nearest_group_decides_whether_it_has_or_names_its_certificate() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let (a, b) = (root.intermediate("a"), root.intermediate("b"));
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    service.upload("b", &b.certificate, true).await;
    let mut stopped = referring_group("b", "b", None);
    stopped["provisioningStatus"] = json!("disabled");
    service.create("/enrollmentGroups/b", &stopped).await;
    let presented = |ca: &Ca, id| chain(&[&ca.leaf(id), &ca.certificate, &root.certificate]);
    let state = service
        .provision("device-1", &presented(&a, "device-1"))
        .await;
    assert_eq!(state["x509"]["enrollmentGroupId"], "all");
    let refused = service
        .register("device-2", &presented(&b, "device-2"))
        .await;
    assert_eq!(refused.error(), 401_002);
    // And when it does not show the verified certificate, whose group is nearer than the
    // root that it does show.
    let gap = chain(&[&b.leaf("device-3"), &root.certificate]);
    assert_eq!(service.register("device-3", &gap).await.error(), 401_002);
    service
        .operate(Method::DELETE, "/enrollmentGroups/b", &[], None)
        .await;
    service
        .create("/enrollmentGroups/c", &referring_group("c", "b", None))
        .await;
    let state = service.provision("device-3", &gap).await;
    assert_eq!(state["x509"]["enrollmentGroupId"], "c");
}

/// Enrollments that refer to the same CA certificate get the same etag when that is written again;
/// they are not the same enrollment for it.
#[tokio::test]
async fn a_disabled_enrollment_keeps_its_device_out_of_the_group_that_names_the_same_ca() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service.upload("Root", &root.certificate, true).await;
    let group = referring_group("all", "root", None);
    service.create("/enrollmentGroups/all", &group).await;
    let mut own = json!({"registrationId": "device-1", "attestation": references("root", None)});
    own["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/device-1", &own).await;
    let again = upload(&root.certificate, Some(true));
    let written = service
        .ca_certificate(Method::PUT, "Root", Some(&again))
        .await;
    assert!(written.status.is_success(), "{}", written.body);
    let etag = async |path: &str| {
        let read = service.operate(Method::GET, path, &[], None).await;
        read.body["etag"].clone()
    };
    assert_eq!(
        etag("/enrollments/device-1").await,
        etag("/enrollmentGroups/all").await,
        "else this story is about nothing"
    );
    let presented = chain(&[&root.leaf("device-1"), &root.certificate]);
    assert_eq!(
        service.register("device-1", &presented).await.error(),
        401_002
    );
    let presented = chain(&[&root.leaf("device-2"), &root.certificate]);
    let state = service.provision("device-2", &presented).await;
    assert_eq!(state["x509"]["enrollmentGroupId"], "all");
}

#[tokio::test]
async fn an_individual_enrollment_may_name_a_ca() {
    let service = Service::start().await;
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    service.upload("root", &root.certificate, true).await;
    for id in ["device-1", "device-2"] {
        let body = json!({"registrationId": id, "deviceId": format!("{id}-a"), "attestation": references("root", None)});
        service.create(&format!("/enrollments/{id}"), &body).await;
        let state = service.provision(id, &chain(&[&root.leaf(id)])).await;
        assert_eq!(state["deviceId"], format!("{id}-a"));
        let stranger = service
            .register(id, &chain(&[&other.leaf(id), &other.certificate]))
            .await;
        assert_eq!(stranger.error(), 401_002);
    }
    let leaf = root.leaf("device-2");
    let path = "/enrollments/device-2";
    let pinned = individual("device-2", &leaf);
    service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&pinned))
        .await;
    let another = service
        .register("device-2", &chain(&[&root.leaf("device-2")]))
        .await;
    assert_eq!(another.error(), 401_002, "the reference is gone");
    service.provision("device-2", &chain(&[&leaf])).await;
}

#[tokio::test]
async fn t12_a_leaf_that_rolls_in_its_group_replaces_the_thumbprint_and_keeps_the_modules() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service.upload("root", &root.certificate, true).await;
    let mut body = referring_group("all", "root", None);
    body["capabilities"] = json!({"iotEdge": true});
    service.create("/enrollmentGroups/all", &body).await;
    let (first, second) = (root.leaf("device-1"), root.leaf("device-1"));
    let (hub, device) = (
        HubName::parse("hub").unwrap(),
        DeviceId::parse("device-1").unwrap(),
    );
    let modules = async || {
        let listed = service
            .provisioning
            .registry()
            .list_modules(&hub, &device)
            .await
            .unwrap();
        listed
            .into_iter()
            .map(|module| module.generation_id)
            .collect::<Vec<_>>()
    };
    service.provision("device-1", &chain(&[&first])).await;
    let before = modules().await;
    service.provision("device-1", &chain(&[&second])).await;
    assert_eq!((modules().await, before.len()), (before, 2));
    let stored = service
        .provisioning
        .registry()
        .device(&hub, &device)
        .await
        .unwrap();
    let stored = format!("{stored:?}");
    assert!(stored.contains(&second.sha256().to_string()), "{stored}");
    assert!(!stored.contains(&first.sha256().to_string()), "{stored}");
}
