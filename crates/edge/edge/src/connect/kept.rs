//! The kept assignment: published at the start, replaced when another hub has accepted the device.

use device::TpmKey;
use ids::error_chain;

use super::CloudParts;
use crate::desired::KeptDesired;
use crate::device_tpm::DeviceTpm;
use crate::files::durable;
use crate::identities::Identities;
use crate::provision::assignment::KeptAssignment;

impl<R> CloudParts<R> {
    /// Publishes what is kept, so that modules run before, and without, a connection.
    pub(super) fn start_with_kept(&self) -> Option<KeptAssignment> {
        let kept = KeptAssignment::load(&self.files.assignment).unwrap_or_else(|error| {
            tracing::error!(error = %error_chain(&error), "the kept assignment cannot be read");
            None
        })?;
        let location = &kept.location;
        let identities = Identities::load(&self.files.modules, location, &self.master);
        let identities = identities.map(|identities| identities.modules().clone());
        let desired = durable::read_json::<KeptDesired>(&self.files.desired);
        let desired = desired.unwrap_or_else(|error| {
            tracing::warn!(
                error = %error_chain(&error),
                "the kept deployment cannot be read; waiting for the hub"
            );
            None
        });
        let desired = desired
            .filter(|desired| desired.location == *location)
            .map(|desired| desired.document);
        tracing::info!(
            hub = %location.hub,
            device.id = %location.device_id,
            "starting with the kept assignment"
        );
        self.shared.cloud_state.send_modify(|cloud_state| {
            cloud_state.location = Some(location.clone());
            cloud_state.identities = identities.unwrap_or_default();
            cloud_state.last_good.clone_from(&desired);
            cloud_state.desired = desired;
        });
        Some(kept)
    }

    /// Keeps the key for the hub where the TPM service and other programs look for it. The device
    /// itself does not need that: it has the key of its assignment.
    fn keep_in_tpm(&self, assignment: &KeptAssignment) {
        let key = assignment.tpm_key.as_ref();
        let Some(key) = key.filter(|_| self.config.attests_by_tpm()) else {
            return;
        };
        let key = TpmKey::new(key.as_bytes().to_vec());
        let tpm = DeviceTpm::new(self.config.tpm_settings());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = tpm.keep(&key) {
                tracing::warn!(error = %error, "the key for the hub is not kept in the TPM");
            }
        });
    }

    /// Keeps and publishes an assignment. With another hub or device id, the deployment and the
    /// previous identities are no longer valid.
    pub(super) fn adopt(&self, assignment: &KeptAssignment) {
        if let Err(error) = assignment.save(&self.files.assignment) {
            // It is used all the same; after a restart the device asks again.
            tracing::error!(error = %error_chain(&error), "the assignment cannot be kept");
        }
        self.keep_in_tpm(assignment);
        let moved = self.shared.cloud_state.send_if_modified(|cloud_state| {
            let moved = cloud_state.location.as_ref() != Some(&assignment.location);
            if moved {
                cloud_state.location = Some(assignment.location.clone());
                cloud_state.identities.clear();
                cloud_state.desired = None;
                cloud_state.last_good = None;
                self.shared.needed_identities.send_replace(None);
            }
            moved
        });
        if moved {
            Identities::forget_others(&self.files.modules, &assignment.location);
        }
    }
}
