//! Shows the state of the registration and of the connection in the status.

use ids::Timestamp;
use wire::edge_api::local::{Connection, Provisioning};

use super::CloudTask;
use crate::provision::assignment::{DeviceLocation, KeptAssignment};

impl<R> CloudTask<R> {
    pub(super) fn show_registering(&self, failures: u32, problem: Option<String>) {
        self.shared.update_status(|status| {
            status.provisioning = Provisioning::Registering {
                failures,
                problem,
                next: None,
            }
        });
    }

    pub(super) fn show_provisioned(&self, assignment: &KeptAssignment, problem: Option<String>) {
        let DeviceLocation { hub, device_id } = assignment.location.clone();
        let since = assignment.since;
        self.shared.update_status(|status| {
            if problem.is_some() {
                status.connection = Connection::Connecting {
                    problem: problem.clone(),
                    next: None,
                };
            }
            status.provisioning = Provisioning::Provisioned {
                hub,
                device_id,
                since,
                problem,
            };
        });
    }

    pub(super) fn show_connecting(&self, problem: Option<String>, next: Option<Timestamp>) {
        self.shared
            .update_status(|status| status.connection = Connection::Connecting { problem, next });
    }

    pub(super) fn show_next_attempt(&self, due: Timestamp) {
        self.shared.update_status(|status| {
            match (&mut status.provisioning, &mut status.connection) {
                (Provisioning::Registering { next, .. }, _)
                | (_, Connection::Connecting { next, .. }) => *next = Some(due),
                _ => {}
            }
        });
    }
}
