use ids::{HubHost, ServiceName};
use provisioning::{
    AssignError, EnrollmentDraft, EnrollmentKey, KeyChoice, PolicyDraft, Provisioning,
    ServiceSetupError,
};
use registry::{IfMatch, PageRequest, Right};
use serde_json::json;
use wire::service_api::enrollment::AllocationPolicy;

use crate::hubs::link;
use crate::registrations::assign;
use crate::{Bench, described, hub, open};

impl Bench {
    pub(crate) async fn tenant(&self, name: &str) -> Provisioning {
        let host = HubHost::parse(&format!("{name}.example")).unwrap();
        let name = ServiceName::parse(name).unwrap();
        self.provisioning
            .create_service(name, host, self.now())
            .await
            .unwrap()
    }
}

pub(crate) async fn a_service_is_made_with_a_scope_of_its_own(bench: Bench) {
    let tenant = bench.tenant("second").await;
    let (first, second) = (bench.provisioning.service(), tenant.service());
    assert_ne!(first.id_scope, second.id_scope);
    assert_ne!(first.operation_key, second.operation_key);
    assert_ne!(first.policies[0].primary, second.policies[0].primary);
    assert_eq!(second.policies[0].name, "provisioningserviceowner");
    assert!(second.hubs.is_empty());
    let scope = second.id_scope.as_str().to_ascii_lowercase();
    assert_eq!(
        bench.provisioning.for_scope(&scope).unwrap().service(),
        second
    );
    assert!(bench.provisioning.for_scope("0neFFFFFFFF").is_none());

    let create = async |name: &str, host: &str| {
        let host = HubHost::parse(host).unwrap();
        let name = ServiceName::parse(name).unwrap();
        bench
            .provisioning
            .create_service(name, host, bench.now())
            .await
    };
    let same_name = create("SECOND", "other.example").await;
    assert!(matches!(
        same_name,
        Err(ServiceSetupError::ServiceExists(_))
    ));
    let same_host = create("third", "Second.example:1").await;
    assert!(matches!(
        same_host,
        Err(ServiceSetupError::ServiceHostTaken { .. })
    ));
    let before = described(&bench.provisioning);
    drop((bench.provisioning, tenant));
    assert_eq!(
        described(&open(bench.directory.path(), "localhost").await),
        before
    );
}

pub(crate) async fn services_do_not_see_each_other(bench: Bench) {
    let tenant = bench.tenant("second").await;
    let key = EnrollmentKey::Individual("d0".parse().unwrap());
    let draft = EnrollmentDraft {
        key: key.clone(),
        enabled: true,
        attestation: provisioning::AttestationKind::X509,
        document: json!({}),
        certificates: Vec::new(),
        ca_certificates: Vec::new(),
        issuance: Default::default(),
    };
    bench
        .provisioning
        .put_enrollment(draft, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    assert!(tenant.enrollment(&key).await.unwrap().is_none());
    bench
        .provisioning
        .assign(assign(&bench.provisioning, "d1").await, bench.now())
        .await
        .unwrap();
    let id = assign(&bench.provisioning, "d1")
        .await
        .registrant
        .registration_id;
    assert!(tenant.registration(&id).await.unwrap().is_none());
    let group = "Group".parse().unwrap();
    let page = tenant
        .list_registrations(&group, &PageRequest::first(10))
        .await;
    assert!(page.unwrap().items.is_empty());

    let unlinked = tenant
        .assign(assign(&tenant, "d2").await, bench.now())
        .await;
    assert!(matches!(unlinked, Err(AssignError::UnknownHub(_))));
    tenant
        .link_hub(link(hub().as_str()), bench.now())
        .await
        .unwrap();
    // The same registration id under another service is another device.
    let refused = tenant
        .assign(assign(&tenant, "d1").await, bench.now())
        .await;
    assert!(matches!(
        refused,
        Err(AssignError::DeviceOfOtherService { .. })
    ));
    tenant
        .assign(assign(&tenant, "d2").await, bench.now())
        .await
        .unwrap();
}

pub(crate) async fn settings_belong_to_one_service(bench: Bench) {
    let tenant = bench.tenant("second").await;
    let set = tenant
        .set_allocation_policy(AllocationPolicy::GeoLatency)
        .await;
    assert_eq!(set.unwrap().allocation_policy, AllocationPolicy::GeoLatency);
    assert_eq!(
        bench.provisioning.service().allocation_policy,
        AllocationPolicy::Hashed
    );
}

pub(crate) async fn policies_are_made_rolled_and_deleted(bench: Bench) {
    let provisioning = &bench.provisioning;
    let rights = ["enrollmentREAD".to_owned()];
    let draft = |name: &str| PolicyDraft::new(name, &rights, [None, None]).unwrap();
    assert!(PolicyDraft::new("a;b", &rights, [None, None]).is_err());
    assert!(PolicyDraft::new("a", &[], [None, None]).is_err());
    let of_hubs = ["RegistryRead".to_owned()];
    assert!(PolicyDraft::new("a", &of_hubs, [None, None]).is_err());
    let made = provisioning.create_policy(draft("reader")).await.unwrap();
    assert!(made.grants(Right::EnrollmentRead) && !made.grants(Right::EnrollmentWrite));
    assert_ne!(made.primary, made.secondary);
    let again = provisioning.create_policy(draft("READER")).await;
    assert!(matches!(again, Err(ServiceSetupError::PolicyExists(_))));

    let rolled = provisioning
        .regenerate_key("reader", KeyChoice::Primary)
        .await
        .unwrap();
    assert_ne!(rolled.primary, made.primary);
    assert_eq!(rolled.secondary, made.secondary);
    let swapped = provisioning.regenerate_key("reader", KeyChoice::Swap).await;
    assert_eq!(swapped.unwrap().primary, made.secondary);
    assert!(
        provisioning
            .service()
            .policies
            .iter()
            .any(|policy| { policy.name == "reader" && policy.primary == made.secondary })
    );

    provisioning.delete_policy("reader").await.unwrap();
    assert_eq!(provisioning.service().policies.len(), 1);
    let gone = provisioning.delete_policy("reader").await;
    assert!(matches!(gone, Err(ServiceSetupError::NoSuchPolicy(_))));
    let owner = provisioning.delete_policy("provisioningserviceowner").await;
    assert!(matches!(owner, Err(ServiceSetupError::OwnerPolicy(_))));
}

pub(crate) async fn ports_follow_the_first_hub(bench: Bench) {
    bench.create_hub("second", "second.example").await;
    bench
        .create_hub("behind-a-proxy", "proxy.example:9443")
        .await;
    bench.tenant("tenant").await;
    drop(bench.provisioning);
    let described = described(&open(bench.directory.path(), "127.0.0.7:8443").await);
    let hosts: Vec<_> = described
        .local
        .hubs
        .iter()
        .map(|hub| hub.host.as_str())
        .collect();
    assert_eq!(
        hosts,
        [
            "127.0.0.7:8443",
            "second.example:8443",
            "proxy.example:9443"
        ]
    );
    let host = described.services[1].host.as_ref().unwrap();
    assert_eq!(host.as_str(), "tenant.example:8443");
}
