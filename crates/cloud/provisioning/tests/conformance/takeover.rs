//! Certificates that a version without a list of them issued.

use std::path::Path;
use std::sync::Arc;

use ids::Thumbprint;
use pki::RevocationReason;
use provisioning::{CertificateOrigin, IssuedQuery, IssuedRecord, IssuedState, RevokeError};
use registry::IfMatch;
use rusqlite::Connection;

use crate::issued::{certificate, draft, issuer};
use crate::revocations::Ca;
use crate::{Bench, open};

/// Makes the database what the migration makes of one of an earlier version: the audit alone knows
/// of certificates.
fn forget_certificates(directory: &Path) {
    let database = Connection::open(directory.join("muster.db")).unwrap();
    let sql = "DELETE FROM issued_certificates";
    database.execute_batch(sql).unwrap();
}

/// Has the audit looked at from its begin, as a crash before the first note does.
fn begin_again(directory: &Path) {
    let database = Connection::open(directory.join("muster.db")).unwrap();
    let sql = "INSERT INTO certificate_takeover SELECT 0, max(last) FROM audit_segments
                 WHERE stream = 'decisions'";
    database.execute_batch(sql).unwrap();
}

async fn listed(bench: &Bench, name: &str) -> Vec<IssuedRecord> {
    let (name, limit) = (issuer(name), 100);
    let query = IssuedQuery {
        limit,
        ..IssuedQuery::default()
    };
    bench
        .provisioning
        .list_issued(&name, query)
        .await
        .unwrap()
        .items
}

/// Three certificates of issuer `fleet`, and one of an issuer that is gone.
async fn issue(bench: &Bench) {
    for (name, number) in [("fleet", 1), ("gone", 2)] {
        let created = bench
            .provisioning
            .create_issuer(draft(name, number), bench.now());
        created.await.unwrap();
    }
    for number in 1..=3 {
        let issued = Arc::new(certificate(number, &format!("D{number}")));
        let entered = bench.provisioning.enter_issued(issued, bench.now());
        entered.await.unwrap();
    }
    let mut of_gone = certificate(4, "d4");
    (of_gone.issuer, of_gone.authority) = (issuer("gone"), Thumbprint::from_bytes([2; 32]));
    let entered = bench
        .provisioning
        .enter_issued(Arc::new(of_gone), bench.now());
    entered.await.unwrap();
    let gone = issuer("gone");
    bench
        .provisioning
        .delete_issuer(&gone, &IfMatch::Any)
        .await
        .unwrap();
}

pub(crate) async fn certificates_of_an_earlier_version_are_taken_from_the_audit(mut bench: Bench) {
    issue(&bench).await;
    let before = listed(&bench, "fleet").await;

    let directory = bench.directory.path().to_owned();
    drop(bench.provisioning);
    forget_certificates(&directory);
    begin_again(&directory);
    bench.provisioning = open(&directory, "localhost").await;
    let once = listed(&bench, "fleet").await;
    drop(bench.provisioning);
    begin_again(&directory);
    bench.provisioning = open(&directory, "localhost").await;
    let after = listed(&bench, "fleet").await;
    assert_eq!(after, once, "what is taken over stays as it is");
    let names: Vec<&str> = after
        .iter()
        .map(|record| record.common_name.as_str())
        .collect();
    assert_eq!(names, ["D1", "D2", "D3"]);
    for (record, was) in after.iter().zip(&before) {
        assert_eq!(record.origin, CertificateOrigin::Audit);
        assert_eq!(record.state, IssuedState::Valid);
        assert_eq!(
            (record.serial, record.thumbprint),
            (was.serial, was.thumbprint)
        );
        assert_eq!(
            (record.authority, record.not_after),
            (was.authority, was.not_after)
        );
        let der = bench
            .provisioning
            .issued_der(&record.serial, &record.thumbprint);
        assert_eq!(der.unwrap(), None);
    }
    let gone = listed(&bench, "gone").await;
    assert_eq!(
        gone[0].authority,
        Thumbprint::from_bytes([0; 32]),
        "nobody knows it any more"
    );
    // An issuer of the same name that was created later has not signed it.
    let ca = Ca::named("gone");
    bench.issue_with("gone", &ca).await;
    let name = issuer("gone");
    let revoked = bench.provisioning.revoke_certificate(
        &name,
        gone[0].serial,
        RevocationReason::KeyCompromise,
        bench.now(),
    );
    let refused = revoked.await;
    assert!(
        matches!(refused, Err(RevokeError::CaGone { .. })),
        "{refused:?}"
    );
}
