//! Tells people how far the device is.

use ids::Timestamp;
use wire::edge_api::local::{Connection, Provisioning};

use super::Cloud;
use crate::provision::assignment::{Assigned, Home};

impl<R> Cloud<R> {
    pub(super) fn show_provisioned(&self, assigned: &Assigned, problem: Option<String>) {
        let Home { hub, device_id } = assigned.home.clone();
        let since = assigned.since;
        self.board.show(|shown| {
            if problem.is_some() {
                shown.connection = Connection::Connecting {
                    problem: problem.clone(),
                    next: None,
                };
            }
            shown.provisioning = Provisioning::Provisioned {
                hub,
                device_id,
                since,
                problem,
            };
        });
    }

    pub(super) fn show_connecting(&self, problem: Option<String>, next: Option<Timestamp>) {
        self.board
            .show(|shown| shown.connection = Connection::Connecting { problem, next });
    }
}
