//! Registrations that take over a device or a record of another, and those that may not.

use ids::EnrollmentId;
use provisioning::{AssignError, EnrolledBy, EnrollmentKey, ReprovisionPolicy};
use registry::{IfMatch, Registry};
use serde_json::{Value, json};

use crate::registrations::{assign, enroll, id};
use crate::{Bench, device, hub};

pub(crate) async fn a_device_of_another_registration_is_not_taken(bench: Bench) {
    let mut first = assign(&bench.provisioning, "first").await;
    first.registrant.device_id = device("shared");
    bench.provisioning.assign(first, bench.now()).await.unwrap();
    let second = bench
        .provisioning
        .assign(assign(&bench.provisioning, "shared").await, bench.now())
        .await;
    assert!(matches!(second, Err(AssignError::DeviceTaken { owner, .. }) if owner == id("first")));
    assert!(
        bench
            .provisioning
            .registration(&id("shared"))
            .await
            .unwrap()
            .is_none(),
        "nothing was written"
    );
}

pub(crate) async fn an_enrollment_that_changed_meanwhile_assigns_nobody(bench: Bench) {
    let provisioning = &bench.provisioning;
    let group = || EnrollmentKey::Group(EnrollmentId::parse("Group").unwrap());
    let proven = assign(provisioning, "d").await;
    enroll(provisioning, group()).await;
    let refused = provisioning.assign(proven.clone(), bench.now()).await;
    assert!(matches!(refused, Err(AssignError::EnrollmentChanged)));

    let proven = assign(provisioning, "d").await;
    let own = EnrollmentKey::Individual(id("D"));
    let own_version = enroll(provisioning, own.clone()).await;
    let refused = provisioning.assign(proven.clone(), bench.now()).await;
    assert!(
        matches!(refused, Err(AssignError::EnrollmentChanged)),
        "the device's own enrollment decides from the moment it is there"
    );
    let mut as_individual = proven.clone();
    as_individual.registrant.enrollment = EnrolledBy::Individual;
    as_individual.registrant.enrollment_etag = own_version;
    let absent = IfMatch::Absent;
    provisioning
        .delete_enrollment(&own, &absent, bench.now())
        .await
        .unwrap();
    let refused = provisioning.assign(as_individual, bench.now()).await;
    assert!(matches!(refused, Err(AssignError::EnrollmentChanged)));
    assert!(provisioning.registration(&id("d")).await.unwrap().is_none());

    provisioning.assign(proven, bench.now()).await.unwrap();
    provisioning
        .delete_enrollment(&group(), &absent, bench.now())
        .await
        .unwrap();
    let mut again = assign(provisioning, "d").await;
    provisioning
        .delete_enrollment(&group(), &absent, bench.now())
        .await
        .unwrap();
    again.registrant.policy = ReprovisionPolicy::Never;
    let refused = provisioning.assign(again, bench.now()).await;
    assert!(matches!(refused, Err(AssignError::EnrollmentChanged)));
}

/// A6: the one that takes a registration over from another enrollment, or a device from an
/// operator, is heard in the audit.
pub(crate) async fn who_takes_over_is_reported(bench: Bench) {
    let provisioning = &bench.provisioning;
    let request = wire::service_api::identity::DeviceRequest::default();
    provisioning
        .registry()
        .put_device(&hub(), &device("d"), request, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    provisioning
        .assign(assign(provisioning, "d").await, bench.now())
        .await
        .unwrap();
    let own = EnrollmentKey::Individual(id("d"));
    let mut again = assign(provisioning, "d").await;
    again.registrant.enrollment_etag = enroll(provisioning, own).await;
    again.registrant.enrollment = EnrolledBy::Individual;
    provisioning
        .assign(again.clone(), bench.now())
        .await
        .unwrap();
    provisioning.assign(again, bench.now()).await.unwrap();
    let query = registry::AuditQuery {
        kind: Some("registration.assigned".to_owned()),
        limit: 10,
        ..registry::AuditQuery::default()
    };
    let found = Registry::audit(bench.directory.path(), &query).unwrap();
    let heard: Vec<_> = found
        .iter()
        .map(|record| {
            (
                record.body["previousEnrollment"].clone(),
                record.body["adopted"].clone(),
            )
        })
        .collect();
    assert_eq!(
        heard,
        [
            (Value::Null, Value::Null),
            (json!("group Group"), Value::Null),
            (Value::Null, json!(true)),
        ]
    );
}
