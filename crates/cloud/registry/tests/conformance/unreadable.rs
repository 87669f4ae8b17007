//! What is stored and cannot be used: others go on, and it can be mended.

use ids::{Identity, ModuleId};
use registry::{
    IdentityRecord, IfMatch, LastSeen, PageRequest, QueryRows, TwinError, TwinPatch,
    TwinReplacement,
};
use serde_json::json;
use store::{
    DataDirectory, IdentityKey, IdentityRow, Lock, SectionWrite, Store, StoreError, StoreOptions,
    TargetRow, TwinRow, TwinWrite, Tx, unit,
};
use wire::service_api::identity::{AuthenticationRequest, DeviceRequest};

use crate::deployments::{create, draft, evaluate_all, put, running};
use crate::{Bench, device, hub, map, open, query, twins};

/// Writes behind the registry's back.
async fn behind<F>(bench: Bench, name: &str, write: F) -> Bench
where
    F: Fn(&Tx<'_>, IdentityRow, TwinRow) -> Result<(), StoreError> + Send + 'static,
{
    let Bench {
        registry,
        changes,
        directory,
        clock,
    } = bench;
    drop(registry);
    let held = DataDirectory::lock(directory.path()).unwrap();
    let store = Store::open(held, StoreOptions::default()).unwrap();
    let (hub, name) = (hub(), device(name));
    let key = IdentityKey::device(&hub, &name);
    let (row, twin) = store.read(|view| view.twin(key)).unwrap().unwrap();
    let unit = unit(
        (row, twin),
        |_| vec![Lock::Directory],
        |_, _| Ok::<_, StoreError>(()),
        move |(row, twin), tx, ()| write(tx, row.clone(), twin.clone()),
    );
    store.write(unit).await.unwrap();
    drop(store);
    let registry = open(directory.path(), "localhost").await;
    registry.watch(changes.clone());
    Bench {
        registry,
        changes,
        directory,
        clock,
    }
}

/// Damages a text of the database on the disk, wherever it is.
pub(crate) async fn corrupt(bench: Bench, text: &str, damaged: impl AsRef<[u8]>) -> Bench {
    let Bench {
        registry,
        changes,
        directory,
        clock,
    } = bench;
    drop(registry);
    // A store that nobody reads from moves its journal into the database when it is closed.
    let held = DataDirectory::lock(directory.path()).unwrap();
    drop(Store::open(held, StoreOptions::default()).unwrap());
    let file = directory.path().join("muster.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let places = bytes.windows(text.len()).enumerate();
    let places = places.filter(|(_, found)| *found == text.as_bytes());
    let places: Vec<_> = places.map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + text.len()].copy_from_slice(damaged.as_ref());
    }
    std::fs::write(&file, bytes).unwrap();
    let registry = open(directory.path(), "localhost").await;
    registry.watch(changes.clone());
    Bench {
        registry,
        changes,
        directory,
        clock,
    }
}

/// Leaves reported properties as a version without limits would have left them.
async fn outgrow(bench: Bench, name: &str) -> Bench {
    behind(bench, name, |tx, row, twin| {
        let write = TwinWrite {
            version: twin.version + 1,
            reported: Some(SectionWrite {
                document: json!({"a": vec![json!([1]); 200_000]}).to_string(),
                metadata: "{}".to_owned(),
                version: twin.reported_version + 1,
            }),
            ..TwinWrite::default()
        };
        tx.update_twin(&row, twin.version, &write)
    })
    .await
}

// D3: the kind of it.
pub(crate) async fn one_damaged_row_does_not_hide_the_others(bench: Bench) {
    for name in ["a", "b", "c"] {
        create(&bench, name, json!({"t": 1})).await;
    }
    let by_ca = DeviceRequest {
        authentication: Some(AuthenticationRequest::CertificateAuthority),
        ..DeviceRequest::default()
    };
    let (hub, b, any) = (hub(), device("b"), IfMatch::Any);
    let put = bench
        .registry
        .put_device(&hub, &b, by_ca, &any, bench.now());
    put.await.unwrap();
    let bench = corrupt(bench, "certificateAuthority", "certificateNonsense!").await;
    let (registry, all) = (&bench.registry, PageRequest::first(10));
    let devices = registry.list_devices(&hub, &all).await.unwrap();
    let names: Vec<_> = devices.items.iter().map(|d| d.device_id.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    let found = twins(registry, "SELECT * FROM devices", &all).await;
    assert_eq!(found.items.len(), 2);
    for text in [
        "SELECT * FROM devices WHERE tags.t = 1",
        "SELECT * FROM devices WHERE tags.t = 1 AND status = 'enabled'",
    ] {
        let found = twins(registry, text, &all).await;
        assert_eq!(found.items.len(), 2, "{text}");
    }
    let error = registry.device(&hub, &b).await.unwrap_err();
    let cause = ids::error_chain(&error).to_string();
    assert!(
        cause.contains("authentication: has an unknown name"),
        "{cause}"
    );
    assert!(!cause.contains("Nonsense"), "{cause}");

    // It can be deleted, also where its deletion is an event, and created again.
    let routes = json!({"routes": [{"name": "r", "source": "DeviceLifecycleEvents",
        "endpointNames": ["events"]}]});
    let routes = serde_json::from_value(routes).unwrap();
    let put = registry.put_routing(&hub, routes, &any, bench.now());
    put.await.unwrap();
    registry.delete_device(&hub, &b, &any).await.unwrap();
    let waiting = registry.append_hub_events(&hub, bench.now()).await.unwrap();
    let last = waiting.unwrap().last;
    registry.delete_hub_events(&hub, last).await.unwrap();
    let left = registry.append_hub_events(&hub, bench.now()).await.unwrap();
    assert_eq!(left, None);
    let page = registry.read_events(&hub, 0, 10).await.unwrap();
    let deleted = page.events.last().unwrap();
    assert_eq!(deleted.event.body, br#"{"deviceId":"b","moduleId":null}"#);
    create(&bench, "b", json!({})).await;
    let devices = registry.list_devices(&hub, &all).await.unwrap();
    assert_eq!(devices.items.len(), 3);
}

pub(crate) async fn a_damaged_presence_hides_its_device_alone(bench: Bench) {
    for name in ["a", "b", "c"] {
        create(&bench, name, json!({"t": 1})).await;
    }
    let seen = LastSeen {
        model_id: Some("dtmi:damaged:model;1".to_owned()),
        ..LastSeen::NEVER
    };
    let b = Identity::device(hub(), device("b"));
    bench.registry.note_seen(vec![(b, seen)]).await.unwrap();
    let bench = corrupt(bench, "dtmi:damaged:model;1", [0xff; 20]).await;
    let (registry, all) = (&bench.registry, PageRequest::first(10));
    for text in [
        "SELECT deviceId FROM devices WHERE modelId != 'x'",
        "SELECT deviceId FROM devices WHERE tags.t = 1 AND modelId != 'x'",
    ] {
        let found = query(registry, text, &all).await.rows;
        let expected = vec![json!({"deviceId": "a"}), json!({"deviceId": "c"})];
        assert_eq!(found, QueryRows::Raw(expected), "{text}");
    }
    let found = twins(registry, "SELECT * FROM devices WHERE tags.t = 1", &all).await;
    assert_eq!(found.items.len(), 2);
}

/// A device whose modules are longer than what is read at once: none of them is left out.
pub(crate) async fn long_modules_of_a_configuration_are_all_found(bench: Bench) {
    create(&bench, "a", json!({})).await;
    let modules: Vec<_> = (10..60).map(|number| format!("m{number}")).collect();
    let names = modules.clone();
    let bench = behind(bench, "a", move |tx, row, twin| {
        let modules = names.iter().map(|name| ModuleId::parse(name).unwrap());
        let modules: Vec<_> = modules.collect();
        for module in &modules {
            let row = IdentityRow {
                module_id: Some(module.clone()),
                ..row.clone()
            };
            let twin = TwinRow {
                desired: Some(json!({"text": "x".repeat(250_000)}).to_string()),
                ..twin.clone()
            };
            tx.insert_identity(&row, &twin)?;
            let write = TwinWrite {
                version: twin.version + 1,
                configurations: Some(json!({"c": "Applied"}).to_string()),
                ..TwinWrite::default()
            };
            let inserted = tx.identity(row.key())?.unwrap();
            tx.update_twin(&inserted, twin.version, &write)?;
        }
        let target = |module| TargetRow {
            module_id: Some(module),
            configuration_id: "c".parse().unwrap(),
            applied: true,
        };
        let targets: Vec<_> = modules.into_iter().map(target).collect();
        tx.replace_configuration_targets(&row.hub, &row.device_id, &targets)
    })
    .await;
    let text = "SELECT moduleId FROM devices.modules
                WHERE configurations.c.status = 'Applied' AND properties.desired.text != ''";
    let answer = query(&bench.registry, text, &PageRequest::first(100)).await;
    assert!(
        answer.plan.starts_with("index(configurations"),
        "{}",
        answer.plan
    );
    let expected = modules.iter().map(|module| json!({"moduleId": module}));
    assert_eq!(answer.rows, QueryRows::Raw(expected.collect()));
}

// C1
pub(crate) async fn a_twin_that_is_too_large_is_not_read_until_a_put_empties_it(bench: Bench) {
    for name in ["a", "b"] {
        create(&bench, name, json!({"t": 1})).await;
    }
    let bench = outgrow(bench, "a").await;
    let registry = &bench.registry;
    let identity = Identity::device(hub(), device("a"));
    let too_large = |error: &TwinError| matches!(error, TwinError::TooLarge { .. });
    let error = registry.twin(&identity).await.unwrap_err();
    assert!(too_large(&error), "{error}");
    assert!(error.to_string().contains("device-twin replace"), "{error}");
    let tags = TwinPatch {
        tags: Some(map(json!({"t": 2}))),
        desired: None,
    };
    let error = registry.patch_twin(&identity, tags, &IfMatch::Any, bench.now());
    assert!(too_large(&error.await.unwrap_err()));
    let error = registry.patch_reported(&identity, map(json!({"b": 1})), None, bench.now());
    assert!(too_large(&error.await.unwrap_err()));

    // Listings leave it out, and go on behind it.
    let first = PageRequest::first(1);
    for text in [
        "SELECT * FROM devices",
        "SELECT * FROM devices WHERE version > 0",
    ] {
        let page = twins(registry, text, &first).await;
        let IdentityRecord::Device(found) = &page.items[0].identity else {
            panic!("a device")
        };
        assert_eq!((found.device_id.as_str(), page.items.len()), ("b", 1));
    }

    let put = TwinReplacement {
        tags: Some(map(json!({"t": 3}))),
        desired: Some(map(json!({}))),
    };
    let put = registry.replace_twin(&identity, put, &IfMatch::Any, bench.now());
    let emptied = put.await.unwrap().twin;
    assert!(emptied.reported.document.is_empty());
    let version = registry
        .patch_reported(&identity, map(json!({"b": 1})), None, bench.now())
        .await
        .unwrap();
    assert_eq!(version, emptied.reported.version + 1);
    let twin = registry.twin(&identity).await.unwrap().twin;
    assert_eq!(
        (twin.tags, twin.reported.document),
        (map(json!({"t": 3})), map(json!({"b": 1})))
    );
}

// D3
pub(crate) async fn one_device_that_cannot_be_read_does_not_stop_the_others(bench: Bench) {
    for name in ["a", "b", "c"] {
        create(&bench, name, json!({})).await;
    }
    let bench = outgrow(bench, "a").await;
    put(
        &bench,
        draft("one", 1, "*", json!({"x": {}})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    // The full pass, in which the first device fails, comes to its end; then the device waits at
    // the end of the queue.
    for _ in 0..3 {
        evaluate_all(&bench).await;
    }
    for name in ["b", "c"] {
        assert_eq!(running(&bench, name).await, json!({"x": {}}), "{name}");
    }
    let evaluate = async || {
        bench
            .registry
            .evaluate_configurations(&hub(), bench.now())
            .await
    };
    let pass = evaluate().await.unwrap();
    assert_eq!((pass.examined, pass.failed, pass.more), (1, 1, false));

    let put = TwinReplacement {
        tags: Some(map(json!({}))),
        desired: Some(map(json!({}))),
    };
    let identity = Identity::device(hub(), device("a"));
    bench
        .registry
        .replace_twin(&identity, put, &IfMatch::Any, bench.now())
        .await
        .unwrap();
    evaluate_all(&bench).await;
    assert_eq!(running(&bench, "a").await, json!({"x": {}}));
    assert_eq!(evaluate().await.unwrap().examined, 0);
}

// C1
pub(crate) async fn layers_that_are_too_much_together_are_given_to_nobody(bench: Bench) {
    create(&bench, "a", json!({})).await;
    create(&bench, "b", json!({"much": true})).await;
    put(
        &bench,
        draft("base", 1, "*", json!({"x": {}})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    for (name, priority, condition) in [("l1", 2, "*"), ("l2", 3, "tags.much = true")] {
        let mut layer = draft(name, priority, condition, json!({}));
        let text = vec!["x".repeat(4000); 5];
        layer.content = Some(json!({"modulesContent": {
            "sensor": {format!("properties.desired.{name}"): text},
        }}));
        put(&bench, layer, IfMatch::Absent).await.unwrap();
    }
    let mut failed = 0;
    loop {
        let pass = bench
            .registry
            .evaluate_configurations(&hub(), bench.now())
            .await
            .unwrap();
        failed += pass.failed;
        if !pass.more {
            break;
        }
    }
    assert_eq!(failed, 1);
    assert_eq!(running(&bench, "a").await, json!({"x": {}}));
    assert_eq!(running(&bench, "b").await, json!(null));
}
