//! Shows the state of the registration and of the connection in the status.

use ids::Timestamp;
use wire::edge_api::local::{Connection, Provisioning};

use super::CloudParts;
use crate::provision::assignment::DeviceLocation;
use crate::provision::machine::{Machine, Work};

impl<R> CloudParts<R> {
    /// Shows what the machine has and does. `due` is the time of the next attempt.
    pub(super) fn show(&self, machine: &Machine, due: Option<Timestamp>) {
        let problem = machine.problem().map(str::to_owned);
        let clock_problem = self.clock.problem();
        self.shared.update_status(|status| {
            status.clock_problem = clock_problem;
            status.provisioning = match machine.kept() {
                Some(kept) => {
                    let DeviceLocation { hub, device_id } = kept.location.clone();
                    Provisioning::Provisioned {
                        hub,
                        device_id,
                        since: kept.since,
                        problem: problem.clone(),
                    }
                }
                None => Provisioning::Registering {
                    failures: machine.failures(),
                    problem: problem.clone(),
                    next: due,
                },
            };
            // A session shows itself.
            if machine.session().is_none() {
                let is_idle = machine.kept().is_none() && machine.work() != Work::Connecting;
                status.connection = match is_idle {
                    true => Connection::Idle,
                    false => Connection::Connecting { problem, next: due },
                };
            }
        });
    }
}
