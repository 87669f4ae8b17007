use ids::{HubHost, HubName};
use provisioning::{
    AllocationWeight, AssignError, AssignOutcome, HubAccess, LinkDraft, LinkedHub, MAX_LINKED_HUBS,
    RegistrationState, RemoteAccess, ServiceSetupError, Substatus,
};
use registry::{Change, HubError};
use wire::service_api::identity::KeyText;

use crate::registrations::{assign, substatus};
use crate::{Bench, described, device, hub, open};

pub(crate) fn name(text: &str) -> HubName {
    HubName::parse(text).unwrap()
}

fn host(text: &str) -> HubHost {
    HubHost::parse(text).unwrap()
}

pub(crate) fn link(of: &str) -> LinkDraft {
    LinkDraft {
        name: name(of),
        remote: None,
        allocation_weight: None,
        apply_allocation_policy: None,
        latencies: None,
    }
}

pub(crate) fn remote(of: &str, at: &str, key: u8) -> LinkDraft {
    let access = RemoteAccess {
        policy: "iothubowner".to_owned(),
        key: KeyText::from_bytes(&[key; 32]).unwrap(),
    };
    LinkDraft {
        remote: Some((host(at), access)),
        ..link(of)
    }
}

impl Bench {
    pub(crate) async fn create_hub(&self, named: &str, at: &str) {
        let created = self
            .provisioning
            .create_hub(name(named), host(at), self.now())
            .await;
        assert_eq!(created.unwrap().name, name(named));
    }

    pub(crate) async fn link(&self, draft: LinkDraft) -> LinkedHub {
        self.provisioning.link_hub(draft, self.now()).await.unwrap()
    }
}

pub(crate) async fn a_hub_is_there_once_it_is_acknowledged(bench: Bench) {
    bench.heard.take();
    bench.create_hub("second", "second.example:8443").await;
    assert_eq!(bench.heard.take(), [Change::ServicesOrHubs]);
    let local = bench.provisioning.registry().hubs();
    let found = local.hub_at(&host("SECOND.example")).unwrap();
    assert_eq!((found.name.as_str(), found.policies.len()), ("second", 5));
    assert_ne!(found.policies[0].primary, local.hubs[0].policies[0].primary);
    assert!(
        bench.provisioning.service().hub(&name("second")).is_none(),
        "not linked"
    );
    drop(local);
    let before = described(&bench.provisioning);
    drop(bench.provisioning);
    let again = open(bench.directory.path(), "localhost").await;
    assert_eq!(described(&again), before);
}

pub(crate) async fn names_and_hosts_of_hubs_are_given_out_once(bench: Bench) {
    bench.create_hub("second", "second.example").await;
    let create = async |named: &str, at: &str| {
        bench
            .provisioning
            .create_hub(name(named), host(at), bench.now())
            .await
            .unwrap_err()
    };
    assert!(matches!(
        create("SECOND", "other.example").await,
        HubError::Exists(_)
    ));
    let taken = create("third", "Second.EXAMPLE:1").await;
    assert!(
        matches!(&taken, HubError::HostTaken { other, .. } if *other == name("second")),
        "{taken}"
    );
    bench.link(remote("remote", "remote.example", 1)).await;
    assert!(matches!(
        create("remote", "other.example").await,
        HubError::Exists(_)
    ));
    let over_local = bench
        .provisioning
        .link_hub(remote("second", "remote.example", 1), bench.now())
        .await;
    assert!(matches!(over_local, Err(ServiceSetupError::HubExists(_))));
}

pub(crate) async fn a_link_is_made_changed_and_taken_away(bench: Bench) {
    bench.create_hub("second", "second.example").await;
    let linked = bench.link(link("second")).await;
    assert_eq!(linked.access, HubAccess::Local);
    assert_eq!(linked.allocation_weight, None);
    assert!(linked.apply_allocation_policy);
    let heavier = bench
        .link(LinkDraft {
            allocation_weight: AllocationWeight::new(1000),
            apply_allocation_policy: Some(false),
            ..link("second")
        })
        .await;
    assert_eq!(heavier.allocation_weight, Some(1000));
    assert!(!heavier.apply_allocation_policy);
    let again = bench
        .link(LinkDraft {
            apply_allocation_policy: Some(true),
            ..link("second")
        })
        .await;
    assert_eq!(
        again.allocation_weight,
        Some(1000),
        "what is not said stays"
    );

    bench
        .provisioning
        .unlink_hub(&name("second"))
        .await
        .unwrap();
    assert_eq!(bench.provisioning.service().hubs.len(), 1);
    let gone = bench.provisioning.unlink_hub(&name("second")).await;
    assert!(matches!(gone, Err(ServiceSetupError::NotLinked(_))));
    let nowhere = bench
        .provisioning
        .link_hub(link("third"), bench.now())
        .await;
    assert!(matches!(nowhere, Err(ServiceSetupError::NoSuchHub(_))));
}

pub(crate) async fn a_remote_hub_is_linked_by_its_key(bench: Bench) {
    let linked = bench.link(remote("remote", "remote.example:8443", 1)).await;
    let HubAccess::Remote(access) = &linked.access else {
        panic!("{linked:?}")
    };
    assert_eq!(access.key, KeyText::from_bytes(&[1; 32]).unwrap());
    assert!(
        !format!("{linked:?}").contains(access.key.reveal()),
        "keys are not shown"
    );
    let mut there = assign(&bench.provisioning, "d1").await;
    there.choice.hub = name("remote");
    let refused = bench.provisioning.assign(there, bench.now()).await;
    assert!(matches!(refused, Ok(AssignOutcome::NeedsRemoteHub)));
    let moved = bench.link(remote("remote", "new.example", 2)).await;
    assert_eq!(moved.host, host("new.example"));
    assert_eq!(
        bench.provisioning.registry().hubs().hubs.len(),
        1,
        "it does not live here"
    );
    bench
        .provisioning
        .unlink_hub(&name("remote"))
        .await
        .unwrap();
    bench.link(remote("remote", "remote.example", 3)).await;
}

pub(crate) async fn a_service_has_so_many_hubs(bench: Bench) {
    for number in 1..MAX_LINKED_HUBS {
        let (named, at) = (format!("remote-{number}"), format!("h{number}.example"));
        bench.link(remote(&named, &at, 1)).await;
    }
    let more = bench
        .provisioning
        .link_hub(remote("more", "more.example", 1), bench.now())
        .await;
    assert!(matches!(more, Err(ServiceSetupError::TooMany { .. })));
    assert_eq!(AllocationWeight::new(0), None);
    assert_eq!(AllocationWeight::new(1001), None);
    assert_eq!(AllocationWeight::new(1).map(AllocationWeight::get), Some(1));
}

pub(crate) async fn only_an_idle_hub_is_deleted(bench: Bench) {
    bench.create_hub("second", "second.example").await;
    bench.link(link("second")).await;
    let second = name("second");
    let delete = || bench.provisioning.delete_hub(&second, bench.now());
    assert!(matches!(delete().await, Err(HubError::Linked(_))));
    let mut there = assign(&bench.provisioning, "d1").await;
    there.choice.hub = second.clone();
    bench.provisioning.assign(there, bench.now()).await.unwrap();
    bench.provisioning.unlink_hub(&second).await.unwrap();
    assert!(matches!(delete().await, Err(HubError::HasDevices(_))));
    bench
        .provisioning
        .registry()
        .delete_device(&second, &device("d1"), &registry::IfMatch::Any)
        .await
        .unwrap();
    delete().await.unwrap();
    assert!(matches!(delete().await, Err(HubError::NotFound(_))));
    let first = bench.provisioning.delete_hub(&hub(), bench.now()).await;
    assert!(matches!(first, Err(HubError::First(_))));
}

pub(crate) async fn registrations_outlive_the_link_and_choose_again(bench: Bench) {
    bench.create_hub("second", "second.example").await;
    bench.link(link("second")).await;
    let mut there = assign(&bench.provisioning, "d1").await;
    there.choice.hub = name("second");
    bench
        .provisioning
        .assign(there.clone(), bench.now())
        .await
        .unwrap();
    bench
        .provisioning
        .unlink_hub(&name("second"))
        .await
        .unwrap();
    let record = bench
        .provisioning
        .registration(&there.registrant.registration_id)
        .await;
    let state = record.unwrap().unwrap().state;
    assert!(
        matches!(&state, RegistrationState::Assigned { host: None, .. }),
        "{state:?}"
    );
    let refused = bench.provisioning.assign(there, bench.now()).await;
    assert!(matches!(refused, Err(AssignError::UnknownHub(_))));
    let again = bench
        .provisioning
        .assign(assign(&bench.provisioning, "d1").await, bench.now())
        .await;
    let state = again.unwrap().assigned().unwrap().registration.state;
    assert_eq!(substatus(&state), Substatus::InitialAssignment);
    let left = bench
        .provisioning
        .registry()
        .device(&name("second"), &device("d1"))
        .await;
    assert!(
        left.is_ok(),
        "what is in a hub that is not linked is not touched"
    );
}
