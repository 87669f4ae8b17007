use ids::{DeviceId, Identity, ModuleId};
use registry::{Change, DeviceRecord, IdentityError, IfMatch, MAX_MODULES, PageRequest};
use wire::service_api::identity::{
    Authentication, AuthenticationRequest, DeviceRequest, ModuleRequest, RegistryStatistics, Status,
};

use crate::{Bench, device, hub};

fn module(id: &str) -> ModuleId {
    ModuleId::parse(id).unwrap()
}

pub(crate) fn edge() -> DeviceRequest {
    DeviceRequest {
        iot_edge: Some(true),
        ..DeviceRequest::default()
    }
}

async fn put(
    bench: &Bench,
    id: &str,
    request: DeviceRequest,
    if_match: IfMatch,
) -> Result<DeviceRecord, IdentityError> {
    let put = bench
        .registry
        .put_device(&hub(), &device(id), request, &if_match, bench.now())
        .await;
    put.map(|(record, _)| record)
}

async fn put_module(
    bench: &Bench,
    on: &DeviceId,
    id: &str,
    if_match: IfMatch,
) -> Result<bool, IdentityError> {
    let request = ModuleRequest::default();
    let put = bench
        .registry
        .put_module(&hub(), on, &module(id), request, &if_match, bench.now())
        .await;
    put.map(|(_, created)| created)
}

pub(crate) async fn a_device_gets_keys_and_versions(bench: Bench) {
    let record = put(&bench, "d", DeviceRequest::default(), IfMatch::Absent)
        .await
        .unwrap();
    let Authentication::Sas { primary, secondary } = &record.authentication else {
        panic!("keys")
    };
    assert_eq!((primary.reveal().len(), primary != secondary), (44, true));
    assert_eq!(
        (record.status, record.iot_edge, &record.device_scope),
        (Status::Enabled, false, &None)
    );
    assert_eq!(
        bench.registry.device(&hub(), &device("d")).await.unwrap(),
        record
    );
    // Ids are case-sensitive in a hub.
    assert!(bench.registry.device(&hub(), &device("D")).await.is_err());
    let again = put(&bench, "d", DeviceRequest::default(), IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(
        (&again.authentication, &again.generation_id),
        (&record.authentication, &record.generation_id)
    );
    assert_ne!(again.etag, record.etag);
}

pub(crate) async fn an_edge_device_gets_its_modules_and_scope(bench: Bench) {
    let record = put(&bench, "e", edge(), IfMatch::Absent).await.unwrap();
    let scope = format!("ms-azure-iot-edge://e-{}", record.generation_id);
    assert_eq!(record.device_scope, Some(scope));
    assert_eq!(
        bench
            .registry
            .list_modules(&hub(), &device("e"))
            .await
            .unwrap()
            .len(),
        2
    );
    // A leaf may become one, an Edge device nothing else.
    put(&bench, "leaf", DeviceRequest::default(), IfMatch::Absent)
        .await
        .unwrap();
    let became = put(&bench, "leaf", edge(), IfMatch::Any).await.unwrap();
    assert!(became.iot_edge && became.device_scope.is_some());
    assert_eq!(
        bench
            .registry
            .list_modules(&hub(), &device("leaf"))
            .await
            .unwrap()
            .len(),
        2
    );
    let back = DeviceRequest {
        iot_edge: Some(false),
        ..DeviceRequest::default()
    };
    assert!(matches!(
        put(&bench, "leaf", back, IfMatch::Any).await,
        Err(IdentityError::Invalid(_))
    ));
}

pub(crate) async fn versions_guard_devices(bench: Bench) {
    let none = put(&bench, "d", DeviceRequest::default(), IfMatch::Any).await;
    assert!(matches!(none, Err(IdentityError::DeviceNotFound(_))));
    let first = put(&bench, "d", DeviceRequest::default(), IfMatch::Absent)
        .await
        .unwrap();
    let conflict = put(&bench, "d", DeviceRequest::default(), IfMatch::Absent).await;
    assert!(matches!(conflict, Err(IdentityError::Exists(_))));
    let exactly = IfMatch::Exactly(first.etag);
    put(&bench, "d", DeviceRequest::default(), exactly.clone())
        .await
        .unwrap();
    let stale = put(&bench, "d", DeviceRequest::default(), exactly.clone()).await;
    assert!(matches!(stale, Err(IdentityError::PreconditionFailed(_))));
    let delete = bench
        .registry
        .delete_device(&hub(), &device("d"), &exactly)
        .await;
    assert!(matches!(delete, Err(IdentityError::PreconditionFailed(_))));
}

pub(crate) async fn a_leaf_gets_its_parent(bench: Bench) {
    let parent = put(&bench, "parent", edge(), IfMatch::Absent)
        .await
        .unwrap();
    let scope = parent.device_scope.unwrap();
    put(&bench, "leaf", DeviceRequest::default(), IfMatch::Absent)
        .await
        .unwrap();
    // What az sends: the scope, and the empty parents that it read before.
    let request = DeviceRequest {
        device_scope: Some(scope.clone()),
        parent_scopes: Some(Vec::new()),
        ..DeviceRequest::default()
    };
    let leaf = put(&bench, "leaf", request, IfMatch::Any).await.unwrap();
    assert_eq!(
        (leaf.device_scope, leaf.parent_scopes),
        (Some(scope.clone()), vec![scope.clone()])
    );
    // What az sends to take it away: an empty scope, and the parents that it read before.
    let mut request = DeviceRequest {
        device_scope: Some(String::new()),
        parent_scopes: Some(vec![scope.clone()]),
        ..DeviceRequest::default()
    };
    let leaf = put(&bench, "leaf", request.clone(), IfMatch::Any).await;
    let leaf = leaf.unwrap();
    assert_eq!((leaf.device_scope, leaf.parent_scopes), (None, Vec::new()));
    // One that has no parent gets the one that is named.
    let leaf = put(&bench, "leaf", request.clone(), IfMatch::Any).await;
    assert_eq!(leaf.unwrap().device_scope, Some(scope.clone()));
    request.parent_scopes = Some(Vec::new());
    request.device_scope = None;
    let leaf = put(&bench, "leaf", request, IfMatch::Any).await.unwrap();
    assert_eq!((leaf.device_scope, leaf.parent_scopes), (None, Vec::new()));
    // An Edge child keeps its own scope.
    put(&bench, "child", edge(), IfMatch::Absent).await.unwrap();
    let request = DeviceRequest {
        parent_scopes: Some(vec![scope.clone()]),
        ..DeviceRequest::default()
    };
    let child = put(&bench, "child", request, IfMatch::Any).await.unwrap();
    assert_ne!(child.device_scope, Some(scope.clone()));
    let kept = put(&bench, "child", DeviceRequest::default(), IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(kept.parent_scopes, [scope]);
}

pub(crate) async fn disabling_and_new_credentials_are_announced(bench: Bench) {
    put(&bench, "d", DeviceRequest::default(), IfMatch::Absent)
        .await
        .unwrap();
    let identity = Identity::device(hub(), device("d"));
    bench.changes.take();
    let disable = DeviceRequest {
        status: Some(Status::Disabled),
        status_reason: Some("lost".to_owned()),
        ..DeviceRequest::default()
    };
    let disabled = put(&bench, "d", disable.clone(), IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(
        (disabled.status, disabled.status_reason.as_deref()),
        (Status::Disabled, Some("lost"))
    );
    put(&bench, "d", disable, IfMatch::Any).await.unwrap();
    assert_eq!(
        bench.changes.take(),
        [Change::Disabled {
            identity: identity.clone()
        }],
        "announced once"
    );
    let status = bench
        .registry
        .credentials(&identity)
        .await
        .unwrap()
        .unwrap()
        .status;
    assert_eq!(status, Status::Disabled);

    let keys = AuthenticationRequest::Sas {
        primary: None,
        secondary: None,
    };
    let renew = DeviceRequest {
        authentication: Some(keys),
        ..DeviceRequest::default()
    };
    put(&bench, "d", renew, IfMatch::Any).await.unwrap();
    assert_eq!(
        bench.changes.take(),
        [Change::CredentialsChanged { identity }]
    );
}

pub(crate) async fn modules_are_created_changed_and_deleted(bench: Bench) {
    let (registry, on) = (&bench.registry, device("d"));
    let nowhere = put_module(&bench, &on, "m", IfMatch::Absent).await;
    assert!(matches!(nowhere, Err(IdentityError::DeviceNotFound(_))));
    put(&bench, "d", edge(), IfMatch::Absent).await.unwrap();
    assert!(put_module(&bench, &on, "m", IfMatch::Absent).await.unwrap());
    let conflict = put_module(&bench, &on, "m", IfMatch::Absent).await;
    assert!(matches!(conflict, Err(IdentityError::Exists(_))));
    let first = registry.module(&hub(), &on, &module("m")).await.unwrap();
    assert!(matches!(first.authentication, Authentication::Sas { .. }));

    // The device uploads the keys of its agent.
    let keys = AuthenticationRequest::Sas {
        primary: None,
        secondary: None,
    };
    let request = ModuleRequest {
        authentication: Some(keys),
        ..ModuleRequest::default()
    };
    let agent = module("$edgeAgent");
    let (agent, created) = registry
        .put_module(&hub(), &on, &agent, request, &IfMatch::Any, bench.now())
        .await
        .unwrap();
    assert!(!created && matches!(agent.authentication, Authentication::Sas { .. }));

    let reserved = put_module(&bench, &on, "$other", IfMatch::Absent).await;
    assert!(matches!(reserved, Err(IdentityError::Invalid(_))));
    let system = registry
        .delete_module(&hub(), &on, &module("$edgeHub"), &IfMatch::Any)
        .await;
    assert!(matches!(system, Err(IdentityError::Invalid(_))));
    bench.changes.take();
    registry
        .delete_module(&hub(), &on, &module("m"), &IfMatch::Exactly(first.etag))
        .await
        .unwrap();
    let identity = Identity::module(hub(), on.clone(), module("m"));
    assert_eq!(bench.changes.take(), [Change::Gone { identity }]);
    let gone = registry.module(&hub(), &on, &module("m")).await;
    assert!(matches!(gone, Err(IdentityError::ModuleNotFound(..))));
}

pub(crate) async fn a_device_has_so_many_modules(bench: Bench) {
    put(&bench, "d", edge(), IfMatch::Absent).await.unwrap();
    for number in 0..MAX_MODULES {
        put_module(&bench, &device("d"), &format!("m{number}"), IfMatch::Absent)
            .await
            .unwrap();
    }
    let more = put_module(&bench, &device("d"), "more", IfMatch::Absent)
        .await
        .unwrap_err();
    assert_eq!(more.to_string(), "device d has 50 modules already");
}

pub(crate) async fn credentials_of_a_module_know_its_device(bench: Bench) {
    let record = put(&bench, "d", edge(), IfMatch::Absent).await.unwrap();
    let agent = Identity::module(hub(), device("d"), ModuleId::edge_agent());
    let credentials = bench.registry.credentials(&agent).await.unwrap().unwrap();
    assert_eq!(
        (credentials.authentication, credentials.iot_edge),
        (Authentication::None, true)
    );
    assert_eq!(credentials.device_scope, record.device_scope);
    assert_ne!(credentials.generation_id, record.generation_id);
    let missing = Identity::module(hub(), device("d"), module("missing"));
    assert!(
        bench
            .registry
            .credentials(&missing)
            .await
            .unwrap()
            .is_none()
    );
    // Another hub's device of the same name is another device.
    let remote = Identity::device("other".parse().unwrap(), device("d"));
    assert!(bench.registry.credentials(&remote).await.unwrap().is_none());
}

pub(crate) async fn deleting_a_device_takes_all_along(bench: Bench) {
    let first = put(&bench, "d", edge(), IfMatch::Absent).await.unwrap();
    bench
        .registry
        .delete_device(&hub(), &device("d"), &IfMatch::Any)
        .await
        .unwrap();
    assert!(bench.changes.take().contains(&Change::Gone {
        identity: Identity::device(hub(), device("d"))
    }));
    let agent = Identity::module(hub(), device("d"), ModuleId::edge_agent());
    assert!(bench.registry.twin(&agent).await.is_err());
    let second = put(&bench, "d", edge(), IfMatch::Absent).await.unwrap();
    assert_ne!(second.generation_id, first.generation_id);
    assert_ne!(second.etag, first.etag);
}

pub(crate) async fn devices_are_listed_and_counted(bench: Bench) {
    for id in ["b", "a", "C"] {
        put(&bench, id, edge(), IfMatch::Absent).await.unwrap();
    }
    let disable = DeviceRequest {
        status: Some(Status::Disabled),
        ..DeviceRequest::default()
    };
    put(&bench, "a", disable, IfMatch::Any).await.unwrap();
    let page = bench
        .registry
        .list_devices(&hub(), &PageRequest::first(2))
        .await
        .unwrap();
    let rest = PageRequest {
        after: page.continuation,
        limit: 2,
    };
    let rest = bench.registry.list_devices(&hub(), &rest).await.unwrap();
    let ids: Vec<_> = page
        .items
        .iter()
        .chain(&rest.items)
        .map(|record| record.device_id.as_str())
        .collect();
    assert_eq!(ids, ["C", "a", "b"]);
    let counted = bench.registry.statistics(&hub()).unwrap();
    assert_eq!(
        counted,
        RegistryStatistics {
            total: 3,
            enabled: 2,
            disabled: 1
        }
    );
}
