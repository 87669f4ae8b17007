use provisioning::{OpenError, Provisioning};
use registry::Right;

use crate::{Bench, described, hub, open};

pub(crate) async fn an_empty_directory_gets_a_service(bench: Bench) {
    let service = bench.provisioning.service();
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
    let local = bench.provisioning.registry().hubs();
    let [hub] = local.hubs.as_slice() else {
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
    bench
        .provisioning
        .registry()
        .require_writable()
        .await
        .unwrap();
}

pub(crate) async fn opening_again_finds_the_same(bench: Bench) {
    let before = described(&bench.provisioning);
    drop(bench.provisioning);
    let again = open(bench.directory.path(), "localhost").await;
    assert_eq!(described(&again), before);
}

pub(crate) async fn the_first_hubs_host_follows(bench: Bench) {
    let before = bench.provisioning.registry().hubs();
    drop(bench.provisioning);
    let again = open(bench.directory.path(), "127.0.0.7:8443").await;
    let again = again.registry().hubs();
    assert_eq!(again.hubs[0].host.as_str(), "127.0.0.7:8443");
    assert_eq!(again.hubs[0].policies, before.hubs[0].policies);
}

/// R1: devices were heard the old name.
pub(crate) async fn names_that_hubs_had_are_remembered(mut bench: Bench) {
    let named = |text: &str| text.parse::<ids::HubHost>().unwrap();
    bench.create_hub("second", "second.example").await;
    let second = ids::HubName::parse("second").unwrap();
    assert!(bench.provisioning.registry().renamed().is_none());
    drop(bench.provisioning);
    bench.provisioning = open(bench.directory.path(), "New.example:8443").await;
    let renamed = bench.provisioning.registry().renamed().unwrap();
    assert_eq!(
        (renamed.before.as_str(), renamed.after.as_str()),
        ("localhost", "New.example:8443")
    );
    let local = bench.provisioning.registry().hubs();
    let former = local.hub_formerly_at(&named("LocalHost:8443")).unwrap();
    assert_eq!(former.name, hub());
    assert!(local.hub_at(&named("localhost")).is_none());
    let service = bench.provisioning.service();
    assert_eq!(service.hub_at(&named("localhost")).unwrap().name, hub());

    bench
        .provisioning
        .delete_hub(&second, bench.now())
        .await
        .unwrap();
    let names = |provisioning: &Provisioning| -> Vec<String> {
        let former = provisioning.registry().hubs().former_hosts.clone();
        former.iter().map(|f| f.host.to_string()).collect()
    };
    assert_eq!(names(&bench.provisioning), ["second.example", "localhost"]);
    bench.create_hub("third", "second.example").await;
    assert_eq!(
        names(&bench.provisioning),
        ["localhost"],
        "it is a name again"
    );

    let now = bench.now();
    drop(bench.provisioning);
    let taken = Provisioning::open(
        bench.directory.path(),
        crate::init("second.example"),
        Default::default(),
        now,
    )
    .await
    .err()
    .unwrap()
    .to_string();
    assert!(taken.contains("third"), "{taken}");
    let back = open(bench.directory.path(), "localhost").await;
    assert_eq!(names(&back), ["new.example"]);
    drop(back);
    let port = open(bench.directory.path(), "LOCALHOST:8443").await;
    assert!(
        port.registry().renamed().is_none(),
        "a port and a case are no name"
    );
}

pub(crate) async fn anyone_may_describe_a_directory_in_use(bench: Bench) {
    assert_eq!(
        Provisioning::describe(bench.directory.path()).unwrap(),
        described(&bench.provisioning)
    );
    let nothing = tempfile::tempdir().unwrap();
    let error = Provisioning::describe(nothing.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Registry(registry::OpenError::Store(_)))
            && error.to_string().contains("holds no data yet"),
        "{error}"
    );
}
