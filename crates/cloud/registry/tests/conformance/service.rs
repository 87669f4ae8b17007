use registry::{Event, OpenError, Registry, Right};

use crate::{Bench, device, hub, open};

pub(crate) async fn an_empty_directory_gets_a_service(bench: Bench) {
    let service = bench.registry.service();
    let scope = service.id_scope.as_str();
    assert!(scope.starts_with("0ne") && scope.len() == 11, "{scope}");
    assert_eq!(service.operation_key.reveal().len(), 32);
    let owner = &service.policies[0];
    assert_eq!(owner.name, "provisioningserviceowner");
    assert!(owner.grants(Right::EnrollmentWrite) && !owner.grants(Right::RegistryWrite));
    let [linked] = service.hubs.as_slice() else {
        panic!("one hub")
    };
    assert_eq!(
        (linked.name.as_str(), linked.host.as_str()),
        ("hub", "localhost")
    );
    let served = bench.registry.served();
    let [hub] = served.hubs.as_slice() else {
        panic!("one hub")
    };
    assert_eq!((&hub.name, &hub.host), (&linked.name, &linked.host));
    let names: Vec<_> = hub
        .policies
        .iter()
        .map(|policy| policy.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "iothubowner",
            "service",
            "device",
            "registryRead",
            "registryReadWrite"
        ]
    );
    let mut keys: Vec<_> = hub
        .policies
        .iter()
        .chain(&service.policies)
        .collect::<Vec<_>>()
        .into_iter()
        .flat_map(|policy| [policy.primary.reveal(), policy.secondary.reveal()])
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 12, "every key is another one");
    bench.registry.require_writable().await.unwrap();
}

pub(crate) async fn opening_again_finds_the_same(bench: Bench) {
    let before = bench.registry.served();
    drop(bench.registry);
    let again = open(bench.directory.path(), "localhost").await;
    assert_eq!(again.served(), before);
}

pub(crate) async fn the_first_hubs_host_follows(bench: Bench) {
    let before = bench.registry.served();
    drop(bench.registry);
    let again = open(bench.directory.path(), "127.0.0.7:8443")
        .await
        .served();
    assert_eq!(again.hubs[0].host.as_str(), "127.0.0.7:8443");
    assert_eq!(again.hubs[0].policies, before.hubs[0].policies);
}

/// R1: devices were told the old name.
pub(crate) async fn names_that_hubs_had_are_remembered(mut bench: Bench) {
    let named = |text: &str| text.parse::<ids::HubHost>().unwrap();
    bench.create_hub("second", "second.example").await;
    let second = ids::HubName::parse("second").unwrap();
    assert!(bench.registry.renamed().is_none());
    drop(bench.registry);
    bench.registry = open(bench.directory.path(), "New.example:8443").await;
    let renamed = bench.registry.renamed().unwrap();
    assert_eq!(
        (renamed.before.as_str(), renamed.after.as_str()),
        ("localhost", "New.example:8443")
    );
    let served = bench.registry.served();
    let former = served.hub_formerly_at(&named("LocalHost:8443")).unwrap();
    assert_eq!(former.name, hub());
    assert!(served.hub_at(&named("localhost")).is_none());
    let service = bench.registry.service();
    assert_eq!(service.hub_at(&named("localhost")).unwrap().name, hub());

    bench
        .registry
        .delete_hub(&second, bench.now())
        .await
        .unwrap();
    let names = |registry: &Registry| -> Vec<String> {
        let former = registry.served().former_hosts.clone();
        former.iter().map(|f| f.host.to_string()).collect()
    };
    assert_eq!(names(&bench.registry), ["second.example", "localhost"]);
    bench.create_hub("third", "second.example").await;
    assert_eq!(names(&bench.registry), ["localhost"], "it is a name again");

    let now = bench.now();
    drop(bench.registry);
    let taken = Registry::open(bench.directory.path(), crate::init("second.example"), now)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(taken.contains("third"), "{taken}");
    let back = open(bench.directory.path(), "localhost").await;
    assert_eq!(names(&back), ["new.example"]);
    drop(back);
    let port = open(bench.directory.path(), "LOCALHOST:8443").await;
    assert!(port.renamed().is_none(), "a port and a case are no name");
}

pub(crate) async fn anyone_may_describe_a_directory_in_use(bench: Bench) {
    assert_eq!(
        Registry::describe(bench.directory.path()).unwrap(),
        *bench.registry.served()
    );
    let nothing = tempfile::tempdir().unwrap();
    let error = Registry::describe(nothing.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Store(_)) && error.to_string().contains("holds no data yet"),
        "{error}"
    );
}

pub(crate) async fn events_are_read_in_order(bench: Bench) {
    let event = |body: &str| Event {
        hub: hub(),
        device: device("d"),
        module: None,
        enqueued: bench.now(),
        properties: vec![("a".to_owned(), "b".to_owned())],
        body: body.as_bytes().to_vec(),
    };
    assert_eq!(bench.registry.last_event(&hub()), 0);
    let events = [event("one"), event("two"), event("three")];
    for (offset, event) in (1..).zip(&events) {
        assert_eq!(
            bench.registry.append_telemetry(event).await.unwrap(),
            offset
        );
    }
    bench.registry.wait_for_events(&hub(), 2).await.unwrap();
    let page = bench.registry.read_events(&hub(), 1, 10).await.unwrap();
    assert_eq!((&page.missing, page.next), (&vec![], 3));
    let read = page.events;
    assert_eq!(
        read.iter().map(|stored| stored.offset).collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(read[1].event, events[2]);
    let large = Event {
        body: vec![0; 600_000],
        ..event("")
    };
    assert!(bench.registry.append_telemetry(&large).await.is_err());
}
