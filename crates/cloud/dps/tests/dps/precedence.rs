//! Which enrollment decides: individual before group, the nearest issuer first, the first hit
//! decides even when disabled (the worked example of Azure's `concepts-x509-attestation.md`).

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::hierarchy::{Ca, chain};
use crate::harness::{Service, group, individual};

#[tokio::test]
async fn t5_the_five_devices_of_the_documentation() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let (a, b) = (
        root.intermediate("intermediate a"),
        root.intermediate("intermediate b"),
    );
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let mut disabled = group("b", &b.certificate);
    disabled["provisioningStatus"] = json!("disabled");
    service.create("/enrollmentGroups/b", &disabled).await;
    let stopped = a.leaf("device-3");
    let mut disabled = individual("device-3", &stopped);
    disabled["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/device-3", &disabled).await;

    let admitted = [
        ("device-1", a.leaf("device-1")),
        ("device-2", a.leaf("device-2")),
    ];
    for (id, leaf) in &admitted {
        let sent = chain(&[leaf, &a.certificate, &root.certificate]);
        assert_eq!(
            service.provision(id, &sent).await["status"],
            "assigned",
            "{id}"
        );
    }
    let refused = [
        ("device-3", stopped, &a),
        ("device-4", b.leaf("device-4"), &b),
        ("device-5", b.leaf("device-5"), &b),
    ];
    for (id, leaf, issuer) in &refused {
        let sent = chain(&[leaf, &issuer.certificate, &root.certificate]);
        assert_eq!(service.register(id, &sent).await.error(), 401_002, "{id}");
    }
}

#[tokio::test]
async fn the_order_in_which_certificates_are_shown_decides_nothing() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let below = root.intermediate("below");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let mut disabled = group("below", &below.certificate);
    disabled["provisioningStatus"] = json!("disabled");
    service.create("/enrollmentGroups/below", &disabled).await;
    let leaf = below.leaf("device-1");
    for sent in [
        chain(&[&leaf, &below.certificate, &root.certificate]),
        chain(&[&leaf, &root.certificate, &below.certificate]),
    ] {
        assert_eq!(service.register("device-1", &sent).await.error(), 401_002);
    }
    let path = "/enrollmentGroups/below";
    service
        .operate(Method::DELETE, path, &[("if-match", "*")], None)
        .await;
    let sent = chain(&[&leaf, &root.certificate, &below.certificate]);
    assert_eq!(
        service.provision("device-1", &sent).await["status"],
        "assigned"
    );
}

#[tokio::test]
async fn an_individual_enrollment_never_falls_through_to_a_group() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let enrolled = root.leaf("device-1");
    service
        .create("/enrollments/Device-1", &individual("Device-1", &enrolled))
        .await;
    let other = root.leaf("device-1");
    let sent = chain(&[&other, &root.certificate]);
    assert_eq!(service.register("device-1", &sent).await.error(), 401_002);
    let sent = chain(&[&enrolled]);
    let state = service.provision("device-1", &sent).await;
    assert_eq!(state["deviceId"], "Device-1", "the enrolled spelling");
}

#[tokio::test]
async fn the_groups_certificate_need_not_be_shown() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let below = root.intermediate("below");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let leaf = below.leaf("device-1");
    let state = service
        .provision("device-1", &chain(&[&leaf, &below.certificate]))
        .await;
    assert_eq!(state["x509"]["enrollmentGroupId"], "all");
    let direct = root.leaf("device-2");
    assert_eq!(
        service.provision("device-2", &chain(&[&direct])).await["status"],
        "assigned"
    );
    // A gap that the group's certificate does not fill.
    let sent = chain(&[&below.leaf("device-3"), &root.certificate]);
    assert_eq!(service.register("device-3", &sent).await.error(), 401_002);
}

#[tokio::test]
async fn t7_a_group_rolls_over_by_its_secondary_certificate() {
    let service = Service::start().await;
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let mut body = group("fleet", &old.certificate);
    body["attestation"]["x509"]["signingCertificates"]["secondary"] =
        json!({"certificate": new.certificate.to_pem()});
    service.create("/enrollmentGroups/fleet", &body).await;
    for (number, ca) in [&old, &new].iter().enumerate() {
        let id = format!("device-{number}");
        let leaf = ca.leaf(&id);
        let sent = chain(&[&leaf, &ca.certificate]);
        assert_eq!(service.provision(&id, &sent).await["status"], "assigned");
    }
}

#[tokio::test]
async fn what_operators_change_counts_at_the_next_registration() {
    every_change_counts(&Service::start().await).await;
}

/// More than are kept in memory.
#[tokio::test]
async fn the_same_among_a_thousand_groups() {
    let service = Service::start().await;
    for number in 0..1024 {
        let (name, other) = (format!("other-{number}"), Ca::root("root"));
        service
            .create(
                &format!("/enrollmentGroups/{name}"),
                &group(&name, &other.certificate),
            )
            .await;
    }
    every_change_counts(&service).await;
}

async fn every_change_counts(service: &Service) {
    let root = Ca::root("root");
    let below = root.intermediate("below");
    let leaf = below.leaf("device-1");
    let sent = chain(&[&leaf, &below.certificate]);
    let (all, nearer, own) = (
        ("/enrollmentGroups/all", group("all", &root.certificate)),
        (
            "/enrollmentGroups/nearer",
            group("nearer", &below.certificate),
        ),
        ("/enrollments/device-1", individual("device-1", &leaf)),
    );
    let put = async |(path, body): &(&str, Value), status: &str| {
        let mut body = body.clone();
        body["provisioningStatus"] = json!(status);
        let any = [("if-match", "*")];
        let exists = service
            .operate(Method::GET, path, &[], None)
            .await
            .status
            .is_success();
        let condition = if exists { &any[..] } else { &[] };
        let answer = service
            .operate(Method::PUT, path, condition, Some(&body))
            .await;
        assert!(answer.status.is_success(), "{path}: {}", answer.message());
    };
    let delete = async |(path, _): &(&str, Value)| {
        let answer = service.operate(Method::DELETE, path, &[], None).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.message());
    };
    let by = async |group: Option<&str>| {
        let state = service.provision("device-1", &sent).await;
        assert_eq!(state["status"], "assigned");
        assert_eq!(state["x509"]["enrollmentGroupId"].as_str(), group);
    };
    let refused = async || assert_eq!(service.register("device-1", &sent).await.error(), 401_002);

    refused().await;
    put(&all, "enabled").await;
    by(Some("all")).await;
    put(&nearer, "enabled").await;
    by(Some("nearer")).await;
    put(&nearer, "disabled").await;
    refused().await;
    put(&own, "enabled").await;
    by(None).await;
    put(&own, "disabled").await;
    refused().await;
    delete(&nearer).await;
    refused().await;
    delete(&own).await;
    by(Some("all")).await;
    delete(&all).await;
    refused().await;
}

/// R4: the record of a device that was refused because its enrollment is disabled says so; the
/// device is answered as before.
#[tokio::test]
async fn a_device_of_a_disabled_enrollment_has_a_record_that_says_so() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let mut all = group("all", &root.certificate);
    service.create("/enrollmentGroups/all", &all).await;
    let (one, two) = (root.leaf("device-1"), root.leaf("device-2"));
    let (one, two) = (
        chain(&[&one, &root.certificate]),
        chain(&[&two, &root.certificate]),
    );
    let accepted = service.register("device-1", &one).await;
    let operation = accepted.body["operationId"].as_str().unwrap().to_owned();
    let before = service.provision("device-1", &one).await;
    all["provisioningStatus"] = json!("disabled");
    service.change("/enrollmentGroups/all", &all).await;
    let read = async |id: &str| {
        let path = format!("/registrations/{id}");
        service.operate(Method::GET, &path, &[], None).await.body
    };
    for (id, sent) in [("device-1", &one), ("device-2", &two)] {
        assert_eq!(service.register(id, sent).await.error(), 401_002, "{id}");
        let record = read(id).await;
        assert_eq!(record["status"], "disabled", "{record}");
        assert_eq!(record.get("assignedHub"), None, "{record}");
    }
    let etag = read("device-2").await["etag"].clone();
    assert_eq!(service.register("device-2", &two).await.error(), 401_002);
    assert_eq!(read("device-2").await["etag"], etag, "nothing is new");
    // Device daemons cannot read that word: they poll and are refused.
    let service = service.restarted().await;
    assert_eq!(
        service.poll("device-1", &one, &operation).await.error(),
        401_002
    );
    let path = "/registrations/all/query";
    let listed = service.operate(Method::POST, path, &[], None).await.body;
    let statuses: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["status"])
        .collect();
    assert_eq!(statuses, ["disabled", "disabled"]);

    all["provisioningStatus"] = json!("enabled");
    service.change("/enrollmentGroups/all", &all).await;
    let again = service.provision("device-1", &one).await;
    assert_eq!(
        (
            &again["assignedHub"],
            &again["deviceId"],
            &again["substatus"]
        ),
        (
            &before["assignedHub"],
            &before["deviceId"],
            &json!("initialAssignment")
        )
    );
}

#[tokio::test]
async fn an_individual_enrollment_that_is_disabled_shows_it_in_its_registration() {
    let service = Service::start().await;
    let leaf = crate::harness::hierarchy::self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    body["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/edge-001", &body).await;
    let state = async || {
        let path = "/enrollments/edge-001";
        let read = service.operate(Method::GET, path, &[], None).await.body;
        read["registrationState"]["status"].clone()
    };
    assert_eq!(state().await, "unassigned");
    let refused = service.register("edge-001", &chain(&[&leaf])).await;
    assert_eq!(refused.error(), 401_002);
    assert_eq!(state().await, "disabled");
}
