use std::sync::Arc;

use ids::{HubName, RegistrationId, Timestamp};
use store::{DeviceLocation, Lock, PendingRow, StoreError, Substatus, unit};

use super::*;
use crate::pending::AllocationNote;
use crate::registration::{Assign, Choice, Registrant, RegistrationFailure};
use registry::{Init, SystemEntropy};

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

async fn open(directory: &std::path::Path) -> Provisioning {
    let init = Init {
        rehearse: false,
        hub_name: HubName::parse("hub").unwrap(),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    Provisioning::open(directory, init, Default::default(), now())
        .await
        .unwrap()
}

/// What a server of an earlier version, or a fault of this one, may have left: a row, and beside it
/// a record in some state.
async fn leave(provisioning: &Provisioning, document: String, status: RegistrationStatus) {
    let id_scope = provisioning.id_scope();
    let leave = unit(
        (id_scope, document),
        |_| vec![Lock::Directory],
        |_, _| Ok::<_, StoreError>(()),
        move |(id_scope, document), tx, ()| {
            let row = PendingRow {
                id: 0,
                id_scope: id_scope.parse().unwrap(),
                registration_id: "d1".parse().unwrap(),
                revision: 0,
                destination: "hooks.example".to_owned(),
                due: now().ticks(),
                document: Secret::new(document.clone()),
            };
            tx.insert_pending(&row)?;
            let etag = Etag::parse("AAAA").unwrap();
            let id = RegistrationId::parse("d1").unwrap();
            let mut write = RecordWrite::new(None, &id, status, &etag, now());
            let assigned = status == RegistrationStatus::Assigned;
            write.row.substatus = assigned.then_some(Substatus::InitialAssignment);
            write.row.device = Some(DeviceLocation {
                hub: "hub".parse().unwrap(),
                device_id: "d1".parse().unwrap(),
            });
            write.write(tx, id_scope)
        },
    );
    let left = provisioning
        .registry()
        .store()
        .write_without_act(leave)
        .await;
    left.unwrap();
}

fn waiting() -> String {
    let registrant = Registrant {
        registration_id: RegistrationId::parse("d1").unwrap(),
        enrollment: crate::registration::EnrolledBy::Individual,
        enrollment_etag: Etag::parse("AAAA").unwrap(),
        device_id: ids::DeviceId::parse("d1").unwrap(),
        iot_edge: false,
        proof: crate::registration::DeviceProof::Certificate(ids::Thumbprint::from_bytes([1; 32])),
        initial_twin: registry::InitialTwin::default(),
        policy: crate::registration::ReprovisionPolicy::MigrateData,
        detail: None,
        by_secondary: false,
        issued: None,
    };
    let choice = Choice {
        hub: HubName::parse("remote").unwrap(),
        twin: None,
        payload: None,
        skipped: Vec::new(),
    };
    let placement = crate::pending::Placement { choice, note: None };
    let step = crate::pending::PendingStep::PlaceOnRemoteHub(Box::new(placement));
    serde_json::to_string(&PendingRegistration::new(registrant, step, now())).unwrap()
}

async fn due(provisioning: &Provisioning) -> Vec<PendingHandle> {
    let due = provisioning.pending_due(now(), Busy::default(), 10);
    due.await.unwrap()
}

/// D1: a row that no record waits for ends at the first try, and the record stays as it is.
#[tokio::test]
async fn a_row_that_no_record_waits_for_ends_without_a_word_in_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let provisioning = open(directory.path()).await;
    leave(&provisioning, waiting(), RegistrationStatus::Assigned).await;
    let handle = due(&provisioning).await.pop().unwrap();
    let failure = RegistrationFailure {
        code: 503_000,
        message: "silent".to_owned(),
    };
    let note = AllocationNote::default();
    let ended = provisioning.give_up_pending(handle, failure, note, now());
    assert_eq!(ended.await.unwrap(), None);
    assert!(due(&provisioning).await.is_empty());
    let id = RegistrationId::parse("d1").unwrap();
    let record = provisioning.registration(&id).await.unwrap().unwrap();
    assert!(matches!(
        record.state,
        crate::registration::RegistrationState::Assigned { .. }
    ));
}

/// One that cannot be read does not stop the others, and its device hears that it has failed.
#[tokio::test]
async fn a_row_that_cannot_be_read_fails_alone() {
    let directory = tempfile::tempdir().unwrap();
    let provisioning = open(directory.path()).await;
    leave(
        &provisioning,
        "{}".to_owned(),
        RegistrationStatus::Assigning,
    )
    .await;
    assert!(due(&provisioning).await.is_empty());
    let id = RegistrationId::parse("d1").unwrap();
    let record = provisioning.registration(&id).await.unwrap().unwrap();
    let failed = crate::registration::RegistrationState::Failed {
        code: 500_000,
        message: "what was kept of this registration cannot be read; register again".to_owned(),
        previous: record
            .assignment()
            .map(|(hub, id)| (hub.clone(), id.clone())),
    };
    assert_eq!(record.state, failed);
}

/// A second local hub, linked to the service.
async fn linked_second_hub(provisioning: &Provisioning) -> HubName {
    let second = HubName::parse("second").unwrap();
    let created = provisioning.create_hub(second.clone(), "second.example".parse().unwrap(), now());
    created.await.unwrap();
    let link = crate::service::LinkDraft {
        name: second.clone(),
        remote: None,
        allocation_weight: None,
        apply_allocation_policy: None,
        latencies: None,
    };
    provisioning.link_hub(link, now()).await.unwrap();
    second
}

/// The individual enrollment of the device `d1`; its etag.
async fn enrolled(provisioning: &Provisioning) -> Etag {
    let draft = crate::enrollment::EnrollmentDraft {
        key: store::EnrollmentKey::Individual("d1".parse().unwrap()),
        enabled: true,
        attestation: store::AttestationKind::X509,
        document: serde_json::json!({}),
        certificates: Vec::new(),
        ca_certificates: Vec::new(),
        issuance: Default::default(),
    };
    let enrollment = provisioning.put_enrollment(draft, &registry::IfMatch::Absent, now());
    enrollment.await.unwrap().etag
}

/// D4: a hub that is unlinked gets no device of the same commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_unlinked_in_the_same_commit_gets_no_device() {
    let directory = tempfile::tempdir().unwrap();
    let provisioning = open(directory.path()).await;
    let second = linked_second_hub(&provisioning).await;
    let enrollment = enrolled(&provisioning).await;
    let waiting: PendingRegistration = serde_json::from_str(&waiting()).unwrap();
    let mut registrant = waiting.registrant;
    registrant.enrollment_etag = enrollment;
    let choice = Choice {
        hub: second.clone(),
        twin: None,
        payload: None,
        skipped: Vec::new(),
    };
    // The writer is held until both wait, so that they share a transaction.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (entered, mut holding) = tokio::sync::mpsc::channel(1);
    let held = std::sync::Mutex::new(held);
    let holder = provisioning.clone();
    let hold = tokio::spawn(async move {
        let hold = unit(
            (entered, held),
            |_| Vec::new(),
            |(entered, held), _| {
                entered.blocking_send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
                Ok::<_, StoreError>(())
            },
            |_, _, ()| Ok(()),
        );
        holder.registry().store().write_without_act(hold).await
    });
    holding.recv().await.unwrap();
    let (unlinked, assigned, ()) = tokio::join!(
        provisioning.unlink_hub(&second),
        provisioning.assign(Assign { registrant, choice }, now()),
        async { release.send(()).unwrap() },
    );
    hold.await.unwrap().unwrap();
    unlinked.unwrap();
    assert!(
        matches!(assigned, Err(AssignError::UnknownHub(_))),
        "{assigned:?}"
    );
}
