//! What `explain` tells beside the decision: which enrollments were tried, what follows the proof,
//! and what a token says.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::{Ca, EXPIRED, self_signed};
use crate::harness::keys::{key, symmetric};
use crate::harness::{Service, group, individual, remote_hub_server};

impl Service {
    pub(crate) async fn change(&self, path: &str, body: &Value) {
        let any = [("if-match", "*")];
        let changed = self.operate(Method::PUT, path, &any, Some(body)).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
    }

    async fn registers(&self, id: &str, attempt: &Attempt) {
        let accepted = self.attempt(id, attempt).await;
        assert_eq!(accepted.status, 202, "{}", accepted.body);
    }
}

/// `enrollment | by | outcome`, the one that decides with a star.
fn comparisons(explained: &Value) -> Vec<String> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    let line = |line: &Value| {
        let star = if line["decides"] == true { "*" } else { "" };
        let (of, by) = (text(line, "enrollment"), text(line, "by"));
        format!("{of} | {by} | {}{star}", text(line, "outcome"))
    };
    let lines = explained["tried"].as_array().unwrap();
    lines.iter().map(line).collect()
}

fn notes(explained: &Value) -> String {
    explained["notes"].to_string()
}

#[tokio::test]
async fn the_groups_on_the_way_are_listed_with_what_became_of_each() {
    let service = Service::start().await;
    let (root, old) = (Ca::root("root"), Ca::root("root"));
    let (below, late) = (
        root.intermediate("below"),
        root.intermediate_valid("late", EXPIRED),
    );
    service.upload("factory", &root.certificate, true).await;
    let all = json!({"enrollmentGroupId": "all", "attestation":
        {"type": "x509", "x509": {"caReferences": {"primary": "factory"}}}});
    service.create("/enrollmentGroups/all", &all).await;
    service
        .create("/enrollmentGroups/old", &group("old", &old.certificate))
        .await;
    let mut stopped = group("below", &below.certificate);
    stopped["provisioningStatus"] = json!("disabled");
    service.create("/enrollmentGroups/below", &stopped).await;

    let direct = service
        .explain("device-1", &Attempt::by(&[&root.leaf("device-1")]))
        .await;
    assert_eq!(direct["decision"], "accepted");
    let mut lines = comparisons(&direct);
    lines[1..].sort();
    let expected = [
        "individual enrollment device-1 | - | absent",
        "enrollment group all | primary CA certificate factory | matched*",
        "enrollment group old | primary certificate | signature_bad",
    ];
    assert_eq!(lines, expected);

    let leaf = below.leaf("device-2");
    let presented = Attempt::by(&[&leaf, &below.certificate, &root.certificate]);
    let explained = service.explain("device-2", &presented).await;
    assert_eq!(explained["reason"], "enrollment_disabled");
    let expected = [
        "individual enrollment device-2 | - | absent",
        "enrollment group below | primary certificate | enrollment_disabled*",
        "enrollment group all | primary CA certificate factory | nearer_group_decides",
    ];
    assert_eq!(comparisons(&explained), expected);
    let certificate = &explained["tried"][1]["certificate"];
    assert_eq!(certificate["subject"], "CN=below");
    assert_eq!(certificate["shownAs"], 2);
    assert_eq!(explained["tried"][2]["certificate"]["shownAs"], 3);

    let presented = Attempt::by(&[&late.leaf("device-3"), &late.certificate]);
    let explained = service.explain("device-3", &presented).await;
    let lines = comparisons(&explained);
    let expected =
        "enrollment group all | primary CA certificate factory | certificate_expired*".to_owned();
    assert!(lines.contains(&expected), "{lines:?}");
}

#[tokio::test]
async fn the_slots_of_an_individual_enrollment_are_listed() {
    let service = Service::start().await;
    let (first, second) = (self_signed("edge-001"), self_signed("edge-001"));
    let mut body = individual("edge-001", &first);
    body["attestation"]["x509"]["clientCertificates"]["secondary"] =
        json!({"certificate": second.to_pem()});
    service.create("/enrollments/edge-001", &body).await;
    let explained = service.explain("edge-001", &Attempt::by(&[&second])).await;
    assert_eq!(explained["decision"], "accepted");
    let mut lines = comparisons(&explained);
    lines.sort();
    let expected = [
        "individual enrollment edge-001 | primary certificate | leaf_not_pinned",
        "individual enrollment edge-001 | secondary certificate | matched*",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_token_is_explained_with_its_scope_expiry_signature_and_key() {
    let service = Service::start().await;
    let group = symmetric("enrollmentGroupId", "keys", &json!({}));
    let group = service.create("/enrollmentGroups/keys", &group).await;
    let master = key(&group.body["attestation"]["symmetricKey"]["secondaryKey"]);
    let derived = wire::sas::SharedAccessKey::from_bytes(master.sign(b"dev-1").to_vec()).unwrap();
    let token = service.token("Dev-1", &derived, service.soon());
    // No registration ID is given: the token names it.
    let explained = service.explained(&json!({ "token": token })).await;
    assert_eq!(explained["decision"], "accepted", "{explained}");
    assert_eq!(explained["registrationId"], "Dev-1");
    assert_eq!(
        explained["token"]["resource"],
        format!("{}/registrations/Dev-1", service.id_scope())
    );
    assert_eq!(
        comparisons(&explained)[1],
        "enrollment group keys | secondary key, derived for dev-1 | matched*"
    );
    assert!(!explained.to_string().contains("sig="), "{explained}");

    let past = ids::Timestamp::from_unix_seconds(0);
    let bodies = [
        (
            "token_expired",
            "dev-1",
            service.token("dev-1", &derived, past),
        ),
        (
            "token_other_resource",
            "dev-2",
            service.token("dev-1", &derived, service.soon()),
        ),
        (
            "key_unknown",
            "dev-2",
            service.token("dev-2", &derived, service.soon()),
        ),
        (
            "token_malformed",
            "dev-2",
            "SharedAccessSignature sr=x".to_owned(),
        ),
    ];
    for (reason, id, token) in bodies {
        let explained = service.explain(id, &Attempt::with(token)).await;
        assert_eq!(explained["reason"], reason, "{explained}");
    }
}

#[tokio::test]
async fn a_device_whose_enrollment_never_reprovisions_stays() {
    let service = Service::start().await;
    service.linked_hub("second", 1).await;
    let leaf = self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    body["iotHubs"] = json!(["hub.test"]);
    service.create("/enrollments/edge-001", &body).await;
    let presented = Attempt::by(&[&leaf]);
    service.registers("edge-001", &presented).await;
    body["iotHubs"] = json!(["second.test"]);
    body["reprovisionPolicy"] = json!({"updateHubAssignment": true, "migrateDeviceData": true});
    service.change("/enrollments/edge-001", &body).await;
    let moves = service.explain("edge-001", &presented).await;
    assert_eq!(moves["assignedHub"], "second.test");
    assert_eq!(moves["substatus"], "deviceDataMigrated");
    assert_eq!(moves["earlier"]["assignedHub"], "hub.test");
    assert!(notes(&moves).contains("it moves from device edge-001 of hub hub"));

    body["reprovisionPolicy"] = json!({"updateHubAssignment": false, "migrateDeviceData": false});
    service.change("/enrollments/edge-001", &body).await;
    let stays = service.explain("edge-001", &presented).await;
    assert_eq!(stays["assignedHub"], "hub.test");
    assert_eq!(stays["substatus"], "reprovisionedToInitialAssignment");
    assert!(notes(&stays).contains("never reprovisions; allocation would choose hub second"));
}

#[tokio::test]
async fn the_first_spelling_and_a_device_that_is_taken_are_explained() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let leaf = root.leaf("edge-001");
    let presented = Attempt::by(&[&leaf, &root.certificate]);
    service.registers("Edge-001", &presented).await;
    let again = service.explain("EDGE-001", &presented).await;
    assert_eq!(again["deviceId"], "Edge-001");
    assert!(notes(&again).contains("first spelling of its registration id, Edge-001"));

    let other = self_signed("edge-002");
    let mut body = individual("edge-002", &other);
    body["deviceId"] = json!("Edge-001");
    service.create("/enrollments/edge-002", &body).await;
    let taken = service.explain("edge-002", &Attempt::by(&[&other])).await;
    assert_eq!(taken["decision"], "failed");
    let message = taken["message"].as_str().unwrap();
    assert!(message.contains("belongs to registration Edge-001"));

    let off = json!({"applyAllocationPolicy": false});
    service
        .own(Method::PUT, "dps/linkedHubs/hub", Some(&off))
        .await;
    let nowhere = service.explain("edge-001", &presented).await;
    assert_eq!(nowhere["decision"], "failed");
    assert!(nowhere["message"].as_str().unwrap().contains("no hub"));
}

#[tokio::test]
async fn the_nearest_hub_is_chosen_by_the_address_that_is_given() {
    let service = Service::start().await;
    service.linked_hub("second", 1).await;
    let remote = json!({"latencies": [{"network": "10.0.0.0/8", "milliseconds": 90}]});
    let near = json!({"latencies": [{"network": "10.0.0.0/8", "milliseconds": 5}]});
    for (name, latencies) in [("hub", remote), ("second", near)] {
        let path = format!("dps/linkedHubs/{name}");
        service.own(Method::PUT, &path, Some(&latencies)).await;
    }
    let leaf = self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    body["allocationPolicy"] = json!("geoLatency");
    service.create("/enrollments/edge-001", &body).await;
    let mut asked = json!({"certificates": leaf.to_pem(), "clientAddress": "10.1.2.3"});
    let explained = service.explained(&asked).await;
    assert_eq!(explained["assignedHub"], "second.test");
    asked.as_object_mut().unwrap().remove("clientAddress");
    let explained = service.explained(&asked).await;
    assert!(notes(&explained).contains("none was given"), "{explained}");
}

#[tokio::test]
async fn a_remote_hub_is_named_and_not_asked() {
    let service = Service::start().await;
    service.link_remote().await;
    let leaf = self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    body["iotHubs"] = json!([remote_hub_server::HOST]);
    service.create("/enrollments/edge-001", &body).await;
    let explained = service.explain("edge-001", &Attempt::by(&[&leaf])).await;
    assert_eq!(explained["decision"], "asks", "{explained}");
    assert_eq!(explained["assignedHub"], remote_hub_server::HOST);
    assert_eq!(explained["deviceId"], "edge-001");
    assert!(notes(&explained).contains("a remote hub is asked"));
}

#[tokio::test]
async fn a_webhook_is_named_and_not_asked_and_an_earlier_assignment_stands() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    service.create("/enrollments/edge-001", &body).await;
    let presented = Attempt::by(&[&leaf]);
    service.registers("edge-001", &presented).await;
    body["allocationPolicy"] = json!("custom");
    body["customAllocationDefinition"] =
        json!({"webhookUrl": "https://functions.example/", "apiVersion": "2021-10-01"});
    body["reprovisionPolicy"] = json!({"updateHubAssignment": false, "migrateDeviceData": false});
    service.change("/enrollments/edge-001", &body).await;
    let explained = service.explain("edge-001", &presented).await;
    assert_eq!(explained["decision"], "asks", "{explained}");
    assert_eq!(explained["earlier"]["deviceId"], "edge-001");
    assert!(notes(&explained).contains("whatever the webhook answers, it stays at hub.test"));
}

// R12
#[tokio::test]
async fn a_device_that_stays_plain_under_an_edge_enrollment_is_noted() {
    let service = Service::start().await;
    let leaf = self_signed("late-001");
    let mut body = individual("late-001", &leaf);
    let attempt = Attempt::by(&[&leaf]);
    let edge = |on: bool| json!({"iotEdge": on});
    body["capabilities"] = edge(false);
    service.create("/enrollments/late-001", &body).await;
    service.registers("late-001", &attempt).await;
    let before = service.explain("late-001", &attempt).await;
    assert!(!notes(&before).contains("--edge-enabled"), "{before}");
    body["capabilities"] = edge(true);
    let any = [("if-match", "*")];
    let path = "/enrollments/late-001";
    let changed = service.operate(Method::PUT, path, &any, Some(&body)).await;
    let described = service.operate(Method::GET, path, &[], None).await;
    for answer in [changed, described] {
        let warning = answer.headers["x-muster-warning"].to_str().unwrap();
        assert!(
            warning.contains("-d late-001 --edge-enabled true"),
            "{warning}"
        );
    }
    let explained = service.explain("late-001", &attempt).await;
    assert_eq!(explained["decision"], "accepted");
    assert!(
        notes(&explained).contains("device-identity update -d late-001 --edge-enabled true"),
        "{explained}"
    );
    // By a reset it becomes one.
    body["reprovisionPolicy"] = json!({"updateHubAssignment": true, "migrateDeviceData": false});
    service.change("/enrollments/late-001", &body).await;
    let explained = service.explain("late-001", &attempt).await;
    assert!(!notes(&explained).contains("--edge-enabled"), "{explained}");
}
