use ids::{EnrollmentId, RegistrationId, Thumbprint};
use registry::{
    Assign, AssignError, DeviceProof, EnrolledBy, FailRegistration, Identity, IfMatch, InitialTwin,
    PageRequest, RegistrationError, RegistrationFailure, RegistrationState, ReprovisionPolicy,
    Substatus, TwinHandling,
};
use serde_json::{Value, json};
use wire::identity::Authentication;

use crate::{Bench, device, hub, map};

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).unwrap()
}

pub(crate) fn twin(tags: Value, desired: Value) -> InitialTwin {
    InitialTwin::new(&map(tags), &map(desired)).unwrap()
}

pub(crate) fn assign(name: &str) -> Assign {
    Assign {
        registration_id: id(name),
        enrollment: EnrolledBy::Group(EnrollmentId::parse("Group").unwrap()),
        hub: hub(),
        device_id: device(name),
        iot_edge: true,
        proof: DeviceProof::Certificate(Thumbprint::from_bytes([1; 32])),
        twin: TwinHandling::ByPolicy(twin(json!({"site": "Seoul"}), json!({"a": {"b": 1}}))),
        policy: ReprovisionPolicy::MigrateData,
        payload: None,
        detail: Some(json!({"x509": {"enrollmentGroupId": "Group"}})),
    }
}

pub(crate) fn substatus(state: &RegistrationState) -> Substatus {
    match state {
        RegistrationState::Assigned { substatus, .. } => *substatus,
        RegistrationState::Failed { .. } => panic!("it failed: {state:?}"),
    }
}

pub(crate) async fn a_first_registration_makes_everything(bench: Bench) {
    let (registry, now) = (&bench.registry, bench.now());
    let assigned = registry.assign(assign("edge-1"), now).await.unwrap();
    assert!(assigned.device_created);
    let host = registry.service().hubs[0].host.clone();
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
        registry.registration(&id("EDGE-1")).await.unwrap(),
        Some(assigned.registration.clone())
    );

    let record = registry.device(&hub(), &device("edge-1")).await.unwrap();
    assert_eq!(record.generation_id, assigned.generation_id);
    assert!(record.iot_edge);
    let Authentication::SelfSigned { primary, secondary } = record.authentication else {
        panic!("self-signed")
    };
    assert_eq!(primary.unwrap().to_string(), "01".repeat(32));
    assert_eq!(primary, secondary);
    let modules = registry
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

    let twin = registry
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
        .registry
        .assign(assign("Edge-1"), bench.now())
        .await
        .unwrap();
    let mut again = assign("EDGE-1");
    again.device_id = device("Edge-1");
    let again = bench.registry.assign(again, bench.now()).await.unwrap();
    assert_eq!(again.registration.registration_id.as_str(), "Edge-1");
    assert!(!again.device_created);
}

pub(crate) async fn a_device_of_another_registration_is_not_taken(bench: Bench) {
    bench
        .registry
        .assign(
            Assign {
                device_id: device("shared"),
                ..assign("first")
            },
            bench.now(),
        )
        .await
        .unwrap();
    let second = bench.registry.assign(assign("shared"), bench.now()).await;
    assert!(matches!(second, Err(AssignError::DeviceTaken { owner, .. }) if owner == id("first")));
    assert!(
        bench
            .registry
            .registration(&id("shared"))
            .await
            .unwrap()
            .is_none(),
        "nothing was written"
    );
}

pub(crate) async fn an_unknown_hub_writes_nothing(bench: Bench) {
    let nowhere = "nowhere".parse().unwrap();
    let refused = bench
        .registry
        .assign(
            Assign {
                hub: nowhere,
                ..assign("d")
            },
            bench.now(),
        )
        .await;
    assert!(matches!(refused, Err(AssignError::UnknownHub(_))));
    assert!(
        bench
            .registry
            .registration(&id("d"))
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn a_failure_is_remembered_and_leaves_the_assignment(bench: Bench) {
    let registry = &bench.registry;
    let failed = |name: &str| FailRegistration {
        registration_id: id(name),
        enrollment: EnrolledBy::Individual,
        failure: RegistrationFailure {
            code: 400_207,
            message: "the webhook was silent".to_owned(),
        },
    };
    let fresh = registry
        .fail_registration(failed("fresh"), bench.now())
        .await
        .unwrap();
    assert_eq!(
        (fresh.assignment(), &fresh.enrollment),
        (None, &EnrolledBy::Individual)
    );
    registry.assign(assign("d"), bench.now()).await.unwrap();
    let after = registry
        .fail_registration(failed("d"), bench.now())
        .await
        .unwrap();
    assert!(matches!(
        &after.state,
        RegistrationState::Failed { code: 400_207, .. }
    ));
    assert_eq!(after.assignment(), Some((&hub(), &device("d"))));
    let again = registry.assign(assign("d"), bench.now()).await.unwrap();
    assert_eq!(
        substatus(&again.registration.state),
        Substatus::ReprovisionedToInitialAssignment
    );
}

pub(crate) async fn records_are_deleted_and_listed_by_group(bench: Bench) {
    let registry = &bench.registry;
    for name in ["C", "a", "B"] {
        registry.assign(assign(name), bench.now()).await.unwrap();
    }
    registry
        .assign(
            Assign {
                enrollment: EnrolledBy::Individual,
                ..assign("other")
            },
            bench.now(),
        )
        .await
        .unwrap();
    let group = EnrollmentId::parse("GROUP").unwrap();
    let page = registry
        .list_registrations(&group, &PageRequest::first(2))
        .await
        .unwrap();
    let rest = PageRequest {
        after: page.continuation,
        limit: 2,
    };
    let rest = registry.list_registrations(&group, &rest).await.unwrap();
    let names: Vec<_> = page
        .items
        .iter()
        .chain(&rest.items)
        .map(|record| record.registration_id.as_str().to_owned())
        .collect();
    assert_eq!(
        (names, rest.continuation),
        (vec!["a".to_owned(), "B".to_owned(), "C".to_owned()], None)
    );

    let stale = IfMatch::Exactly("stale".parse().unwrap());
    let refused = registry.delete_registration(&id("a"), &stale).await;
    assert!(matches!(
        refused,
        Err(RegistrationError::PreconditionFailed(_))
    ));
    registry
        .delete_registration(&id("A"), &IfMatch::Any)
        .await
        .unwrap();
    let gone = registry.delete_registration(&id("a"), &IfMatch::Any).await;
    assert!(matches!(gone, Err(RegistrationError::NotFound(_))));
    // The device stays, and the next registration is a first one.
    let again = registry.assign(assign("a"), bench.now()).await.unwrap();
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
        let registry = bench.registry.clone();
        running.spawn(async move {
            registry
                .assign(assign(&format!("d-{number:03}")), now)
                .await
                .unwrap()
        });
    }
    assert_eq!(running.join_all().await.len(), 500);
    let page = bench
        .registry
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
