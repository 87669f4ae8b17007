//! Certificates are asked whether they are in force in the transaction that gives their holder
//! another one.

use ids::Thumbprint;
use pki::RevocationReason;
use provisioning::{EnterError, IssuedCertificate, Requester};
use registry::StalePolicy;
use registry::revocation::ProvenPath;

use crate::revocations::Ca;
use crate::{Bench, issued};

use RevocationReason::{CertificateHold, KeyCompromise};

impl Bench {
    /// A client that proved to have a certificate gets one of issuer `fleet`.
    async fn renew_by(&self, ca: &Ca, number: u8, proven: ProvenPath) -> Result<(), EnterError> {
        let entry = IssuedCertificate {
            authority: ca.certificate().sha256(),
            requester: Requester::EstCertificate(proven),
            ..issued::certificate(number, "d")
        };
        self.enter(entry).await
    }
}

fn path(ca: &Ca, number: u8) -> ProvenPath {
    ProvenPath {
        leaf: Thumbprint::from_bytes([number; 32]),
        ..ProvenPath::of(&ca.leaf(number), [ca.certificate()])
    }
}

pub(crate) async fn a_certificate_that_is_not_in_force_gets_no_other(bench: Bench) {
    let (ca, partner) = (Ca::named("fleet"), Ca::named("partner"));
    bench.issue_with("fleet", &ca).await;
    for number in [1, 2, 3] {
        bench.enter_leaf("fleet", &ca, number).await;
    }
    bench.revoke(1, KeyCompromise).await.unwrap();
    bench.revoke(2, CertificateHold).await.unwrap();
    bench.follow(&partner, StalePolicy::Accept).await;
    let list = partner.list(1, &[(8, KeyCompromise)]);
    bench.publish(list).await.unwrap();
    // The certificates of another CA's name are not found in memory: their rows are.
    let unnamed = Ca::named("another");
    for (holder, number) in [
        (&ca, 1),
        (&ca, 2),
        (&unnamed, 1),
        (&unnamed, 2),
        (&partner, 8),
    ] {
        let refused = bench.renew_by(&ca, 20, path(holder, number)).await;
        assert!(
            matches!(refused, Err(EnterError::NotInForce(_))),
            "{number} {refused:?}"
        );
    }
    bench.renew_by(&ca, 20, path(&ca, 3)).await.unwrap();
    bench.renew_by(&ca, 21, path(&partner, 9)).await.unwrap();
    bench.restore(2).await.unwrap();
    bench.renew_by(&ca, 22, path(&ca, 2)).await.unwrap();
}
