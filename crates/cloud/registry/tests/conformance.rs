//! What a registry promises, whatever keeps its rows. Another backend adds a function that opens it
//! and a line at the end.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "conformance/acts.rs"]
mod acts;
#[path = "conformance/cloud_messages.rs"]
mod cloud_messages;
#[path = "conformance/damaged_messages.rs"]
mod damaged_messages;
#[path = "conformance/deployments.rs"]
mod deployments;
#[path = "conformance/events.rs"]
mod events;
#[path = "conformance/file_uploads.rs"]
mod file_uploads;
#[path = "conformance/identities.rs"]
mod identities;
#[path = "conformance/jobs.rs"]
mod jobs;
#[path = "conformance/presences.rs"]
mod presences;
#[path = "conformance/readers.rs"]
mod readers;
#[path = "conformance/settings.rs"]
mod settings;
#[path = "conformance/targeting.rs"]
mod targeting;
#[path = "conformance/twins.rs"]
mod twins;
#[path = "conformance/unreadable.rs"]
mod unreadable;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ids::{DeviceId, HubName, Identity, Timestamp};
use registry::query::{Connection, Query};
use registry::{
    Change, Connections, Entropy, Init, LastSeen, Page, PageRequest, QueryPage, QueryRows,
    Registry, Retention, TwinRecord, Watcher,
};
use serde_json::{Map, Value};

/// The bench of a test: a registry in a directory of its own, and the changes that it announced.
pub(crate) struct Bench {
    pub(crate) registry: Registry,
    pub(crate) changes: Arc<Changes>,
    pub(crate) directory: tempfile::TempDir,
    clock: AtomicU64,
}

/// A watcher that remembers.
#[derive(Default)]
pub(crate) struct Changes(Mutex<Vec<Change>>);

impl Watcher for Changes {
    fn changed(&self, change: &Change) {
        self.0.lock().unwrap().push(change.clone());
    }
}

impl Changes {
    /// What was announced since the last call.
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

/// Connections of a fleet that was never connected.
struct Offline;

impl Connections for Offline {
    fn connection(&self, _: &Identity, stored: LastSeen) -> Connection {
        Connection {
            connected: false,
            last_activity: stored.active,
            model_id: stored.model_id.unwrap_or_default(),
            pending_messages: 0,
        }
    }
}

pub(crate) fn offline() -> Arc<dyn Connections> {
    Arc::new(Offline)
}

/// One page of a query.
pub(crate) async fn query(registry: &Registry, text: &str, page: &PageRequest) -> QueryPage {
    let query = Arc::new(Query::parse(text).unwrap());
    let answer = registry.query(&hub(), &query, &offline(), page).await;
    answer.unwrap()
}

/// The twins of one page of `SELECT *`.
pub(crate) async fn twins(registry: &Registry, text: &str, page: &PageRequest) -> Page<TwinRecord> {
    let answer = query(registry, text, page).await;
    match answer.rows {
        QueryRows::Twins(items) => Page {
            items: items.into_iter().map(|found| found.record).collect(),
            continuation: answer.continuation,
        },
        other => panic!("{other:?}"),
    }
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

    /// The same directory, opened by a process that remembers nothing.
    pub(crate) async fn reopened(self) -> Self {
        self.reopened_after(|_| ()).await
    }

    /// The same after a change of its files.
    pub(crate) async fn reopened_after(self, change: impl FnOnce(&Path)) -> Self {
        let Self {
            registry,
            directory,
            clock,
            ..
        } = self;
        drop(registry);
        change(directory.path());
        let reopened = Self::new(directory).await;
        Self { clock, ..reopened }
    }

    async fn new(directory: tempfile::TempDir) -> Self {
        let registry = open(directory.path(), "localhost").await;
        let changes = Arc::new(Changes::default());
        registry.watch(changes.clone());
        Self {
            registry,
            changes,
            directory,
            clock: AtomicU64::default(),
        }
    }
}

/// Says in a data directory that its store rehearses every write, also when it is opened again.
const REHEARSED: &str = "rehearsed";

pub(crate) async fn open(directory: &Path, host: &str) -> Registry {
    let init = Init {
        rehearse: directory.join(REHEARSED).exists(),
        ..init(host)
    };
    Registry::open(
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
        nothing_else_writes_without_an_operator,
    },
    events::{
        events_are_read_in_order,
    },
    cloud_messages::{
        a_queue_keeps_its_order_and_its_limit,
        a_message_is_settled_by_the_receiver_that_has_it,
        a_later_session_gets_what_an_earlier_one_did_not_settle,
        senders_get_the_feedback_that_they_want,
        messages_expire_and_so_does_feedback_that_nobody_reads,
        a_device_that_is_created_again_has_an_empty_queue,
        messages_and_subscriptions_outlive_the_process,
    },
    damaged_messages::{
        a_damaged_message_does_not_stop_its_queue,
        a_damaged_message_does_not_stop_the_expiry_of_others,
        a_damaged_device_does_not_stop_the_expiry_of_other_queues,
    },
    file_uploads::{
        a_damaged_device_does_not_stop_the_expiry_of_other_uploads,
        a_file_is_entered_while_its_upload_is_open,
    },
    identities::{
        a_device_gets_keys_and_versions,
        an_edge_device_gets_its_modules_and_scope,
        versions_guard_devices,
        a_leaf_gets_its_parent,
        disabling_and_new_credentials_are_announced,
        modules_are_created_changed_and_deleted,
        a_device_has_so_many_modules,
        credentials_of_a_module_know_its_device,
        deleting_a_device_takes_all_along,
        devices_are_listed_and_counted,
    },
    twins::{
        a_fresh_twin_looks_as_azures_does,
        patches_are_versioned_and_announced,
        a_put_replaces,
        reports_are_versioned,
        refused_changes_leave_no_trace,
        twins_are_listed,
    },
    jobs::{
        a_job_updates_each_twin_once,
        a_device_is_called_once_also_after_a_crash,
        a_page_of_outcomes_is_not_longer_than_it_may_be,
        jobs_have_ids_of_their_own_and_are_forgotten,
        open_jobs_are_limited,
    },
    presences::{
        when_devices_were_heard_of_outlives_the_process,
    },
    readers::{
        readers_that_are_further_than_a_restored_log_go_on_with_the_next,
        damaged_routing_stops_no_start_and_can_be_written_again,
    },
    unreadable::{
        a_twin_that_is_too_large_is_not_read_until_a_put_empties_it,
        one_device_that_cannot_be_read_does_not_stop_the_others,
        one_damaged_row_does_not_hide_the_others,
        a_damaged_presence_hides_its_device_alone,
        long_modules_of_a_configuration_are_all_found,
        layers_that_are_too_much_together_are_given_to_nobody,
    },
    targeting::{
        manual_changes_of_system_modules_are_taken_back,
        metrics_count_what_devices_reported,
        tags_and_reports_move_devices,
        a_pass_overtaken_by_a_change_begins_again,
    },
    settings::{
        settings_reach_devices_and_go_again,
        the_highest_priority_sets_a_path_and_the_next_takes_over,
        drift_is_repaired,
        drift_of_deployed_modules_is_repaired,
        module_configurations_lie_over_deployments,
        faults_of_settings_are_refused,
    },
    deployments::{
        a_deployment_reaches_matching_devices,
        the_next_one_takes_over_and_nothing_is_left_alone,
        content_never_changes,
        faults_are_refused,
        content_is_applied_once,
    },
);
