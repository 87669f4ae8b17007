//! Sessions end when a certificate that opened them is revoked.

use ids::Identity;
use registry::revocation::{CertificateKey, NotInForce};
use tokio::sync::watch;
use transport::Close;

use crate::service::Hub;

/// Ends sessions after each change of what is revoked, until `shutdown` turns true.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    let mut changes = hub.revocation_changes();
    // Devices may have connected before.
    changes.mark_changed();
    loop {
        // Both arms are cancel-safe.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        let looking = hub.clone();
        // With long lists and many sessions it takes its time.
        let looked = tokio::task::spawn_blocking(move || end_revoked(&looking));
        if let Err(error) = looked.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "sessions were not compared with what is revoked"
            );
        }
    }
}

fn end_revoked(hub: &Hub) {
    let (registry, now) = (hub.registry(), hub.now());
    if !registry.revocations().is_in_use() {
        return;
    }
    let revoked = |identity: &Identity, certificates: &[CertificateKey]| {
        let certificates = certificates.iter().copied();
        // A list that is too old keeps clients out, and ends no session. What cannot be read now
        // is asked when the device connects again.
        match registry.not_in_force_at_hub(&identity.hub, certificates, now) {
            Ok(Some(reason @ NotInForce::Revoked(_))) => Some(reason),
            _ => None,
        }
    };
    for (identity, number, reason) in hub.session_certificates().find(revoked) {
        let close = Close::new(reason.code(), reason.to_string());
        hub.sessions().close_numbered(&identity, number, close);
    }
}
