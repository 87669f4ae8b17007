use ids::{EnrollmentId, Etag, Identity, RegistrationId, Thumbprint, Timestamp};
use provisioning::{
    Assign, AssignError, AttestationKind, Choice, Detail, DeviceProof, EnrolledBy, EnrollmentDraft,
    EnrollmentKey, FailRegistration, Provisioning, Registrant, RegistrationError,
    RegistrationFailure, RegistrationState, ReprovisionPolicy, Substatus,
};
use registry::{DeviceRecord, IfMatch, InitialTwin, PageRequest};
use serde_json::{Value, json};
use wire::device_api::registration::AttestationDetail;
use wire::service_api::identity::Authentication;

use crate::{Bench, device, hub, map};

pub(crate) fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).unwrap()
}

pub(crate) fn twin(tags: Value, desired: Value) -> InitialTwin {
    InitialTwin::new(&map(tags), &map(desired)).unwrap()
}

/// Writes an enrollment without anything in it, over whatever is there; its version.
pub(crate) async fn enroll(provisioning: &Provisioning, key: EnrollmentKey) -> Etag {
    let stored = provisioning.enrollment(&key).await.unwrap();
    let if_match = stored.map_or(IfMatch::Absent, |stored| {
        IfMatch::Exactly(stored.etag.clone())
    });
    let draft = EnrollmentDraft {
        key,
        enabled: true,
        attestation: AttestationKind::X509,
        document: json!({}),
        certificates: Vec::new(),
        ca_certificates: Vec::new(),
        issuance: Default::default(),
    };
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let written = provisioning.put_enrollment(draft, &if_match, now).await;
    written.unwrap().etag
}

/// A device of the group `Group`, which is created when it does not exist.
pub(crate) async fn assign(provisioning: &Provisioning, name: &str) -> Assign {
    let group = EnrollmentId::parse("Group").unwrap();
    let key = EnrollmentKey::Group(group.clone());
    let etag = match provisioning.enrollment(&key).await.unwrap() {
        Some(stored) => stored.etag.clone(),
        None => enroll(provisioning, key).await,
    };
    let registrant = Registrant {
        registration_id: id(name),
        enrollment: EnrolledBy::Group(group),
        enrollment_etag: etag,
        device_id: device(name),
        iot_edge: true,
        proof: DeviceProof::Certificate(Thumbprint::from_bytes([1; 32])),
        initial_twin: twin(json!({"site": "Seoul"}), json!({"a": {"b": 1}})),
        policy: ReprovisionPolicy::MigrateData,
        detail: Some(Detail::of(&AttestationDetail::default())),
        by_secondary: false,
        issued: None,
    };
    let choice = Choice {
        hub: hub(),
        twin: None,
        payload: None,
        skipped: Vec::new(),
    };
    Assign { registrant, choice }
}

pub(crate) fn substatus(state: &RegistrationState) -> Substatus {
    match state {
        RegistrationState::Assigned { substatus, .. } => *substatus,
        other => panic!("it is not assigned: {other:?}"),
    }
}

pub(crate) async fn a_first_registration_makes_everything(bench: Bench) {
    let (provisioning, now) = (&bench.provisioning, bench.now());
    let assigned = provisioning
        .assign(assign(&bench.provisioning, "edge-1").await, now)
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert!(assigned.device_created);
    let host = provisioning.service().hubs[0].host.clone();
    let expected = RegistrationState::Assigned {
        hub: hub(),
        host: Some(host),
        device_id: device("edge-1"),
        substatus: Substatus::InitialAssignment,
    };
    assert_eq!(assigned.registration.state, expected);
    assert_eq!(
        (assigned.registration.created, assigned.registration.updated),
        (now, now)
    );
    assert_eq!(
        provisioning.registration(&id("EDGE-1")).await.unwrap(),
        Some(assigned.registration.clone())
    );

    let record = provisioning
        .registry()
        .device(&hub(), &device("edge-1"))
        .await
        .unwrap();
    assert_eq!(record.generation_id, assigned.generation_id);
    the_edge_device_is_complete(provisioning, record).await;
    the_initial_twin_is_there(provisioning, now).await;
}

/// The device has the proven certificate and the system modules of IoT Edge.
async fn the_edge_device_is_complete(provisioning: &Provisioning, record: DeviceRecord) {
    assert!(record.iot_edge);
    let Authentication::SelfSigned { primary, secondary } = record.authentication else {
        panic!("self-signed")
    };
    assert_eq!(primary.unwrap().to_string(), "01".repeat(32));
    assert_eq!(primary, secondary);
    let modules = provisioning
        .registry()
        .list_modules(&hub(), &device("edge-1"))
        .await
        .unwrap();
    let names: Vec<_> = modules
        .iter()
        .map(|module| module.module_id.as_str())
        .collect();
    assert_eq!(names, ["$edgeAgent", "$edgeHub"]);
    assert!(
        modules
            .iter()
            .all(|module| module.authentication == Authentication::None)
    );
}

async fn the_initial_twin_is_there(provisioning: &Provisioning, now: Timestamp) {
    let twin = provisioning
        .registry()
        .twin(&Identity::device(hub(), device("edge-1")))
        .await
        .unwrap()
        .twin;
    assert_eq!(Value::Object(twin.tags), json!({"site": "Seoul"}));
    let date = now.to_string();
    assert_eq!(
        twin.desired.with_metadata(),
        json!({
            "a": {"b": 1},
            "$metadata": {
                "$lastUpdated": date, "$lastUpdatedVersion": 1,
                "a": {
                    "$lastUpdated": date, "$lastUpdatedVersion": 1,
                    "b": {"$lastUpdated": date, "$lastUpdatedVersion": 1},
                },
            },
            "$version": 1,
        })
    );
}

pub(crate) async fn spelling_is_kept_and_case_is_folded(bench: Bench) {
    bench
        .provisioning
        .assign(assign(&bench.provisioning, "Edge-1").await, bench.now())
        .await
        .unwrap();
    let mut again = assign(&bench.provisioning, "EDGE-1").await;
    again.registrant.device_id = device("Edge-1");
    let again = bench
        .provisioning
        .assign(again, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(again.registration.registration_id.as_str(), "Edge-1");
    assert!(!again.device_created);
}

pub(crate) async fn an_unknown_hub_writes_nothing(bench: Bench) {
    let mut nowhere = assign(&bench.provisioning, "d").await;
    nowhere.choice.hub = "nowhere".parse().unwrap();
    let refused = bench.provisioning.assign(nowhere, bench.now()).await;
    assert!(matches!(refused, Err(AssignError::UnknownHub(_))));
    assert!(
        bench
            .provisioning
            .registration(&id("d"))
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn a_failure_is_remembered_and_leaves_the_assignment(bench: Bench) {
    let provisioning = &bench.provisioning;
    let failed = |name: &str| FailRegistration {
        registration_id: id(name),
        enrollment: EnrolledBy::Individual,
        failure: RegistrationFailure {
            code: 400_207,
            message: "the webhook was silent".to_owned(),
        },
    };
    let fresh = provisioning
        .fail_registration(failed("fresh"), bench.now())
        .await
        .unwrap();
    assert_eq!(
        (fresh.assignment(), &fresh.enrollment),
        (None, &EnrolledBy::Individual)
    );
    provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap();
    let after = provisioning
        .fail_registration(failed("d"), bench.now())
        .await
        .unwrap();
    assert!(matches!(
        &after.state,
        RegistrationState::Failed { code: 400_207, .. }
    ));
    assert_eq!(after.assignment(), Some((&hub(), &device("d"))));
    let again = provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(
        substatus(&again.registration.state),
        Substatus::InitialAssignment
    );
}

pub(crate) async fn records_are_deleted_and_listed_by_group(bench: Bench) {
    let provisioning = &bench.provisioning;
    for name in ["C", "a", "B"] {
        let assign = assign(provisioning, name).await;
        provisioning.assign(assign, bench.now()).await.unwrap();
    }
    let mut other = assign(provisioning, "other").await;
    other.registrant.enrollment = EnrolledBy::Individual;
    other.registrant.enrollment_etag =
        enroll(provisioning, EnrollmentKey::Individual(id("other"))).await;
    provisioning.assign(other, bench.now()).await.unwrap();
    the_group_lists_its_records(provisioning).await;
    a_record_is_deleted_once(&bench).await;
}

/// In two pages, in the order in which they were written.
async fn the_group_lists_its_records(provisioning: &Provisioning) {
    let group = EnrollmentId::parse("GROUP").unwrap();
    let page = provisioning
        .list_registrations(&group, &PageRequest::first(2))
        .await
        .unwrap();
    let rest = PageRequest {
        after: page.continuation,
        limit: 2,
    };
    let rest = provisioning
        .list_registrations(&group, &rest)
        .await
        .unwrap();
    let names: Vec<_> = page
        .items
        .iter()
        .chain(&rest.items)
        .map(|record| record.registration_id.as_str().to_owned())
        .collect();
    assert_eq!(
        (names, rest.continuation),
        (vec!["C".to_owned(), "a".to_owned(), "B".to_owned()], None)
    );
}

async fn a_record_is_deleted_once(bench: &Bench) {
    let provisioning = &bench.provisioning;
    let stale = IfMatch::Exactly("stale".parse().unwrap());
    let now = bench.now();
    let refused = provisioning
        .delete_registration(&id("a"), &stale, now)
        .await;
    assert!(matches!(
        refused,
        Err(RegistrationError::PreconditionFailed(_))
    ));
    provisioning
        .delete_registration(&id("A"), &IfMatch::Any, now)
        .await
        .unwrap();
    let gone = provisioning
        .delete_registration(&id("a"), &IfMatch::Any, now)
        .await;
    assert!(matches!(gone, Err(RegistrationError::NotFound(_))));
    // The device stays, and the next registration is a first one.
    let again = provisioning
        .assign(assign(&bench.provisioning, "a").await, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert!(!again.device_created);
    assert_eq!(
        substatus(&again.registration.state),
        Substatus::InitialAssignment
    );
}

pub(crate) async fn many_at_once_are_all_there(bench: Bench) {
    let mut running = tokio::task::JoinSet::new();
    let now = bench.now();
    for number in 0..500 {
        let provisioning = bench.provisioning.clone();
        let assign = assign(&provisioning, &format!("d-{number:03}")).await;
        running.spawn(async move { provisioning.assign(assign, now).await.unwrap() });
    }
    assert_eq!(running.join_all().await.len(), 500);
    let page = bench
        .provisioning
        .registry()
        .list_devices(&hub(), &PageRequest::first(1000))
        .await
        .unwrap();
    assert_eq!(page.items.len(), 500);
    let mut generations: Vec<_> = page
        .items
        .iter()
        .map(|record| record.generation_id.to_string())
        .collect();
    generations.sort();
    generations.dedup();
    assert_eq!(generations.len(), 500);
}
