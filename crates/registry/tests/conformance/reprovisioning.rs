use ids::Thumbprint;
use registry::{
    Change, DeviceProof, Identity, IdentityError, IfMatch, ReprovisionPolicy, Substatus, TwinPatch,
};
use serde_json::{Value, json};
use wire::identity::Authentication;

use crate::registrations::{assign, substatus, twin};
use crate::{Bench, device, hub, map};

pub(crate) async fn again_with_another_certificate_refreshes_it(bench: Bench) {
    let registry = &bench.registry;
    let first = registry
        .assign(assign(&bench.registry, "d").await, bench.now())
        .await
        .unwrap();
    let identity = Identity::device(hub(), device("d"));
    let patch = TwinPatch {
        tags: None,
        desired: Some(map(json!({"kept": true}))),
    };
    registry
        .patch_twin(&identity, patch, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    bench.told.take();

    let same = registry
        .assign(assign(&bench.registry, "d").await, bench.now())
        .await
        .unwrap();
    assert_eq!(
        substatus(&same.registration.state),
        Substatus::ReprovisionedToInitialAssignment
    );
    assert_eq!(bench.told.take(), [], "nothing changed in the hub");

    let proof = DeviceProof::Certificate(Thumbprint::from_bytes([2; 32]));
    let mut renewed = assign(registry, "d").await;
    renewed.registrant.proof = proof;
    let again = registry.assign(renewed, bench.now()).await.unwrap();
    assert_eq!(
        (&again.generation_id, again.registration.created),
        (&first.generation_id, first.registration.created)
    );
    assert_ne!(again.registration.etag, first.registration.etag);
    assert_eq!(
        bench.told.take(),
        [Change::CredentialsChanged {
            identity: identity.clone()
        }]
    );
    let credentials = registry.credentials(&identity).await.unwrap().unwrap();
    let Authentication::SelfSigned { primary, .. } = credentials.authentication else {
        panic!("self-signed")
    };
    assert_eq!(primary.unwrap().to_string(), "02".repeat(32));
    assert_eq!(
        registry
            .twin(&identity)
            .await
            .unwrap()
            .twin
            .desired
            .document["kept"],
        true
    );
}

pub(crate) async fn reset_starts_the_twin_again(bench: Bench) {
    let registry = &bench.registry;
    registry
        .assign(assign(&bench.registry, "d").await, bench.now())
        .await
        .unwrap();
    let identity = Identity::device(hub(), device("d"));
    let patch = TwinPatch {
        tags: Some(map(json!({"extra": 1}))),
        desired: Some(map(json!({"a": {"b": 2}, "c": 3}))),
    };
    registry
        .patch_twin(&identity, patch, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    registry
        .patch_reported(&identity, map(json!({"r": 1})), None, bench.now())
        .await
        .unwrap();
    bench.told.take();

    let mut reset = assign(registry, "d").await;
    reset.registrant.policy = ReprovisionPolicy::ResetData;
    let again = registry.assign(reset, bench.now()).await.unwrap();
    assert_eq!(
        substatus(&again.registration.state),
        Substatus::DeviceDataReset
    );
    let twin = registry.twin(&identity).await.unwrap().twin;
    assert_eq!(Value::Object(twin.tags), json!({"site": "Seoul"}));
    assert_eq!(Value::Object(twin.desired.document), json!({"a": {"b": 1}}));
    assert!(twin.reported.document.is_empty());
    assert_eq!(
        (twin.desired.version, twin.reported.version),
        (3, 3),
        "versions go on"
    );
    let told = bench.told.take();
    let patch = map(json!({"c": null, "a": {"b": 1}}));
    assert!(
        told.contains(&Change::Desired {
            identity,
            patch,
            version: 3
        }),
        "{told:?}"
    );
}

pub(crate) async fn never_stays_with_the_first_device(bench: Bench) {
    bench
        .registry
        .assign(assign(&bench.registry, "d").await, bench.now())
        .await
        .unwrap();
    let mut never = assign(&bench.registry, "d").await;
    never.registrant.policy = ReprovisionPolicy::Never;
    never.registrant.device_id = device("elsewhere");
    let again = bench.registry.assign(never, bench.now()).await.unwrap();
    assert_eq!(
        again.registration.assignment(),
        Some((&hub(), &device("d")))
    );
    let other = bench.registry.device(&hub(), &device("elsewhere")).await;
    assert!(matches!(other, Err(IdentityError::DeviceNotFound(_))));
}

pub(crate) async fn a_new_device_id_takes_the_data_along(bench: Bench) {
    let registry = &bench.registry;
    registry
        .assign(assign(&bench.registry, "d").await, bench.now())
        .await
        .unwrap();
    let patch = TwinPatch {
        tags: Some(map(json!({"kept": 1}))),
        desired: None,
    };
    registry
        .patch_twin(
            &Identity::device(hub(), device("d")),
            patch,
            &IfMatch::Absent,
            bench.now(),
        )
        .await
        .unwrap();
    let mut renamed = assign(registry, "d").await;
    renamed.registrant.device_id = device("new");
    let moved = registry.assign(renamed, bench.now()).await.unwrap();
    assert_eq!(
        substatus(&moved.registration.state),
        Substatus::DeviceDataMigrated
    );
    assert!(registry.device(&hub(), &device("d")).await.is_err());
    let twin = registry
        .twin(&Identity::device(hub(), device("new")))
        .await
        .unwrap()
        .twin;
    assert_eq!(twin.tags["kept"], 1);
    assert_eq!(
        registry
            .list_modules(&hub(), &device("new"))
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(bench.told.take().contains(&Change::Gone {
        identity: Identity::device(hub(), device("d"))
    }));
}

pub(crate) async fn a_custom_twin_replaces_what_is_there(bench: Bench) {
    bench
        .registry
        .assign(assign(&bench.registry, "d").await, bench.now())
        .await
        .unwrap();
    let mut custom = assign(&bench.registry, "d").await;
    custom.choice.twin = Some(twin(json!({"from": "webhook"}), json!({"z": 1})));
    custom.registrant.policy = ReprovisionPolicy::Never;
    bench.registry.assign(custom, bench.now()).await.unwrap();
    let twin = bench
        .registry
        .twin(&Identity::device(hub(), device("d")))
        .await
        .unwrap()
        .twin;
    assert_eq!(Value::Object(twin.tags), json!({"from": "webhook"}));
    assert_eq!(
        (Value::Object(twin.desired.document), twin.desired.version),
        (json!({"z": 1}), 2)
    );
}
