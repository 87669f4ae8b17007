use ids::{Identity, Thumbprint};
use provisioning::{DeviceProof, Provisioning, ReprovisionPolicy, Substatus};
use registry::{Change, IdentityError, IfMatch, TwinPatch};
use serde_json::{Value, json};
use wire::service_api::identity::Authentication;

use crate::hubs::link;
use crate::registrations::{assign, substatus, twin};
use crate::{Bench, device, hub, map};

pub(crate) async fn again_with_another_certificate_refreshes_it(bench: Bench) {
    let provisioning = &bench.provisioning;
    let first = provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    let identity = Identity::device(hub(), device("d"));
    let patch = TwinPatch {
        tags: None,
        desired: Some(map(json!({"kept": true}))),
    };
    provisioning
        .registry()
        .patch_twin(&identity, patch, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    bench.heard.take();

    let same = provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(
        substatus(&same.registration.state),
        Substatus::InitialAssignment
    );
    assert_eq!(bench.heard.take(), [], "nothing changed in the hub");

    let proof = DeviceProof::Certificate(Thumbprint::from_bytes([2; 32]));
    let mut renewed = assign(provisioning, "d").await;
    renewed.registrant.proof = proof;
    let again = provisioning
        .assign(renewed, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(
        (&again.generation_id, again.registration.created),
        (&first.generation_id, first.registration.created)
    );
    assert_ne!(again.registration.etag, first.registration.etag);
    assert_eq!(
        bench.heard.take(),
        [Change::CredentialsChanged {
            identity: identity.clone()
        }]
    );
    the_renewed_device_keeps_its_twin(provisioning, &identity).await;
}

/// It has the new certificate, and its twin is as it was.
async fn the_renewed_device_keeps_its_twin(provisioning: &Provisioning, identity: &Identity) {
    let credentials = provisioning
        .registry()
        .credentials(identity)
        .await
        .unwrap()
        .unwrap();
    let Authentication::SelfSigned { primary, .. } = credentials.authentication else {
        panic!("self-signed")
    };
    assert_eq!(primary.unwrap().to_string(), "02".repeat(32));
    assert_eq!(
        provisioning
            .registry()
            .twin(identity)
            .await
            .unwrap()
            .twin
            .desired
            .document["kept"],
        true
    );
}

pub(crate) async fn reset_starts_the_twin_again(bench: Bench) {
    let provisioning = &bench.provisioning;
    provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap();
    let identity = Identity::device(hub(), device("d"));
    let patch = TwinPatch {
        tags: Some(map(json!({"extra": 1}))),
        desired: Some(map(json!({"a": {"b": 2}, "c": 3}))),
    };
    provisioning
        .registry()
        .patch_twin(&identity, patch, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    provisioning
        .registry()
        .patch_reported(&identity, map(json!({"r": 1})), None, bench.now())
        .await
        .unwrap();
    bench.heard.take();

    let mut reset = assign(provisioning, "d").await;
    reset.registrant.policy = ReprovisionPolicy::ResetData;
    let again = provisioning
        .assign(reset, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(
        substatus(&again.registration.state),
        Substatus::DeviceDataReset
    );
    let twin = provisioning.registry().twin(&identity).await.unwrap().twin;
    assert_eq!(Value::Object(twin.tags), json!({"site": "Seoul"}));
    assert_eq!(Value::Object(twin.desired.document), json!({"a": {"b": 1}}));
    assert!(twin.reported.document.is_empty());
    assert_eq!(
        (twin.desired.version, twin.reported.version),
        (3, 3),
        "versions go on"
    );
    let heard = bench.heard.take();
    let patch = map(json!({"c": null, "a": {"b": 1}}));
    assert!(
        heard.contains(&Change::Desired {
            identity,
            patch,
            version: 3
        }),
        "{heard:?}"
    );
}

pub(crate) async fn never_stays_with_the_first_device(bench: Bench) {
    bench
        .provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap();
    let mut never = assign(&bench.provisioning, "d").await;
    never.registrant.policy = ReprovisionPolicy::Never;
    never.registrant.device_id = device("other-device");
    let again = bench
        .provisioning
        .assign(never, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(
        again.registration.assignment(),
        Some((&hub(), &device("d")))
    );
    let other = bench
        .provisioning
        .registry()
        .device(&hub(), &device("other-device"))
        .await;
    assert!(matches!(other, Err(IdentityError::DeviceNotFound(_))));
}

pub(crate) async fn a_new_device_id_takes_the_data_along(bench: Bench) {
    let provisioning = &bench.provisioning;
    provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap();
    let patch = TwinPatch {
        tags: Some(map(json!({"kept": 1}))),
        desired: None,
    };
    provisioning
        .registry()
        .patch_twin(
            &Identity::device(hub(), device("d")),
            patch,
            &IfMatch::Absent,
            bench.now(),
        )
        .await
        .unwrap();
    let mut renamed = assign(provisioning, "d").await;
    renamed.registrant.device_id = device("new");
    let moved = provisioning
        .assign(renamed, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(
        substatus(&moved.registration.state),
        Substatus::DeviceDataMigrated
    );
    assert!(
        provisioning
            .registry()
            .device(&hub(), &device("d"))
            .await
            .is_err()
    );
    let twin = provisioning
        .registry()
        .twin(&Identity::device(hub(), device("new")))
        .await
        .unwrap()
        .twin;
    assert_eq!(twin.tags["kept"], 1);
    assert_eq!(
        provisioning
            .registry()
            .list_modules(&hub(), &device("new"))
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(bench.heard.take().contains(&Change::Gone {
        identity: Identity::device(hub(), device("d"))
    }));
}

pub(crate) async fn a_custom_twin_replaces_what_is_there(bench: Bench) {
    bench
        .provisioning
        .assign(assign(&bench.provisioning, "d").await, bench.now())
        .await
        .unwrap();
    let mut custom = assign(&bench.provisioning, "d").await;
    custom.choice.twin = Some(twin(json!({"from": "webhook"}), json!({"z": 1})));
    custom.registrant.policy = ReprovisionPolicy::Never;
    bench
        .provisioning
        .assign(custom, bench.now())
        .await
        .unwrap();
    let twin = bench
        .provisioning
        .registry()
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

/// A device that is moved from the first hub to a second one, by a policy; what it was heard.
async fn moved(bench: &Bench, policy: ReprovisionPolicy) -> Substatus {
    let provisioning = &bench.provisioning;
    bench.create_hub("second", "second.example").await;
    bench.link(link("second")).await;
    let first = assign(provisioning, "d").await;
    provisioning
        .assign(first.clone(), bench.now())
        .await
        .unwrap();
    let before = Identity::device(hub(), device("d"));
    let patch = TwinPatch {
        tags: Some(map(json!({"kept": 1}))),
        desired: Some(map(json!({"a": {"b": 2}}))),
    };
    let patched = provisioning
        .registry()
        .patch_twin(&before, patch, &IfMatch::Absent, bench.now());
    patched.await.unwrap();
    let reported = map(json!({"r": 1}));
    let reported = provisioning
        .registry()
        .patch_reported(&before, reported, None, bench.now());
    reported.await.unwrap();
    bench.heard.take();

    let mut again = first;
    again.choice.hub = "second".parse().unwrap();
    again.registrant.policy = policy;
    let again = provisioning
        .assign(again, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    assert_eq!(
        again.registration.assignment(),
        Some((&"second".parse().unwrap(), &device("d")))
    );
    assert!(
        provisioning
            .registry()
            .device(&hub(), &device("d"))
            .await
            .is_err(),
        "the device of before is gone"
    );
    let heard = bench.heard.take();
    assert!(
        heard.contains(&Change::Gone { identity: before }),
        "{heard:?}"
    );
    substatus(&again.registration.state)
}

pub(crate) async fn t11_migrate_takes_the_twin_to_the_new_hub(bench: Bench) {
    let substatus = moved(&bench, ReprovisionPolicy::MigrateData).await;
    assert_eq!(substatus, Substatus::DeviceDataMigrated);
    let there = Identity::device("second".parse().unwrap(), device("d"));
    let twin = bench
        .provisioning
        .registry()
        .twin(&there)
        .await
        .unwrap()
        .twin;
    assert_eq!(twin.tags["kept"], 1);
    assert_eq!(Value::Object(twin.desired.document), json!({"a": {"b": 2}}));
    assert_eq!(Value::Object(twin.reported.document), json!({"r": 1}));
    let moved = bench
        .provisioning
        .registry()
        .device(&there.hub, &there.device)
        .await;
    assert!(moved.unwrap().iot_edge, "its capabilities came along");
}

pub(crate) async fn t11_reset_begins_with_the_initial_twin_at_the_new_hub(bench: Bench) {
    let substatus = moved(&bench, ReprovisionPolicy::ResetData).await;
    assert_eq!(substatus, Substatus::DeviceDataReset);
    let there = Identity::device("second".parse().unwrap(), device("d"));
    let twin = bench
        .provisioning
        .registry()
        .twin(&there)
        .await
        .unwrap()
        .twin;
    assert_eq!(Value::Object(twin.tags), json!({"site": "Seoul"}));
    assert_eq!(Value::Object(twin.desired.document), json!({"a": {"b": 1}}));
    assert!(twin.reported.document.is_empty());
}

pub(crate) async fn a_device_deleted_at_its_hub_comes_back(bench: Bench) {
    let provisioning = &bench.provisioning;
    let first = provisioning
        .assign(assign(provisioning, "d").await, bench.now())
        .await;
    provisioning
        .registry()
        .delete_device(&hub(), &device("d"), &IfMatch::Any)
        .await
        .unwrap();
    let again = provisioning
        .assign(assign(provisioning, "d").await, bench.now())
        .await;
    let again = again.unwrap();
    let again = again.assigned().unwrap();
    assert!(again.device_created);
    assert_ne!(
        again.generation_id,
        first.unwrap().assigned().unwrap().generation_id
    );
    let twin = provisioning
        .registry()
        .twin(&Identity::device(hub(), device("d")))
        .await;
    assert_eq!(
        Value::Object(twin.unwrap().twin.tags),
        json!({"site": "Seoul"})
    );
}
