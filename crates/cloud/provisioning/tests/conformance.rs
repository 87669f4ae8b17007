//! What provisioning services promise, whatever keeps their rows. Another backend adds a function
//! that opens it and a line at the end.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "conformance/acts.rs"]
mod acts;
#[path = "conformance/ca_certificates.rs"]
mod ca_certificates;
#[path = "conformance/ended_attempts.rs"]
mod ended_attempts;
#[path = "conformance/enrollments.rs"]
mod enrollments;
#[path = "conformance/hubs.rs"]
mod hubs;
#[path = "conformance/in_force.rs"]
mod in_force;
#[path = "conformance/issued.rs"]
mod issued;
#[path = "conformance/issuer_users.rs"]
mod issuer_users;
#[path = "conformance/pins.rs"]
mod pins;
#[path = "conformance/references.rs"]
mod references;
#[path = "conformance/registrations.rs"]
mod registrations;
#[path = "conformance/remote_hubs.rs"]
mod remote_hubs;
#[path = "conformance/remote_tasks.rs"]
mod remote_tasks;
#[path = "conformance/reprovisioning.rs"]
mod reprovisioning;
#[path = "conformance/revocation_acts.rs"]
mod revocation_acts;
#[path = "conformance/revocation_sequences.rs"]
mod revocation_sequences;
#[path = "conformance/revocations.rs"]
mod revocations;
#[path = "conformance/service.rs"]
mod service;
#[path = "conformance/takeover.rs"]
mod takeover;
#[path = "conformance/takeovers.rs"]
mod takeovers;
#[path = "conformance/tenants.rs"]
mod tenants;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ids::{DeviceId, HubName, Timestamp};
use provisioning::{Described, Provisioning, Retention, Services};
use registry::{Change, Entropy, Init, LocalHubs, Watcher};
use serde_json::{Map, Value};

/// The bench of a test: provisioning services in a directory of their own, and what it reported.
pub(crate) struct Bench {
    pub(crate) provisioning: Provisioning,
    pub(crate) heard: Arc<Heard>,
    pub(crate) directory: tempfile::TempDir,
    clock: AtomicU64,
}

/// A watcher that remembers.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Change>>);

impl Watcher for Heard {
    fn changed(&self, change: &Change) {
        self.0.lock().unwrap().push(change.clone());
    }
}

impl Heard {
    /// What was heard since the last call.
    pub(crate) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Different bytes at every call, the same in every run.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self
                .0
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) fn init(host: &str) -> Init {
    Init {
        rehearse: false,
        hub_name: hub(),
        hub_host: host.parse().unwrap(),
        entropy: Arc::new(Counting::default()),
    }
}

pub(crate) fn hub() -> HubName {
    HubName::parse("hub").unwrap()
}

pub(crate) fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

impl Bench {
    /// A moment later than all before.
    pub(crate) fn now(&self) -> Timestamp {
        let seconds = self.clock.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_unix_seconds(1_700_000_000 + i64::try_from(seconds).unwrap())
    }

    async fn embedded() -> Self {
        Self::new(tempfile::tempdir().unwrap()).await
    }

    /// The same with a store that runs every unit, rolls it back and runs it again.
    async fn rehearsed() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(REHEARSED), []).unwrap();
        Self::new(directory).await
    }

    /// The same directory, opened again at a later time.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            provisioning,
            directory,
            clock,
            ..
        } = self;
        drop(provisioning);
        let again = Self::new(directory).await;
        Self { clock, ..again }
    }

    async fn new(directory: tempfile::TempDir) -> Self {
        let provisioning = open(directory.path(), "localhost").await;
        let heard = Arc::new(Heard::default());
        provisioning.registry().watch(heard.clone());
        Self {
            provisioning,
            heard,
            directory,
            clock: AtomicU64::default(),
        }
    }
}

/// What is described, as of the last commit.
pub(crate) fn described(provisioning: &Provisioning) -> Described {
    let local = LocalHubs::clone(&provisioning.registry().hubs());
    let services = Services::clone(&provisioning.services());
    Described { services, local }
}

/// Says in a data directory that its store rehearses every write, also when it is opened again.
const REHEARSED: &str = "rehearsed";

pub(crate) async fn open(directory: &Path, host: &str) -> Provisioning {
    let init = Init {
        rehearse: directory.join(REHEARSED).exists(),
        ..init(host)
    };
    Provisioning::open(
        directory,
        init,
        Retention::default(),
        Timestamp::from_unix_seconds(1_600_000_000),
    )
    .await
    .unwrap()
}

/// Runs every promise against each backend.
macro_rules! promises {
    (@$backend:ident $($module:ident::{$($promise:ident),* $(,)?}),* $(,)?) => {
        mod $backend {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::$module::$promise(crate::Bench::$backend().await).await;
                }
            )*)*
        }
    };
    ($($all:tt)*) => {
        promises!(@embedded $($all)*);
        promises!(@rehearsed $($all)*);
    };
}

promises!(
    acts::{
        every_act_leaves_one_record,
        an_exchanged_trust_anchor_is_reported,
        nothing_else_writes_without_an_operator,
    },
    service::{
        an_empty_directory_gets_a_service,
        opening_again_finds_the_same,
        the_first_hubs_host_follows,
        names_that_hubs_had_are_remembered,
        anyone_may_describe_a_directory_in_use,
    },
    hubs::{
        a_hub_is_there_once_it_is_acknowledged,
        names_and_hosts_of_hubs_are_given_out_once,
        a_link_is_made_changed_and_taken_away,
        a_remote_hub_is_linked_by_its_key,
        a_service_has_so_many_hubs,
        only_an_idle_hub_is_deleted,
        registrations_outlive_the_link_and_choose_again,
    },
    tenants::{
        a_service_is_made_with_a_scope_of_its_own,
        services_do_not_see_each_other,
        settings_belong_to_one_service,
        policies_are_made_rolled_and_deleted,
        ports_follow_the_first_hub,
    },
    ca_certificates::{
        a_ca_certificate_is_uploaded_changed_and_deleted,
        one_ca_certificate_has_one_name,
        a_code_proves_possession_once,
        a_service_keeps_so_many_ca_certificates,
    },
    issued::{
        a_certificate_is_listed_once_it_is_acknowledged,
        a_registration_lists_its_certificate_with_the_assignment,
        a_ca_that_the_issuer_does_not_have_enters_nothing,
        a_registration_does_not_write_a_certificate_of_a_ca_that_is_gone,
        one_issuer_is_the_default,
        an_issuer_trusts_verified_ca_certificates,
    },
    pins::{
        the_certificate_of_a_device_follows_what_it_proves,
        a_pending_registration_goes_on_under_what_it_made_of_its_pins,
        a_group_that_is_written_late_joins_a_roll,
        certificates_that_expired_long_ago_are_pruned,
    },
    in_force::{
        a_certificate_that_is_not_in_force_gets_no_other,
        a_fetch_that_was_under_way_leaves_a_changed_list_alone,
        a_certificate_is_revoked_by_any_issuer_of_its_ca,
        another_url_is_asked_for_the_whole_list,
    },
    takeover::{
        certificates_of_an_earlier_version_are_taken_from_the_audit,
    },
    issuer_users::{
        uses_count_certificates,
        an_expired_or_changed_user_gets_no_certificate,
        users_belong_to_their_issuer,
    },
    revocations::{
        what_is_revoked_stays_revoked_and_what_is_on_hold_comes_back,
        a_serial_number_that_is_not_listed_is_revoked,
        a_newer_list_replaces_the_older_whole,
        a_list_that_is_stale_refuses_if_its_policy_says_so,
    },
    revocation_sequences::{
        any_sequence_of_changes_is_answered_as_it_is_stored,
    },
    enrollments::{
        an_enrollment_is_created_changed_and_deleted,
        versions_guard_entries,
        one_certificate_belongs_to_one_enrollment,
        groups_with_keys_have_an_end,
        groups_are_found_nearest_first,
        pages_are_in_order_and_complete,
    },
    references::{
        references_are_to_verified_ca_certificates,
        a_group_has_its_ca_certificate_for_itself,
        what_is_relied_on_stays_verified_or_is_withdrawn,
        a_withdrawn_ca_certificate_is_forgotten_with_its_last_reference,
    },
    registrations::{
        a_first_registration_makes_everything,
        spelling_is_kept_and_case_is_folded,
        an_unknown_hub_writes_nothing,
        a_failure_is_remembered_and_leaves_the_assignment,
        records_are_deleted_and_listed_by_group,
        many_at_once_are_all_there,
    },
    takeovers::{
        a_device_of_another_registration_is_not_taken,
        an_enrollment_that_changed_meanwhile_assigns_nobody,
        who_takes_over_is_reported,
    },
    remote_hubs::{
        a_device_of_a_remote_hub_is_recorded_and_not_made_here,
        a_plan_outlives_a_restart,
        moves_to_and_from_a_remote_hub_lose_nothing,
        a_remote_device_is_not_taken_from_its_owner,
    },
    remote_tasks::{
        what_was_made_at_a_remote_hub_for_nothing_is_removed,
        remote_tasks_are_kept_until_they_are_done,
    },
    ended_attempts::{
        nothing_stays_pending_without_its_record,
        a_handle_of_an_attempt_that_ended_opens_no_other,
    },
    reprovisioning::{
        again_with_another_certificate_refreshes_it,
        reset_starts_the_twin_again,
        never_stays_with_the_first_device,
        a_new_device_id_takes_the_data_along,
        a_custom_twin_replaces_what_is_there,
        t11_migrate_takes_the_twin_to_the_new_hub,
        t11_reset_begins_with_the_initial_twin_at_the_new_hub,
        a_device_deleted_at_its_hub_comes_back,
    },
);
